"""Micro-kernels of cores whose vectors add up along a sum: what each computes, and the call that takes its place.

As in row_kernels, loops of length 1 are left out, since TVM matches none.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import cache
from math import ceil

from tvm.script import from_source, tirx

from tinycast.tvm_bridge.micro_kernels import register

_VECTOR = 16


@dataclass(frozen=True)
class RunKernel:
    """`positions` runs of `length` elements, one after the other, times `channels`, of which `woven` lie by turns."""

    positions: int
    channels: int
    length: int
    woven: int

    def register(self) -> str:
        """Tell TVM of it. Returns the intrinsic's name."""
        return _register_run(self)


@cache
def _register_run(kernel: RunKernel) -> str:
    positions, channels, length, woven = astuple(kernel)
    vectors = ceil(length / _VECTOR)
    width = min(length, _VECTOR)
    strides = "strides=[T.int32(), T.int32(), T.int32(), 1]"
    header = [
        f'    x: T.Buffer(({positions * length},), "int8", offset_factor=1),',
        f'    weight: T.Buffer(({channels // woven}, {vectors}, {woven}, {width}), "int8", offset_factor=1, {strides}),',
        f'    sums: T.Buffer(({positions}, {channels}), "int32", offset_factor=1, scope="local"),',
    ]
    regions = [
        f"T.reads(sums[0:{positions}, 0:{channels}], x[0:{positions * length}], weight[0:{channels // woven}, 0:{vectors}, 0:{woven}, 0:{width}])",
        f"T.writes(sums[0:{positions}, 0:{channels}])",
    ]
    i, loops, extents, kinds = (
        ("vi", "i, j, q", f"{positions}, {channels}, {length}", "SSR")
        if positions > 1
        else ("0", "j, q", f"{channels}, {length}", "SR")
    )
    meaning = [
        f"for {loops} in T.grid({extents}):",
        '    with T.sblock("sum"):',
        f'        {", ".join(f"v{x}" for x in loops.split(", "))} = T.axis.remap("{kinds}", [{loops}])',
        f'        sums[{i}, vj] = sums[{i}, vj] + T.Cast("int32", x[{i} * {length} + vq])'
        f' * T.Cast("int32", weight[vj // {woven}, vq // {_VECTOR}, vj % {woven}, vq % {_VECTOR}])',
    ]
    sizes = f"{positions}, {channels}, {length}" if woven == 2 else f"{channels}, {length}"
    pointers = 'sums.access_ptr("w"), x.access_ptr("r"), weight.access_ptr("r")'
    name = "tc_dot_runs_2x2" if woven == 2 else "tc_dot_runs_1x4"
    call = [f'T.evaluate(T.call_extern("int32", "{name}", {pointers}, {sizes}))']
    functions = [function_of(header, regions, body) for body in (meaning, call)]
    return register(f"tinycast.{name}_{positions}_{channels}_{length}", *functions)


@cache
def start_sums(positions: int, channels: int) -> str:
    """Nothing: what sets sums to zero before the kernels above, which set them themselves."""
    header = [f'    sums: T.Buffer(({positions}, {channels}), "int32", offset_factor=1, scope="local"),']
    regions = ["T.reads()", f"T.writes(sums[0:{positions}, 0:{channels}])"]
    loops = [("i", positions), ("j", channels)] if positions > 1 else [("j", channels)]
    names = ", ".join(n for n, _ in loops)
    meaning = [
        f"for {names} in T.grid({', '.join(str(n) for _, n in loops)}):",
        '    with T.sblock("start"):',
        f'        {", ".join(f"v{n}" for n, _ in loops)} = T.axis.remap("{"S" * len(loops)}", [{names}])',
        f"        sums[{'vi' if positions > 1 else '0'}, vj] = 0",
    ]
    functions = [function_of(header, regions, body) for body in (meaning, ["T.evaluate(0)"])]
    return register(f"tinycast.start_sums_{positions}_{channels}", *functions)


@cache
def copy_rows(rows: int, length: int, distance: int) -> str:
    """tc_copy_rows: `rows` runs of `length` int8, `distance` rows of the input apart, one after the other."""
    height = (rows - 1) * distance + 1
    header = [
        f'    x: T.Buffer(({height}, {length}), "int8", offset_factor=1, strides=[T.int32(), 1]),',
        f'    to: T.Buffer(({rows * length},), "int8", offset_factor=1),',
    ]
    regions = [f"T.reads(x[0:{height}, 0:{length}])", f"T.writes(to[0:{rows * length}])"]
    row, element = (f"ve // {length} * {distance}", f"ve % {length}") if rows > 1 else ("0", "ve")
    meaning = [
        f"for e in T.serial({rows * length}):",
        '    with T.sblock("copy"):',
        '        ve = T.axis.remap("S", [e])',
        f"        to[ve] = x[{row}, {element}]",
    ]
    pointers = 'to.access_ptr("w"), x.access_ptr("r")'
    call = [
        f'T.evaluate(T.call_extern("int32", "tc_copy_rows", {pointers}, {rows}, x.strides[0] * {distance}, {length}))'
    ]
    functions = [function_of(header, regions, body) for body in (meaning, call)]
    return register(f"tinycast.tc_copy_rows_{rows}_{length}_{distance}", *functions)


def function_of(header: list[str], regions: list[str], body: list[str]) -> object:
    """The TVM function of parameters, what they read and write, and statements."""
    lines = [
        "@T.prim_func(s_tir=True)",
        "def kernel(",
        *header,
        ") -> None:",
        '    with T.sblock("root"):',
        *(f"        {line}" for line in [*regions, *body]),
    ]
    return from_source("\n".join(lines), {"T": tirx})
