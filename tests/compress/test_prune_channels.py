"""Removal of whole channels: what is tied together, and that nothing changes where nothing was needed."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from quantize_models import model_of, samples_of
from tinycast.compress.layerwise import prunable_layers
from tinycast.compress.prune import ChannelOptions, prune_channels
from tinycast.compress.prune.channels import positions_by_axis, remove
from tinycast.compress.prune.tie_rules import tie_model
from tinycast.errors import ModelError
from tinycast.model import Session

CONV = "<pads=[1,1,1,1]>"
HEAD = "p = GlobalAveragePool (z)  q = Flatten (p)  y = Gemm <transB=1> (q, wl, bl)"
IMAGE = "float[1,3,8,8] x => float[1,5] y"
STEM = {"w1": (8, 3, 3, 3), "b1": (8,)}
LAST = {"wl": (5, 8), "bl": (5,)}

# name: (signature, nodes, weights, removable channels of each group)
NETS = {
    "chain": (
        IMAGE,
        f"a = Conv {CONV} (x, w1, b1)  b = Relu (a)  z = Conv {CONV} (b, w2, b2)  {HEAD}",
        STEM | LAST | {"w2": (8, 8, 3, 3), "b2": (8,)},
        [8, 8],
    ),
    "residual": (
        IMAGE,
        f"a = Conv {CONV} (x, w1, b1)  b = Relu (a)  c = Conv {CONV} (b, w2, b2)  d = Relu (c)"
        f"  e = Conv {CONV} (d, w3)  f = Add (b, e)  z = Relu (f)  {HEAD}",
        STEM | LAST | {"w2": (6, 8, 3, 3), "b2": (6,), "w3": (8, 6, 3, 3)},
        [8, 6],
    ),
    "depthwise": (
        IMAGE,
        f"a = Conv {CONV} (x, w1, b1)  b = Relu (a)  c = Conv <pads=[1,1,1,1], group=8> (b, w2, b2)"
        f"  d = Clip (c, low, high)  z = Conv (d, w3)  {HEAD}",
        STEM
        | LAST
        | {"w2": (16, 1, 3, 3), "b2": (16,), "w3": (8, 16, 1, 1)}
        | {"low": np.float32(0), "high": np.float32(6)},
        [8, 8],
    ),
    "concat": (
        IMAGE,
        f"a = Conv {CONV} (x, w1, b1)  b = Conv {CONV} (x, w2)  c = Concat <axis=1> (a, x, b)  d = Relu (c)"
        f"  z = Conv {CONV} (d, w3)  {HEAD}",
        STEM | LAST | {"w2": (6, 3, 3, 3), "w3": (8, 17, 3, 3)},
        [8, 6, 8],
    ),
    "flatten": (
        IMAGE,
        f"a = Conv {CONV} (x, w1, b1)  b = MaxPool <kernel_shape=[2,2], strides=[2,2]> (a)  q = Flatten (b)"
        "  r = Gemm <transB=1> (q, w2, b2)  s = Sigmoid (r)  y = Gemm (s, wl, bl)",
        STEM | {"w2": (10, 128), "b2": (10,), "wl": (10, 5), "bl": (5,)},
        [8, 10],
    ),
    "constants": (
        IMAGE,
        f"a = Conv {CONV} (x, w1, b1)  b = PRelu (a, slope)  c = Mul (b, scale)  d = Add (shift, c)"
        f"  z = BatchNormalization (d, g, h, m, v)  {HEAD}",
        STEM
        | LAST
        | {"slope": (8, 1, 1), "scale": (1, 8, 1, 1), "shift": (8, 8, 8), "g": (8,), "h": (8,), "m": (8,)}
        | {"v": np.linspace(0.5, 2, 8, dtype=np.float32)},
        [8],
    ),
    "squeeze and excite": (
        IMAGE,
        f"a = Conv {CONV} (x, w1, b1)  b = ReduceMean <keepdims=1> (a, axes)  c = Conv (b, w2, b2)  d = Relu (c)"
        f"  e = Conv (d, w3)  f = HardSigmoid (e)  z = Mul (a, f)  {HEAD}",
        STEM | LAST | {"w2": (4, 8, 1, 1), "b2": (4,), "w3": (8, 4, 1, 1), "axes": np.array([2, 3], dtype=np.int64)},
        [8, 4],
    ),
    "reshape": (
        IMAGE,
        f"a = Conv {CONV} (x, w1, b1)  b = AveragePool <kernel_shape=[4,4], strides=[4,4]> (a)"
        "  c = Reshape (b, flat)  d = Relu (c)  e = Gemm <transB=1> (d, w2)  f = Reshape (e, square)"
        "  g = Conv (f, w3)  h = ReduceMean <keepdims=0> (g, axes)  y = MatMul (h, wl)",
        STEM
        | {"w2": (24, 32), "w3": (7, 6, 1, 1), "wl": (7, 5), "axes": np.array([2, 3], dtype=np.int64)}
        | {"flat": np.array([1, -1], dtype=np.int64), "square": np.array([1, 6, 2, 2], dtype=np.int64)},
        [8, 6, 7],
    ),
    "channels last": (
        IMAGE,
        f"a = Conv {CONV} (x, w1, b1)  b = Transpose <perm=[0,2,3,1]> (a)  c = MatMul (b, w2)  d = Add (c, b2)"
        "  e = Relu (d)  f = ReduceMax <keepdims=0> (e, axes)  y = Gemm (f, wl, bl)",
        STEM | {"w2": (8, 6), "b2": (6,), "wl": (6, 5), "bl": (5,), "axes": np.array([1, 2], dtype=np.int64)},
        [8, 6],
    ),
    "decoder": (
        "float[1,3,8,8] x => float[1,2,16,16] y",
        "a = Pad (x, pads)  b = Conv (a, w1, b1)  c = Pad (b, pads)  d = Conv (c, w2)"
        '  e = Resize <mode="nearest"> (d, , scales)  f = ConvTranspose <pads=[1,1,1,1]> (e, w3, b3)'
        f"  g = Softmax <axis=3> (f)  y = Conv {CONV} (g, w4)",
        STEM
        | {"w2": (6, 8, 3, 3), "w3": (6, 4, 3, 3), "b3": (4,), "w4": (2, 4, 3, 3)}
        | {"pads": np.array([0, 0, 1, 1, 0, 0, 1, 1], dtype=np.int64)}
        | {"scales": np.array([1, 1, 2, 2], dtype=np.float32)},
        [8, 6, 4],
    ),
}
READERS = {"Conv": 1, "Gemm": 1, "MatMul": 0, "ConvTranspose": 0}
"""The axis of the weight that reads channels."""


def net(name: str) -> ir.Model:
    signature, nodes, weights, _ = NETS[name]
    return model_of(signature, nodes, **weights)


def reading_axis(node: ir.Node) -> int:
    turned = node.op_type == "Gemm" and "transB" not in node.attributes
    return 0 if turned else READERS[node.op_type]


def make_unused(model: ir.Model, channels) -> None:
    """Zero the weights with which dense layers read the channels."""
    readers = {node.inputs[1]: reading_axis(node) for node in model.graph if node.op_type in READERS}
    for value, axis, index in (position for channel in channels for position in channel):
        if readers.get(value) == axis:
            weight = value.const_value.numpy().copy()
            np.moveaxis(weight, axis, 0)[index] = 0
            value.const_value = ir.tensor(weight, name=value.name)


def outputs(model: ir.Model, samples):
    return Session(model).run_samples(samples)["y"]


def check(model: ir.Model) -> None:
    """The model is valid, and the shapes it states are those that ONNX infers."""
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    del proto.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
    stated = {value.name: tuple(value.shape.numpy()) for node in model.graph for value in node.outputs}
    found = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in inferred.graph.value_info}
    assert len(found) >= len(stated) - len(model.graph.outputs)
    assert all(stated[name] == shape for name, shape in found.items())


@pytest.mark.parametrize("name", NETS)
def test_groups(name: str) -> None:
    assert [len(group) for group in tie_model(net(name)).groups()] == NETS[name][3]


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("seed", range(3))
def test_removing_unused_channels_changes_nothing(name: str, seed: int) -> None:
    """Any choice of channels: once no dense layer reads them, the smaller model gives the same outputs."""
    model, random = net(name), np.random.default_rng(seed)
    groups = tie_model(model).groups()
    chosen = [group[i] for group in groups for i in random.permutation(len(group))[: len(group) // 2]]
    make_unused(model, chosen)
    samples = samples_of(model, 4)
    expected = outputs(model, samples)
    before = sum(value.const_value.size for value in model.graph.initializers.values())
    remove(model, positions_by_axis(chosen))
    check(model)
    assert sum(value.const_value.size for value in model.graph.initializers.values()) < before
    np.testing.assert_allclose(outputs(model, samples), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", [name for name in NETS if name != "decoder"])
def test_unused_channels_are_those_that_go(name: str) -> None:
    """In every group one channel of four is unused; a quarter goes, and the outputs stay."""
    model = net(name)
    groups = tie_model(model).groups()
    make_unused(model, [channel for group in groups for channel in group[1 : 1 + round(len(group) / 4)]])
    samples, rest = samples_of(model, 30), samples_of(model, 10, seed=5)
    pruned, report = prune_channels(model, samples, ChannelOptions(0.25))
    check(pruned)
    kept = [len(group) for group in tie_model(pruned).groups()]
    assert kept == [len(group) - round(len(group) / 4) for group in groups]
    expected = outputs(model, rest)
    np.testing.assert_allclose(outputs(pruned, rest), expected, atol=2e-3 * np.abs(expected).max())
    assert report.parameters_after < report.parameters_before


@pytest.mark.parametrize("name", NETS)
def test_reconstruction_beats_magnitude(name: str) -> None:
    model = net(name)
    samples, rest = samples_of(model, 60), samples_of(model, 20, seed=5)
    expected = outputs(model, rest)
    naive, refitted = (
        np.mean(
            (outputs(prune_channels(model, samples, ChannelOptions(0.3, reconstruct=r)).model, rest) - expected) ** 2
        )
        for r in (False, True)
    )
    assert refitted < 0.8 * naive


def test_kept_counts_are_multiples() -> None:
    pruned, report = prune_channels(net("residual"), samples_of(net("residual")), ChannelOptions(0.3, multiple=4))
    assert [layer.shape_after[0] for layer in report.layers] == [4, 4, 4, 5]
    assert [layer.shape_after[1] for layer in report.layers] == [3, 4, 4, 4]
    assert report.kept_whole == (prunable_layers(pruned)[-1].name,)


def test_inputs_and_outputs_stay() -> None:
    for name in NETS:
        model = net(name)
        pruned = prune_channels(model, samples_of(model, 20), ChannelOptions(0.5)).model
        for before, after in zip(
            (*model.graph.inputs, *model.graph.outputs), (*pruned.graph.inputs, *pruned.graph.outputs), strict=True
        ):
            assert before.name == after.name
            assert before.shape == after.shape


def test_unknown_operators_and_grouped_convolutions_keep_their_channels() -> None:
    nodes = f"""a = Conv {CONV} (x, w1, b1)  b = LRN <size=3> (a)  c = Conv {CONV} (b, w2)  d = Conv <group=2> (c, w3)
        e = Conv (d, w4)  z = Relu (e)  {HEAD}"""
    weights = STEM | LAST | {"w2": (8, 8, 3, 3), "w3": (8, 4, 1, 1), "w4": (8, 8, 1, 1)}
    model = model_of(IMAGE, nodes, **weights)
    pruned, report = prune_channels(model, samples_of(model), ChannelOptions(0.5))
    check(pruned)
    assert [layer.shape_after[0] for layer in report.layers] == [8, 8, 8, 4, 5]


def test_nothing_to_remove() -> None:
    model = model_of("float[1,6] x => float[1,4] y", "y = Gemm <transB=1> (x, w)", w=(4, 6))
    with pytest.raises(ModelError, match="no channel can be removed"):
        prune_channels(model, samples_of(model), ChannelOptions(0.5))


def test_same_result_twice_and_the_model_given_stays() -> None:
    model = net("residual")
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    first, second = (prune_channels(model, samples_of(model), ChannelOptions(0.4)).model for _ in range(2))
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before
    texts = [ir.to_proto(m).SerializeToString(deterministic=True) for m in (first, second)]
    assert texts[0] == texts[1]
    assert texts[0] != before
