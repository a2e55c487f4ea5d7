"""Attention and RotaryEmbedding, quantized, run on integers from input to output."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from tinycast.compress.quantize import QuantizeOptions
from tinycast.execute.select import driver_for
from tinycast.model import Session, load, save
from tinycast.pipeline import CompileOptions, compile_file, quantize_file
from tinycast.target.load import load_target

PLACES = np.arange(6).reshape(6, 1) / 3 ** np.arange(2)
CONSTANTS = {"c": np.cos(PLACES), "s": np.sin(PLACES), "p": np.arange(6, dtype=np.int64).reshape(1, 6)}
NETS = {
    "attention": """q = MatMul(x, w1) k = MatMul(x, w2) v = MatMul(x, w3)
        a = Attention<q_num_heads=4, kv_num_heads=4>(q, k, v) y = MatMul(a, w4)""",
    "rotary": "q = MatMul(x, w1) r = RotaryEmbedding<num_heads=4>(q, c, s, p) y = MatMul(r, w4)",
}


def save_net(name: str, path: Path) -> Path:
    text = f"""<ir_version: 11, opset_import: ["" : 23]> g (float[1,6,16] x) => (float[1,6,16] y) {{ {NETS[name]} }}"""
    proto = onnx.parser.parse_model(text)
    random = np.random.default_rng(3)
    for number in range(1, 5):
        array = random.normal(0, 0.4, (16, 16)).astype(np.float32)
        if f"w{number})" in text:
            proto.graph.initializer.append(onnx.numpy_helper.from_array(array, f"w{number}"))
    for label, array in CONSTANTS.items():
        if name == "rotary":
            array = array if array.dtype == np.int64 else array.astype(np.float32)
            proto.graph.initializer.append(onnx.numpy_helper.from_array(array, label))
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.mark.parametrize("name", NETS)
def test_on_integers_throughout(name: str, tmp_path: Path) -> None:
    path = save_net(name, tmp_path / "net.onnx")
    random = np.random.default_rng(4)
    np.savez(tmp_path / "samples.npz", x=random.normal(0, 1, (40, 6, 16)).astype(np.float32))
    quantized = tmp_path / "net_int8.onnx"
    save(quantize_file(path, tmp_path / "samples.npz", QuantizeOptions(), {}), quantized)
    x = random.normal(0, 1, (10, 6, 16)).astype(np.float32)
    exact, theirs = (Session(load(p)).run_samples({"x": x})["y"] for p in (path, quantized))
    results = []
    for target in ("host", "cortex-m4", "wasm32"):
        artifact = compile_file(quantized, target, CompileOptions())
        assert not [note for note in artifact.manifest["notes"] if "float32" in note]
        (port,), (out,) = artifact.manifest["inputs"], artifact.manifest["outputs"]
        integers = np.clip(np.rint(x / np.float32(port["scale"])) + port["zero_point"], -128, 127).astype(np.int8)
        results.append(driver_for(load_target(target)).run(artifact.files, artifact.manifest, {"x": integers}).outputs)
    for other in results[1:]:
        np.testing.assert_array_equal(results[0]["y"], other["y"])
    ours = (results[0]["y"].astype(np.float32) - out["zero_point"]) * np.float32(out["scale"])
    noise = [np.square(y.reshape(exact.shape) - exact).sum() for y in (ours, theirs)]
    assert noise[0] < 1.2 * noise[1]
    assert noise[0] < 0.01 * np.square(exact).sum()
