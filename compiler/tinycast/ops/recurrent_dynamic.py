"""LSTM with 8-bit weights whose inputs and hidden states are rounded to 8 bits as they come (ONNX Runtime's
DynamicQuantizeLSTM, https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tinycast.ir.graph import TensorType
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.activations import Activation
from tinycast.ops.node import Node
from tinycast.ops.recurrent import Recurrent, read_layer
from tinycast.ops.recurrent_integer import pack_gates, unpack_gates
from tinycast.ops.recurrent_kernel import Kind, LayerWriter, Operand, loop
from tinycast.ops.unary import Real

_LONGEST = 2**16  # elements of a row, with which no sum of products leaves 32 bits


@dataclass(frozen=True)
class DynamicLstm(Recurrent):
    """An LSTM as `Recurrent` has it, with W (D, 4 * H, I) and R (D, 4 * H, H) in int8 as `pack_gates` leaves them.

    Inputs after those of the layer: the scales of W and R, float32 (D, 4 * H), and with `has_zeros` their zero points,
    int32 of the same shape. X has one scale for all steps that any sequence has, the hidden state one in each step of
    a sequence: ONNX Runtime shares that among the sequences of a batch that one of its threads computes.
    """

    runtime: ClassVar[frozenset[str]] = frozenset({"tc_dynamic_gates.h", "tc_math.h"})
    hidden: int
    has_zeros: bool

    def sizes_of(self, shapes: Sequence[tuple[int, ...]]) -> tuple[int, int, int]:
        steps, batch, _ = super().sizes_of(shapes)
        return steps, batch, self.hidden

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        count = len(self.layer.operands)
        given, (w_scale, r_scale, *zeros) = list(arrays[:count]), arrays[count:]
        columns = given[0].shape[-1]
        for i, (place, scale, width) in enumerate(((1, w_scale, columns), (2, r_scale, self.hidden))):
            integers = unpack_gates(given[place], width, scale.shape[1])[:, 0].astype(np.float64)
            if zeros:
                integers -= zeros[i][:, :, None]
            given[place] = integers * scale[:, :, None].astype(np.float64)
        x, steps = given[0], given[0].shape[0]
        if Operand.LENGTHS in self.layer.operands:
            steps = int(np.clip(given[self.layer.operands.index(Operand.LENGTHS)].max(), 0, steps))
        given[0] = np.concatenate([_rounded(x[:steps]), x[steps:]])
        return super().reference_all(given)

    def _step(
        self, x: Real, h: Real, c: Real, weights: Mapping[Operand, Real], activations: Sequence[Activation]
    ) -> tuple[Real, Real]:
        return super()._step(x, _rounded(h.astype(np.float32)), c, weights, activations)

    def scratch(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        widest = max(inputs[0].shape[-1], self.hidden)
        return (
            TensorType((self.layer.gates_kept, self.hidden), DType.FLOAT32),
            TensorType((-(-widest // 2) * 2,), DType.INT16),
        )

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        return _Writer(self, [kind.shape for kind in inputs]).text()


def _rounded(x: Array) -> Real:
    """x to 8 bits and back."""
    low, high = x.min(initial=np.float32(0)), x.max(initial=np.float32(0))
    if low == high:
        return x.astype(np.float64)
    scale = (high - low) / np.float32(255)
    zero = np.clip(np.rint(-low / scale), 0, 255)
    return np.asarray(np.clip(np.rint(x / scale), -zero, 255 - zero).astype(np.float64) * np.float64(scale))


class _Writer(LayerWriter):
    """The C: as for floats, but for the sums of products."""

    def __init__(self, op: DynamicLstm, shapes: Sequence[tuple[int, ...]]) -> None:
        super().__init__(op.layer, shapes, op.sizes_of(shapes))
        self._has_zeros = op.has_zeros
        self._first_table = len(op.layer.operands)

    def text(self) -> str:
        steps, of_step, text = str(self._steps), self._batch * self._columns, ""
        if lengths := self._given.get(Operand.LENGTHS):
            steps, text = "longest", "int32_t longest = 0;\n"
            text += loop(
                f"int32_t n = 0; n < {self._batch}; ++n", f"longest = {lengths}[n] > longest ? {lengths}[n] : longest;"
            )
            text += f"longest = longest > {self._steps} ? {self._steps} : longest;\n"
        text += f"const tc_dynamic_rule x_rule = tc_dynamic_rule_of(input_0, {steps} * {of_step});\n"
        return text + super().text()

    def weights(self) -> list[str]:
        lines = ["int16_t *const wide = scratch_1;"]
        for i, (name, columns) in enumerate((("w", self._columns), ("r", self._hidden))):
            size, table = self._rows * (-(-columns // 2) * 2), self._first_table + i
            lines.append(f"const int8_t *const {name} = input_{1 + i} + d * {size};")
            lines.append(f"const float *const {name}_scale = input_{table} + d * {self._rows};")
            zero = f"input_{table + 2} + d * {self._rows}" if self._has_zeros else "NULL"
            lines.append(f"const int32_t *const {name}_zero = {zero};")
        return lines

    def gates(self, rows: int, activate: str = "") -> str:
        start = f"bias[j] + bias[{self._rows} + j]" if Operand.B in self._given else "0.0f"
        text = loop(f"int32_t j = 0; j < {rows}; ++j", f"gates[j] = {start};")
        text += self._products("x", "w", "x_rule", self._columns)
        text += f"const tc_dynamic_rule hidden_rule = tc_dynamic_rule_of(hidden, {self._hidden});\n"
        return text + self._products("hidden", "r", "hidden_rule", self._hidden)

    def _products(self, x: str, weight: str, rule: str, columns: int) -> str:
        pairs = -(-columns // 2)
        return (
            f"const int32_t {x}_total = tc_dynamic_widen(wide, {x}, {columns}, {rule});\n"
            f"tc_dynamic_gates(gates, wide, {weight}, {weight}_scale, {weight}_zero, {rule}.scale, {x}_total, "
            f"{self._rows}, {pairs});\n"
        )


def import_dynamic_lstm(node: Node) -> tuple[Value | None, ...]:
    layer = read_layer(node, Kind.LSTM)
    directions = len(layer.backward)
    build = node.build
    operands = {operand: value for operand in layer.operands if (value := node.optional(operand.value)) is not None}
    tables: list[Value] = []
    zeros: list[npt.NDArray[np.int32]] = []
    hidden = 0
    for operand, first in ((Operand.W, 8), (Operand.R, 10)):
        data = node.constant(operand.value)
        if data is None:
            node.reject("its weights have to be constants")
        columns, rows = data.shape[1:]
        if columns > _LONGEST:
            node.reject(f"a sum of {columns} products may not fit 32 bits", f"use at most {_LONGEST} inputs")
        hidden = rows // 4
        offset = 128 if data.dtype == np.uint8 else 0
        integers = (data.astype(np.int32) - offset).astype(np.int8).transpose(0, 2, 1)
        operands[operand] = build.constant(pack_gates(integers, 1), operand.name)
        scale = _per_row(node.required(first), directions, rows).astype(np.float32)
        tables.append(build.constant(scale, f"{operand.name}_scale"))
        points = node.constant(first + 1)
        points = np.zeros(1, np.int32) if points is None else points.astype(np.int32).reshape(-1)
        zeros.append(_per_row(points, directions, rows) - offset)
    has_zeros = any(bool(z.any()) for z in zeros)
    if has_zeros:
        tables += [build.constant(z, f"{name}_zero") for z, name in zip(zeros, "WR", strict=True)]
    op = DynamicLstm(layer, hidden, has_zeros)
    results = build.call_all(op, [*operands.values(), *tables])
    return results if layer.all_steps else (None, *results)


def _per_row(values: Array, directions: int, rows: int) -> Array:
    """One element a row: there is one for each, one a direction, or one for all."""
    shaped = values.reshape(directions, -1) if values.size > 1 else values.reshape(1, 1)
    return np.ascontiguousarray(np.broadcast_to(shaped, (directions, rows)))


IMPORTERS = {"com.microsoft.DynamicQuantizeLSTM": import_dynamic_lstm}
