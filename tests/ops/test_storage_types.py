# ruff: noqa: E501 - a table: one row a line
"""Whole models in half, bfloat16, double and narrow types, against the same model in float32 or ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnx.parser
import onnx_ir
import pytest
from host_batch import Array, Row, loaded, program_of, run_each_on_host
from quantized_nets import METHODS, NETS
from test_matrix import reference
from tinycast.ir.graph import interpret
from tinycast.ir.types import DType
from tinycast.model import Session

FLOATS = {"float16": DType.FLOAT16, "bfloat16": DType.BFLOAT16, "double": DType.FLOAT64}

# T stands for the type. All compute in float32, and round at the end.
ROWS = (
    Row("convolution", "T[1,3,8,8] x", "a = Conv<pads=[1,1,1,1]>(x, w, b) y = Relu(a)", {"w": (4, 3, 3, 3), "b": (4,)}),
    Row("normalized", "T[1,4,5,5] x", "y = BatchNormalization(x, s, b, m, v)", {"s": (4,), "b": (4,), "m": (4,), "v": np.full(4, 0.75, np.float32)}),
    Row("products", "T[2,5] x, T[5,3] z", "a = MatMul(x, z) b = Add(a, c) y = Softmax(b)", {"c": (3,)}),
    Row("gemm", "T[2,5] x", "a = Gemm<transB=1>(x, w, b) y = Tanh(a)", {"w": (4, 5), "b": (4,)}),
    Row("layer_norm", "T[2,3,8] x", "y = LayerNormalization(x, s, b)", {"s": (8,), "b": (8,)}),
    Row("extremes", "T[3,4] x, T[4] z", "a = Max(x, z) b = Min(a, c) y = Mod<fmod=1>(b, d)", {"c": (4,), "d": np.full(4, 0.75, np.float32)}),
    Row("chosen", "T[3,4] x, bool[3,4] c", "y = Where(c, x, w)", {"w": (3, 4)}),
    Row("reduced", "T[3,4,5] x", "y = ReduceMean<keepdims=0>(x, a)", {"a": np.asarray([1], np.int64)}),
    Row("moved", "T[2,3,4] x", "a = Transpose<perm=[2,0,1]>(x) y = Slice(a, s, e)", {"s": np.asarray([1], np.int64), "e": np.asarray([3], np.int64)}),
    Row("passed_through", "T[2,3] x", "y = Identity(x)"),
)  # fmt: skip


def typed(row: Row, name: str) -> onnx.ModelProto:
    """The row's model with all of its floats in the type."""
    proto = replace(row, given=row.given.replace("T", name), output_type=name).proto()
    kind = proto.graph.input[0].type.tensor_type.elem_type
    for tensor in proto.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            array = onnx.numpy_helper.to_array(tensor).astype(onnx.helper.tensor_dtype_to_np_dtype(kind))
            tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    return proto


