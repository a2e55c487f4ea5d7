"""Finds compilers: the machine's own, a cross gcc, or zig from the `ziglang` wheel."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from tinycast.errors import ToolMissingError, UsageError
from tinycast.target.types import Platform, Target
from tinycast.toolchain.compiler import Compiler

INSTALL_ZIG = "pip install 'tinycast[toolchain]'"
_APT_PACKAGES = {
    "arm-none-eabi-gcc": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf",
    "qemu-system-arm": "qemu-system-arm",
    "qemu-system-riscv32": "qemu-system-misc",
    "avr-gcc": "gcc-avr avr-libc",
    "libsimavr": "libsimavr-dev libelf-dev",
    "node": "nodejs",
}


def compiler_for(target: Target, prefer: str | None = None) -> Compiler:
    """Return a C compiler for `target`.

    `prefer` is "gcc" (the machine's cc for host, else the cross gcc) or "zig"; None takes gcc where it
    is installed and zig otherwise. Raises ToolMissingError, which says how to install one.
    """
    finders = {"gcc": find_gcc, "zig": find_zig}
    if prefer is not None:
        if prefer not in finders:
            raise UsageError(f"unknown compiler {prefer!r}", fix="use gcc or zig")
        return finders[prefer](target)
    try:
        return find_gcc(target)
    except ToolMissingError:
        return find_zig(target)


def has_compiler(target: Target, prefer: str | None = None) -> bool:
    """Whether `compiler_for` finds one."""
    try:
        compiler_for(target, prefer)
    except ToolMissingError:
        return False
    return True


def find_gcc(target: Target) -> Compiler:
    """Return the machine's own `cc` for a host target, else the target's cross gcc."""
    if target.platform is Platform.HOST:
        path = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if path is None:
            raise missing_tool("cc", "a C compiler")
        return Compiler("cc", (path,), link_flags=("-lm",))
    if not target.gcc:
        raise ToolMissingError(f"there is no gcc for {target.name}", fix=INSTALL_ZIG)
    path = shutil.which(target.gcc)
    if path is None:
        raise missing_tool(target.gcc, f"the C compiler for {target.name}")
    if target.platform is Platform.AVR:  # with avr-libc and its start-up files
        return Compiler("gcc", (path,), target.gcc_flags, ("-lm",))
    # Of the others only Arm's gcc comes with a C library (newlib); it is used without its start-up files.
    has_libc = target.platform is Platform.ARM_M
    flags = ("-nostartfiles", "-specs=nano.specs") if has_libc else ("-nostdlib", "-ffreestanding", "-fbuiltin")
    return Compiler(
        "gcc", (path,), (*target.gcc_flags, *flags), ("-lm",) if has_libc else ("-lgcc",), has_libc=has_libc
    )


def find_zig(target: Target) -> Compiler:
    """Return `zig cc` for any target, from the installed `ziglang` wheel."""
    is_host = target.platform is Platform.HOST
    if not is_host and not target.zig_flags:
        raise missing_tool(target.gcc, f"the C compiler for {target.name}")
    # zig records debug information and panics on undefined behaviour unless told otherwise.
    return Compiler(
        "zig",
        (str(zig_path()), "cc"),
        (*target.zig_flags, "-g0", "-fno-sanitize=all"),
        ("-lm",) if is_host else (),
        has_libc=is_host,
    )


def zig_path() -> Path:
    """Return the zig program of the `ziglang` wheel."""
    try:
        spec = importlib.util.find_spec("ziglang")
    except ValueError:  # a half-imported module
        spec = None
    if spec is None or spec.origin is None:
        raise ToolMissingError("no C compiler found: the ziglang wheel is not installed", fix=INSTALL_ZIG)
    return Path(spec.origin).parent / ("zig.exe" if os.name == "nt" else "zig")


def find_program(name: str, what: str) -> str:
    """Return the path of a program on PATH; ToolMissingError names the package that has it."""
    path = shutil.which(name)
    if path is None:
        raise missing_tool(name, what)
    return path


def missing_tool(name: str, what: str) -> ToolMissingError:
    package = _APT_PACKAGES.get(name)
    fix = f"install it (Debian: apt install {package})" if package else "install it"
    if name == "cc" or (name.endswith("gcc") and not name.startswith("avr")):
        fix = f"{INSTALL_ZIG}" + (f", or apt install {package}" if package else "")
    return ToolMissingError(f"{what} is missing: {name} is not on PATH", fix=fix)
