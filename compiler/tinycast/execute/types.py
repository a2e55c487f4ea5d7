"""What every driver takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from tinycast.errors import TinycastError
from tinycast.ir.types import Array


class ExecutionError(TinycastError):
    """The program crashed, hung or refused to run where it was executed."""

    exit_code: ClassVar[int] = 3


@dataclass(frozen=True)
class FirmwareSizes:
    """Bytes of a linked ELF: model, start-up code and a `main` that runs it; the arena is in none of them.

    `text_bytes` holds code and constants, `flash_bytes` = text + data; RAM = arena + data + bss + stack.
    """

    text_bytes: int
    data_bytes: int
    bss_bytes: int

    @property
    def flash_bytes(self) -> int:
        return self.text_bytes + self.data_bytes


@dataclass(frozen=True)
class Measurement:
    """Outputs by ONNX name, samples on axis 0, and what the driver could measure (None: it cannot).

    `instructions` is exact, for the last sample: from just before the call of `<name>_run` to its return.
    `layer_instructions` splits it by the manifest's layers (with `profile` only). `stack_bytes` is what
    `<name>_run` and all below it used. `cycles_estimate`, with `layer_cycles`, is for the last sample too: see
    cycles.py.
    """

    outputs: Mapping[str, Array]
    instructions: int | None = None
    layer_instructions: tuple[int, ...] | None = None
    stack_bytes: int | None = None
    sizes: FirmwareSizes | None = None
    cycles_estimate: int | None = None
    layer_cycles: tuple[int, ...] | None = None


class Driver(Protocol):
    """Builds an artifact for one target and runs it on samples."""

    @property
    def name(self) -> str: ...

    def available(self) -> bool:
        """Whether the tools this driver needs are installed."""
        ...

    def run(
        self,
        files: Mapping[str, bytes],
        manifest: Mapping[str, Any],
        inputs: Mapping[str, Array],
        *,
        profile: bool = False,
    ) -> Measurement:
        """Run every sample of `inputs` (by ONNX name, samples on axis 0).

        Raises UsageError for inputs that do not fit the model, ToolMissingError without a compiler or
        emulator, ExecutionError when the program faults, hangs or returns an error.
        """
        ...
