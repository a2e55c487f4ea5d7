"""The C of recurrent layers: one loop over the steps.

W, R, B and P keep ONNX's layout: a gate's row of W and R is contiguous, which is how the sums of products read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from textwrap import indent

from tinycast.ops.activations import Activation


class Kind(Enum):
    """The kinds of layers; the value is the number of gates, each a row of W and R for every hidden unit."""

    RNN = 1
    GRU = 3
    LSTM = 4


class Operand(Enum):
    """The operands; the value is the place in ONNX's order."""

    X = 0
    W = 1
    R = 2
    B = 3
    LENGTHS = 4
    HIDDEN = 5
    CELL = 6
    PEEPHOLES = 7


@dataclass(frozen=True)
class Layer:
    """One or two directions of a layer.

    With N samples, T steps, D directions, G gates, I inputs and H hidden units, float32: X (T, N, I), W (D, G * H, I),
    R (D, G * H, H), B (D, 2 * G * H), P (D, 3 * H), Y (T, D, N, H), states (D, N, H); with `batch_first` N comes first.
    Lengths (N,) are int32, limited to 0..T; Y is zero beyond them, and the states of a sequence of length 0 are zero.
    """

    kind: Kind
    operands: tuple[Operand, ...]
    activations: tuple[tuple[Activation, ...], ...]  # of each direction
    backward: tuple[bool, ...]  # of each direction
    all_steps: bool  # whether Y is asked for
    batch_first: bool = False
    input_forget: bool = False  # LSTM: the forget gate is 1 - the input gate
    linear_before_reset: bool = False  # GRU: the reset gate scales the product with R, not the state

    def sizes(self, shapes: Sequence[tuple[int, ...]]) -> tuple[int, int, int]:
        """T, N and H from the operands' shapes."""
        first, second, _ = shapes[0]
        return (second, first, shapes[2][-1]) if self.batch_first else (first, second, shapes[2][-1])

    @property
    def gates_kept(self) -> int:
        """Gates of a hidden unit that scratch_0 has to hold."""
        return 2 if self.kind is Kind.GRU else self.kind.value


def kernel_body(layer: Layer, shapes: Sequence[tuple[int, ...]]) -> str:
    """The statements of the kernel. `shapes` are the operands'.

    Parameters: the operands; Y where `all_steps`, Y_h, Y_c of an LSTM; scratch_0, `gates_kept` * H floats.
    """
    return LayerWriter(layer, shapes, layer.sizes(shapes)).text()


