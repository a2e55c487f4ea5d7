"""Random attention, embeddings and narrow weights as ONNX Runtime's optimizer and quantizers write them."""

from __future__ import annotations

import numpy as np
from properties import SAMPLES, Array, Draw, Instance, family, number
from properties_spatial import window

_MS = "com.microsoft"


def _mask(d: Draw, batch: int, tokens: int) -> tuple[str, dict[str, Array]]:
    """The name of a mask, or none, and the constant. Some key may always be looked at."""
    kind = d.of("none", "keys", "pairs", "ends")
    if kind == "none":
        return "", {}
    if kind == "ends":
        return "m", {"m": d.array([batch], "int32", 1, tokens)}
    mask = d.array([batch, tokens] if kind == "keys" else [batch, tokens, tokens], "int32", 0, 1)
    mask[..., 0] = 1
    return "m", {"m": mask}


@family(f"{_MS}.Attention", f"{_MS}.QAttention")
def attention(d: Draw, op: str) -> Instance:
    count, batch, tokens = d.int(1, 3), d.int(1, 2), d.int(1, 5)
    hidden, inputs = count * d.of(2, 4, 5), d.of(3, 8)
    mask, constants = _mask(d, batch, tokens)
    attributes = f"num_heads={count}, unidirectional={d.int(0, 1)}"
    constants["b"] = d.array([3 * hidden])
    if op.endswith("QAttention"):
        x = d.array([SAMPLES, batch, tokens, inputs], "uint8", 0, 255)
        constants["w"] = d.array([inputs, 3 * hidden], "int8", -64, 64)
        constants |= {"sx": number(0.02), "sw": number(0.01), "zx": number(d.int(0, 255), "uint8")}
        constants["zw"] = number(d.int(-5, 5), "int8")
        return Instance(f"y = {op}<{attributes}>(x, w, b, sx, sw, {mask}, zx, zw)", {"x": x}, constants, tolerance=3e-5)
    constants["w"] = d.array([inputs, 3 * hidden], low=-0.5, high=0.5)
    node = f"y = {op}<{attributes}>(x, w, b{', m' if mask else ''})"
    return Instance(node, {"x": d.input([batch, tokens, inputs])}, constants, tolerance=3e-5)


@family(f"{_MS}.MultiHeadAttention")
def multi_head_attention(d: Draw, op: str) -> Instance:
    count, batch, tokens, keys = d.int(1, 3), d.int(1, 2), d.int(1, 5), d.int(1, 5)
    hidden, wide = count * d.of(2, 4, 5), count * d.of(3, 4)
    inputs = {
        "q": d.input([batch, tokens, hidden]),
        "k": d.input([batch, keys, hidden]),
        "v": d.input([batch, keys, wide]),
    }
    bias = d.of("", "b")
    constants = {"b": d.array([2 * hidden + wide])} if bias else {}
    node = f"y = {op}<num_heads={count}, scale={d.factor(0.2, 1)}>(q, k, v, {bias})"
    return Instance(node if bias else node.replace(", )", ")"), inputs, constants, tolerance=3e-5)


@family(f"{_MS}.EmbedLayerNormalization", f"{_MS}.QEmbedLayerNormalization")
def embed_layer_norm(d: Draw, op: str) -> Instance:
    tokens, size, words = d.int(1, 6), d.of(4, 8, 31), d.int(3, 20)
    rows = {"t": [words, size], "p": [tokens, size], "s": [2, size], "g": [size], "h": [size]}
    inputs = {"i": d.input([1, tokens], "int32", 0, words - 1), "k": d.input([1, tokens], "int32", 0, 1)}
    if not op.startswith(f"{_MS}.Q"):
        constants = {name: d.array(shape) for name, shape in rows.items()}
        node = f"y, e = {op}<epsilon=0.01>(i, k, t, p, s, g, h, m)"
        return Instance(node, inputs | {"m": d.input([1, tokens], "int32", 0, 1)}, constants, "y e", tolerance=3e-5)
    constants = {name: d.array(shape, "uint8", 0, 255) for name, shape in rows.items()}
    constants |= {f"{name}s": d.array([], low=0.01, high=0.05) for name in rows}
    constants |= {f"{name}z": number(d.int(100, 150), "uint8") for name in rows}
    operands = [f"{name}{suffix}" for suffix in "sz" for name in rows]
    node = f"y, e = {op}<epsilon=0.01>(i, k, t, p, s, g, h, , {', '.join(operands)})"
    return Instance(node, inputs, constants, tolerance=3e-5)


@family(f"{_MS}.MatMulNBits")
def mat_mul_n_bits(d: Draw, op: str) -> Instance:
    bits, size, columns, rows = d.of(4, 8), 16, d.int(1, 7), d.of(5, 16, 40)
    blocks = -(-rows // size)
    constants = {
        "w": d.array([columns, blocks, size * bits // 8], "uint8", 0, 255),
        "s": d.array([columns, blocks], low=0.01, high=0.1),
        "z": d.array([columns, -(-blocks * bits // 8)], "uint8", 0, 255),
    }
    operands = d.of("x, w, s", "x, w, s, z")
    if operands.count(",") == 2:
        del constants["z"]
    node = f"y = {op}<K={rows}, N={columns}, bits={bits}, block_size={size}>({operands})"
    return Instance(node, {"x": d.input([d.int(1, 3), rows])}, constants, tolerance=2e-5)


@family(f"{_MS}.GatherBlockQuantized")
def gather_blocks(d: Draw, op: str) -> Instance:
    size, count, columns = 16, d.int(1, 9), d.of(16, 40)
    blocks = -(-columns // size)
    constants = {
        "t": d.array([count, columns // 2], "uint8", 0, 255),
        "s": d.array([count, blocks], low=0.01, high=0.1),
        "z": d.array([count, -(-blocks // 2)], "uint8", 0, 255),
    }
    operands = d.of("t, i, s", "t, i, s, z")
    if operands.count(",") == 2:
        del constants["z"]
    node = f"y = {op}<bits=4, block_size={size}, gather_axis=0, quantize_axis=1>({operands})"
    return Instance(node, {"i": d.input(d.shape(1, 2), "int64", 0, count - 1)}, constants)


@family(f"{_MS}.NhwcMaxPool")
def nhwc_max_pool(d: Draw, op: str) -> Instance:
    w = window(d, 2, pools=True, dilated=False)
    kind = d.of("int8", "uint8")
    low = 0 if kind == "uint8" else -128
    x = d.input([1, *w.image, d.int(1, 5)], kind, low, low + 255)
    return Instance(f"y = {op}<kernel_shape={w.kernel}, {w.attributes}>(x)", {"x": x})


@family(f"{_MS}.QuantizeLinear", f"{_MS}.DequantizeLinear")
def linear(d: Draw, op: str) -> Instance:
    kind, shape = d.of("int8", "uint8", "int16"), d.shape(1, 3)
    bounds = np.iinfo(kind)
    constants = {"s": d.array([], low=0.01, high=0.1), "z": number(d.int(-5, 5) if kind[0] == "i" else 120, kind)}
    if op.endswith(".QuantizeLinear"):
        return Instance(f"a = Neg(x) y = {op}(a, s, z)", {"x": d.input(shape, low=-4, high=4)}, constants, steps=1)
    x = d.input(shape, kind, bounds.min, bounds.max)
    return Instance(f"a = {op}(x, s, z) y = Neg(a)", {"x": x}, constants)
