"""ONNX Runtime's attention and embedding of tokens (Attention, MultiHeadAttention, EmbedLayerNormalization and their
quantized forms) as products, Softmax, Gather and LayerNormalization."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from tinycast.model.node_writer import NodeWriter, Results

_LEAST = float(np.finfo(np.float32).min)  # added to what a token may not look at
_FILTER = -10000.0  # the default of mask_filter_value
_HEADS_FIRST = [0, 2, 1, 3]  # from (batch, tokens, heads, size) and back


@dataclass(frozen=True)
class _Heads:
    """What is attended: queries (batch, heads, tokens, size), keys and values (batch, heads, all tokens, size)."""

    query: ir.Value
    key: ir.Value
    value: ir.Value
    tokens: int
    all_tokens: int
    size: int  # of a query


def attention(w: NodeWriter) -> Results:
    """Attention, and QAttention: the products with its 8-bit operands are those of their reals."""
    attributes = w.node.attributes
    is_quantized = w.node.op_type == "QAttention"
    mask, past = (5, 8) if is_quantized else (3, 4)
    count, shape, weight = attributes.get_int("num_heads", 1), w.shape(0), w.input(1)
    weight_shape, past_shape = w.shape(1), w.shape(past)
    if attributes.get_int("do_rotary", 0) or attributes.get_int("past_present_share_buffer", 0):
        return None
    if shape is None or weight is None or weight_shape is None or (w.input(past) is not None and past_shape is None):
        return None
    x: ir.Value | None = w.first()
    matrix: ir.Value | None = weight
    if is_quantized:
        x, matrix = w.dequantize(w.first(), w.input(3), w.input(6)), w.dequantize(weight, w.input(4), w.input(7))
    if x is None or matrix is None:
        return None
    sizes = list(attributes.get_ints("qkv_hidden_sizes", [])) or [weight_shape[1] // 3] * 3
    query, key, value = (
        _heads(w, part, count) for part in w.split(w.plus(w.call("MatMul", [x, matrix]), w.input(2)), sizes)
    )
    before = 0
    if past_shape is not None:
        before = past_shape[3]
        old = [_squeezed(w, part) for part in w.split(_given(w, past), [1, 1], axis=0)]
        key, value = (w.call("Concat", [a, b], axis=2) for a, b in zip(old, (key, value), strict=True))
    present = None
    if w.is_used(1):
        present = w.call("Concat", [w.call("Unsqueeze", [v, w.integers([0], "axis")]) for v in (key, value)], axis=0)
    heads = _Heads(query, key, value, shape[1], before + shape[1], sizes[0] // count)
    y = _attended(w, heads, mask, None if is_quantized else w.input(5))
    return None if y is None else [y, present]


def multi_head_attention(w: NodeWriter) -> Results:
    attributes = w.node.attributes
    count, shape, key_shape, value_shape = attributes.get_int("num_heads", 1), w.shape(0), w.shape(1), w.shape(2)
    if shape is None or key_shape is None or value_shape is None or len(shape) != 3:
        return None
    if len(key_shape) == 5 or any(w.input(i) is not None for i in (8, 9)):
        return None
    is_ready = len(key_shape) == 4  # keys and values of another sequence, heads first
    if is_ready and w.input(3) is not None:
        return None
    parts = [_given(w, i) for i in range(3)]
    bias = w.input(3)
    if bias is not None:
        biases = w.split(bias, [shape[2], shape[2], value_shape[2]], axis=0)
        parts = [w.plus(part, b) for part, b in zip(parts, biases, strict=True)]
    query, key, value = (p if is_ready and i else _heads(w, p, count) for i, p in enumerate(parts))
    length = key_shape[2 if is_ready else 1]
    if w.input(6) is not None:
        past_shape = w.shape(6)
        if past_shape is None:
            return None
        key, value = (w.call("Concat", [_given(w, 6 + i), v], axis=2) for i, v in enumerate((key, value)))
        length += past_shape[2]
    y = _attended(w, _Heads(query, key, value, shape[1], length, shape[2] // count), 4, w.input(5))
    return None if y is None else [y, key, value]


def embed_layer_norm(w: NodeWriter) -> Results:
    """EmbedLayerNormalization: the sum of a token's, its position's and its segment's rows, normalized.

    Of the quantized form the rows that are taken become reals, not the tables.
    """
    shape = w.shape(0)
    if shape is None:
        return None
    is_quantized = w.node.op_type == "QEmbedLayerNormalization"

    def real(x: ir.Value, index: int) -> ir.Value:
        if not is_quantized:
            return x
        scale, point = (w.input(index + offset) for offset in (6, 11))
        assert scale is not None
        return w.call("DequantizeLinear", [x, w.scalar(scale), None if point is None else w.scalar(point)])

    def rows(index: int, indices: ir.Value | None) -> ir.Value:
        return real(w.call("Gather", [w.input(index), indices], axis=0), index)

    positions = None if is_quantized else w.input(8)
    if positions is None:
        positions = w.array(np.arange(shape[1], dtype=np.int64)[None], "positions")
    segments = None if w.input(4) is None or w.input(1) is None else rows(4, w.input(1))
    total = w.plus(rows(2, w.first()), rows(3, positions), segments)
    epsilon = w.node.attributes.get_float("epsilon", 1e-12)
    y = w.layer_norm(total, real(_given(w, 5), 5), real(_given(w, 6), 6), epsilon)
    ends = None
    if w.is_used(1):
        ends = w.array(np.zeros(shape[0], np.int32), "ends")
        if w.input(7) is not None and (is_quantized or w.node.attributes.get_int("mask_index_type", True)):
            axes = w.integers([1], "axes")
            ones = w.call("Equal", [w.input(7), w.array(np.asarray(1, np.int32), "one")])
            ends = w.call("ReduceSum", [w.call("Cast", [ones], to=ir.DataType.INT32.value), axes], keepdims=0)
        else:
            ends = w.call("Identity", [ends])
    return [y, ends, total]


def _attended(w: NodeWriter, heads: _Heads, mask: int, addend: ir.Value | None) -> ir.Value | None:
    """The heads' outputs side by side: (batch, tokens, heads * size)."""
    attributes = w.node.attributes
    scale = attributes.get_float("scale", 0.0) or 1 / np.sqrt(heads.size)
    scores = w.call("MatMul", [heads.query, w.call("Transpose", [heads.key], perm=[0, 1, 3, 2])])
    scores = w.times(scores, float(scale))
    if w.input(mask) is not None:
        allowed = _allowed(w, mask, heads)
        if allowed is None:
            return None
        fill = w.number(attributes.get_float("mask_filter_value", _FILTER))
        scores = w.plus(scores, w.call("Where", [allowed, w.number(0.0), fill]))
    scores = w.plus(scores, addend)
    if attributes.get_int("unidirectional", 0):
        later = np.triu(np.ones((heads.tokens, heads.all_tokens), bool), heads.all_tokens - heads.tokens + 1)
        scores = w.plus(scores, w.array(np.where(later, np.float32(_LEAST), np.float32(0)), "later"))
    y = w.call("MatMul", [w.call("Softmax", [scores], axis=-1), heads.value])
    return w.reshape(w.call("Transpose", [y], perm=_HEADS_FIRST), [0, 0, -1])