class LayerWriter:
    """The C of one layer. The states lie in Y_h and Y_c from the first step on; scratch_0 has the gates."""

    def __init__(self, layer: Layer, shapes: Sequence[tuple[int, ...]], sizes: tuple[int, int, int]) -> None:
        self._layer = layer
        self._steps, self._batch, self._hidden = sizes
        self._columns = shapes[0][-1]
        self._rows = layer.kind.value * self._hidden
        self._given = {operand: f"input_{i}" for i, operand in enumerate(layer.operands)}

    def text(self) -> str:
        """Directions whose activations are the same share their code."""
        count = len(self._layer.backward)
        alike = [list(group) for _, group in groupby(range(count), lambda d: self._layer.activations[d])]
        return "".join(
            loop(f"int32_t d = {group[0]}; d < {group[-1] + 1}; ++d", self._direction(group)) for group in alike
        )

    def _direction(self, group: Sequence[int]) -> str:
        return loop(f"int32_t n = 0; n < {self._batch}; ++n", self._sequence(group))

    def _sequence(self, group: Sequence[int]) -> str:
        layer, hidden, steps = self._layer, self._hidden, self._steps
        states = {Operand.HIDDEN: f"output_{int(layer.all_steps)}", Operand.CELL: f"output_{int(layer.all_steps) + 1}"}
        if layer.kind is not Kind.LSTM:
            del states[Operand.CELL]
        place = f"n * {len(layer.backward)} + d" if layer.batch_first else f"d * {self._batch} + n"
        lines = self.weights()
        if Operand.B in self._given:
            lines.append(f"const float *const bias = {self._given[Operand.B]} + d * {2 * self._rows};")
        if Operand.PEEPHOLES in self._given:
            lines.append(f"const float *const peephole = {self._given[Operand.PEEPHOLES]} + d * {3 * hidden};")
        lines += [f"const int32_t state = ({place}) * {hidden};", "float *const gates = scratch_0;"]
        lines += [f"float *const {operand.name.lower()} = {name} + state;" for operand, name in states.items()]
        length = str(steps)
        if Operand.LENGTHS in self._given:
            length = "length"
            lines += [
                f"int32_t length = {self._given[Operand.LENGTHS]}[n];",
                f"length = length < 0 ? 0 : length > {steps} ? {steps} : length;",
            ]
        starts = []
        for operand in states:
            start = f"{self._given[operand]}[state + j]" if operand in self._given else "0.0f"
            if Operand.LENGTHS in self._given and operand in self._given:
                start = f"length > 0 ? {start} : 0.0f"
            starts.append(f"{operand.name.lower()}[j] = {start};")
        text = "\n".join(lines) + "\n" + self._units("\n".join(starts))
        text += self.steps(group, length)
        if layer.all_steps and Operand.LENGTHS in self._given:
            zero = self._y("t") + self._units("y[j] = 0.0f;")
            text += loop(f"int32_t t = length; t < {steps}; ++t", zero)
        return text

    def weights(self) -> list[str]:
        """The declarations of a direction's weights."""
        return [
            f"const float *const w = {self._given[Operand.W]} + d * {self._rows * self._columns};",
            f"const float *const r = {self._given[Operand.R]} + d * {self._rows * self._hidden};",
        ]

    def _y(self, step: str) -> str:
        count = len(self._layer.backward)
        place = f"(n * {self._steps} + {step}) * {count} + d"
        if not self._layer.batch_first:
            place = f"({step} * {count} + d) * {self._batch} + n"
        return f"float *const y = output_0 + ({place}) * {self._hidden};\n"

    def steps(self, group: Sequence[int], length: str) -> str:
        """All steps of a sequence, in the order of the direction."""
        time = f"const int32_t t = {self.time(group, length, 'k')};\n"
        return loop(f"int32_t k = 0; k < {length}; ++k", time + self.x("t") + self.step(group))

    def time(self, group: Sequence[int], length: str, k: str) -> str:
        """When step `k` is."""
        backward = [self._layer.backward[d] for d in group]
        last = f"{length} - 1 - {k}" if Operand.LENGTHS in self._given else f"{self._steps - 1} - {k}"
        return f"d == 1 ? {last} : {k}" if len(set(backward)) > 1 else last if backward[0] else k

    def x(self, time: str) -> str:
        """The declaration of x at a time."""
        place = f"n * {self._steps} + {time}" if self._layer.batch_first else f"{time} * {self._batch} + n"
        return f"const float *const x = input_0 + ({place}) * {self._columns};\n"

    def step(self, group: Sequence[int]) -> str:
        """One step at time t, to Y and the states."""
        layer = self._layer
        cell = {Kind.RNN: self._rnn, Kind.GRU: self._gru, Kind.LSTM: self._lstm}[layer.kind]
        text = cell(layer.activations[group[0]])
        return self._y("t") + text + self._units("y[j] = hidden[j];") if layer.all_steps else text

    def _units(self, body: str) -> str:
        return loop(f"int32_t j = 0; j < {self._hidden}; ++j", body)

    def _sum(self, first_row: int, *, of_state: bool, state: str = "hidden") -> str:
        """Row `first_row + j` of W times x, or of R times the state, with its bias."""
        weights, columns, factor = ("r", self._hidden, state) if of_state else ("w", self._columns, "x")
        bias = f"bias[{_after(first_row + of_state * self._rows)}] + " if Operand.B in self._given else ""
        row = f"({_after(first_row)})" if first_row else "j"
        return f"{bias}tc_inner_product({weights} + {row} * {columns}, {factor}, {columns})"

    def gates(self, rows: int, activate: str = "") -> str:
        """Both sums of the first `rows` rows; `activate` is what becomes of the variable `gate`."""
        sums = f"float gate = {self._sum(0, of_state=False)};\ngate += {self._sum(0, of_state=True)};\n"
        return loop(f"int32_t j = 0; j < {rows}; ++j", f"{sums}{activate}\ngates[j] = gate;")

    def _rnn(self, activations: Sequence[Activation]) -> str:
        text = self.gates(self._hidden, activations[0].statements("gate"))
        return text + self._units("hidden[j] = gates[j];")

    def _gru(self, activations: Sequence[Activation]) -> str:
        """The first gate is the update gate, the second the reset gate, whose place then takes the third's result."""
        f, g = activations
        reset, third = _after(self._hidden), 2 * self._hidden
        text = self.gates(2 * self._hidden, f.statements("gate"))
        start = f"float h = {self._sum(third, of_state=False)};\n"
        blend = "hidden[j] = (1.0f - gates[j]) * {new} + gates[j] * hidden[j];"
        if self._layer.linear_before_reset:
            scaled = f"h += gates[{reset}] * ({self._sum(third, of_state=True)});\n{g.statements('h')}\n"
            text += self._units(f"{start}{scaled}gates[{reset}] = h;")
            return text + self._units(blend.format(new=f"gates[{reset}]"))
        text += self._units(f"gates[{reset}] *= hidden[j];")
        scaled = f"h += {self._sum(third, of_state=True, state=f'gates + {self._hidden}')};\n{g.statements('h')}\n"
        return text + self._units(start + scaled + blend.format(new="h"))

    def _lstm(self, activations: Sequence[Activation]) -> str:
        f, g, h = (activation.statements for activation in activations)
        hidden, peepholes = self._hidden, Operand.PEEPHOLES in self._given
        at = [_after(gate * hidden) for gate in range(4)]
        old, new = (f" + peephole[{{}}] * {cell}" if peepholes else "" for cell in ("cell[j]", "c"))
        forget = f"float forget = gates[{at[2]}]{old.format(at[2])};\n{f('forget')}"
        update = [
            f"float i = gates[j]{old.format(at[0])};\n{f('i')}",
            "const float forget = 1.0f - i;" if self._layer.input_forget else forget,
            f"float c = gates[{at[3]}];\n{g('c')}",
            "c = forget * cell[j] + i * c;\ncell[j] = c;",
            f"float o = gates[{at[1]}]{new.format(at[1])};\n{f('o')}",
            f"{h('c')}\nhidden[j] = o * c;",
        ]
        return self.gates(4 * hidden) + self._units("\n".join(update))


def _after(first: int) -> str:
    """The index of element j after the first `first`."""
    return f"{first} + j" if first else "j"


def loop(head: str, body: str) -> str:
    """A C loop around statements."""
    return f"for ({head}) {{\n{indent(body.strip(), '    ')}\n}}\n"
