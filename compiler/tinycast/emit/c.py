"""A compiled model as C99 source files (DESIGN section 6)."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycast.artifact import Artifact
from tinycast.emit.kernels import Function, call_text, share_kernels, uses_memory_functions
from tinycast.emit.literals import float_literal, table_rows
from tinycast.emit.manifest import build_manifest, seal
from tinycast.emit.names import c_identifier, comment_text
from tinycast.emit.ports import PortView, port_views, state_views
from tinycast.emit.render import render
from tinycast.emit.runtime import runtime_files
from tinycast.emit.weights import Weights
from tinycast.errors import InternalError, UsageError
from tinycast.ir.kernel import Argument, Compiled, Parameter, Role
from tinycast.ir.types import Array, DType, Value

_COMMENT_COLUMNS = 112
# Of the largest output: sums may be taken in another order than where the golden output was made.
_FLOAT_TOLERANCE = 1e-4


@dataclass(frozen=True)
class _Layer:
    """One step of `<name>_run`."""

    comment: list[str]
    call: str


@dataclass(frozen=True)
class _GoldenTable:
    """The golden content of one input or output, for the self-test."""

    port: PortView
    rows: list[str]
    tolerance: str  # "0" for an exact comparison
    elements: int
    dims: list[int] | None = None  # the real ones, where the size depends on data


def emit_c(compiled: Compiled) -> Artifact:
    """Return the C package of `compiled`: API header, sources, weights, self-test and report.

    Pure: the same `compiled` gives the same bytes. Raises UsageError for a name that is no lower-case C identifier
    and InternalError for a plan or kernel that contradicts itself.
    """
    if compiled.name != c_identifier(compiled.name):
        raise UsageError(
            f"{compiled.name!r} cannot be the prefix of a C API",
            where="--name",
            fix=f"use a lower-case C identifier such as {c_identifier(compiled.name)!r}",
        )
    weights, plan = Weights(compiled), compiled.plan
    inputs = port_views(compiled, "input", weights.symbol)
    outputs = port_views(compiled, "output", weights.symbol)
    functions, calls = share_kernels(
        compiled, frozenset(n for v in inputs + outputs for n in (v.function, v.alias, v.dims_function))
    )
    _check_alignment(compiled)
    names = frozenset[str]().union(*(f.kernel.runtime for f in functions))
    runtime = runtime_files((n for n in names if n.startswith("tc_")), compiled.target.runtime)
    states = state_views(compiled, weights.symbol)
    manifest = build_manifest(compiled, inputs, outputs, states, calls, weights.bytes)
    context: dict[str, Any] = {
        "name": compiled.name,
        "NAME": compiled.name.upper(),
        "target": compiled.target,
        "manifest": manifest,
        "inputs": inputs,
        "outputs": outputs,
        "states": states,
        "uses_bool": any(view.dtype is DType.BOOL for view in inputs + outputs),
        "layers": _layers(compiled, calls, weights),
        "functions": functions,
        "summaries": [_summary(compiled, function) for function in functions],
        "weights": weights.arrays,
        "arenas": [use for use in plan.regions if use.bytes],
        "port_arenas": [plan.regions[i] for i in sorted(_port_regions(compiled))] if plan.regions else [],
        "flash_regions": sorted(set(compiled.flash.values()), key=lambda region: region.name),
        "golden": compiled.golden is not None,
        "golden_runs": compiled.golden.runs if compiled.golden is not None else 0,
        "runtime_headers": sorted(n for n in names if n.startswith("tc_")),
        "system_headers": sorted(n for n in names if not n.startswith("tc_")),
        "uses_memory_functions": uses_memory_functions(functions),
    }
    name = compiled.name
    files = {
        f"include/{name}.h": render("c/model.h.j2", **context),
        f"src/{name}.c": render("c/model.c.j2", **context),
        f"src/{name}_kernels.c": render("c/kernels.c.j2", **context),
        f"src/{name}_kernels.h": render("c/kernels.h.j2", **context),
        f"src/{name}_weights.c": render("c/weights.c.j2", **context),
        f"src/{name}_weights.h": render("c/weights.h.j2", **context),
        **{f"src/{file}": content for file, content in runtime.items()},
    }
    if compiled.golden is not None:
        golden = compiled.golden
        tables = {
            "golden_inputs": [_table(v, a, True) for v, a in zip(inputs, golden.inputs, strict=True)],
            "golden_outputs": [
                _table(v, a, golden.exact, d)
                for v, a, d in zip(outputs, golden.outputs, golden.dims or (None,) * len(outputs), strict=True)
            ],
        }
        files[f"test/{name}_selftest.c"] = render("c/selftest.c.j2", **context, **tables)
    return seal(manifest, files)


def _port_regions(compiled: Compiled) -> set[int]:
    values = [v for port in (*compiled.inputs, *compiled.outputs) for v in (port.value, port.dims)]
    return {compiled.plan.region_of(v.name) for v in values if v is not None and not v.is_constant}


def _check_alignment(compiled: Compiled) -> None:
    """Raise InternalError for a buffer that would be misaligned for its type, or lies outside of the arena."""
    for step in compiled.steps:
        for argument in step.arguments:
            if not isinstance(argument, Value) or argument.is_constant:
                continue
            place = compiled.plan.placements[argument.name]
            arena_bytes = compiled.plan.arena_of(argument.name)
            if place.offset % argument.dtype.itemsize or place.offset + argument.bytes > arena_bytes:
                raise InternalError("the memory plan misplaces a buffer", where=f"{argument.name} in {step.name}")


def _layers(compiled: Compiled, calls: list[Function], weights: Weights) -> list[_Layer]:
    layers = []
    for index, (step, function) in enumerate(zip(compiled.steps, calls, strict=True)):
        sources = ", ".join(step.sources or (step.name,))
        lines = _wrap(f"{index}: {step.op} ({sources})")
        pairs = list(zip(step.kernel.parameters, step.arguments, strict=True))
        lines += _wrap(_data_flow(compiled, pairs))
        layers.append(_Layer(lines, call_text(step, function, weights, compiled.plan)))
    return layers


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(comment_text(text), _COMMENT_COLUMNS, subsequent_indent="  ")


def _data_flow(compiled: Compiled, pairs: list[tuple[Parameter, Argument]]) -> str:
    """Shapes and places of a step's activations: `int8 [1, 8] at 0 -> int8 [1, 4] at 16`."""

    def side(role: Role) -> str:
        values = [a for p, a in pairs if p.role is role and isinstance(a, Value) and not a.is_constant]
        return " and ".join(_place(compiled, value) for value in values)

    flow = f"{side(Role.INPUT)} -> {side(Role.OUTPUT)}".strip()
    scratch = side(Role.SCRATCH)
    return f"{flow}; scratch {scratch}" if scratch else flow


