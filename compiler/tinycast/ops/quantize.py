"""Between reals and integers of 8 or 16 bits: QuantizeLinear, DequantizeLinear, and tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinycast.ir.graph import Builder, Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm, QuantizedTensor
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.elementwise import Binary, BinaryFunction
from tinycast.ops.node import Node
from tinycast.ops.requantize import add_requantize
from tinycast.ops.weighted_sum import WeightedSum
from tinycast.tvm_bridge import expr as te


@dataclass(frozen=True)
class Quantize(Op):
    """y = clamp(round_half_even(x / scale) + zero_point, low, high), as ONNX's QuantizeLinear."""

    pattern = Pattern.ELEMENTWISE
    scale: float
    zero_point: int
    low: int
    high: int
    dtype: DType = DType.INT8

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, self.dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        steps = np.rint(arrays[0].astype(np.float32) / np.float32(self.scale))
        low, high = self.low - self.zero_point, self.high - self.zero_point
        return np.asarray(np.clip(steps, low, high).astype(np.int32) + self.zero_point, self.dtype.numpy)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        low, high = self.low - self.zero_point, self.high - self.zero_point

        def body(x: te.Expr) -> te.Expr:
            steps = te.extern(DType.INT32, "tc_round_clamp", x / te.const(self.scale, DType.FLOAT32), low, high)
            return te.cast(steps + self.zero_point, self.dtype)

        return te.elementwise(tensors, out.shape, body, "quantized")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self


