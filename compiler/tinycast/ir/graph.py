"""The Program: typed operators joined by values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tinycast.errors import InternalError
from tinycast.ir.names import unused_name
from tinycast.ir.sizes import broadcast_sizes, size_error
from tinycast.ir.types import Array, DType, Sizes, Value, inside

if TYPE_CHECKING:
    from tinycast.ir.quantized import IntegerForm

Tensor = Any  # tvm.te.Tensor; only tvm_bridge may import tvm


class Pattern(Enum):
    """How an output element depends on the inputs: this decides what can be fused and how it is scheduled."""

    ELEMENTWISE = "elementwise"  # on the elements at its own index (inputs broadcast)
    INJECTIVE = "injective"  # on one element of an input, at an index computed from its own
    DENSE = "dense"  # a sum of products, channels share their inputs
    CHANNELWISE = "channelwise"  # a reduction over a window; channels are independent
    ROWS = "rows"  # several passes over an axis
    ROUTINE = "routine"  # on data in an order of its own: its kernel is written in C

    @property
    def is_reduction(self) -> bool:
        """Whether the operator reads many elements for one, so that no other such is in its kernel."""
        return self in (Pattern.DENSE, Pattern.CHANNELWISE, Pattern.ROWS)


@dataclass(frozen=True)
class TensorType:
    shape: tuple[int, ...]
    dtype: DType


PAIR, QUAD = 2, 4  # `Tile.lanes` where one instruction adds up two products of int16, or four of int8


@dataclass(frozen=True)
class Tile:
    """The register tile of a kernel: `positions` times `channels` accumulators at once.

    With `lanes` a micro-kernel computes it, from groups of that many int8 operands; a convolution then
    sees its input, which has `input_channels`, as flat rows (N, H, W * C), and widens windows of it to `wide`.
    `vector`: the channels lie across a vector. `cut`: the micro-kernel is told where the last tile holds fewer
    positions; else what lies behind them is read as well. `planes`: channels are computed one after the other.
    `strip`: rows of tiles that Winograd's micro-kernels compute at once. `wide_weights`: int8 weights are widened to
    int16 once, before the first tile.
    """

    positions: int = 1
    channels: int = 1
    lanes: int = 0
    input_channels: int = 0
    wide: DType = DType.INT16
    vector: bool = False
    cut: bool = False
    planes: bool = False
    strip: int = 0
    wide_weights: bool = False

    @property
    def packs_positions(self) -> bool:
        """Whether one vector holds bytes of several positions."""
        return self.vector and self.lanes == 1 and self.wide is DType.INT8


@dataclass(frozen=True)
class Op(ABC):
    """An operator. Subclasses are frozen dataclasses whose fields are its attributes.

    The NumPy `reference` is its meaning; `compute` says the same in TVM's tensor expressions. Both
    see constants as `pack` left them only in `compute`.
    """

    pattern: ClassVar[Pattern]
    broadcasts: ClassVar[bool] = (
        True  # whether all inputs are laid out as the output; else the first, others are tables
    )
    has_wide_form: ClassVar[bool] = False  # whether `integer_form` takes activations of 16 bits as well

    @property
    def picks(self) -> bool:
        """Whether every element of the output is one of the first input's, of whatever type and scale."""
        return False

    @abstractmethod
    def infer(self, inputs: Sequence[Value]) -> TensorType:
        """Shape and type of the output."""

    @abstractmethod
    def reference(self, arrays: Sequence[Array]) -> Array:
        """The output, in NumPy: bit-exact for integers."""

    @abstractmethod
    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        """The output as a tensor expression."""

    def pack(self, index: int, data: Array, tile: Tile) -> Array:
        """The constant input number `index` in the order in which the kernel reads it."""
        return data

    def macs(self, inputs: Sequence[Value], out: TensorType) -> int:
        """Multiply-accumulates of one run."""
        return 0

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        """The operator q for which self(Transpose(perm)(x)) = Transpose(perm)(q(x)); None where there is none.

        Axis i of self is axis perm[i] of q.
        """
        return None

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        """The sizes of the outputs where an operand's depend on data; None where the operator cannot take it."""
        return broadcast_sizes(inputs) if self.pattern is Pattern.ELEMENTWISE else None

    def integer_form(self, form: IntegerForm) -> Value | None:
        """The quantized output computed from quantized inputs without floats; None where there is no such form."""
        return None

    @property
    def title(self) -> str:
        """What a report calls it."""
        return type(self).__name__