def _place(compiled: Compiled, value: Value) -> str:
    shape = ", ".join(map(str, value.shape))
    plan = compiled.plan
    region = f" of {plan.regions[plan.region_of(value.name)].region.name}" if plan.regions else ""
    return f"{value.dtype.value} [{shape}] at {plan.placements[value.name].offset}{region}"


def _summary(compiled: Compiled, function: Function) -> list[str]:
    """The comment before a kernel: what it does, and for which layers."""
    operators = sorted({compiled.steps[i].op for i in function.steps})
    layers = ", ".join(map(str, function.steps))
    return _wrap(f"{', '.join(operators)}: layer{'s' if len(function.steps) > 1 else ''} {layers}.")


def _table(view: PortView, data: Array, exact: bool, dims: Array | None = None) -> _GoldenTable:
    if data.size != view.elements:
        raise InternalError(f"golden data has {data.size} elements, not {view.elements}", where=view.port.name)
    if dims is not None:
        data = data.reshape(-1)[: int(dims.prod())]
    tolerance = "0"
    if view.dtype.inside is DType.FLOAT32 and not view.port.value.is_constant:
        reals = data.astype(np.float32)
        finite = np.abs(reals[np.isfinite(reals)])
        tolerance = float_literal(max(_FLOAT_TOLERANCE, view.dtype.epsilon) * float(finite.max(initial=0.0)))
    elif view.port.quant is not None and not exact:
        tolerance = "1"  # a float layer before it may round to the other side of a step
    rows = table_rows(data.astype(view.dtype.numpy), view.dtype)
    return _GoldenTable(view, rows, tolerance, data.size, None if dims is None else dims.tolist())
