"""A group of calls to a step: a scheduled, printed kernel and its arguments."""

from __future__ import annotations

import re
from dataclasses import replace

from tinycast.errors import InternalError, TinycastError
from tinycast.ir.c_words import KEYWORDS
from tinycast.ir.fixed_point import MAX_SHIFT
from tinycast.ir.graph import Call, Pattern, Routine, TensorType
from tinycast.ir.kernel import Argument, Kernel, Parameter, Role, Step
from tinycast.ir.names import unused_name
from tinycast.ir.types import DType, Value
from tinycast.ops.conv import Conv2D
from tinycast.ops.shape import TO_NHWC, Reshape, Transpose
from tinycast.schedule.choice import Choice, choices_of
from tinycast.schedule.flat import flat_positions, flatten_rows
from tinycast.schedule.overlap import Reads, overlap_distance
from tinycast.schedule.routine import routine_step
from tinycast.schedule.strategies import schedule_group
from tinycast.schedule.tuning import Tuning
from tinycast.target.types import Target
from tinycast.tvm_bridge import expr as te
from tinycast.tvm_bridge.c_printer import PrintedFunction, print_function
from tinycast.tvm_bridge.copies import Copies
from tinycast.tvm_bridge.function import scalar, schedule_of
from tinycast.tvm_bridge.lower import lower

# Which file of runtime_c declares a function that kernels call.
_HEADERS = {
    "tc_clamp": "tc_clamp.h",
    **dict.fromkeys(("tc_copy", "tc_fill"), "tc_copy.h"),
    **dict.fromkeys(("tc_requantize", "tc_requantize_s16"), "tc_requantize.h"),
    **{f"tc_requantize_s8_{shift}": "tc_requantize.h" for shift in range(1, MAX_SHIFT + 1)},
    **dict.fromkeys(("tc_dot_2x2", "tc_dot_1x4", "tc_widen"), "tc_dot.h"),
    "tc_dot_4x1": "tc_dot_4x1.h",
    "tc_dot_4x4": "tc_dot_4x4.h",
    **dict.fromkeys(("tc_dot_pairs", "tc_dot_wide_pairs", "tc_depthwise_pairs"), "tc_rows.h"),
    **dict.fromkeys(("tc_dot_floats", "tc_depthwise_floats"), "tc_float_rows.h"),
    **dict.fromkeys(
        ("tc_flip", "tc_copy_flipped", "tc_weave_flipped", "tc_dot_quads", "tc_depthwise_quads"), "tc_quads.h"
    ),
    "tc_relu": "tc_relu.h",
    **{f"tc_{f}_{d}": "tc_extremes.h" for f in ("min", "max") for d in ("float32", "int32", "uint32", "int64")},
    **{f"tc_{kind}_{part}": f"tc_{kind}.h" for kind in ("winograd", "float_winograd") for part in ("patches", "sums")},
    **dict.fromkeys(("tc_dot_runs_2x2", "tc_dot_runs_1x4", "tc_copy_rows"), "tc_dot_runs.h"),
    "tc_depthwise_bytes": "tc_depthwise_bytes.h",
    **dict.fromkeys(("tc_weave", "tc_weave_wide"), "tc_weave.h"),
    "tc_plane": "tc_plane.h",
    "tc_taps": "tc_taps.h",
    "tc_softmax": "tc_softmax.h",
    **dict.fromkeys((f"tc_softmax_{part}" for part in ("power", "reciprocal", "share")), "tc_softmax_wide.h"),
    "tc_round_clamp": "tc_round.h",
    **dict.fromkeys(("tc_exp", "tc_expm1", "tc_log", "tc_tanh", "tc_sigmoid", "tc_softplus", "tc_erf"), "tc_math.h"),
    **dict.fromkeys(("tc_sqrt", "tc_floor", "tc_rint", "tc_is_nan", "TC_INFINITY", "TC_NAN"), "tc_math.h"),
    **dict.fromkeys(("tc_trunc", "tc_ceil", "tc_fmod", "tc_integer_power"), "tc_integral.h"),
    **dict.fromkeys((f"tc_{f}" for f in ("pow", "sinh", "cosh", "asinh", "acosh", "atanh")), "tc_power.h"),
    **dict.fromkeys(
        (f"tc_{way}_{d.value}" for d in DType if d.is_coded_float for way in ("to", "from")), "tc_formats.h"
    ),
    **dict.fromkeys((f"tc_{f}" for f in ("sin", "cos", "tan", "asin", "acos", "atan")), "tc_trig.h"),
}


