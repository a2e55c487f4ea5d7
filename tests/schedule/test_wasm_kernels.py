"""Vector micro-kernels against the NumPy reference over random layers: the same bytes for int8."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir
import pytest
from onnx import TensorProto, helper, numpy_helper
from tinycast.emit import emit_wasm
from tinycast.execute.select import driver_for
from tinycast.ir.graph import interpret
from tinycast.ir.kernel import Compiled
from tinycast.model import simplify
from tinycast.pipeline import build, compile_model
from tinycast.program.lower import to_integers
from tinycast.target.load import load_target
from tinycast.target.types import Target
from tinycast.toolchain.wasm import build_wasm
from tinycast.toolchain.wasm_binary import sections

Array = npt.NDArray[Any]
WASM = load_target("wasm32")
RELAXED = load_target("wasm32-relaxed")
SAMPLES = 3


def plain(target: Target) -> Target:
    """The host, with the target's schedules and the generic C of its micro-kernels."""
    same = {key: getattr(target, key) for key in ("micro_kernels", "row_positions", "instructions")}
    return replace(load_target("host"), **same)


def model(
    rng: np.random.Generator, kind: str, *, int8: bool, residual: bool = False, channels: int = 0
) -> onnx.ModelProto:
    """One convolution ("conv", "pointwise", "depthwise") or "gemm" of random sizes, with `channels` outputs if given.

    `residual`: the layer's own input is added to its result.
    """
    c = int(rng.integers(2, 20))
    out = channels or int(rng.integers(2, 30))
    attributes: dict[str, Any] = {}
    if kind == "gemm":
        shape, weight = (int(rng.integers(1, 4)), c * 7), (out, c * 7)
        attributes = {"transB": 1}
    else:
        kernel = (1, 1) if kind == "pointwise" else tuple(int(n) for n in rng.integers(1, 6, 2))
        shape = (1, c, *(int(n) for n in rng.integers(6, 14, 2)))
        if kind == "depthwise":
            out = attributes["group"] = c
        if residual:
            out, kernel = c, (3, 3)
        weight = (out, 1 if kind == "depthwise" else c, *kernel)
        attributes["strides"] = [1, 1] if residual else rng.integers(1, 3, 2).tolist()
        attributes["pads"] = [1] * 4 if residual else rng.integers(0, 3, 4).tolist()
        if kind == "depthwise" and max(kernel) < 3:
            attributes["dilations"] = rng.integers(1, 3, 2).tolist()
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(name: str, data: Array) -> str:
        constants.append(numpy_helper.from_array(data, name))
        return name

    w = rng.standard_normal(weight).astype(np.float32)
    bias = constant("bias", rng.standard_normal(out).astype(np.float32))
    if int8:
        w_scale = rng.uniform(0.005, 0.02, out).astype(np.float32)
        quantized = rng.integers(-127, 128, weight).astype(np.int8)
        zero = int(rng.integers(-128, 128))
        qx = [constant("x_scale", np.float32(0.02).reshape(())), constant("x_zero", np.int8(zero).reshape(()))]
        qy = [constant("y_scale", np.float32(0.3).reshape(())), constant("y_zero", np.int8(-zero // 2).reshape(()))]
        qw = [constant("w", quantized), constant("w_scale", w_scale), constant("w_zero", np.zeros(out, np.int8))]
        nodes += [
            helper.make_node("DequantizeLinear", ["x", *qx], ["x_real"]),
            helper.make_node("DequantizeLinear", qw, ["w_real"], axis=0),
        ]
        x, weights, y = "x_real", "w_real", "y_real"
    else:
        x, weights, y = "x", constant("w", w), "y"
    sums = "sums" if residual else y
    nodes.append(helper.make_node("Gemm" if kind == "gemm" else "Conv", [x, weights, bias], [sums], **attributes))
    if residual:
        if int8:
            nodes.append(helper.make_node("QuantizeLinear", [sums, *qy], ["sums_q"]))
            nodes.append(helper.make_node("DequantizeLinear", ["sums_q", *qy], ["sums_real"]))
            sums = "sums_real"
        nodes.append(helper.make_node("Add", [sums, x], [y]))
    if int8:
        nodes.append(helper.make_node("QuantizeLinear", [y, *qy], ["y"]))
    dtype = TensorProto.INT8 if int8 else TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "layer",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info("y", dtype, None)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def resize(
    proto: onnx.ModelProto,
    rng: np.random.Generator,
    shape: tuple[int, ...],
    weight: tuple[int, ...],
    attributes: dict[str, Any],
) -> None:
    """Give a convolution of `model` an input, weights and attributes of its own."""
    node = next(node for node in proto.graph.node if node.op_type == "Conv")
    del node.attribute[:]
    node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    out, kind = weight[0], proto.graph.input[0].type.tensor_type.elem_type
    is_float = kind == TensorProto.FLOAT
    constants = {
        "w": rng.standard_normal(weight).astype(np.float32)
        if is_float
        else rng.integers(-127, 128, weight).astype("i1"),
        "w_scale": rng.uniform(0.005, 0.02, out).astype(np.float32),
        "w_zero": np.zeros(out, np.int8),
        "bias": rng.standard_normal(out).astype(np.float32),
    }
    for constant in proto.graph.initializer:
        if constant.name in constants:
            constant.CopyFrom(numpy_helper.from_array(constants[constant.name], constant.name))
    proto.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", kind, shape))


@dataclass(frozen=True)
class Layer:
    """A compiled layer, inputs for it, and what the reference makes of them."""

    compiled: Compiled
    samples: Array
    expected: Array

    @property
    def bodies(self) -> str:
        """The C of its kernels."""
        return "\n".join(step.kernel.body for step in self.compiled.steps)


def compile_layer(proto: onnx.ModelProto, rng: np.random.Generator, target: Target) -> Layer:
    imported = onnx_ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    simplify(imported)
    program = to_integers(imported, "layer")
    (value,) = program.inputs
    if value.dtype.value == "int8":
        x = rng.integers(-128, 128, (SAMPLES, *value.shape)).astype(np.int8)
    else:
        x = rng.standard_normal((SAMPLES, *value.shape)).astype(np.float32)
    expected = np.stack([interpret(program, [one])[program.outputs[0]] for one in x])
    samples = x[:, 0] if value.shape[0] == 1 and len(value.shape) > 1 else x
    compiled = compile_model(imported, target, "layer", "0" * 64)
    return Layer(compiled, samples, expected.reshape(SAMPLES, -1))


def run(proto: onnx.ModelProto, rng: np.random.Generator, target: Target = WASM) -> tuple[str, Array, Array]:
    """The C of the kernels, the outputs of the target and those of the reference."""
    layer = compile_layer(proto, rng, target)
    artifact = build(layer.compiled)
    inputs = {"x": layer.samples}
    (outputs,) = driver_for(target).run(artifact.files, artifact.manifest, inputs).outputs.values()
    return layer.bodies, outputs.reshape(SAMPLES, -1), layer.expected


@pytest.mark.parametrize("kind", ["conv", "pointwise", "gemm"])
@pytest.mark.parametrize("target", [WASM, RELAXED], ids=lambda target: target.name)
def test_requantizing_multiplies_32_bits_only(target: Target, kind: str) -> None:
    """By i64x2.extmul_low_i32x4_s (0xfd 0xdc 0x01), never by i64x2.mul (0xfd 0xd5 0x01), three times as slow."""
    rng = np.random.default_rng(2)
    source = emit_wasm(compile_layer(model(rng, kind, int8=True, channels=16), rng, target).compiled)
    code = b"".join(body for section, body in sections(build_wasm(source.files, "layer", target)) if section == 10)
    assert code.count(b"\xfd\xdc\x01") > 1
    assert code.count(b"\xfd\xd5\x01") == 0


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["conv", "pointwise", "depthwise", "gemm"])
@pytest.mark.parametrize("target", [WASM, RELAXED], ids=lambda target: target.name)
def test_int8_layers_give_the_references_bytes(target: Target, kind: str, seed: int) -> None:
    rng = np.random.default_rng([seed, *kind.encode()])
    bodies, outputs, expected = run(model(rng, kind, int8=True), rng, target)
    if kind == "depthwise":  # by quads where a column fills them
        assert "tc_depthwise_pairs(" in bodies or (target is RELAXED and "tc_depthwise_quads(" in bodies)
    else:
        assert "pairs(" in bodies if target is WASM else "tc_dot_quads(" in bodies
    assert len(np.unique(expected)) > 10
    np.testing.assert_array_equal(outputs, expected)


@pytest.mark.parametrize(
    "target", [WASM, RELAXED, plain(WASM), plain(RELAXED)], ids=["wasm32", "relaxed", "c", "quads"]
)
@pytest.mark.parametrize("planes", [2, 3, 4, 5])
def test_planes_of_an_image_are_woven(target: Target, planes: int) -> None:
    rng = np.random.default_rng(planes)
    proto = model(rng, "conv", int8=True, channels=9)
    resize(proto, rng, (1, planes, 7, 37), (9, planes, 3, 3), {"pads": [1, 1, 0, 2], "strides": [2, 1]})
    bodies, outputs, expected = run(proto, rng, target)
    assert ("tc_weave_flipped(" if "dot_quads" in target.micro_kernels else "tc_weave_wide(") in bodies
    np.testing.assert_array_equal(outputs, expected)


@pytest.mark.parametrize("kernel", [(3, 3), (1, 4), (3, 1), (1, 1)])
@pytest.mark.parametrize(("group", "channels", "dilation"), [(1, 7, 2), (1, 8, 3), (2, 6, 1), (4, 3, 1), (2, 10, 2)])
@pytest.mark.parametrize("target", [WASM, RELAXED], ids=lambda target: target.name)
@pytest.mark.parametrize("int8", [True, False])
def test_groups_and_taps_that_lie_apart(
    int8: bool, target: Target, group: int, channels: int, dilation: int, kernel: tuple[int, int]
) -> None:
    """`channels`: of the input, a group."""
    rng = np.random.default_rng([group, channels, dilation, *kernel])
    proto = model(rng, "conv", int8=int8)
    attributes = {"strides": [1, 2], "dilations": [2, dilation], "pads": [1, 0, 1, 2], "group": group}
    resize(proto, rng, (1, group * channels, 9, 21), (8 * group, channels, *kernel), attributes)
    bodies, outputs, expected = run(proto, rng, target)
    assert f"{'floats' if not int8 else 'pairs' if target is WASM else 'quads'}(" in bodies
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=0 if int8 else 1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("kernel", [(3, 3), (3, 2), (1, 5), (5, 4), (7, 1)])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2), (2, 2), (3, 2), (2, 3), (1, 3)])
@pytest.mark.parametrize("target", [WASM, RELAXED], ids=lambda target: target.name)
def test_depthwise_windows_of_all_kinds(target: Target, stride: int, dilation: int, kernel: tuple[int, int]) -> None:
    rng = np.random.default_rng([stride, dilation, *kernel])
    proto = model(rng, "depthwise", int8=True)
    attributes = {"strides": [1, stride], "dilations": [1, dilation], "pads": [1, 0, 0, 2], "group": 19}
    resize(proto, rng, (1, 19, 17, 31), (19, 1, *kernel), attributes)
    bodies, outputs, expected = run(proto, rng, target)
    assert "tc_depthwise_" in bodies
    np.testing.assert_array_equal(outputs, expected)


