"""Results as a person reads them in a terminal. What is shown is what --json gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table

Data = Mapping[str, Any]


def make_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> Table:
    """A table; numbers stand right, with commas between thousands. A column that starts with `>` stands right too."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    for row in rows:
        table.add_row(*map(cell, row))
    return table


def cell(value: object) -> str:
    """A value as text: None is a dash, a list its elements, a number has commas."""
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return "x".join(map(str, value)) or "scalar"
    return f"{value:,}" if isinstance(value, int) else str(value)


def compiled_lines(data: Data) -> list[RenderableType]:
    """What `compile` says."""
    return [
        f"{data['name']} for {data['target']}: {len(data['files'])} files in {data['folder']}",
        f"  arena    {data['arena_bytes']:,} bytes (lower bound {data['lower_bound_bytes']:,})",
        f"  weights  {data['weights_bytes']:,} bytes",
        f"  MACs     {data['macs']:,}",
        *(f"  note: {note}" for note in data["notes"]),
    ]


def run_table(data: Data) -> list[RenderableType]:
    """What `run` says."""
    columns = ("output", "shape", "type", ">minimum", ">maximum")
    rows = [[port[key] for key in ("name", "shape", "dtype", "minimum", "maximum")] for port in data["outputs"]]
    title = f"{data['name']} for {data['target']}, {data['samples']} samples on {data['driver']}"
    instructions = data["instructions"]
    return [
        make_table(columns, rows, title),
        *([] if instructions is None else [f"{instructions:,} instructions, {data['stack_bytes']:,} bytes of stack"]),
        *([] if data["output_file"] is None else [f"written to {data['output_file']}"]),
    ]
