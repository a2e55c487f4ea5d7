"""Products of two matrices that are computed at run time, by the vector micro-kernels: the reference's results."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper
from schedule.test_wasm_kernels import RELAXED, WASM, plain
from tinycast.compress.quantize import ActivationType, QuantizeOptions, quantize
from tinycast.execute.select import driver_for
from tinycast.ir.graph import interpret
from tinycast.model import simplify
from tinycast.pipeline import build, compile_model
from tinycast.program.lower import to_integers
from tinycast.target.types import Target

SHAPES = [
    ((7, 12), (12, 9), False),
    ((3, 9, 20), (3, 20, 5), False),
    ((1, 4, 16, 24), (1, 4, 16, 24), True),
    ((2, 6, 70), (1, 70, 8), False),
    ((1, 5, 33), (4, 33, 11), False),
    ((4, 13), (3, 9, 13), True),
]


@pytest.mark.parametrize("int8", [True, False])
@pytest.mark.parametrize("target", [WASM, RELAXED, plain(WASM)], ids=["wasm32", "wasm32-relaxed", "c"])
@pytest.mark.parametrize(("left", "right", "swapped"), SHAPES)
def test_products_of_matrices(
    left: tuple[int, ...], right: tuple[int, ...], swapped: bool, target: Target, int8: bool
) -> None:
    """`swapped`: the last two axes of the right matrix change places first."""
    rng = np.random.default_rng(len(left) + right[-1])
    order = [*range(len(right) - 2), len(right) - 1, len(right) - 2]
    nodes = [helper.make_node("Transpose", ["b"], ["c"], perm=order)] if swapped else []
    nodes.append(helper.make_node("MatMul", ["a", "c" if swapped else "b"], ["y"]))
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("a", left), ("b", right))]
    graph = helper.make_graph(nodes, "m", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))
    simplify(model)
    # Not symmetric about zero, so that zero points take part.
    samples = {n: rng.normal(0.7, 1, (3, *s)).astype(np.float32) for n, s in (("a", left), ("b", right))}
    if int8:
        model = quantize(model, {n: s[0][None] for n, s in samples.items()}, QuantizeOptions())
        simplify(model)
        samples = {n: rng.integers(-128, 128, s.shape).astype(np.int8) for n, s in samples.items()}
    program = to_integers(model, "m")
    expected = np.stack(
        [interpret(program, [samples[v.name][i] for v in program.inputs])[program.outputs[0]] for i in range(3)]
    )
    compiled = compile_model(model, target, "m", "0" * 64)
    bodies = "\n".join(step.kernel.body for step in compiled.steps)
    assert ("tc_dot_wide_pairs(" if int8 else "tc_dot_floats(") in bodies
    artifact = build(compiled)
    given = {n: s[:, 0] if s.shape[1] == 1 else s for n, s in samples.items()}
    (outputs,) = driver_for(target).run(artifact.files, artifact.manifest, given).outputs.values()
    bound = 0 if int8 else 1e-5 * np.abs(expected).max()
    assert len(np.unique(expected)) > 10
    np.testing.assert_allclose(outputs.reshape(-1), expected.reshape(-1), rtol=0, atol=bound)


@pytest.mark.parametrize("target", [WASM, RELAXED], ids=lambda target: target.name)
def test_products_of_two_int16_tensors_have_sums_of_64_bits(target: Target) -> None:
    """Values at the ends of the range: sums of their products leave 32 bits."""
    left = SHAPES[2][0]
    inputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("a", left), ("b", left))]
    nodes = [
        helper.make_node("Transpose", ["b"], ["c"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["a", "c"], ["y"]),
    ]
    graph = helper.make_graph(nodes, "m", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10))
    rng = np.random.default_rng(2)
    samples = {n: rng.normal(0, 1, (1, *left)).astype(np.float32) for n in ("a", "b")}
    model = quantize(model, {n: s[0] for n, s in samples.items()}, QuantizeOptions(activations=ActivationType.INT16))
    simplify(model)
    program = to_integers(model, "m")
    given = {n: rng.choice(np.array([-32768, -32000, 32767], np.int16), (3, *left)) for n in ("a", "b")}
    expected = np.stack(
        [interpret(program, [given[v.name][i] for v in program.inputs])[program.outputs[0]] for i in range(3)]
    )
    artifact = build(compile_model(model, target, "m", "0" * 64))
    squeezed = {n: s[:, 0] for n, s in given.items()}
    (outputs,) = driver_for(target).run(artifact.files, artifact.manifest, squeezed).outputs.values()
    assert expected.dtype == np.int16
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(outputs.reshape(-1), expected.reshape(-1))
