"""Layer by layer against ONNX Runtime: each integer layer is fed ONNX Runtime's own input tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir
from tinycast.ir.graph import Call, Program
from tinycast.ir.types import DType, Value
from tinycast.model import Session

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class LayerDifference:
    """`steps`: the largest difference between a layer's quantized output and ONNX Runtime's."""

    name: str
    operators: str
    steps: int


def layer_differences(model: onnx_ir.Model, program: Program, inputs: Mapping[str, Array]) -> Iterator[LayerDifference]:
    """One sample's differences. A layer is the calls between values that ONNX Runtime computes too.

    `program` is `to_integers(model)`, in which a value keeps the name of the QuantizeLinear output it stands for.
    """
    theirs = _quantized_tensors(model, inputs)
    known: dict[Value, Array] = {}
    for value in program.values():
        name = value.name.removesuffix(".signed")
        tensor = inputs.get(name) if value in program.inputs and value.dtype is DType.FLOAT32 else theirs.get(name)
        if tensor is not None and tensor.shape == value.shape:
            known[value] = _as(tensor, value.dtype)
    made = program.producers()
    for value, expected in known.items():
        if value not in made or value.dtype is DType.FLOAT32:
            continue
        computed: dict[Value, Array] = {}
        calls: list[str] = []
        got = _compute(made[value], known, made, computed, calls)
        steps = int(np.abs(got.astype(np.int64) - expected.astype(np.int64)).max(initial=0))
        yield LayerDifference(value.name, "+".join(calls), steps)


def _compute(
    call: Call, known: Mapping[Value, Array], made: Mapping[Value, Call], computed: dict[Value, Array], calls: list[str]
) -> Array:
    arrays = []
    for value in call.inputs:
        if value.data is not None:
            arrays.append(value.data)
        elif value in known:
            arrays.append(known[value])
        else:
            if value not in computed:
                computed[value] = _compute(made[value], known, made, computed, calls)
            arrays.append(computed[value])
    calls.append(call.title)
    return call.op.reference(arrays)


def _quantized_tensors(model: onnx_ir.Model, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What ONNX Runtime computes for every QuantizeLinear; by its output's name, and for a quantized input or a
    stripped edge by the name of what it quantizes."""
    nodes = [n for n in model.graph if n.op_type == "QuantizeLinear"]
    names = {n.outputs[0].name: n for n in nodes}
    tensors = Session(model, [name for name in names if name]).run(inputs)
    graph_inputs = {v.name for v in model.graph.inputs}
    for name, node in names.items():
        source = node.inputs[0]
        if name and source is not None and source.name in graph_inputs:
            tensors[source.name] = tensors[name]
    tensors.update({name: array for name, array in inputs.items() if array.dtype != np.float32})
    return tensors


def _as(tensor: Array, dtype: DType) -> Array:
    """ONNX Runtime's uint8 as int8 with its zero point moved, where the program has it so."""
    if tensor.dtype == np.uint8 and dtype is DType.INT8:
        return (tensor.astype(np.int16) - 128).astype(np.int8)
    return tensor.astype(dtype.numpy)
