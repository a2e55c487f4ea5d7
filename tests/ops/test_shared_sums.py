"""Integer sums that several operators read, or whose addend counts for nothing."""

from __future__ import annotations

import numpy as np
import onnx_ir
import pytest
from host_batch import Array, Row, loaded, program_of, run_on_host, scalar
from test_integer_forms import floats_in, quantized
from tinycast.model import Session

SCALES = {"s1": scalar(0.02), "s2": scalar(0.005), "s3": scalar(0.05), "zero": np.int8(0), "first": np.asarray([1])}
# Each with its keepdims: exporters write the mean and the variance of a row so.
MEANS = """
q = QuantizeLinear(x, s1, zero) r = DequantizeLinear(q, s1, zero)
m = ReduceMean<keepdims=1>(r, first) n = ReduceMean<keepdims=1>(r, first)
a = QuantizeLinear(m, s2, zero) b = QuantizeLinear(n, s3, zero)
y = DequantizeLinear(a, s2, zero) z = DequantizeLinear(b, s3, zero)
"""
# A mask with a scale for the whole of its range: beside it the scores are less than a step.
MASKED = """
q = QuantizeLinear(x, s1, zero) r = DequantizeLinear(q, s1, zero)
t = Transpose<perm=[0,2,1]>(r) p = MatMul(r, t) c = QuantizeLinear(p, s3, zero) e = DequantizeLinear(c, s3, zero)
k = QuantizeLinear(m, far, zero) l = DequantizeLinear(k, far, zero)
d = Add(e, l) a = QuantizeLinear(d, far, zero) y = DequantizeLinear(a, far, zero)
"""
ROWS = (
    Row("two_scales_of_a_mean", "float[1,5,3] x", MEANS, SCALES, outputs="y z"),
    Row("scores_and_mask", "float[1,4,6] x, float[1,1,4] m", MASKED, SCALES | {"far": scalar(2.7e36)}, low=-2, high=0),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_integers_agree_with_onnx_runtime(row: Row) -> None:
    proto = row.proto()
    given = row.samples(proto)
    session = Session(onnx_ir.serde.deserialize_model(proto), optimized=False)
    runs = [session.run({name: np.asarray(array[i]) for name, array in given.items()}) for i in range(3)]
    model = loaded(proto)
    program = program_of(model)
    assert not floats_in(program)
    samples: dict[str, Array] = {v.name: quantized(given[v.name], v) for v in program.inputs}
    outputs = run_on_host({row.name: model}, {row.name: samples})[row.name]
    for port, value in zip(model.graph.outputs, program.outputs, strict=True):
        wanted = quantized(np.stack([run[str(port.name)] for run in runs]), value).astype(np.int64)
        assert np.abs(outputs[str(port.name)].reshape(wanted.shape) - wanted).max() <= 1
