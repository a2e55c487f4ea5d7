"""Runs the .wasm of an artifact in wasmtime or Node."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wasmtime

from tinycast.errors import ToolMissingError
from tinycast.execute.host import run_program
from tinycast.execute.samples import join_samples, split_samples
from tinycast.execute.types import ExecutionError, Measurement
from tinycast.ir.types import Array
from tinycast.resources import resource_dir
from tinycast.target.types import Target
from tinycast.toolchain.find import find_program, zig_path
from tinycast.toolchain.wasm import build_wasm


@dataclass(frozen=True)
class WasmtimeDriver:
    """Runs in this process. The engine refuses SIMD where the target has none."""

    target: Target
    timeout_seconds: float = 300
    name: str = "wasmtime"

    def available(self) -> bool:
        return _zig_is_installed()

    def run(
        self,
        files: Mapping[str, bytes],
        manifest: Mapping[str, Any],
        inputs: Mapping[str, Array],
        *,
        profile: bool = False,
    ) -> Measurement:
        """See `Driver.run`; links the .wasm unless `files` has it. Nothing but the outputs is measured."""
        del profile
        samples = split_samples(manifest, inputs)
        has_simd = "simd128" in self.target.instructions
        config = wasmtime.Config()
        config.wasm_relaxed_simd = has_simd
        config.wasm_simd = has_simd
        config.epoch_interruption = True
        engine = wasmtime.Engine(config)
        timer = threading.Timer(self.timeout_seconds, engine.increment_epoch)
        timer.start()
        try:
            instance = _Instance(engine, module_bytes(files, manifest, self.target))
            raw = b"".join(instance.infer(manifest, sample) for sample in samples)
        except wasmtime.WasmtimeError as error:
            raise ExecutionError(
                "wasmtime refuses the module",
                where=f"{manifest['name']}.wasm: {error}",
                fix="report this as a bug of tinycast, with the model",
            ) from error
        except wasmtime.Trap as error:
            late = "" if timer.is_alive() else f" (no result in {self.timeout_seconds:g} s)"
            raise ExecutionError(
                f"the module trapped{late}: {str(error).strip().splitlines()[-1].strip()}",
                where=f"{manifest['name']}.wasm",
                fix="report this as a bug of tinycast, with the model",
            ) from error
        finally:
            timer.cancel()
        return Measurement(join_samples(manifest, raw, len(samples)))


class _Instance:
    def __init__(self, engine: wasmtime.Engine, module: bytes) -> None:
        self._store = wasmtime.Store(engine)
        self._store.set_epoch_deadline(1)
        self._exports = wasmtime.Instance(self._store, wasmtime.Module(engine, module), []).exports(self._store)
        if self._call("init") != 0:
            raise ExecutionError("init failed", fix="report this as a bug of tinycast")

    def infer(self, manifest: Mapping[str, Any], sample: list[bytes]) -> bytes:
        memory: Any = self._exports["memory"]
        for index, data in enumerate(sample):
            memory.write(self._store, data, self._call(f"input_{index}"))
        if self._call("run") != 0:
            raise ExecutionError("run failed", fix="report this as a bug of tinycast")
        outputs = bytearray()
        for index, port in enumerate(manifest["outputs"]):
            start = self._call(f"output_{index}")
            outputs += memory.read(self._store, start, start + port["bytes"])
        return bytes(outputs)

    def _call(self, name: str) -> int:
        function: Any = self._exports[name]
        return int(function(self._store))


@dataclass(frozen=True)
class NodeDriver:
    """Runs in a Node process of its own."""

    target: Target
    timeout_seconds: float = 300
    name: str = "node"

    def available(self) -> bool:
        return shutil.which("node") is not None and _zig_is_installed()

    def run(
        self,
        files: Mapping[str, bytes],
        manifest: Mapping[str, Any],
        inputs: Mapping[str, Array],
        *,
        profile: bool = False,
    ) -> Measurement:
        """See `Driver.run`; links the .wasm unless `files` has it. Nothing but the outputs is measured."""
        del profile
        samples = split_samples(manifest, inputs)
        node = find_program("node", "Node.js")
        script = resource_dir("templates") / "harness" / "run_wasm.mjs"
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "model.wasm").write_bytes(module_bytes(files, manifest, self.target))
            (folder / "inputs.bin").write_bytes(b"".join(part for sample in samples for part in sample))
            ports = {side: [port["bytes"] for port in manifest[side]] for side in ("inputs", "outputs")}
            (folder / "ports.json").write_text(json.dumps({"samples": len(samples), **ports}), encoding="ascii")
            run_program([node, str(script)], folder, self.timeout_seconds)
            raw = (folder / "outputs.bin").read_bytes()
        return Measurement(join_samples(manifest, raw, len(samples)))


def module_bytes(files: Mapping[str, bytes], manifest: Mapping[str, Any], target: Target) -> bytes:
    """Return the .wasm in `files`, or link it from the C in `files`."""
    name = manifest["name"]
    built = [content for path, content in files.items() if Path(path).name == f"{name}.wasm"]
    return built[0] if built else build_wasm(files, name, target)


def _zig_is_installed() -> bool:
    try:
        zig_path()
    except ToolMissingError:
        return False
    return True