def _allowed(w: NodeWriter, mask: int, heads: _Heads) -> ir.Value | None:
    """What may be looked at, as booleans that broadcast to (batch, heads, tokens, all tokens)."""
    value, shape, batch = w.input(mask), w.shape(mask), w.shape(0)
    if value is None or shape is None or batch is None or len(shape) > 3:
        return None
    if len(shape) > 1:
        axes = [1, 2] if len(shape) == 2 else [1]
        allowed = w.call("Greater", [value, w.array(np.asarray(0, np.int32), "masked")])
        return w.call("Unsqueeze", [allowed, w.integers(axes, "axes")])
    places = w.array(np.arange(heads.all_tokens, dtype=np.int32), "places")

    def edges(v: ir.Value) -> ir.Value:
        return w.reshape(v, [batch[0], 1, 1, 1])

    if shape == (batch[0],):
        return w.call("Less", [places, edges(value)])
    if shape == (2 * batch[0],):
        ends, starts = w.split(value, [batch[0]] * 2, axis=0)
        inside = w.call("Less", [places, edges(ends)])
        return w.call("And", [inside, w.call("GreaterOrEqual", [places, edges(starts)])])
    return None


def _heads(w: NodeWriter, x: ir.Value, count: int) -> ir.Value:
    return w.call("Transpose", [w.reshape(x, [0, 0, count, -1])], perm=_HEADS_FIRST)


def _squeezed(w: NodeWriter, x: ir.Value) -> ir.Value:
    return w.call("Squeeze", [x, w.integers([0], "axis")])


def _given(w: NodeWriter, index: int) -> ir.Value:
    value = w.input(index)
    assert value is not None
    return value
