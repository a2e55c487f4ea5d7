"""Which build of a package an engine takes."""

from __future__ import annotations

import json

import pytest
import wasmtime
from emit.small_model import small_model
from tinycast.artifact import Artifact
from tinycast.emit import emit_wasm, finish_wasm, wasm_package
from tinycast.emit.wasm_loader import Build
from tinycast.errors import ToolMissingError
from tinycast.target.load import load_target
from tinycast.toolchain.wasm import build_wasm


def build(target_name: str) -> Artifact:
    target = load_target(target_name)
    source = emit_wasm(small_model(target))
    try:
        return finish_wasm(source, build_wasm(source.files, "tiny", target))
    except ToolMissingError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("simd", [False, True])
@pytest.mark.parametrize("relaxed", [False, True])
def test_probes_are_valid_where_the_instructions_are(simd: bool, relaxed: bool) -> None:
    config = wasmtime.Config()
    config.wasm_relaxed_simd = simd and relaxed
    config.wasm_simd = simd
    engine = wasmtime.Engine(config)
    runs = {"wasm32-scalar": True, "wasm32": simd, "wasm32-relaxed": simd and relaxed}
    for target, expected in runs.items():
        probe = Build(target, "").probe
        if expected:
            wasmtime.Module.validate(engine, probe)
        else:
            with pytest.raises(wasmtime.WasmtimeError):
                wasmtime.Module.validate(engine, probe)


def test_a_faster_build_is_tried_first_and_lies_beside_the_usual_one() -> None:
    usual, scalar, faster = (build(name) for name in ("wasm32", "wasm32-scalar", "wasm32-relaxed"))
    files = wasm_package(usual, scalar, faster=faster).files
    assert files["tiny.wasm"] == usual.files["tiny.wasm"]
    assert files["tiny.relaxed.wasm"] == faster.files["tiny.wasm"]
    script = files["tiny.js"].decode()
    assert script.index('"wasm32-relaxed": {') < script.index('"wasm32": {') < script.index('"wasm32-scalar": {')
    assert json.loads(files["tiny_report.json"])["target"] == "wasm32"
