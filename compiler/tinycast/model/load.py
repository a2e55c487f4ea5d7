"""Reading a model into the form that the rest of the compiler expects."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
import onnx.inliner
import onnx_ir as ir
from onnx_ir.passes.common import LiftConstantsToInitializersPass

from tinycast.errors import ModelError
from tinycast.model.contrib import claim_unlisted_operators
from tinycast.model.convert import convert_opset
from tinycast.model.files import read_proto
from tinycast.model.labels import number_labels
from tinycast.model.names import name_nodes, name_values
from tinycast.model.ports import static_shape
from tinycast.model.shapes import fix_input_shapes, infer_shapes

IR_VERSION = 10  # the one of opset 21
_STANDARD = ("", "ai.onnx")
_ADDITIVE = 18  # the last opset in which an operator lost something
_FILLS = frozenset({"Cast", "CastLike", "Clip", "Expand", "Max", "Min", "Pad", "Where"})


def load(path: str | os.PathLike[str], shapes: Mapping[str, tuple[int, ...]] | None = None) -> ir.Model:
    """Read and check an ONNX model.

    Afterwards the model holds its weights itself, as initializers that are no inputs; it is at opset 21, or at
    its own where that is later, or from 13 on and more than ONNX's converter can do; it has no functions, unique
    node names and static input shapes: `shapes` gives those of inputs with open dimensions, an open leading one
    is 1. Shapes of all values are inferred; `require_static_shapes` tells those known only when the model runs.

    Raises UsageError where the file cannot be read, and ModelError where the model is invalid, its input
    shapes stay open, its opset is too old to convert, or a weight is NaN or infinite.
    """
    proto = read_proto(path)
    claim_unlisted_operators(proto)
    _check(proto, path)
    if proto.functions:
        proto = _inlined(proto)
    _drop_initializers_from_inputs(proto)
    number_labels(proto)
    fix_input_shapes(proto, shapes or {})
    model: ir.Model = ir.serde.deserialize_model(convert_opset(proto))
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    name_nodes(model)
    name_values(model)
    _infer_shapes(model)
    _check_finite(model)
    return model


def _inlined(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model without functions of its own.

    ONNX cannot convert a function that calls another one, whose types it does not know. From opset 18 on versions only
    add to operators, so that such a function is one of the model's version as it stands.
    """
    try:
        return onnx.inliner.inline_local_functions(proto, convert_version=True)
    except RuntimeError as error:
        own = [entry for f in proto.functions for entry in f.opset_import if entry.domain in _STANDARD]
        versions = [entry.version for entry in (*proto.opset_import, *own) if entry.domain in _STANDARD]
        if min(versions) < _ADDITIVE:
            raise ModelError(
                f"functions of opset {min(versions)} do not fit into a model of opset {max(versions)}",
                where=" ".join(str(error).split()),
                fix=f"export model and functions with one opset, or with {_ADDITIVE} or later",
            ) from None
        for entry in (*proto.opset_import, *own):
            if entry.domain in _STANDARD:
                entry.version = max(versions)
        return onnx.inliner.inline_local_functions(proto, convert_version=False)


def _infer_shapes(model: ir.Model) -> None:
    """What outputs are declared to be counts only where it cannot be inferred: converters write wrong shapes there,
    which ONNX Runtime runs with a warning."""
    declared = [(value, value.shape) for value in model.graph.outputs if not value.is_graph_input()]
    for value, _ in declared:
        value.shape = None
    infer_shapes(model)
    for value, shape in declared:
        if static_shape(value) is None:
            value.shape = shape


def _check(proto: onnx.ModelProto, path: str | os.PathLike[str]) -> None:
    # The checker asks for a shape on inputs and outputs; exporters leave it out, and we infer it or ask for it.
    tensors = [value.type.tensor_type for value in [*proto.graph.input, *proto.graph.output]]
    unranked = [tensor for tensor in tensors if tensor.elem_type and not tensor.HasField("shape")]
    for tensor in unranked:
        tensor.shape.SetInParent()
    try:
        onnx.checker.check_model(proto)
    except (onnx.checker.ValidationError, UnicodeDecodeError) as error:
        what, _, details = str(error).strip().partition("\n")
        if isinstance(error, UnicodeDecodeError):  # the checker quotes the damaged name
            what, details = "a name is not UTF-8 text", repr(error.object[:80])
        raise ModelError(
            f"the model breaks the ONNX standard: {what}",
            where=" ".join([str(path), *details.split()]),
            fix="export the model again with a current exporter",
        ) from None
    for tensor in unranked:
        tensor.ClearField("shape")


def _drop_initializers_from_inputs(proto: onnx.ModelProto) -> None:
    """Make initializers constants, as they are since IR version 4."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    constants.update(tensor.values.name for tensor in proto.graph.sparse_initializer)
    inputs = [value for value in proto.graph.input if value.name not in constants]
    del proto.graph.input[:]
    proto.graph.input.extend(inputs)
    proto.ir_version = max(proto.ir_version, IR_VERSION)


def _check_finite(model: ir.Model) -> None:
    """Refuse NaN and Inf in constants, except an infinity that is a bound or fills masked places."""
    found = []
    for value in (value for graph in model.graphs() for value in graph.initializers.values()):
        tensor = value.const_value
        if tensor is None or not tensor.dtype.is_floating_point():
            continue
        array = tensor.numpy().astype(np.float64)
        if np.isfinite(array).all() or _is_bound_or_fill(value, array):
            continue
        kind = "NaN" if np.isnan(array).any() else "Inf"
        users = ", ".join(f"{use.node.op_type} {use.node.name!r}" for use in value.uses()) or "no node"
        found.append(f"{value.name} has {kind}, used by {users}")
    if found:
        raise ModelError(
            f"{len(found)} constant(s) of the model are not finite",
            where="; ".join(found),
            fix="train or export the model again: such weights come from training that diverged",
        )


def _is_bound_or_fill(value: ir.Value, array: npt.NDArray[np.float64]) -> bool:
    """An infinity may bound a Clip, or stand for masked places: alone, or among zeros where it is added."""
    uses = list(value.uses())
    if np.isnan(array).any() or not uses:
        return False
    if all(use.node.op_type == "Clip" and use.idx in (1, 2) for use in uses):
        return True
    ops = {use.node.op_type for use in uses}
    return bool((ops <= _FILLS and array.size == 1) or (ops <= {"Add"} and np.isin(array, (0, -np.inf)).all()))
