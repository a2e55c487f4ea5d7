"""Networks that others publish figures for are known by their weights, whoever wrote the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import shared_path
from onnx import helper, numpy_helper
from tinycast.report.peers import PEERS, network_of, peers_of, weights_digest

NAMES = {"kws": "KWS", "ic": "IC", "ad": "AD"}


@pytest.mark.parametrize("short", NAMES)
@pytest.mark.parametrize("kind", ["int8_qdq", "float"])
def test_measuring_networks_are_known(short: str, kind: str) -> None:
    path = shared_path() / "models" / f"{short}_{kind}.onnx"
    if not path.is_file():
        pytest.skip("needs the measuring models in ../shared/models beside the checkout")
    network = network_of(path)
    assert network == NAMES[short] + (" float" if kind == "float" else "")
    assert {p.name for p in peers_of(network, "cortex-m4")} >= {"onnx2c" if kind == "float" else "TFLM + CMSIS-NN"}
    assert not peers_of(network, "host")
    assert all(p.source for p in PEERS)


def save(path: Path, weights: dict[str, np.ndarray]) -> Path:
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    ports = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", ports[:1], ports[1:], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]), path)
    return path


def test_names_order_and_layout_do_not_matter_but_numbers_do(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    kernel, matrix = (rng.integers(-128, 128, shape, np.int8) for shape in ((8, 4, 3, 3), (16, 8)))
    bias = np.zeros(8, np.int32)
    first = weights_digest(save(tmp_path / "a.onnx", {"k": kernel, "m": matrix, "b": bias}))
    other = {"second": matrix.T.copy(), "first": kernel.transpose(0, 2, 3, 1).copy()}
    assert weights_digest(save(tmp_path / "b.onnx", other)) == first
    other["first"].flat[5] ^= 1
    assert weights_digest(save(tmp_path / "c.onnx", other)) != first
    assert network_of(tmp_path / "a.onnx") is None