@dataclass(frozen=True)
class Routine(Op):
    """An operator whose kernel is C: what no loop nest over the output says (sorting, scattering, recurrence).

    It may have several outputs.
    """

    pattern: ClassVar[Pattern] = Pattern.ROUTINE
    runtime: ClassVar[frozenset[str]] = frozenset()  # files of runtime_c that the body uses

    @abstractmethod
    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        """Shapes and types of all outputs."""

    @abstractmethod
    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        """All outputs, in NumPy."""

    def in_place(self) -> tuple[tuple[int, int], ...]:
        """The (output, input) numbers that may be the same memory."""
        return ()

    @abstractmethod
    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        """The C statements of the kernel: its parameters are input_0, …, output_0, …, scratch_0, …"""

    def scratch(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> tuple[TensorType, ...]:
        """The memory that the kernel needs besides, of undefined content."""
        return ()

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return self.infer_all(inputs)[0]

    def reference(self, arrays: Sequence[Array]) -> Array:
        return self.reference_all(arrays)[0]

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        raise NotImplementedError  # body() says it in C


@dataclass(eq=False)
class Call:
    """One operator applied. `source` is the ONNX node's name, `more` the outputs after the first."""

    op: Op
    inputs: tuple[Value, ...]
    output: Value
    source: str
    title: str = ""  # the ONNX operator it stands for
    more: tuple[Value, ...] = ()

    @property
    def outputs(self) -> tuple[Value, ...]:
        return (self.output, *self.more)


@dataclass(frozen=True)
class ProgramState:
    """Input number `input` is what the run before gave as output number `output`, `initial` in the first run."""

    input: int
    output: int
    initial: Array


@dataclass(frozen=True)
class Sized:
    """An output whose size depends on data: which axes do, and at which place among the outputs its dimensions are."""

    axes: tuple[int, ...]
    dims: int


@dataclass(eq=False)
class Program:
    """Calls in an order in which they can run. `sized` has the outputs whose size depends on data, by their place."""

    name: str
    inputs: list[Value]
    outputs: list[Value]
    calls: list[Call] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sized: dict[int, Sized] = field(default_factory=dict)
    reserved: set[str] = field(default_factory=set)  # names given out, or used by the ONNX model
    states: list[ProgramState] = field(default_factory=list)

    def producers(self) -> dict[Value, Call]:
        return {value: call for call in self.calls for value in call.outputs}

    def consumers(self) -> dict[Value, list[Call]]:
        uses: dict[Value, list[Call]] = {}
        for call in self.calls:
            for value in dict.fromkeys(call.inputs):
                uses.setdefault(value, []).append(call)
        return uses

    def substitute(self, old: Value, new: Value) -> None:
        """Let every reader of `old`, and the outputs, read `new`."""
        for call in self.calls:
            if old in call.inputs:
                call.inputs = tuple(new if v is old else v for v in call.inputs)
        self.outputs = [new if v is old else v for v in self.outputs]

    def remove_dead(self) -> int:
        """Remove calls whose output nobody reads."""
        live = set(self.outputs)
        kept: list[Call] = []
        for call in reversed(self.calls):
            if not live.isdisjoint(call.outputs):
                kept.append(call)
                live.update(call.inputs)
        removed = len(self.calls) - len(kept)
        self.calls = kept[::-1]
        return removed

    def unique_name(self, wanted: str) -> str:
        """`wanted`, or the first of wanted_2, wanted_3 … that no value has."""
        name = unused_name(wanted, self.reserved | {v.name for v in self.values()})
        self.reserved.add(name)
        return name

    def values(self) -> Iterable[Value]:
        seen: dict[Value, None] = dict.fromkeys(self.inputs)
        for call in self.calls:
            seen.update(dict.fromkeys((*call.inputs, *call.outputs)))
        seen.update(dict.fromkeys(self.outputs))
        return seen


class Builder:
    """Appends calls to a list; what depends on constants and on no elements alone is folded by the reference."""

    def __init__(self, program: Program, source: str, title: str = "") -> None:
        self.program = program
        self.source = source
        self.title = title
        self.calls: list[Call] = []

    def constant(self, data: Array, name: str = "constant") -> Value:
        data = inside(data)
        return Value(f"{self.source}.{name}", data.shape, DType(data.dtype.name), data=data)

    def call(self, op: Op, inputs: Sequence[Value], name: str = "", sizes: Sizes | None = None) -> Value:
        """The value of `op` on `inputs`. `name` is given to the result, else one is made from the source.

        `sizes` are the result's where the operator cannot tell them by itself.
        """
        if inputs and all(v.is_constant or v.size == 0 for v in inputs):
            data = op.reference([np.empty(v.shape, v.dtype.numpy) if v.data is None else v.data for v in inputs])
            return Value(name or f"{self.source}.folded", data.shape, DType(data.dtype.name), data=data)
        return self.keep(op, inputs, name, sizes)

    def keep(self, op: Op, inputs: Sequence[Value], name: str = "", sizes: Sizes | None = None) -> Value:
        """Like `call`, without folding constants."""
        sizes = self._sizes(op, inputs) if sizes is None else sizes  # first: it refuses lengths that cannot be told
        kind = op.infer(inputs)
        output = Value(name or self.program.unique_name(f"{self.source}.1"), kind.shape, kind.dtype, sizes=sizes)
        self.calls.append(Call(op, tuple(inputs), output, self.source, self.title or op.title))
        return output

    def call_all(self, op: Routine, inputs: Sequence[Value]) -> tuple[Value, ...]:
        """All outputs of `op`."""
        if all(v.data is not None for v in inputs):
            arrays = op.reference_all([v.data for v in inputs if v.data is not None])
            return tuple(
                Value(f"{self.source}.folded_{i}", array.shape, DType(array.dtype.name), data=array)
                for i, array in enumerate(arrays)
            )
        sizes = self._sizes(op, inputs)
        outputs = tuple(
            Value(self.program.unique_name(f"{self.source}.{i}"), kind.shape, kind.dtype, sizes=sizes)
            for i, kind in enumerate(op.infer_all(inputs))
        )
        self.calls.append(Call(op, tuple(inputs), outputs[0], self.source, self.title or op.title, outputs[1:]))
        return outputs

    def _sizes(self, op: Op, inputs: Sequence[Value]) -> Sizes:
        if not any(v.sizes for v in inputs):
            return ()
        sizes = op.sizes(inputs, self)
        if sizes is None:
            raise size_error(self.title or op.title, self.source, inputs)
        return sizes if any(count is not None for count in sizes) else ()


def interpret(program: Program, inputs: Sequence[Array]) -> dict[Value, Array]:
    """Run the references of all calls. Returns every value's array; `inputs` are in the program's order."""
    known: dict[Value, Array] = dict(zip(program.inputs, inputs, strict=True))
    for call in program.calls:
        arrays = [known[v] if v.data is None else v.data for v in call.inputs]
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # infinities and NaNs are results, too
            results = call.op.reference_all(arrays) if isinstance(call.op, Routine) else (call.op.reference(arrays),)
        for value, result in zip(call.outputs, results, strict=True):
            if result.shape != value.shape or result.dtype.name != value.dtype.value:
                raise InternalError(
                    f"{call.op.title} gave {result.dtype}{result.shape}, its type says "
                    f"{value.dtype.value}{value.shape}",
                    where=call.source,
                )
            known[value] = result
    for value in program.outputs:
        if value.data is not None:
            known[value] = value.data
    return known
