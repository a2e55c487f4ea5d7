"""Half, bfloat16 and double models as float32."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import onnx_ir
import pytest
from onnx.reference import ReferenceEvaluator
from tinycast.model import run
from tinycast.model.widen import widen_floats

TEXT = """<ir_version: 10, opset_import: ["" : 22]> g (T[2,3] x, int64[2] i) => (T[2,3] y, int64[2] j) {
        a = Mul(x, w)
        f = Cast<to = 1>(a)
        h = Cast<to = KIND>(f)
        e = EyeLike<dtype = KIND>(a)
        s = Add(h, e)
        y = Relu(s)
        j = Identity(i)
    }"""


@pytest.mark.parametrize(("name", "kind"), [("float16", 10), ("bfloat16", 16), ("double", 11)])
def test_the_model_means_the_same_in_float32(name: str, kind: int) -> None:
    proto = onnx.parser.parse_model(TEXT.replace("KIND", str(kind)).replace("T[", f"{name}["))
    weights = np.asarray([0.5, -1.5, 2.25], onnx.helper.tensor_dtype_to_np_dtype(kind))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    model = onnx_ir.serde.deserialize_model(proto)
    assert widen_floats(model) >= 3
    others = {onnx_ir.DataType.FLOAT, onnx_ir.DataType.INT64}
    assert {value.dtype for node in model.graph for value in node.outputs} == others
    x = np.asarray([[1.0, 0.5, -2.0], [0.25, -4.0, 3.0]], np.float32)
    i = np.asarray([3, -1], np.int64)
    expected, _ = ReferenceEvaluator(proto).run(None, {"x": x.astype(weights.dtype), "i": i})
    outputs = run(model, {"x": x, "i": i})
    assert outputs["y"].dtype == np.float32
    np.testing.assert_array_equal(outputs["y"], expected.astype(np.float32))  # all are exact in each type
    np.testing.assert_array_equal(outputs["j"], i)


def test_a_float32_model_stays() -> None:
    text = '<ir_version: 10, opset_import: ["" : 21]> g (float[2] x) => (float[2] y) { y = Relu(x) }'
    proto = onnx.parser.parse_model(text)
    model = onnx_ir.serde.deserialize_model(proto)
    assert widen_floats(model) == 0
    assert (
        onnx_ir.serde.serialize_model(model).graph
        == onnx_ir.serde.serialize_model(onnx_ir.serde.deserialize_model(proto)).graph
    )
