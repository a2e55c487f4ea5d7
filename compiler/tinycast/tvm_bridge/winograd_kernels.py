"""The micro-kernels of convolutions of 3 x 3 taps, in tiles of 2 x 2 outputs (runtime_c's tc_winograd.h)."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import cache

from tinycast.tvm_bridge.micro_kernels import register
from tinycast.tvm_bridge.run_kernels import function_of, loops_of, start_sums

CHANNELS = 8  # of a kernel's sums
TILES = 4  # computed together


@dataclass(frozen=True)
class WinogradKernel:
    """A strip of `tile_rows` times `tile_columns` tiles; `lanes` is 2 for int8, 1 for floats."""

    tile_rows: int
    tile_columns: int
    channels: int
    lanes: int

    def register_patches(self) -> str:
        """Tell TVM of what copies patches. Returns the intrinsic's name."""
        return _register(self, "patches")

    def register_start(self) -> str:
        """Of what sets sums to zero."""
        return start_sums(tuple(n for n in _outputs(self).values() if n > 1), _types(self)[2])

    def register_sums(self) -> str:
        """Of what computes the sums of eight output channels."""
        return _register(self, "sums")


@cache
def _register(kernel: WinogradKernel, part: str) -> str:
    header, regions, *bodies = {"patches": _patches, "sums": _sums}[part](kernel)
    functions = [function_of([f"    {parameter}," for parameter in header], regions, body) for body in bodies]
    return register(f"tinycast.winograd_{part}_{'_'.join(map(str, astuple(kernel)))}", *functions)


def _types(kernel: WinogradKernel) -> tuple[str, str, str, str]:
    """Element types of rows and weights, patches and sums; how their functions are called."""
    if kernel.lanes == 1:
        return "float32", "float32", "float32", "tc_float_winograd_"
    return "int8", "int16", "int32", "tc_winograd_"


def _patches(kernel: WinogradKernel) -> tuple[list[str], list[str], list[str], list[str]]:
    """Parameters, what they read and write, what it means, and its call."""
    narrow, wide, _, prefix = _types(kernel)
    rows, columns, channels = kernel.tile_rows, kernel.tile_columns, kernel.channels
    height, length = rows * 2 + 2, (columns * 2 + 2) * channels
    extents = {"y": rows, "u": 4, "v": 4, "z": columns, "c": channels}
    place, shape = _place(extents)
    index, loops = loops_of(extents, "")
    parameters = [
        f'rows: T.Buffer(({height}, {length}), "{narrow}", offset_factor=1, strides=[T.int32(), 1])',
        f'patches: T.Buffer(({shape}), "{wide}", offset_factor=1)',
    ]
    element = f"rows[{index['y']} * 2 + vu, (vz * 2 + vv) * {channels} + vc]"
    copied = element if narrow == wide else f'T.Cast("{wide}", {element})'
    meaning = [*loops, f"        patches[{place}] = {copied}"]
    pointers = 'patches.access_ptr("w"), rows.access_ptr("r"), rows.strides[0]'
    call = f'T.evaluate(T.call_extern("int32", "{prefix}patches", {pointers}, {rows}, {columns}, {channels}))'
    regions = [f"T.reads(rows[0:{height}, 0:{length}])", f"T.writes(patches[{_whole(shape)}])"]
    return parameters, regions, meaning, [call]


def _sums(kernel: WinogradKernel) -> tuple[list[str], list[str], list[str], list[str]]:
    narrow, wide, total, prefix = _types(kernel)
    rows, columns, channels = kernel.tile_rows, kernel.tile_columns, kernel.channels
    units = channels // kernel.lanes
    extents = {**_outputs(kernel), "r": 3, "q": 3, "p": units, "k": kernel.lanes}
    row, row_extent = ("vy, ", f"{rows}, ") if rows > 1 else ("", "")
    read = f"{row_extent}4, 4, {columns}, {channels}"
    place, written = _place(_outputs(kernel))
    factor = f"{9 * units}, {CHANNELS}, {kernel.lanes}"
    parameters = [
        f'patches: T.Buffer(({read}), "{wide}", offset_factor=1)',
        f'weight: T.Buffer(({factor}), "{narrow}", offset_factor=1)',
        f'sums: T.Buffer(({written}), "{total}", offset_factor=1, scope="local")',
    ]
    index, loops = loops_of(extents, "rqpk")
    lane = index["k"]
    factors = (
        f"patches[{row}vi + vr, vj + vq, vz, vp * {kernel.lanes} + {lane}]",
        f"weight[(vr * 3 + vq) * {units} + vp, vl, {lane}]",
    )
    product = " * ".join(f if total == wide else f'T.Cast("{total}", {f})' for f in factors)
    meaning = [*loops, f"        sums[{place}] = sums[{place}] + {product}"]
    pointers = ", ".join(
        f'{name}.access_ptr("{mode}")'
        for name, mode in (("sums", "w"), ("patches", "r"), ("weight", "r"), ("spread", "rw"), ("products", "rw"))
    )
    call = [
        f'spread = T.alloc_buffer(({16 * channels * CHANNELS},), "{wide}", scope="local")',
        f'products = T.alloc_buffer(({16 * TILES * CHANNELS},), "{total}", scope="local")',
        f'T.evaluate(T.call_extern("int32", "{prefix}sums", {pointers}, {rows * columns}, {channels}))',
    ]
    writes = f"sums[{_whole(written)}]"
    regions = [f"T.reads({writes}, patches[{_whole(read)}], weight[{_whole(factor)}])", f"T.writes({writes})"]
    return parameters, regions, meaning, call


def _outputs(kernel: WinogradKernel) -> dict[str, int]:
    return {"y": kernel.tile_rows, "z": kernel.tile_columns, "i": 2, "j": 2, "l": CHANNELS}


def _place(extents: dict[str, int]) -> tuple[str, str]:
    """The index of an element, and the shape of the buffer."""
    kept = [name for name in extents if extents[name] > 1]
    return ", ".join(f"v{name}" for name in kept), ", ".join(str(extents[name]) for name in kept)


def _whole(shape: str) -> str:
    """The region of a whole buffer."""
    return ", ".join(f"0:{n}" for n in shape.split(", "))
