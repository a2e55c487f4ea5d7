"""Chooses the driver for a target."""

from __future__ import annotations

from tinycast.errors import ToolMissingError, UsageError
from tinycast.execute.host import HostDriver
from tinycast.execute.qemu import QemuDriver
from tinycast.execute.simavr import SimavrDriver
from tinycast.execute.types import Driver
from tinycast.execute.unicorn import UnicornDriver
from tinycast.execute.wasm import NodeDriver, WasmtimeDriver
from tinycast.target.types import Platform, Target
from tinycast.toolchain.find import compiler_for, find_program, missing_tool


def drivers_of(target: Target) -> tuple[Driver, ...]:
    """Return the drivers that can run `target`, installed or not, the preferred one first."""
    if target.platform is Platform.HOST:
        return (HostDriver(target),)
    if target.platform is Platform.WASM:
        return (WasmtimeDriver(target), NodeDriver(target))
    if target.platform is Platform.AVR:
        return (SimavrDriver(target),)
    qemu: tuple[Driver, ...] = (QemuDriver(target),) if target.qemu else ()
    return (*qemu, UnicornDriver(target)) if target.unicorn_cpu else qemu


def driver_for(target: Target, prefer: str | None = None) -> Driver:
    """Return the first installed driver of `target`, or the one named `prefer`, installed or not.

    Raises UsageError if `prefer` does not run this target, ToolMissingError (what to install) if none is installed.
    """
    drivers = drivers_of(target)
    if prefer is not None:
        for driver in drivers:
            if driver.name == prefer:
                return driver
        names = ", ".join(driver.name for driver in drivers)
        raise UsageError(f"{prefer!r} does not run {target.name}", fix=f"use {names}")
    for driver in drivers:
        if driver.available():
            return driver
    compiler_for(target)  # raises if that is what is missing
    if target.qemu:
        find_program(target.qemu[0], f"the emulator for {target.name}")
    if target.simavr:
        raise missing_tool("libsimavr", "the AVR simulator")
    raise ToolMissingError(f"nothing here runs {target.name}", fix="pip install 'tinycast[toolchain]'")
