"""ONNX's own test cases: which there are, of which class, and with which inputs bound.

The classes of node cases: PLAIN, every graph input and output is a tensor of none of string, float16, bfloat16,
double, complex, float8 and float4, and every node is in the default domain; DATA_TYPE, only an element type stands
in the way; CLASSICAL, operators of ai.onnx.ml on tensors; OTHER, the rest (sequences, optionals, other domains). The
models that onnx ships as files are all PLAIN.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.backend.test
from onnx import TensorProto, numpy_helper

Array = npt.NDArray[Any]

_MODEL_FOLDERS = ("pytorch-converted", "pytorch-operator", "simple")
_INTEGERS = ("INT8", "INT16", "INT32", "INT64", "INT4", "INT2")
_PLAIN_TYPES = frozenset(
    getattr(TensorProto, name) for name in ("FLOAT", "BOOL", *_INTEGERS, *(f"U{integer}" for integer in _INTEGERS))
)
_REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")

# Inputs that settle a shape or an axis, by operator: they are constants of the compiled model. Nothing else is.
BOUND_INPUTS: dict[str, tuple[int, ...]] = {
    "AffineGrid": (1,),
    "BlackmanWindow": (0,),
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "ConstantOfShape": (0,),
    "CumProd": (1,),
    "CumSum": (1,),
    "DFT": (1, 2),
    "Expand": (1,),
    "HammingWindow": (0,),
    "HannWindow": (0,),
    "Loop": (0,),  # how many elements its scan outputs have at most
    "MaxUnpool": (2,),
    "MelWeightMatrix": (0, 1),
    "NonMaxSuppression": (2,),
    "OneHot": (1,),
    "Pad": (1, 3),
    "Range": (0, 1, 2),
    "Reshape": (1,),
    "Resize": (2, 3),
    "STFT": (1, 3),
    "SequenceErase": (1,),
    "SequenceInsert": (2,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "SplitToSequence": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "TopK": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
    **dict.fromkeys((f"Reduce{kind}" for kind in _REDUCTIONS), (1,)),
}


class Class(Enum):
    PLAIN = "plain"
    DATA_TYPE = "data type"
    CLASSICAL = "ai.onnx.ml"
    OTHER = "other"


@dataclass(frozen=True)
class Case:
    """One model with inputs and the outputs it must give; `operator` is what it is about."""

    name: str
    operator: str
    model: onnx.ModelProto
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    rtol: float
    atol: float
    kind: Class
    original: onnx.ModelProto | None = None  # of a function body written out: the model with the operator

    @cached_property
    def bound(self) -> dict[str, Array]:
        """The inputs that the case's model gets as constants."""
        return bound_inputs(self)

    @cached_property
    def digest(self) -> str:
        content = hashlib.sha256(self.model.SerializeToString(deterministic=True))
        for array in (*self.inputs, *self.outputs):
            content.update(repr(array).encode())
        return content.hexdigest()

    def bound_model(self) -> onnx.ModelProto:
        """The model with the bound inputs as initializers."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        kept = [value for value in model.graph.input if value.name not in self.bound]
        del model.graph.input[:]
        model.graph.input.extend(kept)
        model.graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in self.bound.items())
        return model

    def free_inputs(self) -> dict[str, Array]:
        """The arrays of the inputs that are read at run time."""
        named = zip((v.name for v in _real_inputs(self.model)), self.inputs, strict=False)
        return {name: np.asarray(array) for name, array in named if name not in self.bound}


def _real_inputs(model: onnx.ModelProto) -> list[onnx.ValueInfoProto]:
    constants = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants]


def classify(model: onnx.ModelProto) -> Class:
    """The class of a case, by its model alone."""
    values = [*model.graph.input, *model.graph.output]
    if any(not v.type.HasField("tensor_type") for v in values):
        return Class.OTHER
    domains = {node.domain for node in model.graph.node} - {"", "ai.onnx"}
    if domains:
        return Class.CLASSICAL if domains == {"ai.onnx.ml"} else Class.OTHER
    types = {v.type.tensor_type.elem_type for v in values}
    if types <= _PLAIN_TYPES:
        return Class.PLAIN
    return Class.DATA_TYPE


def bound_inputs(case: Case) -> dict[str, Array]:
    """The graph inputs that reach a bound operand directly, with the case's values.

    Where a function body is written out, the inputs that are bound for the operator itself.
    """
    arrays = dict(zip((v.name for v in _real_inputs(case.model)), case.inputs, strict=False))
    names = [
        node.input[index]
        for node in [*case.model.graph.node, *(case.original.graph.node if case.original else ())]
        for index in BOUND_INPUTS.get(case.operator if node.op_type == "Shape" else node.op_type, ())
        if index < len(node.input) and not (node.op_type == "Loop" and len(node.output) <= len(node.input) - 2)
    ]
    return {name: np.asarray(arrays[name]) for name in dict.fromkeys(names) if name in arrays}


def node_cases() -> Iterator[Case]:
    """The cases of single operators, and of their function bodies written out (`…_expanded`)."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        collected = collect_testcases()
    models = {c.name: c.model for c in collected}
    for c in sorted(collected, key=lambda c: c.name):
        inputs, outputs = c.data_sets[0]
        original = models.get(c.name.partition("_expanded")[0], c.model)
        last = original.graph.node[-1]
        operator = f"{last.domain}.{last.op_type}" if last.domain == "ai.onnx.ml" else last.op_type
        kind = classify(c.model)
        given, wanted = (tuple(map(_array, values)) for values in (inputs, outputs))
        yield Case(c.name, operator, c.model, given, wanted, c.rtol, c.atol, kind, original)


def _array(value: Any) -> Any:
    """Some cases hold tensors of the types that NumPy lacks as messages."""
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else value


def model_cases() -> Iterator[Case]:
    """The models that onnx ships as files."""
    data = Path(onnx.backend.test.__file__).parent / "data"
    for kind in _MODEL_FOLDERS:
        for folder in sorted((data / kind).iterdir()):
            if not (folder / "model.onnx").exists():
                continue
            model = onnx.load(folder / "model.onnx")
            sets = sorted(folder.glob("test_data_set_*"))
            inputs = tuple(_tensors(sets[0], "input", model.graph.input))
            outputs = tuple(_tensors(sets[0], "output", model.graph.output))
            operator = model.graph.node[-1].op_type if kind != "simple" else "(models)"
            yield Case(f"{kind}/{folder.name}", operator, model, inputs, outputs, 1e-3, 1e-7, Class.PLAIN)


def _tensors(folder: Path, kind: str, values: Any) -> Iterator[Any]:
    for path in sorted(folder.glob(f"{kind}_*.pb"), key=lambda p: int(p.stem.rpartition("_")[2])):
        content = path.read_bytes()
        value = values[int(path.stem.rpartition("_")[2])]
        if value.type.HasField("tensor_type"):
            tensor = TensorProto()
            tensor.ParseFromString(content)
            yield numpy_helper.to_array(tensor)
        else:
            yield content


def all_cases() -> list[Case]:
    return [*node_cases(), *model_cases()]
