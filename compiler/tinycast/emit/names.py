"""C identifiers made from ONNX names and file stems."""

from __future__ import annotations

import re
import unicodedata

from tinycast.ir.c_words import KEYWORDS
from tinycast.ir.names import unused_name

# The prefix is also the name of a header, which must not hide one of the C library's.
_HEADERS = """
alloca assert complex ctype elf endian errno features fenv float inttypes iso646 limits locale malloc math memory
sched search semaphore setjmp signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn
string strings tgmath threads time uchar unistd wchar wctype
"""
_RESERVED = KEYWORDS | frozenset(_HEADERS.split())


def c_identifier(text: str) -> str:
    """Return a lower-case C and C++ identifier that reads like `text`.

    Accents are dropped and every run of other characters becomes one underscore. What would start with a digit, be
    empty, a keyword or the name of a standard header gets the prefix `model_`.
    """
    identifier = _words(text)
    if not identifier or identifier[0].isdigit() or identifier in _RESERVED:
        identifier = f"model_{identifier}".rstrip("_")
    return identifier


def _words(text: str) -> str:
    """`text` as lower-case ASCII words joined by underscores; may be empty or start with a digit."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[^a-z0-9]+", "_", ascii_text.lower()).strip("_")


class Names:
    """Hands out names that are unique within one scope."""

    def __init__(self, reserved: frozenset[str] = frozenset()) -> None:
        self._taken = set(reserved)

    def unique(self, prefix: str, text: str, longest: int = 40) -> str:
        """Return `prefix` and the words of `text` (at most `longest` characters), numbered if it was taken."""
        wanted = f"{prefix}_{_words(text)[:longest].strip('_')}".rstrip("_")
        name = unused_name(wanted, self._taken)
        self._taken.add(name)
        return name


def comment_text(text: str) -> str:
    """`text` made safe inside a C comment: printable ASCII that neither ends nor opens a comment."""
    printable = "".join(c if " " <= c <= "~" and c not in "\\?" else "_" for c in text)
    return printable.replace("*/", "*_").replace("/*", "_*")
