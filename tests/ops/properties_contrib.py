"""Random operators that ONNX Runtime's optimizer writes (com.microsoft), sequences, and layers in training's form."""

from __future__ import annotations

import numpy as np
from properties import Draw, Instance, family, number
from properties_spatial import channels, window

_MS = "com.microsoft"
_WIDE = (-6.0, 6.0)


@family(f"{_MS}.Gelu", f"{_MS}.QuickGelu", f"{_MS}.FastGelu", f"{_MS}.BiasGelu")
def gelus(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 3, 9)
    x = {"x": d.input(shape, "float32", *_WIDE)}
    if op.endswith("QuickGelu"):
        return Instance(f"y = {op}<alpha={d.factor(0.5)}>(x)", x)
    if op.endswith("BiasGelu") or (op.endswith("FastGelu") and d.flag()):
        return Instance(f"y = {op}(x, b)", x, {"b": d.array(shape[-1:])}, tolerance=2e-5)
    return Instance(f"y = {op}(x)", x, tolerance=2e-5)


@family(f"{_MS}.SkipLayerNormalization", f"{_MS}.SkipSimplifiedLayerNormalization")
def skip_norm(d: Draw, op: str) -> Instance:
    centred = op.endswith("SkipLayerNormalization")
    shape = [d.int(1, 2), d.int(1, 4), d.of(2, 8, 31)]
    constants = {"g": d.array(shape[-1:], low=0.2)}
    operands = ["x", "s", "g"]
    if centred:
        constants["b"] = d.array(shape[-1:])
        operands.append("b")
    if d.flag():
        constants["c"] = d.array(shape[-1:])
        operands.append("c")
    results = d.of("y", "y, , , z")
    opset = 21 if centred else d.of(21, 23)
    node = f"{results} = {op}<epsilon={d.of(1e-5, 0.01)}>({', '.join(operands)})"
    inputs = {"x": d.input(shape), "s": d.input(shape)}
    return Instance(node, inputs, constants, outputs=results.replace(",", ""), opset=opset, tolerance=2e-5)


@family(f"{_MS}.FusedMatMul")
def fused_mat_mul(d: Draw, op: str) -> Instance:
    n, k, m, batch = d.int(1, 5), d.int(1, 9), d.int(1, 7), d.shape(0, 1, 3)
    a, b = d.int(0, 1), d.int(0, 1)
    inputs = {"x": d.input([*batch, *([k, n] if a else [n, k])]), "z": d.input([*batch, *([m, k] if b else [k, m])])}
    return Instance(f"y = {op}<transA={a}, transB={b}, alpha={d.factor()}>(x, z)", inputs)


@family(f"{_MS}.FusedGemm")
def fused_gemm(d: Draw, op: str) -> Instance:
    n, k, m, flip = d.int(1, 4), d.int(1, 20), d.int(1, 9), d.int(0, 1)
    activation = d.of('"Relu"', '"Sigmoid"', '"Tanh"', f'"LeakyRelu", activation_alpha={d.factor(0.1, 0.5)}')
    attributes = f"transB={flip}, alpha={d.factor()}, beta={d.factor()}, activation={activation}"
    constants = {"w": d.array([m, k] if flip else [k, m]), "b": d.array([m])}
    return Instance(f"y = {op}<{attributes}>(x, w, b)", {"x": d.input([n, k])}, constants)


@family(f"{_MS}.FusedConv")
def fused_conv(d: Draw, op: str) -> Instance:
    w, (group, inner, outer) = window(d, 2), channels(d)
    numbers = f", activation_params=[{d.factor(0.1, 0.5)}, {d.factor(0.5)}]"
    activation = d.of('"Relu"', '"Sigmoid"', '"Tanh"', f'"Clip"{numbers}', f'"HardSigmoid"{numbers}')
    constants = {"w": d.array([group * outer, inner, *w.kernel]), "b": d.array([group * outer])}
    node = f"y = {op}<group={group}, {w.attributes}, activation={activation}>(x, w, b)"
    return Instance(node, {"x": d.input([1, group * inner, *w.image])}, constants)


