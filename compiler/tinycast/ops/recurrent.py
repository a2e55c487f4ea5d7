"""Recurrent layers: RNN, GRU and LSTM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tinycast.ir.graph import Routine, TensorType
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.activations import Activation, read_activations
from tinycast.ops.node import Node
from tinycast.ops.recurrent_kernel import Kind, Layer, Operand, kernel_body
from tinycast.ops.unary import Real


@dataclass(frozen=True)
class Recurrent(Routine):
    """A layer. Inputs: those of `layer.operands`. Outputs: Y where `layer.all_steps`, Y_h, Y_c of an LSTM."""

    runtime: ClassVar[frozenset[str]] = frozenset({"tc_inner_product.h", "tc_math.h"})
    layer: Layer

    def sizes_of(self, shapes: Sequence[tuple[int, ...]]) -> tuple[int, int, int]:
        """Steps, sequences and hidden units, from the operands' shapes."""
        return self.layer.sizes(shapes)

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        steps, batch, hidden = self.sizes_of([v.shape for v in inputs])
        directions = len(self.layer.backward)
        y = (batch, steps, directions, hidden) if self.layer.batch_first else (steps, directions, batch, hidden)
        state = (batch, directions, hidden) if self.layer.batch_first else (directions, batch, hidden)
        shapes = [*([y] if self.layer.all_steps else []), state, *([state] if self.layer.kind is Kind.LSTM else [])]
        return tuple(TensorType(shape, DType.FLOAT32) for shape in shapes)

    def macs(self, inputs: Sequence[Value], out: TensorType) -> int:
        steps, batch, hidden = self.sizes_of([v.shape for v in inputs])
        columns = inputs[0].shape[-1] + hidden
        return len(self.layer.backward) * batch * steps * self.layer.kind.value * hidden * columns

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        given = dict(zip(self.layer.operands, arrays, strict=True))
        steps, batch, hidden = self.layer.sizes([a.shape for a in arrays])
        directions = len(self.layer.backward)
        if self.layer.batch_first:
            for operand in {Operand.X, Operand.HIDDEN, Operand.CELL} & given.keys():
                given[operand] = given[operand].swapaxes(0, 1)
        lengths = np.clip(given.get(Operand.LENGTHS, np.full(batch, steps)), 0, steps)
        y = np.zeros((steps, directions, batch, hidden))
        states = np.zeros((2, directions, batch, hidden))
        for d, n in np.ndindex(directions, batch):
            if lengths[n] == 0:
                continue
            weights = {o: given[o][d].astype(np.float64) for o in given if o.name in ("W", "R", "B", "PEEPHOLES")}
            starts = (given[o][d, n] if o in given else np.zeros(hidden) for o in (Operand.HIDDEN, Operand.CELL))
            h, c = (start.astype(np.float64) for start in starts)
            order = range(lengths[n])
            for t in reversed(order) if self.layer.backward[d] else order:
                h, c = self._step(given[Operand.X][t, n].astype(np.float64), h, c, weights, self.layer.activations[d])
                y[t, d, n] = h
            states[:, d, n] = h, c
        if self.layer.batch_first:
            y, states = np.moveaxis(y, 2, 0), states.swapaxes(1, 2)
        results = [*([y] if self.layer.all_steps else []), *states[: 2 if self.layer.kind is Kind.LSTM else 1]]
        return tuple(np.ascontiguousarray(result, np.float32) for result in results)

    def _step(
        self, x: Real, h: Real, c: Real, weights: Mapping[Operand, Real], activations: Sequence[Activation]
    ) -> tuple[Real, Real]:
        """The states after one step, by the equations of ONNX's documentation.

        As in ONNX Runtime, `clip` bounds the gates only, not the cell's state on its way to the output.
        """
        gates, hidden = self.layer.kind.value, len(h)
        bias = weights.get(Operand.B, np.zeros(2 * gates * hidden)).reshape(2, gates, hidden)
        from_x = (weights[Operand.W] @ x).reshape(gates, hidden) + bias[0]
        r = weights[Operand.R].reshape(gates, hidden, hidden)
        from_h = r @ h + bias[1]
        f, *more = (activation.apply for activation in activations)
        if self.layer.kind is Kind.RNN:
            return f(from_x[0] + from_h[0]), c
        if self.layer.kind is Kind.GRU:
            update, reset = f(from_x[:2] + from_h[:2])
            scaled = reset * from_h[2] if self.layer.linear_before_reset else r[2] @ (reset * h) + bias[1, 2]
            return (1.0 - update) * more[0](from_x[2] + scaled) + update * h, c
        peepholes = weights.get(Operand.PEEPHOLES, np.zeros(3 * hidden)).reshape(3, hidden)
        i, o, forget, candidate = from_x + from_h
        i = f(i + peepholes[0] * c)
        forget = 1.0 - i if self.layer.input_forget else f(forget + peepholes[2] * c)
        c = forget * c + i * more[0](candidate)
        return f(o + peepholes[1] * c) * more[1](c), c

    def scratch(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        return (TensorType((self.layer.gates_kept, inputs[2].shape[-1]), DType.FLOAT32),)

    def in_place(self) -> tuple[tuple[int, int], ...]:
        """The states may lie where they start from: each is read once, before it is written."""
        first = int(self.layer.all_steps)
        starts = [o for o in (Operand.HIDDEN, Operand.CELL) if o in self.layer.operands]
        return tuple((first + (o is Operand.CELL), self.layer.operands.index(o)) for o in starts)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        return kernel_body(self.layer, [kind.shape for kind in inputs])


ACTIVATIONS = {Kind.RNN: ("Tanh",), Kind.GRU: ("Sigmoid", "Tanh"), Kind.LSTM: ("Sigmoid", "Tanh", "Tanh")}
_BACKWARD = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


def read_layer(node: Node, kind: Kind) -> Layer:
    """The layer that the node's attributes and operands describe."""
    present = {operand: value for operand in Operand if (value := node.optional(operand.value)) is not None}
    for operand, value in present.items():
        dtype = DType.INT32 if operand is Operand.LENGTHS else DType.FLOAT32
        is_integer_weight = node.kind == "DynamicQuantizeLSTM" and operand in (Operand.W, Operand.R)
        if value.dtype is not dtype and not is_integer_weight:
            node.reject(f"input {operand.value} ({value.name}) is {value.dtype.value}, only {dtype.value} is supported")
    if len(present[Operand.X].shape) != 3:
        node.reject(f"input {present[Operand.X].name} has {len(present[Operand.X].shape)} axes, not 3")
    direction = node.text("direction", "forward").lower()
    if direction not in _BACKWARD:
        node.reject(f"the direction {direction} is not known", fix=f"use one of {', '.join(_BACKWARD)}")
    backward = _BACKWARD[direction]
    names = node.onnx.outputs
    return Layer(
        kind,
        tuple(present),
        read_activations(node, len(backward), ACTIVATIONS[kind]),
        backward,
        bool(names) and bool(names[0].uses() or names[0].is_graph_output()),
        bool(node.int("layout", 0)),
        bool(node.int("input_forget", 0)),
        bool(node.int("linear_before_reset", 0)),
    )


def import_recurrent(node: Node) -> tuple[Value | None, ...]:
    layer = read_layer(node, Kind[node.kind])
    results = node.build.call_all(Recurrent(layer), [node.input(operand.value) for operand in layer.operands])
    return results if layer.all_steps else (None, *results)


IMPORTERS = {kind.name: import_recurrent for kind in Kind}