_LANES_MATH = {f"tc_lanes_{f}_f32": "tc_lanes_math.h" for f in ("exp", "expm1", "sigmoid", "tanh")}


def _header(function: str) -> str:
    return _LANES_MATH.get(function, "tc_lanes.h") if function.startswith("tc_lanes_") else _HEADERS[function]


def make_step(
    calls: list[Call], anchor: Call | None, target: Target, symbol: str, tuning: Tuning | None = None
) -> Step:
    """Compile the calls of a group into one kernel called `symbol`, scheduled as `tuning` or the cost model says."""
    if isinstance(calls[0].op, Routine):
        return routine_step(calls[0], symbol, target)
    group = flatten_rows(calls, anchor)
    tuned = None if tuning is None else tuning.find(group.calls, group.anchor, target)
    choice = choices_of(group.calls, group.anchor, target)[0] if tuned is None else tuned.choice
    step = scheduled_step(group.calls, group.anchor, target, symbol, choice)
    step = replace(step, arguments=tuple(group.original(a) for a in step.arguments))
    return step if tuned is None else replace(step, kernel=replace(step.kernel, tuned=(tuned.origin,)))


def scheduled_step(calls: list[Call], anchor: Call | None, target: Target, symbol: str, choice: Choice) -> Step:
    """The same with one of the choices that there are (choices_of)."""
    try:
        return _GroupCompiler(calls, anchor, target, symbol, choice).step()
    except TinycastError:
        raise
    except Exception as error:
        raise InternalError(
            f"no kernel for {'+'.join(c.title for c in calls)}: {error}", where=calls[0].source
        ) from error


