"""Random operators between DequantizeLinear and QuantizeLinear: they compute on integers, a step from ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from properties import Array, Draw, Instance, family, ints, number
from properties_spatial import channels, window


def between(
    d: Draw,
    node: str,
    shapes: Mapping[str, list[int]],
    weights: Mapping[str, tuple[Array, int]] | None = None,
    *,
    bias: str = "",
    constants: Mapping[str, Array] | None = None,
    by_channel: bool | None = None,
    opset: int = 21,
    scale: float = 0.0,
    steps: int = 1,
    wide_steps: int = 0,
) -> Instance:
    """`node` computes f of quantized activations and weights (real numbers, and the axis of the channels).

    `bias` is one number a channel, in the scale of the sums. The scale of the output fits what comes out, unless given.
    Now and then activations have 16 bits, where results may be `wide_steps` off then.
    """
    kind = d.of("int8", "int8", "uint8", *(["int16"] if wide_steps else []))
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    inputs, known, before = {}, dict(constants or {}), []
    for name, shape in shapes.items():
        inputs[f"q{name}"] = d.input(shape, kind, low, high)
        factor = np.float32(256 / (high - low + 1))
        known |= {
            f"s{name}": np.asarray(d.array([], low=0.01, high=0.05) * factor),
            f"z{name}": number(d.int(low, high), kind),
        }
        before.append(f"{name} = DequantizeLinear(q{name}, s{name}, z{name})")
    for name, (array, axis) in (weights or {}).items():
        is_by_channel = d.flag() if by_channel is None else by_channel
        others = tuple(a for a in range(array.ndim) if a != axis) if is_by_channel else None
        factor = (np.abs(array).max(others) / 127).astype(np.float32) + np.float32(1e-6)
        wide = factor.reshape([-1 if a == axis and is_by_channel else 1 for a in range(array.ndim)])
        known |= {f"q{name}": np.rint(array / wide).astype(np.int8), f"s{name}": factor}
        before.append(f"{name} = DequantizeLinear<axis={axis}>(q{name}, s{name})")
        if bias:
            count = array.shape[axis]
            known |= {
                f"q{bias}": d.array([count], "int32", -2000, 2000),
                f"s{bias}": factor * known[f"s{next(iter(shapes))}"],
            }
            before.append(f"{bias} = DequantizeLinear<axis=0>(q{bias}, s{bias})")
    real = Instance(f"{' '.join(before)} {node}", inputs, known, outputs="f", opset=opset)
    if scale:
        known |= {"sy": number(scale * 256 / (high - low + 1)), "zy": number(low, kind)}
    else:
        (found,) = real.expected(real.proto()).values()
        least, most = (float(f([f(a) for a in found])) for f in (np.min, np.max))
        size = max(most - least, 1e-3) / (high - low) * d.factor(0.7, 1.3)
        known |= {"sy": number(size), "zy": number(np.clip(np.rint(low - least / size), low, high), kind)}
    nodes = f"{real.nodes} y = QuantizeLinear(f, sy, zy)"
    return replace(real, nodes=nodes, outputs="y", steps=wide_steps if kind == "int16" else steps, integers=True)


@family("qdq.Conv")
def conv(d: Draw, op: str) -> Instance:
    w, (group, inner, outer) = window(d, d.of(1, 2, 2)), channels(d)
    weights = {"w": (d.array([group * outer, inner, *w.kernel]), 0)}
    bias = d.of("", "b")
    after = d.of("f = Identity(c)", "f = Relu(c)")
    node = f"c = Conv<group={group}, {w.attributes}>(x, w{', b' if bias else ''}) {after}"
    return between(d, node, {"x": [1, group * inner, *w.image]}, weights, bias=bias)


@family("qdq.ConvTranspose")
def conv_transpose(d: Draw, op: str) -> Instance:
    rank = d.of(1, 2)
    kernel, strides, image = ([d.int(1, n) for _ in range(rank)] for n in (4, 3, 5))
    weights = {"w": (d.array([d.int(1, 5), d.int(1, 5), *kernel]), 1)}
    node = f"f = ConvTranspose<strides={strides}>(x, w)"
    return between(d, node, {"x": [1, weights["w"][0].shape[0], *image]}, weights)


@family("qdq.Gemm")
def gemm(d: Draw, op: str) -> Instance:
    flip, n, k, m = d.int(0, 1), d.int(1, 3), d.of(1, 7, 64, 130), d.int(1, 13)
    weights = {"w": (d.array([m, k] if flip else [k, m]), 0 if flip else 1)}
    bias = d.of("", "b")
    return between(d, f"f = Gemm<transB={flip}>(x, w{', b' if bias else ''})", {"x": [n, k]}, weights, bias=bias)


@family("qdq.MatMul")
def mat_mul(d: Draw, op: str) -> Instance:
    n, k, m, batch = d.int(1, 4), d.of(1, 7, 33), d.int(1, 9), d.shape(0, 2, 3)
    if d.flag():
        return between(d, "f = MatMul(x, w)", {"x": [*batch, n, k]}, {"w": (d.array([k, m]), 1)})
    return between(d, "f = MatMul(x, z)", {"x": [*batch, n, k], "z": [*batch, k, m]})


@family("qdq.Add", "qdq.Sub", "qdq.Mul")
def pairs(d: Draw, op: str) -> Instance:
    shape = d.shape(1)
    clamp = d.of("f = Identity(a)", "f = Relu(a)")
    return between(d, f"a = {op[4:]}(x, z) {clamp}", {"x": shape, "z": d.narrowed(shape)})


@family("qdq.Concat")
def concat(d: Draw, op: str) -> Instance:
    shape = d.shape(1)
    axis = d.int(0, len(shape) - 1)
    shapes = {name: [*shape[:axis], d.int(1, 4), *shape[axis + 1 :]] for name in "abc"[: d.int(2, 3)]}
    return between(d, f"f = Concat<axis={axis}>({', '.join(shapes)})", shapes)


@family("qdq.MaxPool", "qdq.AveragePool", "qdq.GlobalAveragePool")
def pools(d: Draw, op: str) -> Instance:
    w = window(d, d.of(1, 2, 2), pools=True)
    attributes = f"<kernel_shape={w.kernel}, {w.attributes}, ceil_mode={d.int(0, 1)}>"
    node = f"f = {op[4:]}{'' if op.endswith('GlobalAveragePool') else attributes}(x)"
    return between(d, node, {"x": [1, d.int(1, 9), *w.image]})


_FUNCTIONS = (
    "Relu",
    "Sigmoid",
    "Tanh",
    "Gelu",
    "HardSwish",
    "LeakyRelu",
    "Elu",
    "Erf",
    "Abs",
    "Neg",
    "Mish",
    "Softplus",
    "HardSigmoid",
)


@family(*(f"qdq.{name}" for name in _FUNCTIONS))
def tables(d: Draw, op: str) -> Instance:
    return between(d, f"f = {op[4:]}(x)", {"x": d.shape(1)})


@family("qdq.Clip")
def clip(d: Draw, op: str) -> Instance:
    return between(d, "f = Clip(x, l, h)", {"x": d.shape(1)}, constants={"l": number(0), "h": number(d.factor(0.5, 6))})


@family("qdq.Transpose", "qdq.Slice", "qdq.Pad", "qdq.Reshape", "qdq.Resize", "qdq.Split", "qdq.DepthToSpace")
def moves(d: Draw, op: str) -> Instance:
    shape = [d.int(1, 4), 4 * d.int(1, 2), d.int(2, 5), d.int(2, 5)]
    mode = d.of("nearest", "linear")
    node, constants = {
        "Transpose": (f"f = Transpose<perm={d.order(4)}>(x)", {}),
        "Slice": ("f = Slice(x, s, e)", {"s": ints(*(d.int(0, n - 1) for n in shape)), "e": ints(*shape)}),
        "Pad": ("f = Pad(x, p)", {"p": ints(*(d.int(0, 2) for _ in range(8)))}),
        "Reshape": ("f = Reshape(x, s)", {"s": ints(shape[1], -1, shape[0])}),
        "Resize": (f'f = Resize<mode="{mode}">(x, , , s)', {"s": ints(*shape[:2], d.int(2, 7), d.int(2, 7))}),
        "Split": ("f, g = Split<axis=1, num_outputs=2>(x)", {}),
        "DepthToSpace": ("f = DepthToSpace<blocksize=2>(x)", {}),
    }[op[4:]]
    return between(d, node, {"x": shape}, constants=constants)


@family("qdq.Gather")
def gather(d: Draw, op: str) -> Instance:
    """Of activations or of a table (an embedding), at constant positions or at those that are computed."""
    shape, kind = d.shape(1, 3), d.of("int8", "uint8")
    axis = d.int(0, len(shape) - 1)
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    x, i = d.input(shape, kind, low, high), d.input(d.shape(0, 2, 3), "int64", -shape[axis], shape[axis] - 1)
    constants = {"sx": d.array([], low=0.01, high=0.05), "zx": number(d.int(low, high), kind)}
    inputs = {"x": x, "i": i}
    for name in d.some("xi")[:1]:
        constants[name] = inputs.pop(name)[0]
    nodes = d.of(
        f"g = Gather<axis={axis}>(x, i) f = DequantizeLinear(g, sx, zx) y = Neg(f)",
        f"g = DequantizeLinear(x, sx, zx) f = Gather<axis={axis}>(g, i) y = Neg(f)",
        f"g = DequantizeLinear(x, sx, zx) f = Gather<axis={axis}>(g, i) y = QuantizeLinear(f, sx, zx)",
    )
    return Instance(nodes, inputs, constants, steps=1)


@family("qdq.ReduceMean", "qdq.ReduceSum", "qdq.ReduceMax")
def reductions(d: Draw, op: str) -> Instance:
    shape = d.shape(1)
    axes = ints(*d.some(range(len(shape)), 1))
    return between(d, f"f = {op[4:]}<keepdims={d.int(0, 1)}>(x, a)", {"x": shape}, constants={"a": axes})


@family("qdq.Softmax")
def softmax(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 3, 30)
    return between(d, f"f = Softmax<axis={d.axis(len(shape))}>(x)", {"x": shape}, scale=1 / 256, wide_steps=1)


@family("qdq.LayerNormalization", "qdq.RMSNormalization")
def norms(d: Draw, op: str) -> Instance:
    length = d.of(4, 16, 33)
    constants = {"g": d.array([length], low=0.3), "b": d.array([length])}
    is_centred = op == "qdq.LayerNormalization"
    node = f"f = {op[4:]}<epsilon={d.of(1e-5, 0.01)}>(x, g{', b' if is_centred else ''})"
    shape = [1, d.int(1, 4), length]
    given = constants if is_centred else {"g": constants["g"]}
    return between(d, node, {"x": shape}, constants=given, opset=21 if is_centred else 23, wide_steps=1)


@family("qdq.RNN", "qdq.GRU", "qdq.LSTM")
def recurrent(d: Draw, op: str) -> Instance:
    steps, inputs, hidden, count = d.int(1, 5), d.of(1, 4, 17), d.of(1, 5, 12), d.of(1, 2)
    rows = {"RNN": 1, "GRU": 3, "LSTM": 4}[op[4:]] * hidden
    direction = "bidirectional" if count == 2 else d.of("forward", "reverse")
    weights = {
        "w": (d.array([count, rows, inputs], low=-0.5, high=0.5), 0),
        "r": (d.array([count, rows, hidden], low=-0.3, high=0.3), 0),
    }
    reset = f", linear_before_reset={d.int(0, 1)}" if op == "qdq.GRU" else ""
    constants = {"b": d.array([count, 2 * rows], low=-0.5, high=0.5)}
    node = f'f = {op[4:]}<hidden_size={hidden}, direction="{direction}"{reset}>(x, w, r, b)'
    # One scale a direction runs in float. Beside int16 the steps of the state itself show.
    x = {"x": [steps, 1, inputs]}
    return between(d, node, x, weights, constants=constants, scale=1 / 128, by_channel=False, wide_steps=4)
