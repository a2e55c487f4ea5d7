"""What the passes leave: no stray transposes, fused groups, scales at the edges."""

from __future__ import annotations

import numpy as np
import onnx_ir
import pytest
from host_batch import Row, loaded, program_of
from matrix import ROWS
from quantized_nets import METHODS, NETS
from tinycast.ir.graph import Call, Pattern, Program, interpret
from tinycast.ir.types import DType
from tinycast.ops.quantize import Dequantize, Quantize, Table
from tinycast.ops.shape import Reshape, Transpose
from tinycast.program.groups import group_calls
from tinycast.program.lower import to_groups, to_integers

BY_NAME = {row.name: row for row in (*ROWS, *NETS)}


def program(name: str) -> Program:
    return program_of(loaded(BY_NAME[name].proto()))


def lowered(name: str) -> Program:
    result = program(name)
    to_groups(result)
    return result


def transposes(program: Program) -> list[Call]:
    return [c for c in program.calls if isinstance(c.op, Transpose)]


# The input of a convolution is NCHW at the API, so one Transpose stays unless one side of it has length 1.
@pytest.mark.parametrize(
    ("name", "stay"),
    [
        ("residual_net", 1),
        ("mobile_net", 1),
        ("attention", 1),
        ("squeeze_and_excite", 2),
        ("inverted_residual", 2),
        ("residual", 2),
        ("inception", 2),
        ("conv_one_channel", 0),
        ("from_tensorflow", 0),
        ("conv_flatten_gemm", 1),
        ("conv_1d_chain", 2),
        ("conv_to_sequence", 1),
        ("transposed_residual", 1),
        ("nhwc_output", 1),
        ("two_heads", 2),
        ("hard_swish_decomposed", 2),
    ],
)
def test_transposes_stay_only_at_the_edges(name: str, stay: int) -> None:
    net = lowered(name)
    left = transposes(net)
    assert len(left) == stay, [(c.source, c.inputs[0].shape, c.output.shape) for c in left]


def test_transposes_that_stay_are_reported() -> None:
    notes = lowered("residual").notes
    assert len([n for n in notes if "transpose" in n.lower()]) == 2


@pytest.mark.parametrize(
    "row", [r for r in ROWS if "conv" in r.name or "pool" in r.name or "transpose" in r.name], ids=lambda r: r.name
)
def test_layout_changes_no_result(row: Row) -> None:
    before, after = program(row.name), program(row.name)
    to_groups(after)
    random = np.random.default_rng(0)
    inputs = [random.uniform(-1, 1, v.shape).astype(np.float32) for v in before.inputs]
    want, got = interpret(before, inputs), interpret(after, inputs)
    for a, b in zip(before.outputs, after.outputs, strict=True):
        assert a.name == b.name
        np.testing.assert_allclose(got[b], want[a], rtol=1e-5, atol=1e-6)


def titles(name: str, model: onnx_ir.Model | None = None) -> list[list[str]]:
    net = to_integers(model, name) if model is not None else program(name)
    return [[c.title for c in g.calls if not isinstance(c.op, Transpose | Reshape)] for g in to_groups(net)]


def test_residual_add_joins_the_convolution_before_it() -> None:
    assert ["Conv", "Add", "Relu"] in titles("residual")
    assert ["Conv", "Relu"] in titles("residual")


def test_one_dimensional_nets_fuse_like_images() -> None:
    assert ["Conv", "Relu"] in titles("conv_1d_chain")


def test_quantized_residual_add_joins_the_convolution_before_it() -> None:
    groups = titles("residual_net", METHODS["qdq_int8"](BY_NAME["residual_net"]))
    assert sum("Add" in "+".join(g) and "Conv" in "+".join(g) for g in groups) == 1
    assert not any(g and "+".join(g).startswith("Add") for g in groups)


def test_every_group_has_one_reduction_at_most_and_runs_after_its_operands() -> None:
    for row in (*ROWS, *NETS):
        net = program(row.name)
        known = set(net.inputs)
        for group in to_groups(net):
            assert sum(c.op.pattern in (Pattern.DENSE, Pattern.CHANNELWISE, Pattern.ROWS) for c in group.calls) <= 1
            assert all(v.is_constant or v in known for v in group.inputs), row.name
            known.update(value for call in group.calls for value in call.outputs)
        assert all(v in known or v.is_constant for v in net.outputs), row.name


def test_grouping_loses_no_call() -> None:
    net = program("inception")
    expected = {id(c) for c in net.calls}
    assert {id(c) for g in group_calls(net) for c in g.calls} == expected


def test_activations_between_quantized_tensors_become_one_table() -> None:
    net = to_integers(METHODS["qdq_int8"](BY_NAME["branches"]), "net")
    assert [c.title for c in net.calls if isinstance(c.op, Table)].count("Sigmoid") == 1
    assert not any(isinstance(c.op, Quantize) for c in net.calls)


@pytest.mark.parametrize("method", ["qdq_int8", "qdq_uint8_int8_channels", "tinycast_int8", "tinycast_uint8"])
def test_edges_are_the_quantized_type_with_its_scale(method: str) -> None:
    net = to_integers(METHODS[method](BY_NAME["residual_net"]), "net")
    dtype = DType.UINT8 if "uint8" in method.split("_")[1] else DType.INT8
    for value in (*net.inputs, *net.outputs):
        assert value.dtype is dtype
        assert value.quant is not None
        assert value.quant.scale[0] > 0


def test_float_edges_on_request() -> None:
    net = to_integers(METHODS["tinycast_int8"](BY_NAME["residual_net"]), "net", keep_float_io=True)
    assert [v.dtype for v in (*net.inputs, *net.outputs)] == [DType.FLOAT32] * 2
    kinds = [type(c.op) for c in net.calls if DType.FLOAT32 in (v.dtype for v in (*c.inputs, c.output))]
    assert kinds == [Quantize, Dequantize]
    assert net.notes == []


def test_names_are_unique() -> None:
    for row in (*ROWS, *NETS):
        net = lowered(row.name)
        names = [v.name for v in net.values() if not v.is_constant]
        assert len(names) == len(set(names)), row.name