@dataclass(frozen=True)
class Dequantize(Op):
    """y = scale * (x - zero_point), as ONNX's DequantizeLinear. One scale, or one an index of `axis`."""

    pattern = Pattern.ELEMENTWISE
    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int = 0

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, DType.FLOAT32)

    def _spread(self, values: Array, rank: int) -> Array:
        return values.reshape((-1,) + (1,) * (rank - self.axis - 1)) if values.size > 1 else values.reshape(())

    def reference(self, arrays: Sequence[Array]) -> Array:
        x = arrays[0]
        zero = self._spread(np.asarray(self.zero_point, np.int64), x.ndim)
        scale = self._spread(np.asarray(self.scale, np.float32), x.ndim)
        return np.asarray((x.astype(np.int64) - zero).astype(np.float32) * scale, np.float32)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        scale, zero = self.scale[0], self.zero_point[0]  # an activation has one scale: checked on import

        def body(x: te.Expr) -> te.Expr:
            return te.cast(te.cast(x, DType.INT32) - zero, DType.FLOAT32) * te.const(scale, DType.FLOAT32)

        return te.elementwise(tensors, out.shape, body, "dequantized")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self if len(self.scale) == 1 else None

    @property
    def arrays(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Scale and zero point as arrays: scalars where there is one."""
        scale = np.asarray(np.asarray(self.scale, np.float32), np.float64)
        zero = np.asarray(self.zero_point, np.int64)
        return (scale[0], zero[0]) if len(self.scale) == 1 else (scale, zero)

    def most(self, dtype: DType) -> float:
        """The largest magnitude that an element of the type can stand for."""
        return max(
            scale * abs(bound - zero)
            for scale, zero in zip(self.scale, self.zero_point, strict=True)
            for bound in dtype.bounds
        )


@dataclass(frozen=True)
class Table(Op):
    """y = table[x + 128]: any function of one int8. Inputs: x, table (256 elements)."""

    pattern = Pattern.ELEMENTWISE
    broadcasts = False
    meaning: str = "Table"

    @property
    def title(self) -> str:
        return self.meaning

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, inputs[1].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        return arrays[1][arrays[0].astype(np.int64) + 128]

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        x, table = tensors
        return te.elementwise([x], out.shape, lambda v: table[te.cast(v, DType.INT32) + 128], "looked_up")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self


@dataclass(frozen=True)
class FlipSign(Op):
    """uint8 to int8 or back by moving the zero point by 128, or so for 16 bits: all activations are signed inside."""

    pattern = Pattern.ELEMENTWISE
    dtype: DType

    @property
    def _half(self) -> int:
        return int(1 << (8 * self.dtype.itemsize - 1))

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, self.dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        bits = arrays[0].view(f"u{self.dtype.itemsize}")
        return np.asarray((bits ^ bits.dtype.type(self._half)).view(self.dtype.numpy))

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        offset = -self._half if self.dtype in (DType.INT8, DType.INT16) else self._half
        return te.elementwise(
            tensors, out.shape, lambda x: te.cast(te.cast(x, DType.INT32) + offset, self.dtype), "flipped"
        )

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self


def add_table(
    build: Builder, x: Value, function: Callable[[npt.NDArray[np.int8]], Array], meaning: str, name: str = ""
) -> Value:
    """Append a table of `function`, which maps all 256 int8 values to the elements of the output."""
    table = function(np.arange(-128, 128).astype(np.int8))
    return build.call(Table(meaning), [x, build.constant(table, "table")], name)


def rescale_table(form: IntegerForm, x: QuantizedTensor, name: str) -> Value:
    """`x` as the output's quantized type, by a table or (16 bits) a multiplier; `x` itself (an Alias called `name`)
    where nothing changes."""
    if x.scale == form.scale and x.zero_point == form.zero_point and form.bounds == form.dtype.bounds:
        return form.build.call(Alias(), [x.value], name) if name else x.value

    if form.dtype is DType.INT16:
        build, one = form.build, form.build.constant(np.ones((), np.int16), "one")
        centred = build.call(
            WeightedSum((x.zero_point,)), [x.value, one, build.constant(np.zeros((), np.int32), "none")]
        )
        ratio, most = np.asarray(x.scale / form.scale), form.most(x.zero_point)
        return add_requantize(build, centred, ratio, form.zero_point, form.bounds, most, name, form.dtype)

    def function(q: npt.NDArray[np.int8]) -> Array:
        real = (q.astype(np.float64) - x.zero_point) * x.scale
        return np.asarray(np.clip(np.floor(real / form.scale + 0.5) + form.zero_point, form.low, form.high), np.int8)

    return add_table(form.build, x.value, function, "Rescale", name)


@dataclass(frozen=True)
class Alias(Op):
    """The same tensor under another name; removed before kernels are made."""

    pattern = Pattern.ELEMENTWISE

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        return arrays[0]

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        return te.elementwise(tensors, out.shape, lambda x: x, "copied")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self


def import_quantize(node: Node) -> Value:
    from tinycast.ops.quantize_at_run_time import quantized  # made of operators whose integer forms are made of these

    dtype = node.output_type()
    is_plain = dtype in (DType.INT8, DType.UINT8, DType.INT16, DType.UINT16) or dtype.is_narrow_integer
    if not is_plain or not _is_constant(node) or node.int("block_size", 0):
        return quantized(node, dtype)
    x, zero = node.input(0), node.constant(2)
    scale = node.required(1)
    point = _one_point(node, zero)
    if scale.size > 1:
        x = node.build.call(Binary(BinaryFunction.DIV), [x, _channel_scales(node, scale, len(x.shape))])
        scale = np.ones(1, np.float32)
    return node.build.call(Quantize(float(scale.reshape(-1)[0]), point, *dtype.bounds, dtype.inside), [x])


def _is_constant(node: Node) -> bool:
    """Whether scale and zero point are known."""
    return all(v is None or v.is_constant for v in (node.input(1), node.optional(2)))


def _channel_scales(node: Node, scale: Array, rank: int) -> Value:
    """Scales of an activation, one a channel: a factor of its own before QuantizeLinear or after DequantizeLinear."""
    axis = node.axis(1, rank)
    return node.build.constant(scale.astype(np.float32).reshape((-1,) + (1,) * (rank - axis - 1)), "scale")


def _one_point(node: Node, zero: Array | None) -> int:
    points = {0} if zero is None else {int(z) for z in zero.reshape(-1)}
    if len(points) > 1:
        node.reject("several zero points for an activation", "quantize activations per tensor, or symmetrically")
    return points.pop()


def import_dequantize(node: Node) -> Value:
    from tinycast.ops.quantize_at_run_time import dequantized  # made of operators whose integer forms are made of these

    if node.input(0).dtype is DType.FLOAT32 or not _is_constant(node) or node.int("block_size", 0):
        return dequantized(node)
    x, zero = node.input(0), node.constant(2)
    scale = node.required(1)
    if scale.size > 1 and not x.is_constant:
        steps = node.build.keep(Dequantize((1.0,), (_one_point(node, zero),)), [x])
        return node.build.call(Binary(BinaryFunction.MUL), [steps, _channel_scales(node, scale, len(x.shape))])
    zeros = np.zeros(scale.size, np.int64) if zero is None else zero.astype(np.int64).reshape(-1)
    axis = node.axis(1, len(x.shape)) if scale.size > 1 else 0
    if x.data is not None and node.input_type(0).is_narrow_integer:  # what is left of a zero point fits a byte, too
        points = zeros.reshape((-1,) + (1,) * (len(x.shape) - axis - 1)) if zeros.size > 1 else zeros.reshape(())
        x = node.build.constant((x.data - points).astype(np.int8), "weights")
        zeros = np.zeros_like(zeros)
    op = Dequantize(tuple(float(s) for s in scale.reshape(-1)), tuple(int(z) for z in zeros), axis)
    # Not folded, although its input is often constant: the quantized weights are what gets compiled.
    return node.build.keep(op, [x])


IMPORTERS = {"QuantizeLinear": import_quantize, "DequantizeLinear": import_dequantize}
