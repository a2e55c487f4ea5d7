"""tinycast inspect"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import click
import onnx_ir

from tinycast.cli.common import Output, model_argument, output_options, shape_option
from tinycast.emit import emit_c
from tinycast.errors import ModelError, TinycastError
from tinycast.model import inputs_of, load, sha256, simplify
from tinycast.model.files import read_proto
from tinycast.ops.advice import full_name
from tinycast.pipeline import compile_model
from tinycast.program.lower import to_integers
from tinycast.report.operators import operator_rows
from tinycast.report.tables import inspect_tables
from tinycast.target.load import load_target

_LISTS = (onnx_ir.AttributeType.INTS, onnx_ir.AttributeType.FLOATS, onnx_ir.AttributeType.STRINGS)


@click.command("inspect")
@model_argument
@click.option("--target", help="Compile for it, and say what RAM and flash that takes.")
@shape_option
@output_options
def command(model: Path, target: str | None, shapes: tuple[tuple[str, tuple[int, ...]], ...], output: Output) -> None:
    """Show what MODEL consists of after it was simplified, and every node that cannot be compiled."""
    core = None if target is None else load_target(target)
    onnx_model = load(model, dict(shapes))
    proto = read_proto(model)
    simplify(onnx_model)
    rows = [dataclasses.asdict(row) for row in operator_rows(onnx_model)]
    compiled: dict[str, Any] | None = None
    unsupported: list[dict[str, Any]] = []
    try:
        if core is None:
            to_integers(onnx_model, "model")
        else:
            manifest = emit_c(compile_model(onnx_model, core, "model", sha256(model))).manifest
            keys = ("target", "arena_bytes", "lower_bound_bytes", "weights_bytes", "notes")
            compiled = {key: manifest[key] for key in keys}
    except ModelError as error:
        unsupported = [_reason(cause, onnx_model) for cause in error.causes or (error,)]
    data = {
        "model": str(model),
        "producer": " ".join(filter(None, (proto.producer_name, proto.producer_version))),
        "opset": next((entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")), None),
        "inputs": [_port(info.name, info.shape, info.dtype.name) for info in inputs_of(onnx_model)],
        "outputs": [_value(value) for value in onnx_model.graph.outputs],
        "operators": rows,
        "macs": sum(row["macs"] for row in rows),
        "parameters": sum(row["parameters"] for row in rows),
        "parameter_bytes": sum(row["bytes"] for row in rows),
        "unsupported": unsupported,
        "compiled": compiled,
    }
    output.show(data, *inspect_tables(data))


def _reason(error: TinycastError, model: onnx_ir.Model) -> dict[str, Any]:
    node = next((node for node in model.graph.all_nodes() if node.name == error.where), None)
    return {
        "node": error.where,
        "op": "" if node is None else full_name(node),
        "attributes": {} if node is None else {a.name: _attribute(a) for a in node.attributes.values()},
        "reason": error.what,
        "fix": error.fix,
    }


def _attribute(attribute: onnx_ir.Attr) -> Any:
    """An attribute's value as JSON has it; of tensors and graphs, what they are."""
    value = attribute.value
    if isinstance(value, onnx_ir.Graph):
        return f"a graph of {len(value)} nodes"
    if isinstance(value, onnx_ir.TensorProtocol):
        return f"a tensor {value.dtype.name.lower()}{list(value.shape.numpy())}"
    if isinstance(value, str | int | float):
        return value
    return list(value) if attribute.type in _LISTS else str(value)


def _port(name: str, shape: tuple[int, ...], dtype: str) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "dtype": dtype}


def _value(value: onnx_ir.Value) -> dict[str, Any]:
    """An output; its shape may depend on data, then open dimensions are null."""
    shape = None if value.shape is None else [dim if isinstance(dim, int) else None for dim in value.shape]
    dtype = None if value.dtype is None else value.dtype.numpy().name
    return {"name": value.name, "shape": shape, "dtype": dtype}
