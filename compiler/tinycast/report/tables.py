"""Results as a person reads them in a terminal. What is shown is what --json gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import RenderableType
from rich.table import Table

Data = Mapping[str, Any]


def make_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table; the cells of a column whose title starts with `>` stand right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
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
        *map(region_line, data["regions"]),
        *map(segment_line, data["segments"]),
        *(f"  note: {note}" for note in data["notes"]),
    ]


def region_line(region: Data) -> str:
    """What a model takes of one memory."""
    return f"  {region['name']:8} {region['bytes']:,} of {region['available_bytes']:,} bytes of {region['kind']}"


def segment_line(segment: Data) -> str:
    """A run of layers that are computed row by row."""
    kept = sum(buffer["bytes"] for buffer in segment["buffers"])
    first, last = segment["layers"][0], segment["layers"][-1]
    return f"  rows     {len(segment['layers'])} layers, {first} to {last}, row by row: {kept:,} bytes of rows kept"


def run_table(data: Data) -> list[RenderableType]:
    """What `run` says."""
    columns = ("output", "shape", "type", ">minimum", ">maximum")
    rows = [[port[key] for key in ("name", "shape", "dtype", "minimum", "maximum")] for port in data["outputs"]]
    instructions = data["instructions"]
    return [
        f"{data['name']} for {data['target']}, {data['samples']} samples on {data['driver']}",
        make_table(columns, rows),
        *([] if instructions is None else [f"{instructions:,} instructions, {data['stack_bytes']:,} bytes of stack"]),
        *([] if data["output_file"] is None else [f"written to {data['output_file']}"]),
    ]


def targets_table(targets: Sequence[Data]) -> Table:
    """What `targets` says."""
    rows = [
        (
            target["name"],
            target["description"],
            " ".join(target["formats"]),
            ", ".join(d["name"] + ("" if d["installed"] else " (not installed)") for d in target["drivers"]),
        )
        for target in targets
    ]
    return make_table(("target", "core", "formats", "runs on"), rows)


def inspect_tables(data: Data) -> list[RenderableType]:
    """What `inspect` says."""
    keys = ("op", "count", "macs", "parameters", "bytes")
    count = sum(row["count"] for row in data["operators"])
    total = ("all", count, data["macs"], data["parameters"], data["parameter_bytes"])
    rows = [[row[key] for key in keys] for row in data["operators"]]
    lines: list[RenderableType] = [
        f"{data['model']}: opset {data['opset']}" + (f", by {data['producer']}" if data["producer"] else ""),
        *(f"  {kind}  {port['name']}: {_type(port)}" for kind in ("input", "output") for port in data[f"{kind}s"]),
        make_table(("operator", ">count", ">MACs", ">parameters", ">bytes"), [*rows, total]),
    ]
    compiled = data["compiled"]
    if data["unsupported"]:
        lines.append(f"{len(data['unsupported'])} cannot be compiled:")
        for entry in data["unsupported"]:
            attributes = ", ".join(f"{name}={value}" for name, value in entry["attributes"].items())
            lines.append(f"  {entry['node']}: {entry['reason']}" + (f" ({attributes})" if attributes else ""))
            lines.append(f"    fix: {entry['fix']}")
    elif compiled is None:
        lines.append("All operators can be compiled.")
    else:
        lines.append(
            f"Compiled for {compiled['target']}: arena {compiled['arena_bytes']:,} bytes of RAM, weights "
            f"{compiled['weights_bytes']:,} bytes of flash (besides stack and code; `tinycast bench` measures all)."
        )
        lines += [f"  note: {note}" for note in compiled["notes"]]
    return lines


def _type(port: Data) -> str:
    shape = port["shape"]
    sizes = "of unknown rank" if shape is None else cell(["?" if size is None else size for size in shape])
    return f"{port['dtype']} {sizes}"


def pruned_table(data: Data) -> list[RenderableType]:
    """What `compress --prune` says."""
    columns = ("layer", "weights before", "after", ">parameters before", ">after", ">of them zero")
    keys = ("name", "shape_before", "shape_after", "parameters_before", "parameters_after", "zeros_after")
    rows = [[layer[key] for key in keys] for layer in data["layers"]]
    total = ("all", "", "", data["parameters_before"], data["parameters_after"], data["zeros_after"])
    return [
        make_table(columns, [*rows, total]),
        *(f"  kept whole: {reason}" for reason in data["kept_whole"]),
        f"{data['model']}: {data['bytes_before']:,} -> {data['bytes_after']:,} bytes",
    ]


def bench_tables(data: Data) -> list[RenderableType]:
    """What `bench` says."""
    has_cycles = data["cycles_estimate"] is not None
    columns = ("layer", "operator", ">MACs", ">instructions", ">a MAC", *([">cycles, about"] if has_cycles else []))
    rest = {"name": "the rest", "op": "", "macs": None, "scratch_bytes": None, **data["rest"]}
    rows = [
        [
            *(layer[key] for key in ("name", "op", "macs", "instructions")),
            _per_mac(layer["instructions"], layer["macs"]),
            *([layer["cycles_estimate"]] if has_cycles else []),
            layer["scratch_bytes"],
        ]
        for layer in (*data["layers"], rest, {**data, "name": "all", "op": "", "scratch_bytes": None})
    ]
    sizes = [
        ("arena", data["arena_bytes"]),
        ("stack", data["stack_bytes"]),
        ("RAM: arena, stack and data", data["ram_bytes"]),
        ("weights", data["weights_bytes"]),
        ("flash: code and weights", data["flash_bytes"]),
    ]
    return [
        f"{data['name']} for {data['target']}, one inference on {data['driver']}",
        make_table((*columns, ">scratch, bytes"), rows),
        *([f"Cycles, for memory without wait states: {data['cycles_error']}."] if has_cycles else []),
        make_table(("memory", ">bytes"), sizes),
        *map(region_line, data["regions"]),
        *map(segment_line, data["segments"]),
        *_peers_table(data),
    ]


def _peers_table(data: Data) -> list[RenderableType]:
    """What others need for the same network, and how many times ours that is."""
    keys = ("instructions", "cycles", "arena_bytes", "flash_bytes")
    own = {**data, "cycles": data["cycles_estimate"]}
    rows = [[peer["name"], *(_against(peer[k], own[k]) for k in keys), peer["source"]] for peer in data["peers"]]
    columns = ("by", ">instructions", ">cycles", ">arena, bytes", ">flash, bytes", "source")
    title = f"Others, for {data['network']} (in brackets: how many times ours)"
    return [title, make_table(columns, rows)] if rows else []


def _against(theirs: int | None, ours: int | None) -> str | None:
    return None if theirs is None else f"{theirs:,}" + (f" ({theirs / ours:.2f})" if ours else "")


def tune_tables(data: Data) -> list[RenderableType]:
    """What `tune` says."""
    columns = ("kernel", ">usual", ">tuned", ">choices", "schedule")
    rows = [
        (entry["title"], entry["usual"], entry["tuned"], entry["measured"], _schedule(entry))
        for entry in data["kernels"]
    ]
    keys = ("instructions", "cycles_estimate", "arena_bytes", "flash_bytes", "stack_bytes")
    network = [(key, data["before"][key], data["after"][key]) for key in keys]
    failures = [f"  a choice for {e['title']} was left out: {text}" for e in data["kernels"] for text in e["failures"]]
    return [
        f"{data['name']} for {data['target']}, by {data['measure']}",
        *([make_table(columns, rows)] if rows else []),
        *([f"  {data['kept']} kernels were in {data['tuning']} already"] if data["kept"] else []),
        *(f"  not used: {title}, which would make the network larger or slower" for title in data["dropped"]),
        *failures,
        make_table(("whole network", ">before", ">after"), network),
        f"written to {data['tuning']}: use it with `tinycast compile --tuning {data['tuning']}`",
    ]


def _schedule(entry: Data) -> str:
    if entry["tuned"] >= entry["usual"]:
        return "the usual"
    return ", ".join(f"{name} {value}" for name, value in entry["choice"].items())


def _per_mac(instructions: int | None, macs: int | None) -> str | None:
    return f"{instructions / macs:.2f}" if instructions is not None and macs else None


def verify_tables(data: Data) -> list[RenderableType]:
    """What `verify` says."""
    targets = [(entry["target"], entry["driver"], "no" if entry["differences"] else "yes") for entry in data["targets"]]
    outputs = [
        (
            entry["output"],
            f"{entry['largest_error']:g} {entry['unit']}",
            None if entry["sqnr_db"] is None else f"{entry['sqnr_db']:.1f} dB",
            None if entry["same_class"] is None else f"{entry['same_class']:.2%}",
            "yes" if entry["ok"] else "NO",
        )
        for entry in data["onnxruntime"]
    ]
    return [
        f"{data['model']}, {data['samples']} samples",
        make_table(("target", "run by", "same bytes"), targets),
        "Against ONNX Runtime",
        make_table(("output", ">largest error", ">signal to noise", ">same class", "close"), outputs),
    ]
