"""Cut a model in front of every operator that rounds to 8 bits by the range of what it is given.

Such an operator turns the last bit of a float into a whole step where a value lies in the middle between two of them.
What it spreads to says nothing about whether the operators are right; the parts, given the same tensors, do.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir
from tinycast.model import Session

Array = npt.NDArray[Any]

# By what the first input holds as the model runs; the LSTM rounds its hidden state too, which stays inside of it.
_ROUNDING = ("DynamicQuantizeLSTM", "DynamicQuantizeLinear", "DynamicQuantizeMatMul")


def rounded_values(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names of all computed values that the model rounds so, in its order."""
    model = onnx_ir.load(path)
    values = [node.inputs[0] for node in model.graph if node.op_type in _ROUNDING]
    return tuple(dict.fromkeys(str(v.name) for v in values if v is not None and v.producer() is not None))


def cut(path: str | os.PathLike[str], names: Sequence[str], frame: Mapping[str, Array], parts: Path) -> None:
    """Write the model in which these values are outputs, and whoever reads them reads an input `<name>.given`.

    `frame` is one set of the model's inputs, which gives the new ones their shapes.
    """
    shapes = {name: array.shape for name, array in Session(path, names).run(frame).items()}
    model = onnx_ir.load(path)
    values = {str(v.name): v for node in model.graph for v in node.outputs if v.name}
    for name in names:
        value = values[name]
        given = onnx_ir.Value(name=f"{name}.given", shape=onnx_ir.Shape(shapes[name]), type=value.type)
        given.dtype = onnx_ir.DataType.FLOAT
        value.replace_all_uses_with(given)
        model.graph.inputs.append(given)
        if not value.is_graph_output():
            value.dtype = onnx_ir.DataType.FLOAT
            model.graph.outputs.append(value)
    onnx_ir.save(model, parts)


def given_by(
    path: str | os.PathLike[str], names: Sequence[str], frames: Sequence[Mapping[str, Array]]
) -> list[dict[str, Array]]:
    """The inputs of the cut model for each set of the whole one's: what ONNX Runtime computes for these values."""
    session = Session(path, names)
    return [
        {**frame, **{f"{name}.given": np.asarray(array) for name, array in session.run(frame).items()}}
        for frame in frames
    ]
