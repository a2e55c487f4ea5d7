"""`tinycast inspect` on models that cannot be compiled: all reasons at once, each with what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
import onnx.defs
import onnx.parser
import pytest
from cli_runner import tinycast
from tinycast.ops.advice import TABLE

_MODEL = """<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1, "ai.onnx.ml": 3, "com.example": 1]>
g (float[1,3,8,8] x, float[2,4] boxes, string[2] text)
=> (float[1,3,8,8] y, float[n,3,8,8] s, string[2] low, float[a,b,c,d] r, float[1,4,8,8] f, float[2,4] z)
<int64[1] first = {0}, float[4,3,1,1] w = {1,1,1,1,1,1,1,1,1,1,1,1}> {
  [random] noise = com.example.Noise <seed=1.5>(x)
  [add] y = Add(noise, x)
  [lower] low = StringNormalizer <case_change_action="LOWER", stopwords=["a","the"]>(text)
  [empty] q = SequenceEmpty()
  [insert] p = SequenceInsert(q, x)
  [join] s = ConcatFromSequence <axis=0>(p)
  [sums] sums = ReduceSum <keepdims=0>(boxes, first)
  [sizes] sizes = Cast <to=7>(sums)
  [resize] r = Resize <mode="linear">(x, , , sizes)
  [fused] f = com.microsoft.NhwcFusedConv <activation="Relu", kernel_shape=[1,1]>(x, w)
  [forest] z = com.example.Wavelet <order=3>(boxes)
}"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    proto = onnx.parser.parse_model(_MODEL)
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    return path


def inspected(model: Path) -> dict[str, dict[str, Any]]:
    shown = tinycast("inspect", str(model), "--json")
    assert shown.code == 0
    return {entry["node"]: entry for entry in json.loads(shown.stdout)["unsupported"]}


def test_every_node_with_attributes_and_advice(model: Path) -> None:
    found = inspected(model)
    assert {"random", "lower", "resize", "fused", "forest"} <= set(found)
    assert {"add", "sums", "sizes"}.isdisjoint(found)
    assert all(entry["reason"] and entry["fix"] for entry in found.values())
    assert found["random"]["attributes"] == {"seed": 1.5}
    assert found["lower"]["attributes"] == {"case_change_action": "LOWER", "stopwords": ["a", "the"]}
    assert found["fused"]["attributes"] == {"activation": "Relu", "kernel_shape": [1, 1]}
    assert found["fused"]["op"] == "com.microsoft.NhwcFusedConv"
    assert "strings" in found["lower"]["fix"]
    assert "--shape" in found["resize"]["fix"]
    assert "ORT_DISABLE_ALL" in found["fused"]["fix"]
    assert "tinycast ops" in found["forest"]["fix"]


def test_the_same_as_text(model: Path) -> None:
    text = " ".join(tinycast("inspect", str(model)).stdout.split())
    for entry in inspected(model).values():
        assert entry["node"] in text
        assert entry["reason"] in text
        assert entry["fix"] in text
    assert "kernel_shape=[1, 1]" in text


def test_advice_is_on_operators_that_exist() -> None:
    known = {(s.domain, s.name) for s in onnx.defs.get_all_schemas_with_history()}
    for row in TABLE:
        assert row.text
        for name in row.operators:
            domain, _, operator = name.rpartition(".")
            assert domain == "com.microsoft" or (domain, operator) in known, name
