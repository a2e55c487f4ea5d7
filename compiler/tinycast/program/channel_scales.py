"""Activations with one scale a channel: the scales become part of the weights on both sides.

Depthwise convolutions keep channels apart, so quantizers (NNCF by default) give their inputs a scale a
channel. On import that is a Div before QuantizeLinear and a Mul after DequantizeLinear. With

    conv(x, w, b) / s = conv(x, w / s, b / s)        depthwise(x * s, w, b) = depthwise(x, w * s, b)

both go into the scales of weights, which are one a channel anyway, and integer arithmetic is left.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tinycast.ir.graph import Call, Program
from tinycast.ir.types import DType, Value
from tinycast.ops.conv import Conv2D
from tinycast.ops.elementwise import Binary, BinaryFunction, Clip
from tinycast.ops.pool import MaxPool
from tinycast.ops.quantize import Dequantize, Quantize
from tinycast.ops.shape import Reshape

Factors = npt.NDArray[np.float64]  # (channels,)


def fold_channel_scales(program: Program) -> int:
    """Fold every Mul and Div by positive factors a channel that stands between int8 and a convolution."""
    rewrites = 0
    for call in list(program.calls):
        if isinstance(call.op, Binary) and call.op.function is BinaryFunction.DIV:
            rewrites += _fold_into_producer(program, call)
        elif isinstance(call.op, Binary) and call.op.function is BinaryFunction.MUL:
            rewrites += _fold_into_readers(program, call)
    program.remove_dead()
    return rewrites


def _fold_into_producer(program: Program, division: Call) -> bool:
    """conv -> Clip, Reshape, MaxPool … -> `division` -> Quantize: the convolution divides."""
    divisors, made, uses = _factors(division), program.producers(), program.consumers()
    quantizers = [c.op for c in uses.get(division.output, []) if isinstance(c.op, Quantize)]
    if divisors is None or len(quantizers) != 1 or len(uses[division.output]) > 1:
        return False
    clips: list[tuple[Call, Clip]] = []
    value = division.inputs[0]
    while True:
        source = made.get(value)
        if source is None or len(uses[value]) > 1 or value in program.outputs:
            return False
        if isinstance(source.op, Conv2D):
            break
        if isinstance(source.op, Clip):
            clip = _divided_clip(source.op, divisors, quantizers[0])
            if clip is None:
                return False
            clips.append((source, clip))
        elif not _keeps_channels(source):
            return False
        value = source.inputs[0]
    if not _scale_convolution(program, source, 1 / divisors, 1 / divisors):
        return False
    for call, clip in clips:
        call.op = clip
    program.substitute(division.output, division.inputs[0])
    return True


def _fold_into_readers(program: Program, product: Call) -> bool:
    """Dequantize -> `product` -> Reshape, MaxPool … -> depthwise: those convolutions multiply."""
    factors, made = _factors(product), program.producers()
    source = made.get(product.inputs[0])
    if factors is None or source is None or not isinstance(source.op, Dequantize):
        return False
    rewrites = 0
    for conv in list(program.calls):
        if not isinstance(conv.op, Conv2D) or conv.inputs[1].shape[3] != 1:
            continue
        path: list[Call] = []
        step = made.get(conv.inputs[0])
        while step is not None and _keeps_channels(step):
            path.append(step)
            step = made.get(step.inputs[0])
        per_output = np.repeat(factors, conv.inputs[1].shape[0] // len(factors))
        if step is not product or not _scale_convolution(program, conv, per_output, np.ones(1)):
            continue
        value = product.inputs[0]
        for old in reversed(path):  # copies: others may read the originals
            output = Value(program.unique_name(old.output.name), old.output.shape, old.output.dtype)
            program.calls.insert(program.calls.index(conv), replace(old, inputs=(value,), output=output))
            value = output
        conv.inputs = (value, *conv.inputs[1:])
        rewrites += 1
    return rewrites > 0


def _factors(call: Call) -> Factors | None:
    """The second operand, if it is a positive constant for each channel (axis 1) and for nothing else."""
    x, constant = call.inputs
    if constant.data is None or x.is_constant or call.output.shape != x.shape or x.dtype is not DType.FLOAT32:
        return None
    shape = (1,) * (len(x.shape) - len(constant.shape)) + constant.shape
    if len(shape) < 2 or shape != (1, x.shape[1]) + (1,) * (len(shape) - 2) or not np.all(constant.data > 0):
        return None
    return np.asarray(constant.data.reshape(-1), np.float64)


def _keeps_channels(call: Call) -> bool:
    """Whether a positive factor a channel (axis 1) may be applied before the call or after it."""
    if isinstance(call.op, MaxPool):
        return call.op.channels_first
    shapes = (call.inputs[0].shape, call.output.shape)
    return isinstance(call.op, Reshape) and min(map(len, shapes)) > 1 and shapes[0][:2] == shapes[1][:2]


def _divided_clip(clip: Clip, divisors: Factors, quantize: Quantize) -> Clip | None:
    """The clip after the division: bounds that `quantize` has anyway go; None where channels would differ."""
    low, high = clip.low, clip.high
    if np.all(np.rint(low / divisors) <= quantize.low - quantize.zero_point):
        low = -np.inf
    if np.all(np.rint(high / divisors) >= quantize.high - quantize.zero_point):
        high = np.inf
    return Clip(low, high) if {low, high} <= {0, -np.inf, np.inf} else None


def _scale_convolution(program: Program, conv: Call, weights: Factors, bias: Factors) -> bool:
    """Multiply weights and bias by factors for each output channel. False where the weights are no integers."""
    made = program.producers()
    source, bias_source = made.get(conv.inputs[1]), made.get(conv.inputs[2])
    if source is None or not isinstance(source.op, Dequantize) or source.op.axis != 0 or source.inputs[0].data is None:
        return False
    bias_data = conv.inputs[2].data
    if bias_source is not None and isinstance(bias_source.op, Dequantize) and bias_source.inputs[0].data is not None:
        bias_data = bias_source.op.reference([bias_source.inputs[0].data])
    if bias_data is None:
        return False
    scale, zero = source.op.arrays
    scales = np.broadcast_to(scale * weights, weights.shape)
    zeros = np.broadcast_to(zero, weights.shape)
    op = Dequantize(tuple(float(s) for s in scales), tuple(int(z) for z in zeros))
    weight = Value(program.unique_name(conv.inputs[1].name), conv.inputs[1].shape, DType.FLOAT32)
    program.calls.insert(program.calls.index(conv), Call(op, source.inputs, weight, source.source, source.title))
    data = np.asarray(bias_data * bias, np.float32)
    conv.inputs = (conv.inputs[0], weight, Value(conv.inputs[2].name, data.shape, DType.FLOAT32, data=data))
    return True
