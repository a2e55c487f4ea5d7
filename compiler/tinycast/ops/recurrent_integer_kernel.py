"""The C of recurrent layers on integers: one loop over the steps, as in recurrent_kernel.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from tinycast.ir.types import DType
from tinycast.ops.recurrent_kernel import Kind, loop

if TYPE_CHECKING:
    from tinycast.ops.recurrent_integer import IntegerRecurrent


@dataclass(frozen=True)
class Shape:
    """The sizes of a layer."""

    steps: int
    batch: int
    directions: int
    inputs: int
    hidden: int

    @property
    def rows(self) -> int:
        """Rows of a gate: the hidden units, rounded up to fours."""
        return -(-self.hidden // 4) * 4

    @property
    def input_pairs(self) -> int:
        return -(-self.inputs // 2)

    @property
    def hidden_pairs(self) -> int:
        return -(-self.hidden // 2)


def kernel_body(op: IntegerRecurrent, s: Shape, shapes: Sequence[tuple[int, ...]]) -> str:
    """The statements of the kernel; `shapes` are the operands'. The hidden state lies in scratch_1 while it runs."""
    gates = op.kind.value
    place = f"n * {s.directions} + d" if op.batch_first else f"d * {s.batch} + n"
    first = int(op.output is not None)
    each = [int(prod(shapes[number]) > 1) for number in (4, 5)]
    rules = [
        f"const tc_gate_scale {name} = {{input_{number}{f' + d * {gates * s.rows}' if per_row else ''}, {per_row}, "
        f"{rule.pre_shift}, {rule.shift}}};"
        for name, number, per_row, rule in (
            ("from_x", 4, each[0], op.from_x),
            ("from_hidden", 5, each[1], op.from_hidden),
        )
    ]
    lines = [
        f"const int8_t *const w = input_1 + d * {prod(shapes[1][1:])};",
        f"const int8_t *const r = input_2 + d * {prod(shapes[2][1:])};",
        f"const int32_t *const start = input_3 + d * {gates * s.rows};",
        f"const tc_gate_lines tanh = {{input_6, {op.gate_rule.line_bits}, {op.gate_rule.limit}}};",
        *rules,
        "int16_t *const wide = scratch_0;",
        "int16_t *const hidden = scratch_1;",
        "int32_t *const gates = scratch_2;",
        f"const int32_t state = ({place}) * {s.hidden};",
    ]
    given = 7 + op.has_start
    start = f"input_{given}[state + j]" if op.has_hidden else "0"
    begin = f"hidden[j] = {start};\n"
    if op.kind is Kind.LSTM:
        lines.append(f"int32_t *const cell = output_{first + 1} + state;")
        begin += f"cell[j] = {f'input_{given + op.has_hidden}[state + j]' if op.has_cell else '0'};\n"
    if s.hidden % 2:
        lines.append(f"hidden[{s.hidden}] = 0;")
    text = "\n".join(lines) + "\n" + _units(s, begin)
    text += loop(f"int32_t k = 0; k < {s.steps}; ++k", _step(op, s))
    text += _units(s, f"output_{first}[state + j] = hidden[j];")
    inner = loop(f"int32_t n = 0; n < {s.batch}; ++n", text)
    return loop(f"int32_t d = 0; d < {s.directions}; ++d", inner)


def _step(op: IntegerRecurrent, s: Shape) -> str:
    last = f"{s.steps - 1} - k"
    step = f"d == 1 ? {last} : k" if len(set(op.backward)) > 1 else last if op.backward[0] else "k"
    place = f"n * {s.steps} + t" if op.batch_first else f"t * {s.batch} + n"
    text = f"const int32_t t = {step};\n"
    x = f"input_0 + ({place}) * {s.inputs}, {s.inputs}"
    is_wide = op.dtype is DType.INT16
    text += f"tc_gate_copy(wide, {x});\n" if is_wide else f"tc_gate_widen(wide, {x}, {op.x_zero_point});\n"
    text += _sums(0, "wide", "w", "start", "from_x", op.kind.value * s.rows, s.input_pairs, add=False)
    text += {Kind.RNN: _rnn, Kind.GRU: _gru, Kind.LSTM: _lstm}[op.kind](op, s)
    rule = op.output
    if rule is None:
        return text
    y = f"(n * {s.steps} + t) * {s.directions} + d"
    if not op.batch_first:
        y = f"(t * {s.directions} + d) * {s.batch} + n"
    text += f"{op.dtype.c_name} *const y = output_0 + ({y}) * {s.hidden};\n"
    value = f"(int32_t)hidden[j] * {1 << rule.pre_shift}" if rule.pre_shift else "hidden[j]"
    function = "tc_requantize_s16" if is_wide else "tc_requantize"
    return text + _units(
        s,
        f"y[j] = {function}({value}, {rule.multiplier}, {rule.addend}, {rule.shift}, {rule.low}, {rule.high});",
    )