@family(f"{_MS}.MatMulIntegerToFloat", f"{_MS}.DynamicQuantizeMatMul")
def quantized_mat_mul(d: Draw, op: str) -> Instance:
    n, k, m = d.int(1, 5), d.of(1, 4, 33), d.int(1, 9)
    kind = d.of("int8", "uint8")
    by_column = d.flag()
    constants = {
        "b": d.array([k, m], kind, *(np.iinfo(kind).min, np.iinfo(kind).max)),
        "sb": d.array([m] if by_column else [1], low=0.01, high=0.1),
        "zb": d.array([m] if by_column else [1], kind, 0, 100),
        "c": d.array([m]),
    }
    if op.endswith("DynamicQuantizeMatMul"):
        return Instance(f"y = {op}(a, b, sb, zb, c)", {"a": d.input([n, k])}, constants)
    constants |= {"sa": d.array([1], low=0.01, high=0.1), "za": d.array([1], "uint8", 0, 255)}
    a = d.input([n, k], "uint8", 0, 255)
    return Instance(f"y = {op}(a, b, sa, sb, za, zb, c)", {"a": a}, constants)


@family(f"{_MS}.DynamicQuantizeLSTM")
def dynamic_lstm(d: Draw, op: str) -> Instance:
    """Batches only near: what of them ONNX Runtime rounds by one scale depends on the number of its threads.

    With a scale a row it takes no zero point but the middle.
    """
    steps, batch, inputs, hidden, count = d.int(1, 4), d.int(1, 3), d.int(1, 6), d.int(1, 5), d.of(1, 2)
    direction = "bidirectional" if count == 2 else d.of("forward", "reverse")
    kind = d.of("int8", "uint8")
    by_row = d.flag()
    scales = [count, 4 * hidden] if by_row else [count]
    constants = {}
    for name, rows in (("w", inputs), ("r", hidden)):
        constants[name] = d.array([count, rows, 4 * hidden], kind, *(np.iinfo(kind).min, np.iinfo(kind).max))
        constants[f"s{name}"] = d.array(scales, low=0.002, high=0.004)
        middle = 128 if kind == "uint8" else 0
        constants[f"z{name}"] = d.array(scales, kind, middle - 9 * (not by_row), middle + 9 * (not by_row))
    given = {"x": d.input([steps, batch, inputs])}
    optional = {"b": d.array([count, 8 * hidden], low=-0.5, high=0.5), "n": d.array([batch], "int32", 0, steps)}
    optional |= {name: d.array([count, batch, hidden], low=-1, high=1) for name in ("h0", "c0")}
    constants |= (chosen := {name: optional[name] for name in d.some(list(optional))})
    names = ", ".join(name if name in chosen else "" for name in optional)
    node = f'y, h, c = {op}<hidden_size={hidden}, direction="{direction}">(x, w, r, {names}, , sw, zw, sr, zr)'
    return Instance(node, given, constants, outputs="y h c", tolerance=1e-5 if batch == 1 else 0.05)


@family("Dropout")
def dropout(d: Draw, op: str) -> Instance:
    x = {"x": d.input(d.shape(1))}
    if d.flag():
        return Instance(f"a, z = {op}(x) y = Neg(a)", x, outputs="y z")
    return Instance(f"a = {op}(x, r) y = Neg(a)", x, {"r": number(0.5)})


