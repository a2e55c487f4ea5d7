"""The C of recurrent layers for cores with vectors of floats and the memory that these have.

W is read once for several steps, whose products are made together, and activations are applied to whole gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from tinycast.ir.graph import TensorType
from tinycast.ir.types import DType
from tinycast.ops.activations import Activation
from tinycast.ops.recurrent import Recurrent
from tinycast.ops.recurrent_kernel import LayerWriter, Operand, loop

TOGETHER = 4  # steps
_MOST_IN_CACHE = 2**17  # floats
_ON_VECTORS = {"Sigmoid": "tc_sigmoid_all", "Tanh": "tc_tanh_all"}


@dataclass(frozen=True)
class VectorRecurrent(Recurrent):
    """The same layer; scratch_1 has G * H floats for each of `TOGETHER` steps: their products, then candidates."""

    runtime: ClassVar[frozenset[str]] = Recurrent.runtime | {"tc_activate.h"}

    def scratch(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        shape = (TOGETHER, self.layer.kind.value * inputs[2].shape[-1])
        return (*super().scratch(inputs, outputs), TensorType(shape, DType.FLOAT32))

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        shapes = [kind.shape for kind in inputs]
        return _Writer(self.layer, shapes, self.layer.sizes(shapes)).text()


class _Writer(LayerWriter):
    def steps(self, group: Sequence[int], length: str) -> str:
        """`TOGETHER` steps, the last time fewer: first W times the x of all of them, then one after the other."""
        backward = [self._layer.backward[d] for d in group]
        sign = "(d == 1 ? -1 : 1)" if len(set(backward)) > 1 else "-1" if backward[0] else "1"
        distance = f"{sign} * {self._columns * (1 if self._layer.batch_first else self._batch)}"
        bias = "bias[j] + " if Operand.B in self._given else ""
        products = f"float sums[{TOGETHER}];\n"
        products += f"tc_inner_products(sums, w + j * {self._columns}, x, {distance}, count, {self._columns});\n"
        products += loop("int32_t i = 0; i < count; ++i", f"scratch_1[i * {self._rows} + j] = {bias}sums[i];")
        one = f"float *const from_x = scratch_1 + i * {self._rows};\n"
        if self._layer.all_steps:
            one += f"const int32_t t = {self.time(group, length, '(first + i)')};\n"
        several = [
            f"const int32_t rest = {length} - first;\nconst int32_t count = rest < {TOGETHER} ? rest : {TOGETHER};\n",
            self.x(f"({self.time(group, length, 'first')})"),
            loop(f"int32_t j = 0; j < {self._rows}; ++j", products),
            loop("int32_t i = 0; i < count; ++i", one + self.step(group)),
        ]
        return loop(f"int32_t first = 0; first < {length}; first += {TOGETHER}", "".join(several))

    def gates(self, rows: int, activate: str = "") -> str:
        return self._rows_of_r(0, rows, "hidden", "gates[k] = from_x[k] + {sum};")

    def _rows_of_r(self, first: int, rows: int, state: str, use: str) -> str:
        """Rows of R times a state; `use` says what becomes of the {sum} of row `first` + k.

        Four rows at a time read the state once. Where R comes from memory, one stream is faster than four.
        """
        hidden = self._hidden
        most = 4 if self._rows * hidden <= _MOST_IN_CACHE else 1
        bias = f"bias[{first + self._rows} + k] + " if Operand.B in self._given else ""
        each = "const int32_t k = j + i;\n" + use.format(sum=f"({bias}sums[i])")
        several = [
            f"const int32_t rest = {rows} - j;\nconst int32_t many = rest < {most} ? rest : {most};\n",
            f"float sums[{most}];\n",
            f"tc_inner_products(sums, {state}, r + ({first} + j) * {hidden}, {hidden}, many, {hidden});\n",
            loop("int32_t i = 0; i < many; ++i", each),
        ]
        return loop(f"int32_t j = 0; j < {rows}; j += {most}", "".join(several))

    def _rnn(self, activations: Sequence[Activation]) -> str:
        text = self.gates(self._hidden) + self._all(activations[0], "gates", self._hidden)
        return text + self._units("hidden[j] = gates[j];")

    def _gru(self, activations: Sequence[Activation]) -> str:
        """The first gate is the update gate, the second the reset gate; the candidate lies where its product did."""
        f, g = activations
        hidden, third = self._hidden, 2 * self._hidden
        text = self.gates(third) + self._all(f, "gates", third)
        if self._layer.linear_before_reset:
            text += self._rows_of_r(third, hidden, "hidden", f"from_x[{third} + k] += gates[{hidden} + k] * {{sum}};")
        else:
            text += self._units(f"gates[{hidden} + j] *= hidden[j];")
            text += self._rows_of_r(third, hidden, f"gates + {hidden}", f"from_x[{third} + k] += {{sum}};")
        text += self._all(g, f"from_x + {third}", hidden)
        return text + self._units(f"hidden[j] = (1.0f - gates[j]) * from_x[{third} + j] + gates[j] * hidden[j];")

    def _lstm(self, activations: Sequence[Activation]) -> str:
        """The gates: input, output, forget, and the cell's candidate, whose place then takes what the cell gives."""
        f, g, h = activations
        hidden, peepholes = self._hidden, Operand.PEEPHOLES in self._given
        out, forget, cell = (f"gates[{gate * hidden} + j]" for gate in (1, 2, 3))
        text = self.gates(4 * hidden)
        if peepholes:
            old = f"gates[j] += peephole[j] * cell[j];\n{forget} += peephole[{2 * hidden} + j] * cell[j];"
            text += self._units(old) + self._all(f, "gates", hidden) + self._all(f, f"gates + {2 * hidden}", hidden)
        else:
            text += self._all(f, "gates", 3 * hidden)
        text += self._all(g, f"gates + {3 * hidden}", hidden)
        kept = "(1.0f - gates[j])" if self._layer.input_forget else forget
        text += self._units(f"cell[j] = {kept} * cell[j] + gates[j] * {cell};\n{cell} = cell[j];")
        if peepholes:
            text += self._units(f"{out} += peephole[{hidden} + j] * cell[j];")
            text += self._all(f, f"gates + {hidden}", hidden)
        text += self._all(h, f"gates + {3 * hidden}", hidden)
        return text + self._units(f"hidden[j] = {out} * {cell};")

    def _all(self, activation: Activation, place: str, count: int) -> str:
        """The activation of `count` elements from `place` on."""
        each, on_vectors = activation, _ON_VECTORS.get(activation.function)
        call = f"{on_vectors}({place}, {count});\n" if on_vectors else ""
        if on_vectors and not activation.clip:
            return call
        if on_vectors:
            each = replace(activation, function="Affine", alpha=1.0, beta=0.0)  # clamps alone
        body = f"float *const value = {place} + j;\n{each.statements('(*value)')}"
        return loop(f"int32_t j = 0; j < {count}; ++j", body) + call
