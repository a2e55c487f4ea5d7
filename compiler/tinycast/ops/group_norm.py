"""InstanceNormalization and GroupNormalization, in float and in int8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from tinycast.ir.graph import Builder, Op, Pattern, Routine, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.elementwise import Binary, BinaryFunction
from tinycast.ops.layer_norm import NormRule, norm_rule, normalized_rows
from tinycast.ops.node import Node
from tinycast.ops.reduce import ReduceMean
from tinycast.ops.shape import Reshape
from tinycast.ops.unary import Unary


@dataclass(frozen=True)
class GroupNorm(Op):
    """y = (x - mean) / sqrt(variance + epsilon) * scale + bias over the channels (axis 1) of each group; float32.

    Inputs: x, scale and bias (one element a channel). A group of one channel is InstanceNormalization.
    """

    pattern = Pattern.ROWS
    groups: int
    epsilon: float

    @property
    def title(self) -> str:
        return "GroupNormalization"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, inputs[0].dtype)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x, scale, bias = (a.astype(np.float64) for a in arrays)
        rows = x.reshape(x.shape[0], self.groups, -1)
        centred = rows - rows.mean(2, keepdims=True)
        y = centred / np.sqrt(np.square(centred).mean(2, keepdims=True) + self.epsilon)
        along = (-1, *(1,) * (x.ndim - 2))
        return np.asarray(y.reshape(x.shape) * scale.reshape(along) + bias.reshape(along), np.float32)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        raise NotImplementedError  # expand() replaces it before kernels are made

    def expand(self, build: Builder, inputs: Sequence[Value], name: str) -> Value:
        """The operators that it stands for."""
        whole, *parameters = inputs
        x, channels = whole, whole.shape[1]
        if self.groups != channels:
            x = build.call(Reshape((x.shape[0], self.groups, channels // self.groups, *x.shape[2:])), [x])
        axes = tuple(range(2, len(x.shape)))
        along = (channels, *(1,) * (len(whole.shape) - 2))
        scale, bias = (p if p.shape == along else build.call(Reshape(along), [p]) for p in parameters)

        def binary(function: BinaryFunction, a: Value, b: Value, wanted: str = "") -> Value:
            return build.call(Binary(function), [a, b], wanted)

        centred = binary(BinaryFunction.SUB, x, build.call(ReduceMean(axes), [x]))
        variance = build.call(ReduceMean(axes), [binary(BinaryFunction.MUL, centred, centred)])
        epsilon = build.constant(np.asarray(self.epsilon, np.float32), "epsilon")
        deviation = build.call(Unary("Sqrt"), [binary(BinaryFunction.ADD, variance, epsilon)])
        y = binary(BinaryFunction.DIV, centred, deviation)
        y = y if y.shape == whole.shape else build.call(Reshape(whole.shape), [y])
        return binary(BinaryFunction.ADD, binary(BinaryFunction.MUL, y, scale), bias, name)

    def integer_form(self, form: IntegerForm) -> Value | None:
        x, parameters = form.inputs[0].activation, [operand.real() for operand in form.inputs[1:]]
        if x is None or any(p is None for p in parameters):
            return None
        channels = x.value.shape[1]
        scale, bias = (p.reshape(-1) for p in parameters if p is not None)
        length = x.value.size // (x.value.shape[0] * self.groups)
        constants = norm_rule(form, x.scale, length, self.epsilon, scale, bias)
        if constants is None:
            return None
        rule, *tables = constants
        four = len(x.value.shape) == 4
        op = IntegerGroupNorm(self.groups, channels, x.zero_point, rule, channels_first=four, is_image=four)
        return form.build.call(op, [x.value, *tables], form.output.name)


@dataclass(frozen=True)
class IntegerGroupNorm(Routine):
    """The rows of each group as runtime_c/generic/tc_normalize.h computes them; channels are axis 1, or the last one.

    Inputs: x int8, multiplier and addend int32, one a channel.
    """

    runtime: ClassVar[frozenset[str]] = frozenset({"tc_normalize_group.h"})
    groups: int
    channels: int
    zero_point: int
    rule: NormRule
    channels_first: bool = False  # to be laid out with the channels last
    is_image: bool = False  # (N, H, W, C) then

    @property
    def title(self) -> str:
        return "GroupNormalization"

    @property
    def channels_last(self) -> bool:
        return self.is_image and not self.channels_first

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].shape, DType.INT8),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        x, multiplier, addend = arrays
        x = np.moveaxis(x, -1, 1) if self.channels_last else x
        inner = prod(x.shape[2:])
        rows = x.reshape(x.shape[0] * self.groups, -1).astype(np.int64) - self.zero_point
        tables = (
            np.tile(np.repeat(table.astype(np.int64), inner).reshape(self.groups, -1), (x.shape[0], 1))
            for table in (multiplier, addend)
        )
        y = normalized_rows(rows, self.rule, *tables, centred=True).reshape(x.shape)
        return (np.ascontiguousarray(np.moveaxis(y, 1, -1) if self.channels_last else y),)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        shape, rule = inputs[0].shape, self.rule
        size, each = prod(shape[1:]), self.channels // self.groups
        inner = size // self.channels
        steps = (1, self.channels) if self.channels_last else (inner, 1)
        return (
            f"for (int32_t n = 0; n < {shape[0]}; ++n) {{\n"
            f"    for (int32_t c = 0; c < {self.channels}; c += {each}) {{\n"
            f"        const int32_t at = n * {size} + c * {steps[0]};\n"
            f"        const tc_group group = {{{each}, {inner}, {steps[0]}, {steps[1]}, {self.zero_point}}};\n"
            f"        tc_normalize_group(output_0 + at, input_0 + at, input_1 + c, input_2 + c, group,\n"
            f"                           INT64_C({rule.epsilon}), {rule.shift}, {rule.low}, {rule.high});\n"
            "    }\n}\n"
        )


def import_group_norm(node: Node) -> Value:
    x, scale, bias, build = node.input(0), node.input(1), node.input(2), node.build
    channels = x.shape[1]
    groups = node.int("num_groups", 1) if node.kind == "GroupNormalization" else channels
    if groups < 1 or channels % groups:
        node.reject(f"{channels} channels in {groups} groups")
    if scale.size != channels:
        node.reject(f"{scale.size} scales for {channels} channels", "use opset 21, which has one a channel")
    return build.call(GroupNorm(groups, node.float("epsilon", 1e-5)), [x, scale, bias])


IMPORTERS = {"GroupNormalization": import_group_norm, "InstanceNormalization": import_group_norm}
