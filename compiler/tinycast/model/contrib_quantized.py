"""ONNX Runtime's operators with weights of a few bits, and products of quantized matrices, in ONNX's terms."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from tinycast.model.edit import Array
from tinycast.model.node_writer import NodeWriter, Results

_BLOCKS_OPSET = 21  # the first whose DequantizeLinear has blocks
_PACKED_BITS = (2, 4, 8)
Codes = npt.NDArray[np.int64]


def linear(w: NodeWriter) -> Results:
    """QuantizeLinear and DequantizeLinear, of which com.microsoft has more types than old opsets of ONNX."""
    values: list[ir.Value | None] = []
    for value in w.node.inputs[1:]:
        is_single = value is not None and value.shape is not None and value.shape.rank() == 1 and value.shape[0] == 1
        values.append(w.scalar(value) if value is not None and is_single else value)
    return w.own(w.node.op_type, "axis", inputs=[w.first(), *values])


def mat_mul_integer_to_float(w: NodeWriter) -> Results:
    a, b = (w.dequantize(v, w.input(2 + i), w.input(4 + i)) for i, v in enumerate(w.node.inputs[:2]) if v is not None)
    return None if a is None or b is None else w.plus(w.call("MatMul", [a, b]), w.input(6))


def dynamic_quantize_mat_mul(w: NodeWriter) -> Results:
    weight = w.input(1)
    b = None if weight is None else w.dequantize(weight, w.input(2), w.input(3))
    if b is None:
        return None
    quantize = ir.Node("", "DynamicQuantizeLinear", [w.input(0)], num_outputs=3, name=f"{w.node.name}_quantize")
    w.made.append(quantize)
    a = w.call("DequantizeLinear", quantize.outputs)
    return w.plus(w.call("MatMul", [a, b]), w.input(4))


def mat_mul_n_bits(w: NodeWriter) -> Results:
    """A @ dequantized(B): B is (N, blocks, bytes), packed along the inputs of a block, low bits first."""
    attributes = w.node.attributes
    bits, size = attributes.get_int("bits", 4), attributes.get_int("block_size", 0)
    columns, rows = attributes.get_int("N", 0), attributes.get_int("K", 0)
    packed, scales, group = w.constant(1), w.constant(2), w.input(4)
    is_plain = (
        bits in _PACKED_BITS and packed is not None and packed.size and not attributes.get_int("weight_prepacked")
    )
    if not is_plain or packed is None or scales is None or group is not None:
        return None
    blocks = -(-rows // size)
    codes = _unpacked(packed.reshape(columns, -1), bits)[:, :rows].T
    factors = scales.reshape(columns, blocks).T
    points = w.constant(3)
    if points is None:
        zeros: Array = np.full((blocks, columns), 2 ** (bits - 1))
    elif points.dtype == np.uint8:
        zeros = _unpacked(points.reshape(columns, -1), bits)[:, :blocks].T
    else:
        zeros = points.reshape(columns, blocks).T
    is_whole = np.issubdtype(zeros.dtype, np.integer)
    if w.opset < _BLOCKS_OPSET or not is_whole or scales.dtype != np.float32:
        spread = [np.repeat(a.astype(np.float32), size, axis=0)[:rows] for a in (factors, zeros)]
        weight = w.array(((codes - spread[1]) * spread[0]).astype(np.float32), "weight")
    else:
        weight = _dequantized_blocks(w, codes, factors, zeros.astype(np.int64), bits, size)
    return w.plus(w.call("MatMul", [w.input(0), weight]), w.input(5))


def _dequantized_blocks(w: NodeWriter, codes: Codes, scales: Array, zeros: Codes, bits: int, size: int) -> ir.Value:
    """(K, N) codes in reals; scales and zero points are (blocks, N). Symmetric ones are signed and have no zero points,
    and a single block is a scale a column."""
    centre = 2 ** (bits - 1)
    is_symmetric = bool(np.all(zeros == centre))
    signed, unsigned = (np.int8, np.uint8) if bits == 8 else (ml_dtypes.int4, ml_dtypes.uint4)
    is_single = len(scales) == 1
    points = None if is_symmetric else w.array((zeros[0] if is_single else zeros).astype(unsigned), "points")
    integers = (codes - centre).astype(signed) if is_symmetric else codes.astype(unsigned)
    factors = np.ascontiguousarray(scales[0] if is_single else scales)
    blocks = {} if is_single else {"block_size": size}
    operands = [w.array(np.ascontiguousarray(integers), "codes"), w.array(factors, "scales"), points]
    return w.call("DequantizeLinear", operands, axis=int(is_single), **blocks)


def gather_blocks(w: NodeWriter) -> Results:
    """Rows of codes and rows of scales are gathered, and only those are multiplied."""
    attributes = w.node.attributes
    size, data, scales, bits = attributes.get_int("block_size", 128), w.constant(0), w.constant(2), 8
    table, indices = w.input(0), w.shape(1)
    if data is None or scales is None or table is None or indices is None:
        return None
    centre = 0
    if table.dtype is ir.DataType.UINT8:
        bits = attributes.get_int("bits", 4)
        centre = 2 ** (bits - 1)
    elif table.dtype not in (ir.DataType.INT4, ir.DataType.UINT4):
        return None
    axis, along = (attributes.get_int(n, v) % data.ndim for n, v in (("gather_axis", 0), ("quantize_axis", 1)))
    if axis == along or bits not in _PACKED_BITS:
        return None
    points = w.constant(3)
    codes = _unpacked(data, bits) if bits < 8 else data.astype(np.int64)
    if points is None:
        zeros: Codes = np.full(scales.shape, centre)
    else:
        zeros = _unpacked(points, bits) if bits < 8 else points.astype(np.int64)
        zeros = np.take(zeros, range(scales.shape[along]), along)
    length, blocks = codes.shape[along], scales.shape[along]
    missing = [(0, blocks * size - length if i == along else 0) for i in range(codes.ndim)]
    centred = np.pad(codes, missing) - np.repeat(zeros, size, along)
    if centred.min() < -128 or centred.max() > 127:
        return None
    picked = w.call("Gather", [w.array(centred.astype(np.int8), "codes"), w.input(1)], axis=axis)
    factors = w.call("Gather", [w.array(scales.astype(np.float32), "scales"), w.input(1)], axis=axis)
    place = along + (len(indices) - 1) * (along > axis)
    shape = [*codes.shape[:axis], *indices, *codes.shape[axis + 1 :]]
    split = [*shape[:place], blocks, size, *shape[place + 1 :]]
    real = w.call("Cast", [w.reshape(picked, split)], to=ir.DataType.FLOAT.value)
    wide = w.call("Unsqueeze", [factors, w.integers([place + 1], "place")])
    y = w.reshape(w.call("Mul", [real, wide]), [*shape[:place], blocks * size, *shape[place + 1 :]])
    if blocks * size > length:
        ends = (w.integers([n], name) for n, name in ((0, "start"), (length, "end"), (place, "axis")))
        y = w.call("Slice", [y, *ends])
    return y


def nhwc_max_pool(w: NodeWriter) -> Results:
    """MaxPool of a tensor whose channels come last."""
    shape = w.shape(0)
    if shape is None:
        return None
    to_front, to_back = channels_moved(len(shape))
    x = w.call("Transpose", [w.first()], perm=to_front)
    kept = ("auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides")
    return w.call("Transpose", [w.own("MaxPool", *kept, inputs=[x])], perm=to_back)


def channels_moved(rank: int) -> tuple[list[int], list[int]]:
    """The permutations that move the channels from the end to the front, and back."""
    return [0, rank - 1, *range(1, rank - 1)], [0, *range(2, rank), 1]


def _unpacked(packed: Array, bits: int) -> Codes:
    """The elements of the last axis, of which a byte has several; types of 4 bits are unpacked already."""
    if packed.dtype != np.uint8:
        return packed.astype(np.int64)
    shifts = np.arange(0, 8, bits)
    codes: Codes = packed.astype(np.int64)[..., None] >> shifts & (2**bits - 1)
    return codes.reshape(*packed.shape[:-1], -1)
