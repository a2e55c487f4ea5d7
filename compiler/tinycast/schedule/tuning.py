"""Schedules that were measured: databases that `tinycast tune` writes, and what a compilation finds in them.

An entry is found by what the kernel computes and by what the core has, never by names of networks. It has to be one of
the choices that there are (choice.py); what is not is left out with a note, so that a database cannot make wrong code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from tinycast.errors import UsageError
from tinycast.ir.graph import Call, Op
from tinycast.ir.types import Value
from tinycast.ops.window import Window
from tinycast.resources import resource_dir
from tinycast.schedule.choice import Choice, choices_of
from tinycast.target.types import Target

FORMAT = "tinycast-tuning"
VERSION = 1
SHIPPED = "shipped"
_LONGEST_TUPLE = 8  # longer ones are data

Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Database:
    """Entries by core and kernel: each has the `choice`, and what was measured. `origin` names it in reports."""

    origin: str
    entries: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict)

    def text(self) -> str:
        """The file: JSON, sorted, the same for the same entries."""
        data = {"format": FORMAT, "version": VERSION, "cores": self.entries}
        return json.dumps(data, indent=1, sort_keys=True) + "\n"

    def with_entry(self, core: str, kernel: str, entry: Entry) -> Database:
        cores = {**self.entries, core: {**self.entries.get(core, {}), kernel: entry}}
        return Database(self.origin, cores)


@dataclass(frozen=True)
class Tuned:
    """A choice from a database, which `origin` names."""

    choice: Choice
    origin: str


@dataclass(frozen=True)
class Asked:
    """A kernel that a compilation has looked for."""

    calls: tuple[Call, ...]
    anchor: Call | None


class Tuning:
    """The databases of one compilation, and what it asked them for."""

    def __init__(self, databases: Sequence[Database] = ()) -> None:
        self._databases = databases
        self.asked: dict[str, Asked] = {}  # by kernel_key
        self._unknown: dict[str, set[str]] = {}

    def find(self, calls: Sequence[Call], anchor: Call | None, target: Target) -> Tuned | None:
        """The choice for a kernel of `calls` around `anchor`; None for the cost model's own.

        The first database with an entry that is known here decides.
        """
        kernel = kernel_key(calls, anchor)
        self.asked.setdefault(kernel, Asked(tuple(calls), anchor))
        core = core_key(target)
        for database in self._databases:
            entry = database.entries.get(core, {}).get(kernel)
            if entry is None:
                continue
            usual, *others = choices_of(calls, anchor, target)
            wanted = entry.get("choice")
            if usual.described() == wanted:
                return None
            choice = next((c for c in others if c.described() == wanted), None)
            if choice is not None:
                return Tuned(choice, database.origin)
            self._unknown.setdefault(database.origin, set()).add(kernel)
        return None

    @property
    def notes(self) -> list[str]:
        """What of the databases was not used, for the user."""
        return [
            f"{len(kernels)} entries of the tuning database {origin} are not known to this version and were not used: "
            "run `tinycast tune` again"
            for origin, kernels in self._unknown.items()
        ]


def core_key(target: Target) -> str:
    """What of a core decides which schedule is fast: cores of equal keys share their entries."""
    parts = {
        "": target.runtime,
        "with": target.micro_kernels,
        "registers": (target.accumulators, target.row_positions, target.local_bytes),
        "align": (target.buffer_align,),
        "compiled": target.gcc_flags or target.zig_flags,
    }
    return "; ".join(f"{name} {' '.join(map(str, values))}".strip() for name, values in parts.items() if values)


def kernel_key(calls: Sequence[Call], anchor: Call | None) -> str:
    """What a kernel computes: operators, shapes and types, but no weights, scales or zero points."""
    numbers: dict[Value, int] = {}
    return " | ".join(_call_key(call, call is anchor, numbers) for call in calls)


def _call_key(call: Call, is_anchor: bool, numbers: dict[Value, int]) -> str:
    operands = []
    for value in call.inputs:
        text = f"{value.dtype.value}{list(value.shape)}".replace(" ", "")
        if value.data is None:
            text = f"%{numbers.setdefault(value, len(numbers))} {text}"
        operands.append(text)
    out = numbers.setdefault(call.output, len(numbers))
    result = f"%{out} {call.output.dtype.value}{list(call.output.shape)}".replace(" [", "[").replace(", ", ",")
    return f"{result} = {'*' if is_anchor else ''}{_op_key(call.op)}({', '.join(operands)})"


def _op_key(op: Op) -> str:
    """The operator with what decides its loops: no numbers, which scales and zero points are, and no defaults."""
    values = [(item.name, getattr(op, item.name)) for item in fields(op) if getattr(op, item.name) != item.default]
    options = [f"{name}={_plain(value)}" for name, value in values if _decides(value)]
    return f"{type(op).__name__}[{' '.join(options)}]" if options else type(op).__name__


def _decides(value: object) -> bool:
    if isinstance(value, tuple):
        return 0 < len(value) <= _LONGEST_TUPLE and all(isinstance(item, int) for item in value)
    return isinstance(value, Enum | Window | str) or value is True


def _plain(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Window):
        return "/".join("x".join(map(str, getattr(value, item.name))) for item in fields(value))
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def read_database(path: Path, origin: str | None = None) -> Database:
    """Read what `Database.text` wrote. Raises UsageError for a file that cannot be read, or that is none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"the tuning database cannot be read: {error.strerror}",
            where=str(path),
            fix="give a file that `tinycast tune` wrote",
        ) from error
    except ValueError as error:
        raise UsageError(
            f"the tuning database is damaged: {error}",
            where=str(path),
            fix="delete it and run `tinycast tune` again, or restore it",
        ) from error
    return Database(origin or path.name, _checked(data, path))


def _checked(data: Any, path: Path) -> Mapping[str, Mapping[str, Entry]]:
    def fail(what: str, fix: str) -> UsageError:
        return UsageError(what, where=str(path), fix=fix)

    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise fail("this is no tuning database", "give a file that `tinycast tune` wrote")
    if data.get("version") != VERSION:
        raise fail(
            f"version {data.get('version')!r} of tuning databases is not known, only {VERSION}",
            "run `tinycast tune` into a new file",
        )
    cores = data.get("cores")
    if not isinstance(cores, dict) or not all(
        isinstance(kernels, dict) and all(isinstance(entry, dict) for entry in kernels.values())
        for kernels in cores.values()
    ):
        raise fail("the tuning database is damaged: `cores` is no table of entries", "run `tinycast tune` again")
    return cores


@cache
def shipped() -> Database:
    """The database that comes with the package, written by scripts/tune_shipped.py."""
    merged: dict[str, dict[str, Entry]] = {}
    for path in sorted((resource_dir("targets") / "tuned").glob("*.json")):
        for core, kernels in read_database(path).entries.items():
            merged.setdefault(core, {}).update(kernels)
    return Database(SHIPPED, merged)


def databases(paths: Sequence[Path] = ()) -> Iterator[Database]:
    """The user's databases, then the shipped one."""
    yield from (read_database(path) for path in paths)
    yield shipped()
