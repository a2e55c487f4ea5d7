"""A .wasm in this process: `tinycast.load`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import wasmtime

from tinycast.emit import read_manifest, with_weights
from tinycast.errors import UsageError
from tinycast.execute.inputs import AnyArray, to_port
from tinycast.execute.samples import is_dynamic, join_samples, output_bytes
from tinycast.execute.types import ExecutionError
from tinycast.ir.types import to_carrier

_MUCH_FUEL = 2**62
ENGINE_DIFFERS = 1  # what `init` returns (templates/wasm/glue.c.j2)


class Instance:
    """One instance of a module, in wasmtime; its memory is its own."""

    def __init__(self, engine: wasmtime.Engine, module: bytes) -> None:
        self._store = wasmtime.Store(engine)
        self._exports = wasmtime.Instance(self._store, wasmtime.Module(engine, module), []).exports(self._store)
        stack_pointer: Any = self._exports["__stack_pointer"]
        self._stack_pointer, self._stack_top = stack_pointer, stack_pointer.value(self._store)
        self._counts = False
        self.instructions: int | None = None  # of the last inference, where they are counted

    def count(self) -> None:
        """Count instructions from now on; the engine has to be one that consumes fuel."""
        self._counts = True
        self._store.set_fuel(_MUCH_FUEL)

    def start(self, deadline: int | None = None) -> None:
        """Initialize the model. `deadline`: epochs of the engine that it and all runs may take together."""
        if deadline is not None:
            self._store.set_epoch_deadline(deadline)
        status = self._call("init")
        if status == ENGINE_DIFFERS:
            raise ExecutionError(
                "the engine's relaxed dot products are not exact", fix="run the model's build for wasm32 on this engine"
            )
        if status != 0:
            raise ExecutionError("init failed", fix="report this as a bug of tinycast")

    def infer(self, manifest: Mapping[str, Any], sample: list[bytes]) -> bytes:
        """Run on one sample, the bytes of each input; return the bytes of all outputs."""
        memory: Any = self._exports["memory"]
        for index, data in enumerate(sample):
            memory.write(self._store, data, self._call(f"input_{index}"))
        before = self._store.get_fuel() if self._counts else 0
        if self._call("run") != 0:
            raise ExecutionError("run failed", fix="report this as a bug of tinycast")
        if self._counts:
            self.instructions = before - self._store.get_fuel()
        outputs = bytearray()
        for index, port in enumerate(manifest["outputs"]):
            start = self._call(f"output_{index}")
            outputs += memory.read(self._store, start, start + port["bytes"])
            if is_dynamic(port):
                start = self._call(f"output_{index}_dims")
                outputs += memory.read(self._store, start, start + output_bytes(port) - port["bytes"])
        return bytes(outputs)

    def reset(self) -> None:
        """Forget what the model keeps from one run to the next, if it keeps anything."""
        self._call("reset", results=False)

    def _call(self, name: str, *, results: bool = True) -> int:
        function: Any = self._exports[name]
        try:
            result = function(self._store)
        except wasmtime.Trap:
            # A trap unwinds no stack of the module's own.
            self._stack_pointer.set_value(self._store, self._stack_top)
            raise
        return int(result) if results else 0


class WasmModule:
    """A compiled model, ready to run. `inputs` and `outputs` are those of its manifest (docs/manifest.md)."""

    def __init__(self, module: bytes) -> None:
        """Raises UsageError if `module` is no .wasm of tinycast."""
        self.manifest = read_manifest(module)
        self.inputs: list[dict[str, Any]] = self.manifest["inputs"]
        self.outputs: list[dict[str, Any]] = self.manifest["outputs"]
        try:
            self._instance = Instance(wasmtime.Engine(), module)
        except wasmtime.WasmtimeError as error:
            raise UsageError("the WebAssembly module is damaged", fix="compile the model again") from error
        self._instance.start()

    def run(self, inputs: AnyArray | Mapping[str, AnyArray]) -> AnyArray | dict[str, AnyArray]:
        """Run on one array, or on arrays by input name; return one array, or arrays by name if there are several.

        An array has the input's shape, or is flat. It holds the input's elements, or real numbers, which are quantized.
        An output whose size depends on data comes in its real size.
        Raises UsageError for any other, and ExecutionError if the module traps; it can be run again after that.
        """
        arrays = inputs if isinstance(inputs, Mapping) else {self.inputs[0]["name"]: inputs}
        names = [port["name"] for port in self.inputs]
        if set(arrays) != set(names):
            raise UsageError(f"the inputs are {sorted(arrays)}, the model has {sorted(names)}", fix="rename the arrays")
        sample = [_to_bytes(np.asarray(arrays[port["name"]]), port) for port in self.inputs]
        try:
            raw = self._instance.infer(self.manifest, sample)
        except wasmtime.Trap as error:
            raise ExecutionError(
                f"the module trapped: {str(error).strip().splitlines()[-1].strip()}",
                where=f"{self.manifest['name']}.wasm",
                fix="see that the inputs hold what the model expects; it can be run again",
            ) from error
        joined = join_samples(self.manifest, raw, 1)
        outputs = {
            port["name"]: joined[port["name"]][0] if is_dynamic(port) else joined[port["name"]].reshape(port["shape"])
            for port in self.outputs
        }
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def reset(self) -> None:
        """Forget what the model keeps from one run to the next, if it keeps anything."""
        self._instance.reset()


def load_module(path: str | Path) -> WasmModule:
    """See `tinycast.load`."""
    try:
        module = Path(path).read_bytes()
        module = with_weights(module, lambda file: (Path(path).parent / file).read_bytes())
    except OSError as error:
        raise UsageError(
            f"the file cannot be read: {error.strerror}",
            where=str(error.filename),
            fix="give a .wasm file that tinycast wrote, with its weights beside it if it has a file of them",
        ) from error
    return WasmModule(module)


def _to_bytes(array: AnyArray, port: Mapping[str, Any]) -> bytes:
    where, shape, dtype = f"input {port['name']!r}", tuple(port["shape"]), np.dtype(port["dtype"])
    if array.shape not in (shape, (int(np.prod(shape)),)):
        raise UsageError(f"expected shape {shape}, got {array.shape}", where=where, fix="reshape the array")
    elements = to_port(array, port)
    if elements.dtype != dtype:
        raise UsageError(f"expected {dtype}, got {array.dtype}", where=where, fix="convert the array")
    return to_carrier(elements).tobytes()
