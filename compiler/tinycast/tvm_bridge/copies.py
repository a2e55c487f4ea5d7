"""Loops that copy or fill neighbouring elements become calls of tc_copy and tc_fill.

Compilers see such loops too, but make them memmove where they cannot tell that the two do not overlap, and
no more than memcpy and memset is asked of a target. Bytes that are flipped on their way (tc_flip) have a function, too.
So have bytes of several planes that go to places by turns, as the first layer of a planar image takes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm import sym, tirx
from tvm.ir import Call, TensorLoad

from tinycast.ir.types import DType
from tinycast.tvm_bridge.nodes import loop_around, map_loops

Statement = Any
_MOST_WOVEN = 16  # planes whose elements lie within reach of a byte's offset


@dataclass(frozen=True)
class Copies:
    """Which copies a core has functions for that are better than loops: runs of so many bytes, and of bytes that go
    from planes to places by turns, or to int16 there.
    """

    least_bytes: int = 16
    woven: bool = False
    woven_wide: bool = False


def use_memory_functions(statement: Statement, copies: Copies) -> Statement:
    """Rewrite every nest of loops around one store of an element, of a constant byte or of zero."""
    return map_loops(statement, lambda loop: _rewrite(loop, copies))


def _rewrite(loop: Any, copies: Copies) -> Statement | None:
    loops = []
    body = loop
    while isinstance(body, tirx.For):
        loops.append(body)
        body = body.body
    call, kept = _call(loops, body, copies) if isinstance(body, tirx.BufferStore) else (None, 0)
    for outer in reversed(loops[:kept]):
        call = loop_around(outer, call)
    return call


def _call(loops: list[Any], store: Any, copies: Copies) -> tuple[Statement | None, int]:
    """The call that stands for the innermost loops, and how many loops stay around it."""
    variables = [loop.loop_var for loop in loops]
    flips = _is_flipped(store.value)
    widens = isinstance(store.value, tirx.Cast) and isinstance(store.value.value, TensorLoad)
    value = store.value.args[1] if flips else store.value.value if widens else store.value
    source = value if isinstance(value, TensorLoad) else None
    dtype = DType(str(store.buffer.dtype))
    types = "" if source is None else f"{source.source.dtype} {dtype.value}"
    if source is not None and str(source.source.dtype) != dtype.value and types != "int8 int16":
        return None, 0
    byte = _repeated_byte(value, dtype)
    if source is None and byte is None:
        return None, 0
    to = linear(store.indices[0], variables)
    origin = to if source is None else linear(source.indices[0], variables)
    if to is None or origin is None:
        return None, 0
    woven = copies.woven_wide if widens else copies.woven and dtype.itemsize == 1
    if woven and source is not None and _are_woven(loops, to, origin):
        kept = len(loops) - 2
        begin, there = (_address(b, x, loops, kept) for b, x in ((store.buffer, to), (source.source, origin)))
        sizes = (loops[-2].extent, loops[-1].extent, tirx.const(origin[len(loops) - 1], "int32"))
        function = "tc_weave_flipped" if flips else "tc_weave_wide" if widens else "tc_weave"
        return tirx.Evaluate(tirx.call_extern("int32", function, begin, there, *sizes)), kept
    if widens:
        return None, 0
    run, kept = 1, len(loops)
    while kept and to[kept - 1] == origin[kept - 1] == run:
        run *= int(loops[kept - 1].extent)
        kept -= 1
    if run * dtype.itemsize < copies.least_bytes:
        return None, 0
    begin = _address(store.buffer, to, loops, kept)
    size = tirx.const(run * dtype.itemsize, "int32")
    if source is None:
        filler = store.value.astype("int32") if flips else tirx.const(byte, "int32")
        return tirx.Evaluate(tirx.call_extern("int32", "tc_fill", begin, filler, size)), kept
    there = _address(source.source, origin, loops, kept)
    function = "tc_copy_flipped" if flips else "tc_copy"
    return tirx.Evaluate(tirx.call_extern("int32", function, begin, there, size)), kept


def _is_flipped(value: Any) -> bool:
    called = isinstance(value, Call) and value.op.name.endswith("call_pure_extern")
    return called and str(value.args[0].value) == "tc_flip"


def _repeated_byte(value: Any, dtype: DType) -> int | None:
    """What all bytes of a constant are, if they are the same: it is a byte, or zero (but not -0.0)."""
    if not isinstance(value, tirx.IntImm | tirx.FloatImm):
        return None
    if dtype.itemsize == 1:
        return int(value.value)
    return 0 if str(value.value) in ("0", "0.0") else None


def _are_woven(loops: list[Any], to: list[Any], origin: list[Any]) -> bool:
    """Whether the innermost loop runs over planes, the one around it over elements of each, which come by turns."""
    if len(loops) < 2:
        return False
    element, plane = len(loops) - 2, len(loops) - 1
    planes = int(loops[plane].extent)
    return (to[element], to[plane], origin[element]) == (planes, 1, 1) and 1 < planes <= _MOST_WOVEN


def linear(index: Any, variables: list[Any]) -> list[Any] | None:
    """Coefficients of the variables and the rest, if the index is linear in them; else None."""
    found = list(sym.detect_linear_equation(index, variables))
    if not found or not all(isinstance(c, tirx.IntImm) for c in found[:-1]):
        return None
    return [*(int(c.value) for c in found[:-1]), found[-1]]


def _address(buffer: Any, linear: list[Any], loops: list[Any], kept: int) -> Any:
    """Where the run begins: the loops outside of it as they are, those inside at their first turn."""
    index = linear[-1]
    for i, loop in enumerate(loops):
        index = index + linear[i] * (loop.loop_var if i < kept else loop.min)
    return tirx.address_of(tirx.BufferLoad(buffer, [index]))
