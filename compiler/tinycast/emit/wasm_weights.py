"""A WebAssembly module in two files: code, and weights that browsers keep although the code changes.

The weights' file is the end of the module, its data section: one after the other, the two files are the module.
"""

from __future__ import annotations

from collections.abc import Callable

from tinycast.toolchain.wasm_binary import DATA_SECTION, MAGIC, custom_section, find_custom, section, sections

# In the code: the name of the weights' file. In the weights: nothing; it tells that they are there.
_FILE_SECTION = b"tinycast.weights"
_LOADED_SECTION = b"tinycast.loaded"


def split_weights(module: bytes) -> tuple[bytes, bytes]:
    """Return the code of `module`, to be given to `refer_to`, and the weights."""
    code, data = bytearray(MAGIC), bytearray()
    for identifier, content in sections(module):
        (data if identifier == DATA_SECTION else code).extend(section(identifier, content))
    return bytes(code), bytes(data) + custom_section(_LOADED_SECTION, b"")


def refer_to(weights_file: str, code: bytes) -> bytes:
    """Return `code` that says that its weights are in `weights_file`."""
    return code + custom_section(_FILE_SECTION, weights_file.encode("ascii"))


def with_weights(module: bytes, read: Callable[[str], bytes]) -> bytes:
    """Return `module` whole: if its weights are in another file, `read` is called for that."""
    try:
        file = find_custom(module, _FILE_SECTION)
        is_whole = file is None or find_custom(module, _LOADED_SECTION) is not None
    except ValueError:
        return module  # whoever runs it will tell that it is damaged
    return module if is_whole or file is None else module + read(file.decode("ascii"))
