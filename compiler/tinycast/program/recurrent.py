"""Recurrent layers between quantized tensors become integer layers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tinycast.errors import ModelError
from tinycast.ir.fixed_point import MAX_SHIFT, WIDE_SHIFT, fixed_point
from tinycast.ir.graph import Builder, Call, Program, ProgramState
from tinycast.ir.quantized import QuantizedInput, QuantizedTensor
from tinycast.ir.types import DType, Quant, Value
from tinycast.ops.quantize import Dequantize, Quantize
from tinycast.ops.recurrent import ACTIVATIONS, Recurrent
from tinycast.ops.recurrent_integer import (
    CELL_LIMIT,
    CELL_SCALE,
    GATE_RULES,
    HIDDEN_SCALE,
    GateRule,
    IntegerRecurrent,
    OutputRule,
    Rescale,
    pack_gates,
)
from tinycast.ops.recurrent_kernel import Kind, Operand
from tinycast.ops.requantize import add_requantize
from tinycast.ops.shape import Move
from tinycast.program.integers import quantized_operand

_LARGEST_HIDDEN = 32767
_ROUNDED = 0.02  # by which the type of a quantized state may reach beyond 1, which no state does
_STATES = {
    Operand.HIDDEN: (DType.INT16, HIDDEN_SCALE, _LARGEST_HIDDEN),
    Operand.CELL: (DType.INT32, CELL_SCALE, CELL_LIMIT),
}


def write_layers_in_integers(program: Program) -> int:
    """Replace RNN, GRU and LSTM with int8 or int16 inputs and int8 weights by their integer form; returns how many.

    A layer stays in float that has other activations than ONNX's defaults, peepholes, a clip or sequence lengths,
    whose Y is not read as x's type, or whose weights are not symmetric int8.
    """
    rewrites = 0
    for call in list(program.calls):
        if type(call.op) is Recurrent and call in program.calls:
            rewrites += _Layer(program, call, call.op).write()
            program.remove_dead()
    return rewrites


@dataclass(frozen=True)
class _Weights:
    """Integers, the scale of each row (or of all), and the sum of |weights| of each row."""

    integers: npt.NDArray[np.int8]
    scale: npt.NDArray[np.float64]

    @property
    def row_sums(self) -> npt.NDArray[np.float64]:
        return np.asarray(np.abs(self.integers.astype(np.float64)).sum(axis=2))

    @property
    def per_row(self) -> npt.NDArray[np.float64]:
        return np.broadcast_to(self.scale, self.integers.shape[:2])


class _Layer:
    def __init__(self, program: Program, call: Call, op: Recurrent) -> None:
        self._program, self._call, self._op, self._layer = program, call, op, op.layer
        self._given = dict(zip(op.layer.operands, call.inputs, strict=True))
        self._made, self._uses = program.producers(), program.consumers()
        outputs = iter(call.outputs)
        self._y = next(outputs) if op.layer.all_steps else None
        self._last = dict(zip((Operand.HIDDEN, Operand.CELL), outputs, strict=False))
        self._build = Builder(program, call.source, call.title)

    def write(self) -> bool:
        """Write the layer in integers; False where it has no such form, and nothing has changed."""
        x = self._activation()
        w, r = (_weights(self._quantized(operand)) for operand in (Operand.W, Operand.R))
        readers = None if x is None else self._quantizes_of_y(x.value.dtype)
        if x is None or w is None or r is None or readers is None or not self._has_plain_form():
            return False
        try:
            op, constants = self._arithmetic(x, w, r, readers[0] if readers else None)
        except ModelError:  # sums that leave 32 bits
            return False
        starts = [self._start(operand) for operand in _STATES if operand in self._given]
        outputs = list(self._build.call_all(op, [x.value, *constants, *starts]))
        if op.output is not None:
            self._replace_y(readers, outputs.pop(0))
        for operand, value in zip(self._last, outputs, strict=True):
            self._replace_last(operand, value, op.dtype)
        index = self._program.calls.index(self._call)
        self._program.calls[index : index + 1] = self._build.calls
        return True

    def _quantized(self, operand: Operand) -> QuantizedInput:
        return quantized_operand(self._given[operand], self._made)

    def _activation(self) -> QuantizedTensor | None:
        operand = self._quantized(Operand.X)
        dtype = DType.INT16 if operand.value.dtype is DType.INT16 else DType.INT8
        return replace(operand, dtype=dtype).activation

    def _quantizes_of_y(self, dtype: DType) -> list[Call] | None:
        """The calls that quantize Y to the type, all alike; None where something else reads it."""
        readers = self._uses.get(self._y, []) if self._y is not None else []
        if self._y in self._program.outputs or len({c.op for c in readers}) > 1:
            return None
        return readers if all(isinstance(c.op, Quantize) and c.op.dtype is dtype for c in readers) else None

    def _has_plain_form(self) -> bool:
        layer = self._layer
        if {Operand.LENGTHS, Operand.PEEPHOLES} & self._given.keys():
            return False
        if Operand.B in self._given and self._quantized(Operand.B).real() is None:
            return False
        usual = ACTIVATIONS[layer.kind]
        if any(tuple(a.function for a in each) != usual or any(a.clip for a in each) for each in layer.activations):
            return False
        return all(self._fits(o) for o in _STATES if o in self._given)

    def _arithmetic(
        self, x: QuantizedTensor, w: _Weights, r: _Weights, quantize: Call | None
    ) -> tuple[IntegerRecurrent, list[Value]]:
        """The operator and its constants."""
        layer, build, dtype = self._layer, self._build, x.value.dtype
        rule, zero_point = GATE_RULES[dtype], x.zero_point
        gates, hidden, directions = layer.kind.value, r.integers.shape[2], len(layer.backward)
        rows = gates * hidden
        bias = np.zeros((directions, 2 * rows))
        if Operand.B in self._given:
            real = self._quantized(Operand.B).real()
            assert real is not None
            bias = real
        of_x, of_hidden = bias[:, :rows].copy(), bias[:, rows:].copy()
        keeps_apart = layer.kind is Kind.GRU and layer.linear_before_reset
        shared = 2 * hidden if keeps_apart else rows
        of_x[:, :shared] += of_hidden[:, :shared]
        start_x = np.rint(of_x / (x.scale * w.per_row))
        start_hidden = np.rint(of_hidden / (HIDDEN_SCALE * r.per_row)) * (np.arange(rows) >= shared)
        if dtype is DType.INT16:  # with its zero point taken off an element may need a bit more
            start_x -= zero_point * w.integers.astype(np.float64).sum(axis=2)
            zero_point = 0
        bound_x = (w.row_sums * (-dtype.bounds[0] + abs(zero_point)) + np.abs(start_x)).max()
        bound_hidden = (r.row_sums * _LARGEST_HIDDEN + np.abs(start_hidden)).max()
        from_x, of_w = _rescale(x.scale * w.scale, bound_x, rule, build.source)
        from_hidden, of_r = _rescale(HIDDEN_SCALE * r.scale, bound_hidden, rule, build.source)

        def per_gate(array: npt.NDArray[np.float64] | npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
            filled = np.zeros((directions, gates, -(-hidden // 4) * 4), np.int32)
            spread = np.broadcast_to(array, (directions, rows))
            filled[:, :, :hidden] = spread.reshape(directions, gates, hidden).astype(np.int32)
            return filled

        constants = [
            build.constant(pack_gates(w.integers, gates), "W"),
            build.constant(pack_gates(r.integers, gates), "R"),
            build.constant(per_gate(start_x), "start"),
            build.constant(of_w if of_w.size == 1 else per_gate(of_w), "W_multiplier"),
            build.constant(of_r if of_r.size == 1 else per_gate(of_r), "R_multiplier"),
            build.constant(rule.table, "tanh"),
        ]
        if keeps_apart:
            constants.append(build.constant(np.ascontiguousarray(per_gate(start_hidden)[:, 2]), "R_start"))
        op = IntegerRecurrent(
            layer.kind,
            hidden,
            layer.backward,
            layer.batch_first,
            layer.input_forget,
            layer.linear_before_reset,
            Operand.HIDDEN in self._given,
            Operand.CELL in self._given,
            dtype,
            zero_point,
            from_x,
            from_hidden,
            None if quantize is None else _output_rule(quantize, build.source),
        )
        return op, constants

    def _replace_y(self, readers: list[Call], value: Value) -> None:
        """Let all that read Y's integers read the layer's."""
        program = self._program
        for call in readers:
            assert isinstance(call.op, Quantize)
            value.quant = Quant((call.op.scale,), (call.op.zero_point,))
            value.name = call.output.name
            program.calls.remove(call)
            program.substitute(call.output, value)

    def _state(self, operand: Operand) -> ProgramState | None:
        """The state of the program that starts as `operand`."""
        value = self._given.get(operand)
        return next((s for s in self._program.states if self._program.inputs[s.input] is value), None)

    def _fits(self, operand: Operand) -> bool:
        """Whether what the layer starts from lies in the range of its states, as far as it is known."""
        value, state = self._given[operand], self._state(operand)
        known = value.data if state is None else state.initial
        _, scale, limit = _STATES[operand]
        most = 0.0 if known is None else float(np.abs(known).max(initial=0.0))
        source = self._made.get(value)
        while source is not None and isinstance(source.op, Move):
            source = self._made.get(source.inputs[0])
        if source is not None and isinstance(source.op, Dequantize):
            most = source.op.most(source.inputs[0].dtype) - _ROUNDED
        return most <= (limit + 1) * scale

    def _start(self, operand: Operand) -> Value:
        """The state that the layer starts from, in integers."""
        value, state = self._given[operand], self._state(operand)
        dtype, scale, limit = _STATES[operand]
        quantize = Quantize(scale, 0, -limit, limit, dtype)
        if state is None or self._program.outputs[state.output] is not self._last[operand]:
            return self._build.call(quantize, [value])
        held = Value(value.name, value.shape, dtype, Quant((scale,), (0,)))
        self._program.inputs[state.input] = held
        others = [c for c in self._uses[value] if c is not self._call]
        if others:
            value.name = self._program.unique_name(f"{value.name}.real")
            self._program.calls.insert(0, Call(Dequantize((scale,), (0,)), (held,), value, self._call.source))
        return held

    def _replace_last(self, operand: Operand, value: Value, narrow: DType) -> None:
        """The last state to those that read it: in integers, quantized to `narrow`, or as a float."""
        program, old = self._program, self._last[operand]
        dtype, scale, _ = _STATES[operand]
        name, value.quant = old.name, Quant((scale,), (0,))
        for state in program.states:
            source = program.inputs[state.input]
            if program.outputs[state.output] is old and source.dtype is dtype and source.quant == value.quant:
                program.outputs[state.output] = value
        for call in self._uses.get(old, []):
            if isinstance(call.op, Quantize) and call.op.dtype is narrow and operand is Operand.HIDDEN:
                q, build = call.op, self._build
                ratio = np.asarray(scale / float(np.float32(q.scale)))
                bounds, name_of_small = (q.low, q.high), call.output.name
                small = add_requantize(build, value, ratio, q.zero_point, bounds, 2**15, name_of_small, narrow)
                small.quant = Quant((q.scale,), (q.zero_point,))
                program.calls.remove(call)
                program.substitute(call.output, small)
        real = self._build.keep(Dequantize((scale,), (0,)), [value])
        program.substitute(old, real)
        old.name, real.name = program.unique_name(f"{name}.float"), name


def _weights(operand: QuantizedInput) -> _Weights | None:
    data, scale = operand.value.data, operand.scale
    if data is None or scale is None or operand.zero_point is None or operand.value.dtype is not DType.INT8:
        return None
    if np.any(operand.zero_point) or (scale.ndim and operand.axis != 1):
        return None
    return _Weights(data, scale)


def _rescale(
    scale: npt.NDArray[np.float64], bound: float, gates: GateRule, where: str
) -> tuple[Rescale, npt.NDArray[np.int32]]:
    """How sums with these scales become inputs of gates; one shift for all rows, that of the largest scale."""
    ratio = np.atleast_1d(scale / gates.scale)
    rule = fixed_point(ratio.max(keepdims=True), 0, int(bound), where)
    if rule.accumulator_limit:
        raise ModelError("the gates' sums can overflow", where=where)
    pre_shift, shift = rule.pre_shift, int(rule.shift[0])
    multiplier = np.rint(ratio * 2.0 ** (32 + shift - pre_shift))
    return Rescale(pre_shift, shift), multiplier.astype(np.int32)


def _output_rule(call: Call, where: str) -> OutputRule:
    q = call.op
    assert isinstance(q, Quantize)
    ratio = np.asarray([HIDDEN_SCALE / float(np.float32(q.scale))])
    most_shift = WIDE_SHIFT if q.dtype is DType.INT16 else MAX_SHIFT
    rule = fixed_point(ratio, q.zero_point, _LARGEST_HIDDEN + 1, where, most_shift)
    if rule.accumulator_limit:
        raise ModelError(f"a scale of {q.scale:g} is too small for a hidden state", where=where)
    one = (int(rule.multiplier[0]), int(rule.addend[0]), int(rule.shift[0]))
    return OutputRule(*one, rule.pre_shift, q.low, q.high)