class _GroupCompiler:
    def __init__(self, calls: list[Call], anchor: Call | None, target: Target, symbol: str, choice: Choice) -> None:
        self._output = calls[-1].output
        kept = list(calls)
        while len(kept) > 1 and isinstance(kept[-1].op, Reshape):
            kept.pop()  # the same bytes
        self._calls = kept
        self._all = calls
        self._anchor = anchor
        self._target = target
        self._symbol = symbol
        self._choice = choice
        self._tile = choice.tile
        self._image = self._flat_image()
        self._tensors: dict[Value, te.Tensor] = {}
        self._parameters: list[tuple[Parameter, Argument, te.Tensor]] = []
        self._names: set[str] = {"output", *KEYWORDS}

    def step(self) -> Step:
        for call in self._calls:
            self._compute(call)
        lanes = self._has_lanes()
        printed, reads, in_place = self._printed(lanes=lanes)
        if lanes and self._anchor is None and not any(f.startswith("tc_lanes_") for f in printed.functions):
            # Something has no vector operation: compilers make more of one loop.
            printed, reads, in_place = self._printed(lanes=False)
        parameters = [p for p, _, _ in self._parameters]
        arguments: list[Argument] = [a for _, a, _ in self._parameters]
        output = self._output
        parameters.append(Parameter("output", output.dtype, Role.OUTPUT, output.bytes))
        arguments.append(output)
        for scratch in printed.scratch:
            name = f"{output.name}.{scratch.name}"
            parameters.append(Parameter(scratch.name, scratch.dtype, Role.SCRATCH, scratch.bytes))
            arguments.append(Value(name, (scratch.bytes // scratch.dtype.itemsize,), scratch.dtype))
        runtime = frozenset(_header(f) for f in printed.functions)
        kernel = Kernel(self._symbol, tuple(parameters), printed.body, runtime, in_place, self._overlap(reads))
        titles = list(dict.fromkeys(c.title for c in self._all))
        named = self._anchor or self._all[0]
        return Step(
            named.source,
            "+".join(titles),
            kernel,
            tuple(arguments),
            tuple(dict.fromkeys(c.source for c in self._all)),
            sum(c.op.macs(c.inputs, TensorType(c.output.shape, c.output.dtype)) for c in self._all),
        )

    def _printed(self, *, lanes: bool) -> tuple[PrintedFunction, Reads, tuple[tuple[int, int], ...]]:
        """The C of the kernel, how it reads the anchor's input, and what it may overwrite. `lanes`: by four."""
        result = self._tensors[self._calls[-1].output]
        tensors = [t for _, _, t in self._parameters]
        schedule = schedule_of([*tensors, result])
        moved = self._anchor is not None and self._anchor.inputs[0] in {c.output for c in self._calls}
        in_place = self._in_place()
        reads = schedule_group(
            schedule,
            self._anchor,
            self._choice,
            flat=self._is_flat(),
            moved=moved,
            in_place=bool(in_place),
            lanes=lanes,
            scalar=not self._target.has_vectors,
        )
        names = [p.name for p, _, _ in self._parameters] + ["output"]
        kernels = self._target.micro_kernels
        least_bytes = 4 if "dot_runs" in kernels else 16
        copies = Copies(least_bytes, woven="weave" in kernels, woven_wide="weave_wide" in kernels)
        lowered = lower(schedule.mod, copies, pairs_lanes="lane_pairs" in kernels)
        return print_function(lowered, names, self._target.local_bytes), reads, in_place

    def _flat_image(self) -> tuple[int, int] | None:
        """(H, W) where the whole group works position by position: its positions are counted as one row."""
        anchor = self._anchor
        if anchor is not self._calls[0] or not isinstance(anchor.op, Conv2D) or not flat_positions(anchor):
            return None
        if not all(c.op.pattern is Pattern.ELEMENTWISE for c in self._calls[1:]):
            return None
        _, height, width, _ = anchor.output.shape
        image = (height, width)
        operands = [v.shape for c in self._calls[1:] for v in c.inputs if len(v.shape) == 4]
        return image if all(s[1:3] in (image, (1, 1)) for s in operands) else None

    def _shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if self._image is None or len(shape) != 4 or shape[1:3] != self._image:
            return shape
        return (shape[0], 1, shape[1] * shape[2], shape[3])

    def _compute(self, call: Call) -> None:
        inputs = list(call.inputs)
        if isinstance(call.op, Reshape) and inputs[0] not in self._tensors and len(self._calls) > 1:
            # The same bytes seen in another shape: no stage of its own.
            view = replace_shape(inputs[0], call.output.shape)
            self._tensors[call.output] = self._parameter(inputs[0], view, None, 0)
            return
        tensors = [self._tensors.get(v, None) for v in inputs]
        tensors = [
            self._parameter(v, v, call if call is self._anchor else None, i) if t is None else t
            for i, (v, t) in enumerate(zip(inputs, tensors, strict=True))
        ]
        kind = TensorType(self._shape(call.output.shape), call.output.dtype)
        self._tensors[call.output] = call.op.compute(tensors, kind, self._tile)

    def _parameter(self, value: Value, view: Value, anchor: Call | None, index: int) -> te.Tensor:
        if value.data is not None:
            data = value.data
            if data.ndim == 0:
                return self._scalar(value)
            if anchor is not None:
                data = anchor.op.pack(index, data, self._tile)
            data = data.reshape(self._shape(data.shape))
            packed = Value(value.name, data.shape, value.dtype, data=data)
            name = self._unique(re.split(r"[./]", value.name)[-1])
            tensor = te.placeholder(data.shape, value.dtype.carrier.value, name=name)
            self._parameters.append((Parameter(name, value.dtype, Role.INPUT, packed.bytes), packed, tensor))
            return tensor
        if anchor is not None and index == 0 and self._tile.input_channels:
            return self._flat_rows(value)
        name = self._unique("input")
        tensor = te.placeholder(self._shape(view.shape), view.dtype.carrier.value, name=name)
        self._parameters.append((Parameter(name, value.dtype, Role.INPUT, value.bytes), value, tensor))
        self._tensors[value] = tensor
        return tensor

    def _flat_rows(self, value: Value) -> te.Tensor:
        """The input of a convolution as rows without a channel axis; only the convolution reads it so."""
        n, h, w, c = self._shape(value.shape)
        name = self._unique("input")
        tensor = te.placeholder((n, h, w * c), value.dtype.carrier.value, name=name)
        self._parameters.append((Parameter(name, value.dtype, Role.INPUT, value.bytes), value, tensor))
        return tensor

    def _scalar(self, value: Value) -> te.Tensor:
        """Small integers are written into the code; larger ones are passed, so that layers can share it."""
        assert value.data is not None
        number = value.data.item()
        if value.dtype is not DType.INT32 or -256 < number < 256:
            return te.immediate(number, value.dtype)
        name = self._unique(re.split(r"[./]", value.name)[-1])
        variable = scalar(name)
        self._parameters.append((Parameter(name, value.dtype, Role.SCALAR), number, variable))
        return te.by_value(variable)

    def _unique(self, wanted: str) -> str:
        base = re.sub(r"\W", "_", wanted)
        base = base if base and not base[0].isdigit() else f"constant_{base}"
        name = unused_name(base, self._names)
        self._names.add(name)
        return name

    def _has_lanes(self) -> bool:
        """Whether the core has vectors of four that fit the group, which does not only copy."""
        types = {v.dtype for c in self._calls for v in (*c.inputs, c.output)}
        computes = self._anchor is not None or all(c.op.pattern is Pattern.ELEMENTWISE for c in self._calls)
        in_rows = self._anchor is None or self._anchor.op.pattern is Pattern.ROWS
        if types == {DType.FLOAT32} and (self._tile.vector or (computes and in_rows)):
            return "float_lanes" in self._target.micro_kernels
        return "lanes" in self._target.micro_kernels and computes and types <= {DType.INT8, DType.INT32}

    def _is_flat(self) -> bool:
        """Whether one loop can count the elements of output and operands alike."""
        shape = self._calls[-1].output.shape
        operands = [v for c in self._calls for v in c.inputs if not (v.is_constant and v.size in (1, 256))]
        return all(c.op.pattern is Pattern.ELEMENTWISE for c in self._calls) and all(v.shape == shape for v in operands)

    def _in_place(self) -> tuple[tuple[int, int], ...]:
        """Operands read only at the index that is written next: the output may take their memory."""
        inside = {c.output for c in self._calls}
        pairs = []
        for i, (parameter, argument, _) in enumerate(self._parameters):
            if parameter.role is not Role.INPUT or not isinstance(argument, Value) or argument.is_constant:
                continue
            readers = [c for c in self._calls if argument in c.inputs]
            after_anchor = self._anchor is None or all(
                self._calls.index(c) > self._calls.index(self._anchor) for c in readers
            )
            pointwise = all(
                c.op.pattern is Pattern.ELEMENTWISE and c.output.shape == argument.shape for c in readers
            ) and all(c.op.pattern is Pattern.ELEMENTWISE for c in self._calls[self._calls.index(readers[0]) :])
            if self._tile.planes and readers == [self._anchor] == self._calls[:1]:
                # A channel's plane is copied before any of that channel is written.
                after_anchor = pointwise = all(c.op.pattern is Pattern.ELEMENTWISE for c in self._calls[1:])
            if after_anchor and pointwise and argument.bytes == self._output.bytes and inside:
                pairs.append((len(self._parameters), i))
        return tuple(pairs)

    def _overlap(self, reads: Reads) -> tuple[tuple[int, int, int], ...]:
        """Whether the output may grow into the anchor's input, which nothing else reads."""
        anchor = self._anchor
        if anchor is None:
            return ()
        first = self._calls[0]
        planes = first.output is anchor.inputs[0] and first.op == Transpose(TO_NHWC)
        source, reader = (first.inputs[0], first) if planes else (anchor.inputs[0], anchor)
        places = [i for i, (_, argument, _) in enumerate(self._parameters) if argument is source]
        if [c for c in self._calls if source in c.inputs] != [reader] or len(places) != 1:
            return ()
        distance = overlap_distance(anchor, self._output.dtype.itemsize, self._tile, reads, planes=planes)
        return () if distance is None else ((len(self._parameters), places[0], distance),)


def replace_shape(value: Value, shape: tuple[int, ...]) -> Value:
    """The same value seen in another shape."""
    return Value(value.name, shape, value.dtype, value.quant, value.data)
