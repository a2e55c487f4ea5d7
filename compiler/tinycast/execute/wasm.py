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

from tinycast.emit import with_weights
from tinycast.errors import ToolMissingError
from tinycast.execute.host import run_program
from tinycast.execute.module import Instance
from tinycast.execute.samples import join_samples, output_bytes, split_samples
from tinycast.execute.types import ExecutionError, Measurement
from tinycast.ir.types import Array
from tinycast.resources import resource_dir
from tinycast.target.types import Target
from tinycast.toolchain.find import find_program, zig_path
from tinycast.toolchain.wasm import build_wasm


@dataclass(frozen=True)
class WasmtimeDriver:
    """Runs in this process. The engine refuses SIMD where the target has none.

    `counts`: WebAssembly's instructions are counted (as fuel; those that only mark blocks are free).
    """

    target: Target
    timeout_seconds: float = 300
    name: str = "wasmtime"
    counts: bool = False

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
        """See `Driver.run`; links the .wasm unless `files` has it. Besides the outputs at most `counts` is measured."""
        del profile
        samples = split_samples(manifest, inputs)
        has_simd = "simd128" in self.target.instructions
        config = wasmtime.Config()
        config.wasm_relaxed_simd = "relaxed-simd" in self.target.instructions
        # Else dot products saturate on x86, and are refused.
        config.wasm_relaxed_simd_deterministic = True
        config.wasm_simd = has_simd
        config.epoch_interruption = True
        config.consume_fuel = self.counts
        engine = wasmtime.Engine(config)
        timer = threading.Timer(self.timeout_seconds, engine.increment_epoch)
        timer.start()
        try:
            instance = Instance(engine, module_bytes(files, manifest, self.target))
            if self.counts:
                instance.count()
            instance.start(deadline=1)
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
        return Measurement(join_samples(manifest, raw, len(samples)), instructions=instance.instructions)


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
            ports["dims"] = [output_bytes(port) - port["bytes"] for port in manifest["outputs"]]
            (folder / "ports.json").write_text(json.dumps({"samples": len(samples), **ports}), encoding="ascii")
            run_program([node, str(script)], folder, self.timeout_seconds)
            raw = (folder / "outputs.bin").read_bytes()
        return Measurement(join_samples(manifest, raw, len(samples)))


def module_bytes(files: Mapping[str, bytes], manifest: Mapping[str, Any], target: Target) -> bytes:
    """Return the .wasm in `files` with its weights, or link it from the C in `files`."""
    name = manifest["name"]
    by_name = {Path(path).name: content for path, content in files.items()}
    module = by_name.get(f"{name}.wasm")
    return build_wasm(files, name, target) if module is None else with_weights(module, by_name.__getitem__)


def _zig_is_installed() -> bool:
    try:
        zig_path()
    except ToolMissingError:
        return False
    return True
