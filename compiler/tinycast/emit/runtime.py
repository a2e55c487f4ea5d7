"""The files of runtime_c that a model uses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tinycast.errors import InternalError
from tinycast.resources import resource_dir

_INCLUDE = re.compile(rb'^\s*#\s*include\s+"(tc_\w+\.h)"', re.MULTILINE)


def runtime_files(names: Iterable[str], folders: tuple[str, ...], root: Path | None = None) -> dict[str, bytes]:
    """Return the files called `names` and all they include, by name.

    Each is taken from the first of `folders` (of runtime_c, or of `root`) that has it, so a core's own version stands
    in for the generic one. Raises InternalError for a file that no folder has.
    """
    root = root or resource_dir("runtime_c")
    found: dict[str, bytes] = {}
    wanted = sorted(names)
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        candidates = [root / folder / name for folder in folders]
        path = next((p for p in candidates if p.is_file()), None)
        if path is None:
            raise InternalError(f"runtime_c has no file {name}", where=f"folders {', '.join(folders)}")
        found[name] = path.read_bytes()
        wanted.extend(match.decode("ascii") for match in _INCLUDE.findall(found[name]))
    return dict(sorted(found.items()))
