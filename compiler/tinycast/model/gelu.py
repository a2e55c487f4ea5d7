"""Gelu, which exporters write out in many ways, as the one operator that it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from tinycast.model.edit import constant, replace

Real = npt.NDArray[np.float64]

_OPSET = 20  # the first with Gelu
_DEPTH = 9  # operators from the result back to the input; the form with tanh and a product for the cube needs 8
_TOLERANCE = 1e-5  # constants such as sqrt(2) are written with five digits and more

_erf = np.vectorize(math.erf, otypes=[np.float64])
_FUNCTIONS: Mapping[str, Callable[..., Real]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Pow": np.power,
    "Erf": _erf,
    "Tanh": np.tanh,
}
_POINTS: Real = np.linspace(-6.0, 6.0, 49)
_MEANINGS: Mapping[str, Real] = {
    "none": _POINTS * 0.5 * (1.0 + _erf(_POINTS / np.sqrt(2.0))),
    "tanh": _POINTS * 0.5 * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (_POINTS + 0.044715 * _POINTS**3))),
}


def fuse_gelu(model: ir.Model) -> int:
    """Replace what computes Gelu of a value, in whatever order, by Gelu; returns how many.

    It is known by its results: a product of element-wise operators on one value and numbers that has Gelu's values.
    """
    if model.graph.opset_imports.get("", 0) < _OPSET:
        return 0
    return sum(_fuse(node) for node in reversed(list(model.graph)) if node.op_type == "Mul" and node.graph is not None)


def _fuse(node: ir.Node) -> bool:
    output = node.outputs[0]
    if output.dtype is not ir.DataType.FLOAT:
        return False
    reached: dict[ir.Value, None] = {}
    _reach(output, _DEPTH, reached)
    kinds = {producer.op_type for value in reached if (producer := value.producer()) is not None}
    if not kinds & {"Erf", "Tanh"}:
        return False
    for source in reached:
        if source is output or source.shape != output.shape:
            continue
        results = _values(output, source, _DEPTH)
        for form, wanted in _MEANINGS.items():
            if results is not None and np.abs(results - wanted).max() < _TOLERANCE:
                gelu = ir.node("Gelu", [source], {"approximate": form}, name=node.name)
                replace(node, [gelu], gelu.outputs[0])
                return True
    return False


def _reach(value: ir.Value, depth: int, reached: dict[ir.Value, None]) -> None:
    """Collect the values that `value` is computed from by the functions above."""
    if constant(value) is not None:
        return
    reached.setdefault(value)
    producer = value.producer()
    if depth and producer is not None and producer.op_type in _FUNCTIONS and producer.domain in ("", "ai.onnx"):
        for operand in producer.inputs:
            if operand is not None:
                _reach(operand, depth - 1, reached)


def _values(value: ir.Value, source: ir.Value, depth: int) -> Real | None:
    """What `value` is where `source` is _POINTS; None where it depends on anything else."""
    if value is source:
        return _POINTS
    number = constant(value)
    if number is not None:
        return np.asarray(float(number.reshape(-1)[0])) if number.size == 1 else None
    producer = value.producer()
    if not depth or producer is None or producer.op_type not in _FUNCTIONS or producer.domain not in ("", "ai.onnx"):
        return None
    operands = [None if operand is None else _values(operand, source, depth - 1) for operand in producer.inputs]
    given = [operand for operand in operands if operand is not None]
    return _FUNCTIONS[producer.op_type](*given) if len(given) == len(operands) else None