def in_float32(row: Row, proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same model in float32, its weights those of `proto`."""
    wide = typed(row, "float")
    for tensor, source in zip(wide.graph.initializer, proto.graph.initializer, strict=True):
        array = onnx.numpy_helper.to_array(tensor)
        same = onnx.numpy_helper.to_array(source).astype(array.dtype)
        tensor.CopyFrom(onnx.numpy_helper.from_array(same, tensor.name))
    return wide


@pytest.mark.parametrize("name", FLOATS)
def test_floats_of_other_widths(name: str) -> None:
    dtype = FLOATS[name]
    protos = {row.name: typed(row, name) for row in ROWS}
    samples = {row.name: row.samples(protos[row.name]) for row in ROWS}
    results, failures = run_each_on_host({key: loaded(proto) for key, proto in protos.items()}, samples)
    assert not failures, "\n".join(failures)
    wrong = []
    for row in ROWS:
        wide = {key: a if a.dtype == np.bool_ else a.astype(np.float32) for key, a in samples[row.name].items()}
        expected = np.stack(reference(in_float32(row, protos[row.name]), wide)["y"]).astype(np.float64)
        got = results[row.name]["y"]
        assert got.dtype == dtype.numpy, row.name
        distance = np.abs(got.reshape(expected.shape).astype(np.float64) - expected).max()
        if not distance <= max(dtype.epsilon, 1e-5) * np.abs(expected).max():
            wrong.append(f"{row.name} differs by {distance:g}")
    assert not wrong, "\n".join(wrong)
    assert len(results) == len(ROWS)


MOVES = Row(
    "moves",
    "T[2,3,4] x",
    "a = Transpose<perm=[2,0,1]>(x) b = Reshape(a, s) y = Identity(b)",
    {"s": np.asarray([2, 12], np.int64)},
)
STORED = {
    "float8e4m3fn": DType.FLOAT8_E4M3FN, "float8e4m3fnuz": DType.FLOAT8_E4M3FNUZ, "float8e5m2": DType.FLOAT8_E5M2,
    "float8e5m2fnuz": DType.FLOAT8_E5M2FNUZ, "float4e2m1": DType.FLOAT4_E2M1FN, "int4": DType.INT4, "uint4": DType.UINT4,
    "float16": DType.FLOAT16, "bfloat16": DType.BFLOAT16,
}  # fmt: skip


@pytest.mark.parametrize("name", STORED)
def test_moving_keeps_every_element(name: str) -> None:
    dtype = STORED[name]
    proto = replace(MOVES, given=MOVES.given.replace("T", "float"), opset=23).proto()
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(dtype.numpy)
    x = np.random.default_rng(5).uniform(0, 7, (3, 2, 3, 4)).astype(dtype.numpy)
    results, failures = run_each_on_host({"moves": loaded(proto)}, {"moves": {"x": x}})
    assert not failures
    expected = x.transpose(0, 3, 1, 2).reshape(3, 2, 12)
    np.testing.assert_array_equal(results["moves"]["y"].astype(np.float64), expected.astype(np.float64))


def test_double_is_told() -> None:
    program = program_of(loaded(typed(ROWS[0], "double")))
    assert any("float64 is computed in float32" in note for note in program.notes)
    assert not any("float64" in note for note in program_of(loaded(typed(ROWS[0], "float16"))).notes)


def narrow_weights(model: onnx_ir.Model, dtype: DType) -> int:
    """Make the int8 weights of a QDQ model ones of `dtype`, in steps as much wider; returns how many."""
    low, high = dtype.bounds
    zero = 0 if low else (high + 1) // 2
    coarser = 256 // (high - low + 1)
    changed = 0
    for node in model.graph:
        weight = node.inputs[0]
        if node.op_type != "DequantizeLinear" or weight.const_value is None or weight.dtype != onnx_ir.DataType.INT8:
            continue
        if len(weight.shape) < 2:
            continue
        steps = np.clip(np.rint(weight.const_value.numpy() / np.float64(coarser)) + zero, low, high)
        scale = node.inputs[1].const_value.numpy()
        zeros = np.full(scale.shape, zero).astype(dtype.numpy)
        for i, data in enumerate((steps.astype(dtype.numpy), scale * np.float32(coarser), zeros)):
            tensor = onnx_ir.tensor(data, dtype=onnx_ir.DataType.from_numpy(data.dtype))
            name = f"{node.name}.narrow_{i}"
            value = onnx_ir.Value(
                name=name, const_value=tensor, shape=tensor.shape, type=onnx_ir.TensorType(tensor.dtype)
            )
            model.graph.register_initializer(value)
            if i < len(node.inputs):
                node.replace_input_with(i, value)
            else:
                node.resize_inputs(i + 1)
                node.replace_input_with(i, value)
        changed += 1
    return changed


@pytest.mark.parametrize("dtype", [DType.INT4, DType.UINT4], ids=lambda dtype: dtype.value)
@pytest.mark.parametrize("row", [NETS[0], NETS[4]], ids=lambda row: row.name)
def test_narrow_weights_run_on_the_integer_kernels(row: Row, dtype: DType) -> None:
    model = METHODS["tinycast_int8"](row)
    assert narrow_weights(model, dtype) >= 3
    model = loaded(onnx_ir.serde.serialize_model(model))
    session = Session(model)  # before the compiler changes the model
    program = program_of(model)
    assert all(v.dtype is not DType.FLOAT32 for call in program.calls for v in (*call.inputs, *call.outputs))
    inputs, (result,) = row.samples(row.proto(), 4), program.outputs
    (port,) = program.inputs
    assert port.quant is not None
    assert result.quant is not None
    samples: dict[str, Array] = {}
    for key, x in inputs.items():
        steps = np.rint(x / np.float32(port.quant.scale[0])) + port.quant.zero_point[0]
        samples[key] = np.clip(steps, -128, 127).astype(np.int8)
    results, failures = run_each_on_host({"net": model}, {"net": samples})
    assert not failures
    for i in range(4):
        (expected,) = session.run({key: x[i] for key, x in inputs.items()}).values()
        (ours,) = (interpret(program, [samples[port.name][i]])[v] for v in program.outputs)
        np.testing.assert_array_equal(results["net"]["y"][i].reshape(-1), ours.reshape(-1))
        real = (ours.astype(np.float32) - result.quant.zero_point[0]) * np.float32(result.quant.scale[0])
        assert np.abs(real - expected).max() <= 4 * result.quant.scale[0]  # a step a layer


def test_an_input_quantized_to_a_narrow_type_stays_within_it() -> None:
    """Its elements have a byte at the API, into which more would fit: so a float input stays one."""
    proto = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 21]> g (float[4] x) => (float[4] y)
        <float scale = {0.5}, int4 zero = {0}> {
          a = QuantizeLinear(x, scale, zero) b = DequantizeLinear(a, scale, zero) y = Neg(b)
        }"""
    )
    model = loaded(proto)
    x = np.array([[-100, -4, 1, 100]], np.float32)
    (expected,) = Session(model).run({"x": x[0]}).values()
    results, failures = run_each_on_host({"narrow": model}, {"narrow": {"x": x}})
    assert not failures
    np.testing.assert_array_equal(results["narrow"]["y"][0], expected)
