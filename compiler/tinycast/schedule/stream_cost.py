"""An estimate of what row streaming costs: instructions of a layer as a whole, and those that rows add.

Only the ratio of the two is used. Exact counts are the emulator's business (`tinycast bench`).
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, prod

from tinycast.ir.graph import Call, Tile
from tinycast.ir.types import DType
from tinycast.ops.conv import Conv2D
from tinycast.ops.shape import Transpose
from tinycast.schedule.blocks import LONG_ROW_BYTES
from tinycast.schedule.flat import flat_positions
from tinycast.schedule.stream_plan import readers_of
from tinycast.schedule.stream_segment import Segment
from tinycast.schedule.stream_strips import Layer, Strip
from tinycast.schedule.tiles import choose_tile
from tinycast.target.types import Target

_CALL = 120  # instructions to start a kernel, and to find out that it can run
_A_BYTE_COPIED = 0.65  # tc_copy with words: more than its instructions, since loads and stores take two cycles
_A_BYTE_OF_A_VECTOR = 0.2
_A_ROW_COPIED = 20  # the calls for a row and its border
_AN_ELEMENT_MOVED = 6  # from planes
_AN_ELEMENT = 9  # requantizing and storing a result
_A_FLOAT_PRODUCT = 2.2
_A_LONE_POSITION = 0.3  # more than one among others, since it shares no weights
_A_TAP = 1.0  # of a plane, its copying included
_AN_ADDEND = 2.5  # of a pool


def layer_work(layer: Layer, target: Target) -> float:
    """Instructions of a layer's own kernel, about."""
    work = float(_AN_ELEMENT * layer.output.size + _CALL)
    anchor = layer.anchor
    if anchor is None or not layer.step.macs:
        return work + (anchor.inputs[0].size * _AN_ADDEND if anchor is not None else 0)
    tile = choose_tile(anchor, target)
    staged = 0.0 if tile.planes else _staged(layer, anchor, tile, target)
    return work + layer.step.macs * _a_product(anchor, tile, target) * _filled(anchor, tile, by_rows=False) + staged


def _a_product(anchor: Call, tile: Tile, target: Target) -> float:
    """Instructions of a multiply-accumulate, loads included."""
    if tile.planes:
        return _A_TAP
    if tile.wide is DType.FLOAT32 and not target.has_vectors:
        return _A_FLOAT_PRODUCT
    if tile.lanes > 4 or tile.vector:
        return 0.25
    if tile.lanes > 1:
        return 0.95
    positions, op = tile.positions, anchor.op
    if isinstance(op, Conv2D) and op.depthwise:  # neighbours share what they load
        columns = op.window.kernel[1]
        return 1 + 1 / positions + (positions + columns - 1) / (positions * columns)
    return 1 + (positions + tile.channels + 2) / (positions * tile.channels)


def _filled(anchor: Call, tile: Tile, *, by_rows: bool) -> float:
    """How many positions the tiles hold for each that there is."""
    if not isinstance(anchor.op, Conv2D) or not tile.lanes:
        return 1.0
    _, height, width, _ = anchor.output.shape
    columns = width * height if flat_positions(anchor) and not by_rows else width
    if tile.cut and columns % tile.positions:
        return 1 + _A_LONE_POSITION / columns
    return ceil(columns / tile.positions) * tile.positions / columns


def _a_byte_copied(target: Target) -> float:
    return _A_BYTE_OF_A_VECTOR if target.has_vectors else _A_BYTE_COPIED


def _staged(layer: Layer, anchor: Call, tile: Tile, target: Target) -> float:
    """Copying rows with their border, in the layer's own kernel."""
    window = getattr(anchor.op, "window", None)
    if window is None or not any(window.pads):
        return 0.0
    _, _, width, channels = anchor.inputs[0].shape
    elements = (width + window.pads[1] + window.pads[3]) * channels
    row_bytes = elements * anchor.inputs[0].dtype.itemsize
    from_planes = channels > 1 and isinstance(layer.calls[0].op, Transpose)
    row = elements * _AN_ELEMENT_MOVED if from_planes else row_bytes * _a_byte_copied(target)
    kept = not tile.lanes and row_bytes >= LONG_ROW_BYTES
    rows = min(window.strides[0], window.kernel[0]) if kept else window.kernel[0]
    return float(anchor.output.shape[1] * rows * (row + _A_ROW_COPIED))


def added_work(segment: Segment, target: Target) -> float:
    """Instructions that the segment takes more than its layers' own kernels, about; may be negative."""
    work = 0.0
    readers = readers_of(segment.stages)
    for number, unit in enumerate(segment.units):
        turns = segment.order.count(number)
        buffer = unit.buffer
        if not unit.strips and buffer is not None:
            work += prod(buffer.image) * (
                _AN_ELEMENT_MOVED if buffer.planes else _a_byte_copied(target) * buffer.value.dtype.itemsize
            )
        if buffer is not None and readers[number]:
            # When the buffer is full as many rows are dropped as the reader goes on; the others are moved.
            stride = max(1, min(r.read.stride for r in readers[number]))
            kept = max(0, segment.capacities[number] - stride)
            work += turns / stride * kept * buffer.row_bytes * _a_byte_copied(target)
        work += sum(_strip_work(strip, target) + (turns - 1) * _CALL for strip in unit.strips)
    return work


def _strip_work(strip: Strip, target: Target) -> float:
    anchor = strip.layer.anchor
    if strip.sums:
        return strip.sums * prod(strip.image[1:]) * _AN_ELEMENT
    if anchor is None or not isinstance(anchor.op, Conv2D):
        return 0.0
    # A row has no plane that is worth copying.
    tile = choose_tile(anchor, replace(target, micro_kernels=tuple(set(target.micro_kernels) - {"taps"})))
    products = strip.layer.step.macs * _a_product(anchor, tile, target) * _filled(anchor, tile, by_rows=True)
    return _AN_ELEMENT * strip.layer.output.size + _CALL + products - layer_work(strip.layer, target)