def _sums(at: int, x: str, weight: str, start: str, rule: str, rows: int, pairs: int, *, add: bool) -> str:
    gates = f"gates + {at}" if at else "gates"
    return f"tc_gates({gates}, {x}, {weight}, {start}, {rule}, {rows}, {pairs}, {int(add)});\n"


def _hidden_sums(s: Shape, gates: int) -> str:
    """Add the sums of R's first `gates`."""
    return _sums(0, "hidden", "r", "NULL", "from_hidden", gates * s.rows, s.hidden_pairs, add=True)


def _units(s: Shape, body: str) -> str:
    return loop(f"int32_t j = 0; j < {s.hidden}; ++j", body)


def _rnn(op: IntegerRecurrent, s: Shape) -> str:
    return _hidden_sums(s, 1) + _units(s, "hidden[j] = (int16_t)tc_gate_tanh(tanh, gates[j]);")


def _gru(op: IntegerRecurrent, s: Shape) -> str:
    third = 2 * s.rows
    text = _hidden_sums(s, 2)
    text += "tc_gate_scale last = from_hidden;\n"
    text += f"last.multiplier += from_hidden.is_per_row ? {third} : 0;\n"
    weight = f"r + {third * s.hidden_pairs * 2}"
    update = "const int32_t update = tc_gate_sigmoid(tanh, gates[j]);\n"
    reset = f"const int32_t reset = tc_gate_sigmoid(tanh, gates[{s.rows} + j]);\n"
    blend = "hidden[j] = (int16_t)(((32768 - update) * new_state + update * hidden[j] + 16384) >> 15);"
    if op.linear_before_reset:
        own = f"input_7 + d * {s.rows}"
        text += _sums(3 * s.rows, "hidden", weight, own, "last", s.rows, s.hidden_pairs, add=False)
        inner = f"gates[{third} + j] + tc_gate_scaled(reset, gates[{3 * s.rows} + j])"
        return text + _units(s, f"{update}{reset}const int32_t new_state = tc_gate_tanh(tanh, {inner});\n{blend}")
    text += _units(s, f"{reset}scratch_3[j] = (int16_t)tc_gate_product(reset, hidden[j]);")
    if s.hidden % 2:
        text += f"scratch_3[{s.hidden}] = 0;\n"
    text += _sums(third, "scratch_3", weight, "NULL", "last", s.rows, s.hidden_pairs, add=True)
    new = f"const int32_t new_state = tc_gate_tanh(tanh, gates[{third} + j]);\n"
    return text + _units(s, update + new + blend)


def _lstm(op: IntegerRecurrent, s: Shape) -> str:
    """The gates are input, output, forget and candidate."""
    shift = op.gate_rule.cell_shift
    sigmoid = "const int32_t {} = tc_gate_sigmoid(tanh, gates[{} + j]);"
    lines = [
        sigmoid.format("i", 0),
        sigmoid.format("o", s.rows),
        "const int32_t forget = 32767 - i;" if op.input_forget else sigmoid.format("forget", 2 * s.rows),
        f"const int32_t candidate = tc_gate_tanh(tanh, gates[{3 * s.rows} + j]);",
        "const int32_t c = tc_gate_scaled(forget, cell[j]) + ((i * candidate + 512) >> 10);",
        "cell[j] = tc_clamp(c, -1073741824, 1073741824);",
        f"hidden[j] = (int16_t)tc_gate_product(o, tc_gate_tanh(tanh, (cell[j] + {1 << (shift - 1)}) >> {shift}));",
    ]
    return _hidden_sums(s, 4) + _units(s, "\n".join(lines))
