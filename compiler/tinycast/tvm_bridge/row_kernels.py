"""Micro-kernels of cores with vectors: what each computes, as TVM matches it, and the call that takes its place.

Their meanings are written as text, since TVM matches no loop of length 1: those are left out.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import cache
from math import ceil

from tvm.script import from_source, tirx

from tinycast.ir.graph import PAIR, QUAD
from tinycast.tvm_bridge.micro_kernels import register

_CHANNELS = 8
# By elements that a product adds: what functions call them, and the types of operands, weights and sums.
_ELEMENTS = {
    1: ("floats", "float32", "float32", "float32"),
    PAIR: ("pairs", "int16", "int8", "int32"),
    QUAD: ("quads", "int8", "int8", "int32"),
}


@dataclass(frozen=True)
class RowKernel:
    """A tile of `positions` (`step` elements apart) times eight channels; the window is `groups` groups in each of
    `rows` rows, `dilation` rows apart. A group is `lanes` neighbours; of a depthwise layer, a pair of a channel's taps,
    `tap_step` elements apart, or four of its rows, the last one repeated where it is filled up.
    """

    positions: int
    step: int
    rows: int
    dilation: int
    groups: int
    lanes: int
    tap_step: int = 0  # of a depthwise layer
    apart: int = 0  # elements from a row to the next, where they are taps in one row of the input
    end: int = 0  # elements of the only row, where the last tile is cut: positions that begin behind it are left out
    wide: bool = False  # weights are int16, as the pairs that they are multiplied with

    @property
    def row_groups(self) -> int:
        """Groups above each other."""
        return ceil(self.rows / QUAD) if self.is_by_columns else self.rows

    @property
    def function(self) -> str:
        """The function of runtime_c."""
        return f"tc_{'depthwise' if self.tap_step else 'dot'}_{'wide_' if self.wide else ''}{_ELEMENTS[self.lanes][0]}"

    @property
    def is_by_columns(self) -> bool:
        """Whether a group holds taps of several rows."""
        return bool(self.tap_step) and self.lanes == QUAD

    def register(self) -> str:
        """Tell TVM of it. Returns the intrinsic's name."""
        return _register(self)


@cache
def _register(kernel: RowKernel) -> str:
    name = f"tinycast.{kernel.function}_{'_'.join(map(str, astuple(kernel)))}"
    functions = [from_source(_function(kernel, body), {"T": tirx}) for body in (_meaning(kernel), _call(kernel))]
    return register(name, *functions)


def _function(kernel: RowKernel, body: list[str]) -> str:
    _, operand, factor, result = _ELEMENTS[kernel.lanes]
    factor = operand if kernel.wide else factor
    taps = kernel.tap_step or 1
    height = 1 if kernel.apart else (kernel.rows - 1) * kernel.dilation + 1
    across = kernel.groups * (1 if kernel.is_by_columns else kernel.lanes)
    width = (kernel.positions - 1) * kernel.step + (across - 1) * taps + 1
    width += _CHANNELS - 1 if kernel.tap_step else (kernel.rows - 1) * kernel.apart
    total = kernel.row_groups * kernel.groups
    lines = [
        "@T.prim_func(s_tir=True)",
        "def kernel(",
        f'    x: T.Buffer(({height}, {width}), "{operand}", offset_factor=1, strides=[T.int32(), 1]),',
        f'    weight: T.Buffer(({total}, {_CHANNELS}, {kernel.lanes}), "{factor}", offset_factor=1),',
        f'    sums: T.Buffer(({kernel.positions}, {_CHANNELS}), "{result}", offset_factor=1, scope="local"),',
        ") -> None:",
        '    with T.sblock("root"):',
        f"        T.reads(sums[0:{kernel.positions}, 0:{_CHANNELS}], x[0:{height}, 0:{width}],"
        f" weight[0:{total}, 0:{_CHANNELS}, 0:{kernel.lanes}])",
        f"        T.writes(sums[0:{kernel.positions}, 0:{_CHANNELS}])",
        *(f"        {line}" for line in body),
    ]
    return "\n".join(lines)


def _meaning(kernel: RowKernel) -> list[str]:
    extents = {"i": kernel.positions, "j": _CHANNELS, "r": kernel.row_groups, "q": kernel.groups, "k": kernel.lanes}
    loops = {name: extent for name, extent in extents.items() if extent > 1}
    i, j, r, q, k = (f"v{name}" if name in loops else "0" for name in extents)
    kinds = "".join("S" if name in "ij" else "R" for name in loops)
    cast = "" if kernel.lanes == 1 else 'T.Cast("int32", '
    close = ")" if cast else ""
    taps = kernel.tap_step or 1
    row, at = r, f"{i} * {kernel.step} + {q} * {kernel.lanes * taps} + {k} * {taps}"
    if kernel.is_by_columns:
        at = f"{i} * {kernel.step} + {q} * {taps}"
        row = f"T.min({r} * {QUAD} + {k}, {kernel.rows - 1})"
    if kernel.tap_step:
        at += f" + {j}"
    if kernel.apart:
        row, at = "0", f"{at} + {r} * {kernel.apart}"
    return [
        f"for {', '.join(loops)} in T.grid({', '.join(map(str, loops.values()))}):",
        '    with T.sblock("sum"):',
        f'        {", ".join(f"v{name}" for name in loops)} = T.axis.remap("{kinds}", [{", ".join(loops)}])',
        f"        sums[{i}, {j}] = sums[{i}, {j}] + {cast}x[{row} * {kernel.dilation}, {at}]{close}"
        f" * {cast}weight[{r} * {kernel.groups} + {q}, {j}, {k}]{close}",
    ]


def _call(kernel: RowKernel) -> list[str]:
    row_stride = str(kernel.apart) if kernel.apart else f"x.strides[0] * {kernel.dilation}"
    positions: int | str = kernel.positions
    if kernel.end:
        positions = f"T.if_then_else(x.elem_offset < {kernel.end - kernel.step}, {kernel.positions}, 1)"
    sizes = [positions, kernel.step, kernel.rows, row_stride, kernel.groups]
    if kernel.tap_step:
        sizes.append(kernel.tap_step)
    pointers = 'sums.access_ptr("rw"), x.access_ptr("r"), weight.access_ptr("r")'
    arguments = ", ".join(map(str, sizes))
    return [f'T.evaluate(T.call_extern("int32", "{kernel.function}", {pointers}, {arguments}))']
