"""What the back half passes on: kernels, the steps that call them, and where their buffers lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from tinycast.ir.types import Array, DType, Quant, Value
from tinycast.target.types import Region, Target


class Role(Enum):
    INPUT = "input"  # const pointer to an activation or a constant
    OUTPUT = "output"
    SCRATCH = "scratch"  # pointer to planned memory, undefined content
    SCALAR = "scalar"  # int32_t by value


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel's C function."""

    name: str
    dtype: DType
    role: Role
    bytes: int = 0  # of the buffer; 0 for scalars


@dataclass(frozen=True)
class Kernel:
    """One C function.

    `body` is the text between (and without) the outer braces. `runtime` names the files of runtime_c
    it includes. `in_place` lists (output, input) parameter indices that may be the same memory; `overlap`
    lists (output, input, distance): the output may start that many bytes or more below the input and reach
    into it, because the kernel has read what it overwrites. `calls` are the kernels that the body calls:
    `$n(` stands for the name of the n-th of them. `tuned`: the tuning databases that chose its schedule.
    """

    symbol: str
    parameters: tuple[Parameter, ...]
    body: str
    runtime: frozenset[str] = frozenset()
    in_place: tuple[tuple[int, int], ...] = ()
    overlap: tuple[tuple[int, int, int], ...] = ()
    calls: tuple[InnerCall, ...] = ()
    tuned: tuple[str, ...] = ()

    @property
    def tuned_by(self) -> list[str]:
        """The tuning databases that chose the schedules of it and of the kernels that it calls."""
        return sorted({*self.tuned, *(name for call in self.calls for name in call.kernel.tuned_by)})


@dataclass(frozen=True)
class InnerCall:
    """A kernel called by another one, and which of its parameters share memory there with one that is written."""

    kernel: Kernel
    aliased: frozenset[int] = frozenset()


Argument = Value | int  # a Value (activation, constant or scratch) or a scalar


@dataclass(eq=False)
class Step:
    """One call of a kernel: arguments in the order of the kernel's parameters."""

    name: str  # ONNX node the step comes from (the first, where several were fused)
    op: str  # what it does, in ONNX's terms: "Conv+Relu+QuantizeLinear"
    kernel: Kernel
    arguments: tuple[Argument, ...]
    sources: tuple[str, ...] = ()
    macs: int = 0
    notes: tuple[str, ...] = ()
    streamed: Streamed | None = None

    def values(self, role: Role) -> list[Value]:
        pairs = zip(self.kernel.parameters, self.arguments, strict=True)
        return [a for p, a in pairs if p.role is role and isinstance(a, Value)]


@dataclass(frozen=True)
class Streamed:
    """What a step that computes several layers row by row keeps in its scratch memory."""

    layers: tuple[str, ...]  # names of the steps it stands for
    buffers: tuple[tuple[str, int, int], ...]  # (value, rows kept, bytes)
    turns: int  # rows that its stages make in one run
    plan: MemoryPlan  # of what lives within a turn: kernels' scratch, single rows


@dataclass(frozen=True)
class Port:
    """An input or output of the compiled model, as the API shows it."""

    value: Value
    name: str  # the ONNX name
    dtype: DType
    shape: tuple[int, ...]  # ONNX's order, or NHWC where asked for; upper bounds where a size depends on data
    quant: Quant | None
    classes: tuple[str, ...] = ()  # names of what the numbers of a label, or the columns of scores, stand for
    dynamic_axes: tuple[int, ...] = ()  # whose length depends on data: the real elements are packed to the front
    dims: Value | None = None  # with those, the real dimensions: int32


@dataclass(frozen=True)
class StatePort:
    """What the model keeps from one run to the next: it starts as `initial`, a constant."""

    port: Port  # its place, under the name of the ONNX input
    output: str  # the ONNX output
    initial: Value

    @property
    def fill(self) -> int | None:
        """The byte that all of `initial` consists of, if there is one."""
        assert self.initial.data is not None
        content = set(self.initial.data.tobytes())
        return content.pop() if len(content) == 1 else None


@dataclass(frozen=True)
class Placement:
    """A buffer's place in its arena. Live over the steps first_step..last_step, both included."""

    name: str
    offset: int
    bytes: int
    first_step: int
    last_step: int
    region: int = 0  # index into `MemoryPlan.regions`, where there are several


@dataclass(frozen=True)
class RegionUse:
    """A memory, and how many bytes of it the plan takes: an arena of its own."""

    region: Region
    bytes: int


@dataclass(frozen=True)
class MemoryPlan:
    """Places of all buffers, the order of the steps, and the certificate's figures."""

    order: tuple[int, ...]  # order[i] = index (in the list given) of the step run i-th
    placements: Mapping[str, Placement] = field(default_factory=dict)
    arena_bytes: int = 0
    lower_bound_bytes: int = 0
    lower_bound_is_optimal: bool = False  # the order was proven to have the smallest peak
    peak_step: int = 0  # index into `order`
    shared: tuple[tuple[str, str], ...] = ()  # (output, input) pairs computed in place
    overlapping: tuple[tuple[str, str, int], ...] = ()  # (output, input, distance) that reach into each other
    regions: tuple[RegionUse, ...] = ()  # none: there is one arena; else `arena_bytes` is what all take

    def region_of(self, name: str) -> int:
        """The index of the region that a buffer lies in."""
        return self.placements[name].region

    def arena_of(self, name: str) -> int:
        """Bytes of the arena that a buffer lies in."""
        return self.regions[self.region_of(name)].bytes if self.regions else self.arena_bytes


@dataclass(frozen=True)
class Golden:
    """One input set and the outputs it must give (bit-exact for integers), for the self-test.

    A model with state is run `runs` times on it, from its initial state; the outputs are those of the last run.
    """

    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]
    exact: bool
    runs: int = 1
    dims: tuple[Array | None, ...] = ()  # of each output, where its size depends on data


@dataclass(frozen=True)
class Compiled:
    """Everything emit needs. `steps` are in the order they run."""

    name: str  # C identifier, lower case: the prefix of the generated API
    target: Target
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    steps: tuple[Step, ...]
    plan: MemoryPlan
    model_sha256: str
    golden: Golden | None = None
    notes: tuple[str, ...] = ()  # for the report: what runs in float, what was transposed …
    states: tuple[StatePort, ...] = ()
    flash: Mapping[tuple[DType, bytes], Region] = field(default_factory=dict)  # of constants, by content; or none
