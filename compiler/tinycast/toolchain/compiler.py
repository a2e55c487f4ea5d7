"""One C compiler: its command, the flags of its machine, and how it is run."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tinycast.errors import FitError, InternalError, UsageError
from tinycast.resources import resource_dir

# -ffp-contract=off keeps float results the same on cores with and without fused multiply-add;
# -fno-math-errno lets sqrtf and floorf be instructions.
COMMON_FLAGS = ("-std=c99", "-O2", "-ffunction-sections", "-fdata-sections", "-ffp-contract=off", "-fno-math-errno")
_TIMEOUT_SECONDS = 300
_SHOWN_LINES = 12


@dataclass(frozen=True)
class Compiler:
    """`command` with `machine_flags` compiles C for one core.

    `has_libc` is false where neither headers nor library are there: then `freestanding` files of the
    harness stand in for string.h, memcpy and memset.
    """

    name: str  # "cc", "gcc" or "zig"
    command: tuple[str, ...]
    machine_flags: tuple[str, ...] = ()
    link_flags: tuple[str, ...] = ()  # of every executable
    has_libc: bool = True

    def build(
        self, sources: Sequence[Path], output: Path, *, flags: Sequence[str] = (), include_dirs: Sequence[Path] = ()
    ) -> None:
        """Compile and link `sources` into `output` (an executable, unless `flags` say otherwise).

        Raises FitError when the linker's memory regions overflow, UsageError when the compiler takes
        too long, InternalError when it rejects the code.
        """
        freestanding = resource_dir("templates") / "harness" / "freestanding"
        shim = [] if self.has_libc else [freestanding / "freestanding.c"]
        includes = [*include_dirs, *([] if self.has_libc else [freestanding])]
        command = [
            *(*self.command, *COMMON_FLAGS, *self.machine_flags),
            *(f"-I{path}" for path in includes),
            *flags,
            *(str(path) for path in [*sources, *shim]),
            *("-o", str(output), *self.link_flags),
        ]
        run_tool(command, what=f"{self.name} rejects the generated code")


def run_tool(command: Sequence[str], *, what: str) -> str:
    """Run a build tool and return its standard output; its messages become part of the error."""
    environment = {**os.environ, "ZIG_GLOBAL_CACHE_DIR": str(cache_dir() / "zig"), "SOURCE_DATE_EPOCH": "0"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=environment, timeout=_TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"{command[0]} did not finish in {_TIMEOUT_SECONDS} s", fix="try again") from error
    if done.returncode == 0:
        return done.stdout
    message = "\n".join((done.stderr or done.stdout).strip().splitlines()[:_SHOWN_LINES])
    if "overflowed by" in done.stderr or "will not fit in region" in done.stderr:
        raise FitError(
            "the program does not fit the memory of the emulated machine",
            where=message,
            fix="run it on the host target",
        )
    raise InternalError(what, where=message)


def build_once(source: Path, name: str, build: Callable[[Path], None]) -> Path:
    """The file called `name` that `build` writes to the path it gets: kept in the cache as long as `source` stays."""
    kept = cache_dir() / f"{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}-{name}"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=kept.parent) as temporary:
            built = Path(temporary) / name
            build(built)
            os.replace(built, kept)
    return kept


def cache_dir() -> Path:
    """Return (and make) the folder for what is built once: the user's cache, or a temporary one if unwritable."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(base) / "tinycast"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _temporary_cache()
    return folder if os.access(folder, os.W_OK) else _temporary_cache()


@cache
def _temporary_cache() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tinycast-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def write_sources(files: Mapping[str, bytes], folder: Path) -> list[Path]:
    """Write a package's C files below `folder` and return the sources of `src/` in sorted order (no WASM glue)."""
    for name, content in files.items():
        if name.endswith((".c", ".h")):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return [
        folder / name
        for name in sorted(files)
        if name.startswith("src/") and name.endswith(".c") and not name.endswith("_wasm.c")
    ]