@pytest.mark.parametrize(
    ("kind", "int8"), [(kind, int8) for kind in ("conv", "depthwise", "gemm") for int8 in (True, False)]
)
@pytest.mark.parametrize("target", [WASM, RELAXED], ids=lambda target: target.name)
def test_the_plain_c_means_the_same(target: Target, kind: str, int8: bool) -> None:
    rng = np.random.default_rng(7)
    _, outputs, expected = run(model(rng, kind, int8=int8), rng, plain(target))
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=0 if int8 else 1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("int8", [True, False])
@pytest.mark.parametrize("kind", ["conv", "gemm"])
def test_one_channel_needs_no_vector(kind: str, int8: bool) -> None:
    rng = np.random.default_rng(1)
    bodies, outputs, expected = run(model(rng, kind, int8=int8, channels=1), rng)
    assert "tc_dot" not in bodies
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=0 if int8 else 1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("int8", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_layers_with_a_residual_sum(seed: int, int8: bool) -> None:
    rng = np.random.default_rng(seed)
    bodies, outputs, expected = run(model(rng, "conv", int8=int8, residual=True), rng)
    assert ("pairs(" if int8 else "floats(") in bodies
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=0 if int8 else 1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["conv", "pointwise", "depthwise", "gemm"])
@pytest.mark.parametrize("target", ["wasm32", "wasm32-relaxed"])
def test_float_layers_are_close_to_the_reference(target: str, kind: str, seed: int) -> None:
    rng = np.random.default_rng([seed, *kind.encode()])
    bodies, outputs, expected = run(model(rng, kind, int8=False), rng, load_target(target))
    assert ("tc_depthwise_floats(" if kind == "depthwise" else "tc_dot_floats(") in bodies
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