@family("SplitToSequence", "SequenceAt", "ConcatFromSequence", "SequenceInsert", "SequenceErase", "SequenceLength")
def sequences(d: Draw, op: str) -> Instance:
    """Parts of a tensor, one inserted again, one taken out, the others joined."""
    shape = d.shape(2, 3)
    axis = d.int(0, len(shape) - 1)
    count = d.int(2, 4)
    each = d.int(1, 2)
    shape[axis] = each * count
    new = d.int(0, 1)
    joined = d.int(-len(shape) - new, len(shape) + new - 1) if new else axis
    nodes = f"""
        s = SplitToSequence<axis={axis}>(x, n) a = SequenceAt(s, i) b = Neg(a) t = SequenceInsert(s, b, j)
        u = SequenceErase(t, k) y = ConcatFromSequence<axis={joined}, new_axis={new}>(u) z = SequenceLength(t)
    """
    places = {"i": d.int(-count, count - 1), "j": d.int(0, count), "k": d.int(-count, count)}
    constants = {name: np.asarray(place) for name, place in places.items()}
    return Instance(nodes, {"x": d.input(shape)}, constants | {"n": np.asarray(each)}, outputs="y z")


@family("SequenceConstruct", "SequenceEmpty")
def made_sequences(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 3)
    inputs = {name: d.input(shape) for name in "xyz"[: d.int(1, 3)]}
    at = np.asarray(d.int(0, len(inputs) - 1))
    if op == "SequenceConstruct":
        nodes = f"s = {op}({', '.join(inputs)}) v = SequenceAt(s, i)"
        return Instance(f"{nodes} w = Neg(v)", inputs, {"i": at}, outputs="w")
    nodes, last = f"s0 = {op}()", "s0"
    for number_, name in enumerate(inputs, 1):
        nodes += f" s{number_} = SequenceInsert({last}, {name})"
        last = f"s{number_}"
    return Instance(f"{nodes} w = ConcatFromSequence<axis=0>({last})", inputs, outputs="w")


@family("CausalConvWithState")
def causal_conv(d: Draw, op: str) -> Instance:
    channels_, width, length = d.int(1, 4), d.int(2, 4), d.int(1, 6)
    inputs = {"x": d.input([1, channels_, length])}
    constants = {"w": d.array([channels_, 1, width])}
    operands, results = "x, w", "y"
    if d.flag():
        constants["b"] = d.array([channels_])
        operands += ", b"
    if d.flag():
        inputs["p"] = d.input([1, channels_, width - 1])
        operands += ", p" if "b" in constants else ", , p"
    results = "y, q"
    return Instance(f"{results} = {op}({operands})", inputs, constants, outputs="y q", opset=27, by_reference=True)


@family("LinearAttention")
def linear_attention(d: Draw, op: str) -> Instance:
    batch, length, kv_heads = d.int(1, 2), d.int(1, 4), d.int(1, 2)
    heads = kv_heads * d.int(1, 2)
    size, value_size = d.int(1, 4), d.int(1, 4)
    rule = d.of("linear", "gated", "delta", "gated_delta")
    inputs = {
        "q": d.input([batch, length, heads * size]),
        "k": d.input([batch, length, kv_heads * size], low=-0.6, high=0.6),
        "v": d.input([batch, length, kv_heads * value_size]),
        "p": d.input([batch, kv_heads, size, value_size]),
        "g": d.input([batch, length, kv_heads * d.of(1, size)], low=-1, high=0),
        "b": d.input([batch, length, d.of(1, kv_heads)], low=0, high=1),
    }
    present = ["q", "k", "v", d.of("p", ""), "g" if "gated" in rule else "", "b" if "delta" in rule else ""]
    attributes = f'q_num_heads={heads}, kv_num_heads={kv_heads}, update_rule="{rule}", scale={d.of(0.0, 0.5)}'
    node = f"y, s = {op}<{attributes}>({', '.join(present)})"
    given = {name: array for name, array in inputs.items() if name in present}
    return Instance(node, given, outputs="y s", opset=27, by_reference=True)


@family("SwiGLU")
def swi_glu(d: Draw, op: str) -> Instance:
    shape = d.shape(1)
    inputs = {"a": d.input(shape, "float32", *_WIDE), "b": d.input(shape)}
    return Instance(f"y = {op}<alpha={d.factor()}>(a, b)", inputs, opset=28, by_reference=True)
