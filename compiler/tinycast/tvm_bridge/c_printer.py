"""The C printer: a lowered function to the body of a C function.

TVM's own printer knows no `restrict` and no `const`, and puts every temporary on the stack. Here small
temporaries become scalars, the others parameters whose memory the plan finds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import tvm
from tvm import tirx

from tinycast.errors import InternalError
from tinycast.ir.names import unused_name
from tinycast.ir.types import DType
from tinycast.tvm_bridge.c_expr import ExpressionPrinter, c_type
from tinycast.tvm_bridge.nodes import walk

_COLUMNS = 120
_LOOP_NAMES = "ijklmnpqrstuvw"  # by depth
_WIDE = ("int32", "uint32", "float32")  # types that C does not promote


@dataclass(frozen=True)
class Scratch:
    """Memory a kernel needs besides its operands."""

    name: str
    dtype: DType
    bytes: int


@dataclass(frozen=True)
class PrintedFunction:
    body: str
    scratch: tuple[Scratch, ...]
    functions: frozenset[str]  # of runtime_c


def print_function(function: Any, names: Sequence[str], local_bytes: int) -> PrintedFunction:
    """Print the lowered `function`, whose parameters are called `names`; larger temporaries are scratch."""
    return _Printer(function, names, local_bytes).run()


class _Printer:
    def __init__(self, function: Any, names: Sequence[str], local_bytes: int) -> None:
        self._local_bytes = local_bytes
        self._body = function.body
        self._variables: dict[Any, str] = dict(zip(function.params, names, strict=True))
        self._taken = set(names)
        self._scalars: set[Any] = set()  # temporaries printed as scalars
        self._arrays = _needing_memory(function.body)
        self._scratch: list[Scratch] = []
        self._lines: list[str] = []
        self._expressions = ExpressionPrinter(self._variable, self._element)

    def run(self) -> PrintedFunction:
        self._print(self._body, 1)
        body = "\n".join(self._lines)
        return PrintedFunction(body, tuple(self._scratch), frozenset(self._expressions.functions))

    def _name(self, wanted: str) -> str:
        base = re.sub(r"\W", "_", wanted).strip("_") or "t"
        if match := re.fullmatch(r"cse_v(\d+)", base):
            base = f"index_{match[1]}"
        name = unused_name(base, self._taken)
        self._taken.add(name)
        return name

    def _variable(self, variable: Any) -> str:
        if variable not in self._variables:
            raise InternalError(f"the variable {variable} has no declaration")
        return self._variables[variable]

    def _element(self, buffer: Any, index: str) -> str:
        name = self._variable(buffer)
        return f"{name}_{index}" if buffer in self._scalars else f"{name}[{index}]"

    def _line(self, text: str, depth: int) -> None:
        indent = "    " * depth
        while len(indent) + len(text) > _COLUMNS and (end := _break(text, _COLUMNS - len(indent))) > 0:
            self._lines.append(indent + text[:end].rstrip())
            text, indent = text[end:].lstrip(), "    " * (depth + 1)
        self._lines.append(indent + text)

    def _print(self, statement: Any, depth: int) -> None:
        kind = type(statement).__name__
        method = getattr(self, f"_print_{kind}", None)
        if method is None:
            raise InternalError(f"no C for the statement {kind}")
        method(statement, depth)

    def _print_SeqStmt(self, statement: Any, depth: int) -> None:  # noqa: N802 - named after TVM's classes
        for part in statement.seq:
            self._print(part, depth)

    def _print_AllocBuffer(self, statement: Any, depth: int) -> None:  # noqa: N802
        buffer = statement.buffer
        elements = prod(int(n) for n in buffer.shape)
        dtype = DType(str(buffer.dtype))
        size = elements * dtype.itemsize
        name = self._name(buffer.name.removesuffix("_local"))
        self._variables[buffer] = name
        if size > self._local_bytes:
            self._scratch.append(Scratch(name, dtype, size))
        elif buffer in self._arrays:
            self._line(f"{dtype.c_name} {name}[{elements}];", depth)
        else:
            self._scalars.add(buffer)
            self._line(f"{dtype.c_name} {', '.join(f'{name}_{i}' for i in range(elements))};", depth)

    def _print_DeclBuffer(self, statement: Any, depth: int) -> None:  # noqa: N802
        # The flat view of a parameter or of a temporary, or another use of a temporary's memory.
        viewed = statement.data.args[0]
        self._variables[statement.buffer] = self._variable(viewed)
        if viewed in self._scalars:
            self._scalars.add(statement.buffer)

    def _print_For(self, statement: Any, depth: int) -> None:  # noqa: N802
        name = self._name(_LOOP_NAMES[(depth - 1) % len(_LOOP_NAMES)])
        self._variables[statement.loop_var] = name
        begin = self._expressions.text(statement.min)
        end = self._expressions.text(statement.min + statement.extent)
        self._line(f"for (int32_t {name} = {begin}; {name} < {end}; ++{name}) {{", depth)
        self._scoped(statement.body, depth + 1)
        self._line("}", depth)
        self._taken.discard(name)

    def _scoped(self, statement: Any, depth: int) -> None:
        """Names declared in a block may be used again after it."""
        before = set(self._taken)
        self._print(statement, depth)
        self._taken = before | {s.name for s in self._scratch}

    def _print_Bind(self, statement: Any, depth: int) -> None:  # noqa: N802
        value = self._expressions.text(statement.value)
        name = self._name(statement.var.name)
        self._variables[statement.var] = name
        self._line(f"const {c_type(str(statement.var.ty))} {name} = {value};", depth)

    def _print_BufferStore(self, statement: Any, depth: int) -> None:  # noqa: N802
        (index,) = statement.indices
        place = self._element(statement.buffer, self._expressions.text(index))
        value = statement.value
        adds = isinstance(value, tirx.Add) and isinstance(value.a, tvm.ir.TensorLoad) and str(value.ty) in _WIDE
        if adds and self._expressions.text(value.a) == place:
            self._line(f"{place} += {self._expressions.text(value.b)};", depth)
            return
        self._line(f"{place} = {self._expressions.text(value)};", depth)

    def _print_IfThenElse(self, statement: Any, depth: int) -> None:  # noqa: N802
        self._line(f"if ({self._expressions.text(statement.condition)}) {{", depth)
        self._scoped(statement.then_case, depth + 1)
        if statement.else_case is not None:
            self._line("} else {", depth)
            self._scoped(statement.else_case, depth + 1)
        self._line("}", depth)

    def _print_Evaluate(self, statement: Any, depth: int) -> None:  # noqa: N802
        if not isinstance(statement.value, tirx.IntImm):
            self._line(f"{self._expressions.text(statement.value)};", depth)

    def _print_AttrStmt(self, statement: Any, depth: int) -> None:  # noqa: N802
        self._print(statement.body, depth)


def _break(text: str, limit: int) -> int:
    """Where a line is best broken before `limit`: after a comma or an operator, inside of as few brackets as can be."""
    best, depth_there, depth = 0, 1 << 30, 0
    for i, character in enumerate(text[:limit]):
        depth += (character in "([") - (character in ")]")
        ends = character == " " and (text[i - 1] == "," or text[i - 2 : i] == "&&" or text[i - 1] in "=?:+")
        if ends and depth <= depth_there and i > limit // 4:
            best, depth_there = i + 1, depth
    return best


def _needing_memory(body: Any) -> set[Any]:
    """Buffers that are read or written at an index which is not a constant, or whose address is taken."""
    found = {n.source for n in walk(body, tvm.ir.TensorLoad) if not isinstance(n.indices[0], tirx.IntImm)}
    found |= {n.buffer for n in walk(body, tirx.BufferStore) if not isinstance(n.indices[0], tirx.IntImm)}
    found |= {c.args[0].source for c in walk(body, tvm.ir.Call) if c.op.name.endswith("address_of")}
    return found | {view.data.args[0] for view in walk(body, tirx.DeclBuffer) if view.buffer in found}
