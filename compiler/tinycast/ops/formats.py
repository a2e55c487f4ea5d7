"""Cast and CastLike, and the element types that nothing is computed in: narrow floats, double, integers below a byte.

Inside the model such floats are float32, and such integers are in bytes (DType.inside). `Decode` and `Encode` stand at
the edges of the model, `RoundTo` and `Wrap` where a Cast gives such a type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinycast.ir.graph import Builder, Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.logic import Cast
from tinycast.ops.node import Node
from tinycast.tvm_bridge import expr as te

_DIRECTIONS = {"up": 1, "down": -1, "nearest": 0}
_LARGEST_POWER, _NO_POWER = 254, 255  # codes of float8_e8m0fnu


@dataclass(frozen=True)
class Rule:
    """How a float becomes one of the type, as ONNX's Cast says: to nearest, ties to even, but for powers of two.

    `saturate` counts for float8: what is too large becomes the largest number, else infinity, or NaN where the type has
    none. `direction` is that of rounding to powers of two (float8_e8m0fnu): 1 up, -1 down, 0 to nearest.
    """

    dtype: DType
    saturate: bool = False
    direction: int = 1

    def encode(self, x: Array) -> Array:
        """Of float32: the elements of the type."""
        kind = self.dtype.numpy
        if self.dtype is DType.FLOAT8_E8M0FNU:
            return self._power(x)
        with np.errstate(over="ignore", invalid="ignore"):
            y = x.astype(kind)
        if self.saturate and self.dtype.value.startswith("float8"):
            beyond = ~np.isnan(x) & ~np.isfinite(y.astype(np.float32))
            y = np.where(beyond, np.copysign(np.float32(self.dtype.largest), x).astype(kind), y)
        if self.dtype is DType.FLOAT16:  # NumPy's NaNs keep a part of their bits
            y = np.where(np.isnan(x), np.copysign(np.float16(np.nan), x), y)
        return np.asarray(y, kind)

    def _power(self, x: Array) -> Array:
        bits = np.asarray(x, np.float32).view(np.uint32)
        magnitude = bits & np.uint32(0x7FFFFFFF)
        exponent = (magnitude >> 23).astype(np.int64)
        fraction = np.where(exponent == 0, magnitude << 1, magnitude) & np.uint32(0x7FFFFF)
        half = np.uint32(1 if self.direction > 0 else 0x400000)
        code = exponent + ((fraction >= half) & (self.direction >= 0))
        code = np.where((code > _LARGEST_POWER) & self.saturate, _LARGEST_POWER, code)
        code = np.where(magnitude < 0x400000, 0 if self.saturate else _NO_POWER, code)
        code = np.where(np.isnan(x) | (bits > 0x80000000), _NO_POWER, code)
        return code.astype(np.uint8).view(self.dtype.numpy)

    def expression(self, x: te.Expr) -> te.Expr:
        """The same of an expression: the elements' bits."""
        if not self.dtype.is_coded_float:
            return te.cast(x, self.dtype.carrier)
        more: list[te.Expr] = []
        if self.dtype.value.startswith("float8"):
            more.append(te.const(self.saturate, DType.BOOL))
        if self.dtype is DType.FLOAT8_E8M0FNU:
            more.append(te.const(self.direction, DType.INT32))
        return te.extern(self.dtype.carrier, f"tc_to_{self.dtype.value}", x, *more)


def _decoded(x: te.Expr, dtype: DType) -> te.Expr:
    if dtype.is_coded_float:
        return te.extern(DType.FLOAT32, f"tc_from_{dtype.value}", x)
    return te.cast(x, dtype.inside)


class Conversion(Op):
    """An element in another type."""

    pattern = Pattern.ELEMENTWISE

    @property
    def title(self) -> str:
        return "Cast"

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self


@dataclass(frozen=True)
class Encode(Conversion):
    """y = x as it is stored: an output's type."""

    rule: Rule

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, self.rule.dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        if self.rule.dtype.is_narrow_integer:
            return arrays[0].astype(self.rule.dtype.numpy)
        return self.rule.encode(arrays[0])

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        return te.elementwise(tensors, out.shape, self.rule.expression, "encoded")


@dataclass(frozen=True)
class Decode(Conversion):
    """y = x, which is stored as `dtype`, in the type that the model computes in."""

    dtype: DType

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, self.dtype.inside)

    def reference(self, arrays: Sequence[Array]) -> Array:
        with np.errstate(over="ignore"):
            return arrays[0].astype(self.dtype.inside.numpy)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        return te.elementwise(tensors, out.shape, lambda x: _decoded(x, self.dtype), "decoded")


@dataclass(frozen=True)
class RoundTo(Conversion):
    """y = the float32 that x becomes where it is stored as the rule's type."""

    rule: Rule

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, DType.FLOAT32)

    def reference(self, arrays: Sequence[Array]) -> Array:
        return self.rule.encode(arrays[0]).astype(np.float32)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        def body(x: te.Expr) -> te.Expr:
            return _decoded(self.rule.expression(x), self.rule.dtype)

        return te.elementwise(tensors, out.shape, body, "rounded")


@dataclass(frozen=True)
class Wrap(Conversion):
    """y = the lowest bits of an integer, or of a float cut off toward zero, as an integer of that many bits."""

    dtype: DType

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, self.dtype.inside)

    def reference(self, arrays: Sequence[Array]) -> Array:
        low, high = self.dtype.bounds
        with np.errstate(invalid="ignore"):
            whole: npt.NDArray[np.int64] = arrays[0].astype(np.int64)
        return ((whole - low & high - low) + low).astype(self.dtype.inside.numpy)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        low, high = self.dtype.bounds

        def body(x: te.Expr) -> te.Expr:
            offset = te.cast(te.cast(x, DType.INT32) - low, DType.UINT32) & te.const(high - low, DType.UINT32)
            return te.cast(te.cast(offset, DType.INT32) + low, self.dtype.inside)

        return te.elementwise(tensors, out.shape, body, "wrapped")


def convert(build: Builder, x: Value, rule: Rule) -> Value:
    """`x` in the rule's type: what it is inside of the model."""
    dtype = rule.dtype
    if dtype.is_narrow_integer:
        return build.call(Wrap(dtype), [x])
    y = x if x.dtype is dtype.inside else build.call(Cast(dtype.inside), [x])
    is_exact = dtype.itemsize == 2 and x.dtype in (DType.BOOL, DType.INT8, DType.UINT8)
    return build.call(RoundTo(rule), [y]) if dtype.is_coded_float and not is_exact else y


def rule_of(node: Node) -> Rule:
    """What the node's attributes say of rounding to its output's type."""
    mode = node.text("round_mode", "up")
    if mode not in _DIRECTIONS:
        node.reject(f"round_mode {mode!r} is not one of {', '.join(_DIRECTIONS)}")
    return Rule(node.output_type(), bool(node.int("saturate", 1)), _DIRECTIONS[mode])


def import_cast(node: Node) -> Value:
    return convert(node.build, node.input(0), rule_of(node))


IMPORTERS = {"Cast": import_cast, "CastLike": import_cast}
