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
    weights = (channels // woven, ceil(length / _VECTOR), woven, min(length, _VECTOR))
    strides = "strides=[T.int32(), T.int32(), T.int32(), 1]"
    header = [
        f'    x: T.Buffer(({positions * length},), "int8", offset_factor=1),',
        f'    weight: T.Buffer({weights}, "int8", offset_factor=1, {strides}),',
        f'    sums: T.Buffer(({positions}, {channels}), "int32", offset_factor=1, scope="local"),',
    ]
    regions = [
        f"T.reads(sums[0:{positions}, 0:{channels}], x[0:{positions * length}],"
        f" weight[{', '.join(f'0:{n}' for n in weights)}])",
        f"T.writes(sums[0:{positions}, 0:{channels}])",
    ]
    index, loops = loops_of({"i": positions, "j": channels, "q": length}, "q")
    i, j, q = (index[name] for name in "ijq")
    meaning = [
        *loops,
        f'        sums[{i}, {j}] = sums[{i}, {j}] + T.Cast("int32", x[{i} * {length} + {q}])'
        f' * T.Cast("int32", weight[{j} // {woven}, {q} // {_VECTOR}, {j} % {woven}, {q} % {_VECTOR}])',
    ]
    sizes = f"{positions}, {channels}, {length}" if woven == 2 else f"{channels}, {length}"
    pointers = 'sums.access_ptr("w"), x.access_ptr("r"), weight.access_ptr("r")'
    name = "tc_dot_runs_2x2" if woven == 2 else "tc_dot_runs_1x4"
    call = [f'T.evaluate(T.call_extern("int32", "{name}", {pointers}, {sizes}))']
    functions = [function_of(header, regions, body) for body in (meaning, call)]
    return register(f"tinycast.{name}_{positions}_{channels}_{length}", *functions)


@dataclass(frozen=True)
class DepthwiseKernel:
    """`blocks` blocks of 16 channels of a position, or neighbouring `positions` that share a block. Windows have
    `taps`, `tap_step` elements apart, in each of `rows` rows, `dilation` rows apart.
    """

    blocks: int
    positions: int
    rows: int
    taps: int
    dilation: int
    tap_step: int

    def register(self) -> str:
        """Tell TVM of it. Returns the intrinsic's name."""
        return _register_depthwise(self)


@cache
def _register_depthwise(kernel: DepthwiseKernel) -> str:
    blocks, positions, rows, taps, dilation, tap_step = astuple(kernel)
    channels = _VECTOR // positions
    height, width = (rows - 1) * dilation + 1, (taps - 1) * tap_step + blocks * _VECTOR
    weights = f"{blocks}, {rows * taps}, {_VECTOR}, 1"
    header = [
        f'    x: T.Buffer(({height}, {width}), "int8", offset_factor=1, strides=[T.int32(), 1]),',
        f'    weight: T.Buffer(({weights}), "int8", offset_factor=1),',
        f'    sums: T.Buffer(({blocks}, {positions}, {channels}), "int32", offset_factor=1, scope="local"),',
    ]
    sums = f"sums[0:{blocks}, 0:{positions}, 0:{channels}]"
    regions = [
        f"T.reads({sums}, x[0:{height}, 0:{width}], weight[0:{blocks}, 0:{rows * taps}, 0:{_VECTOR}, 0])",
        f"T.writes({sums})",
    ]
    index, loops = loops_of({"o": blocks, "i": positions, "j": channels, "r": rows, "q": taps}, "rq")
    o, i, j, r, q = (index[name] for name in "oijrq")
    element = f"x[{r} * {dilation}, {q} * {tap_step} + {o} * {_VECTOR} + {i} * {channels} + {j}]"
    factor = f"weight[{o}, {r} * {taps} + {q}, {i} * {channels} + {j}, 0]"
    meaning = [
        *loops,
        f'        sums[{o}, {i}, {j}] = sums[{o}, {i}, {j}] + T.Cast("int32", {element}) * T.Cast("int32", {factor})',
    ]
    pointers = 'sums.access_ptr("w"), x.access_ptr("r"), weight.access_ptr("r")'
    sizes = f"{blocks * _VECTOR}, {rows}, x.strides[0] * {dilation}, {taps}, {tap_step}"
    call = [f'T.evaluate(T.call_extern("int32", "tc_depthwise_bytes", {pointers}, {sizes}))']
    functions = [function_of(header, regions, body) for body in (meaning, call)]
    return register(f"tinycast.tc_depthwise_bytes_{'_'.join(map(str, astuple(kernel)))}", *functions)


@cache
def start_sums(shape: tuple[int, ...], dtype: str = "int32") -> str:
    """Nothing: what sets sums to zero before kernels that set them themselves."""
    header = [f'    sums: T.Buffer(({", ".join(map(str, shape))},), "{dtype}", offset_factor=1, scope="local"),']
    regions = ["T.reads()", f"T.writes(sums[{', '.join(f'0:{n}' for n in shape)}])"]
    index, loops = loops_of(dict(zip("ijklm", shape, strict=False)), "")
    meaning = [*loops, f"        sums[{', '.join(index.values())}] = T.{dtype}(0)"]
    functions = [function_of(header, regions, body) for body in (meaning, ["T.evaluate(0)"])]
    return register(f"tinycast.start_sums_{dtype}_{'_'.join(map(str, shape))}", *functions)


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
    _, loops = loops_of({"e": rows * length}, "")
    meaning = [*loops, f"        to[ve] = x[{row}, {element}]"]
    pointers = 'to.access_ptr("w"), x.access_ptr("r")'
    call = [
        f'T.evaluate(T.call_extern("int32", "tc_copy_rows", {pointers}, {rows}, x.strides[0] * {distance}, {length}))'
    ]
    functions = [function_of(header, regions, body) for body in (meaning, call)]
    return register(f"tinycast.tc_copy_rows_{rows}_{length}_{distance}", *functions)


def loops_of(extents: dict[str, int], reduced: str) -> tuple[dict[str, str], list[str]]:
    """The index of each loop, and the lines that begin their nest and its block; `reduced` are those summed over."""
    several = {name: extent for name, extent in extents.items() if extent > 1}
    names = ", ".join(several)
    kinds = "".join("R" if name in reduced else "S" for name in several)
    lines = [
        f"for {names} in T.grid({', '.join(map(str, several.values()))}):",
        '    with T.sblock("element"):',
        *(f'        v{n} = T.axis.remap("{k}", [{n}])' for n, k in zip(several, kinds, strict=True)),
    ]
    return {name: f"v{name}" if name in several else "0" for name in extents}, lines


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
