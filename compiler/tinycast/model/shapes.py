"""Static shapes: the batch fixed to 1, other open dimensions from the user, the rest inferred."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx
import onnx_ir as ir

from tinycast.errors import ModelError, UsageError
from tinycast.model.classical_shapes import infer_classical_shapes
from tinycast.model.control_flow import share_shapes_with_loops
from tinycast.model.ports import static_shape
from tinycast.model.run import Session

# ValueError: an element type that is none, or (as UnicodeDecodeError) a damaged name in the message.
INFERENCE_FAILURES = (onnx.shape_inference.InferenceError, ValueError)


def fix_input_shapes(proto: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Make the shape of every graph input static, in place.

    `shapes` gives whole shapes by input name. An open leading dimension becomes 1. A symbol that one input
    settles holds for the others too. Raises ModelError listing every input that stays open, with the option
    that settles it; UsageError for a shape that contradicts the model.
    """
    inputs = {value.name: value for value in proto.graph.input}
    for name, shape in shapes.items():
        if name not in inputs:
            raise UsageError(
                f"--shape names the input {name!r}, which the model does not have",
                where=f"inputs: {', '.join(inputs)}",
                fix="name one of them",
            )
        _check_given(inputs[name], shape)
    symbols: dict[str, int] = {}
    for name, value in inputs.items():
        for dim, size in zip(_dims(value), shapes.get(name, ()), strict=False):
            if dim.dim_param:
                symbols[dim.dim_param] = size
    for name, value in inputs.items():
        leading = _dims(value)[:1]
        if name not in shapes and leading and leading[0].dim_param:
            symbols.setdefault(leading[0].dim_param, 1)
    open_inputs = []
    for name, value in inputs.items():
        declared = onnx.ValueInfoProto()
        declared.CopyFrom(value)
        if not value.type.HasField("tensor_type"):
            continue
        if name in shapes:
            _set_shape(value, shapes[name])
        elif not value.type.tensor_type.HasField("shape") or not _settle(value, symbols):
            open_inputs.append(declared)
    if open_inputs:
        raise _open_shape_error(open_inputs)
    # What exporters call by the same symbol is not always the same size: the others are inferred.
    for value in [*proto.graph.output, *proto.graph.value_info]:
        for dim in _dims(value):
            if not _is_static(dim):
                dim.Clear()


def _say_defaults(model: ir.Model) -> None:
    """Write out what ONNX's inference takes for another default than its documentation has."""
    for node in model.graph.all_nodes():
        if node.op_type == "STFT" and "onesided" not in node.attributes:
            node.attributes["onesided"] = ir.AttrInt64("onesided", 1)


def infer_shapes(model: ir.Model) -> None:
    """Infer element types and shapes of all values, in place. Raises ModelError where the model contradicts itself.

    (onnx_ir's ShapeInferencePass keeps such contradictions to itself.) What a Loop carries keeps its shape.
    """
    _say_defaults(model)
    _infer_standard_shapes(model)
    # Each lets ONNX's own inference go on from there.
    while infer_classical_shapes(model) or share_shapes_with_loops(model):
        _infer_standard_shapes(model)


def _infer_standard_shapes(model: ir.Model) -> None:
    try:
        proto = ir.serde.serialize_model(model)
    except ir.serde.SerdeError as error:
        raise inference_error(error.__cause__ or error) from None
    try:
        inferred = _inferred(proto, strict=True)
    except INFERENCE_FAILURES as error:
        # Strict inference stumbles over the bodies of some of ONNX's own functions: a second opinion decides.
        try:
            Session(model)
        except ModelError:
            raise inference_error(error) from None
        inferred = _inferred(proto, strict=False)
    _take_shapes(model, inferred)


def _inferred(proto: onnx.ModelProto, *, strict: bool) -> ir.Model:
    inferred = onnx.shape_inference.infer_shapes(proto, check_type=strict, strict_mode=strict, data_prop=True)
    model: ir.Model = ir.serde.deserialize_model(inferred)
    return model


def _take_shapes(model: ir.Model, inferred: ir.Model) -> None:
    for graph, inferred_graph in zip(model.graphs(), inferred.graphs(), strict=True):
        values = ir.convenience.create_value_mapping(graph)
        for name, found in ir.convenience.create_value_mapping(inferred_graph).items():
            if found.shape is not None:
                values[name].shape = found.shape
            if found.type is not None:
                values[name].type = found.type


def inference_error(error: BaseException) -> ModelError:
    """What the user reads when ONNX's shape inference fails."""
    return ModelError(
        "the shapes or element types of the model do not fit together",
        where=" ".join(str(error).split()),
        fix="export the model again; `onnx.checker.check_model(model, full_check=True)` reports the same",
    )


def require_static_shapes(model: ir.Model) -> None:
    """Raise ModelError listing every value whose shape or element type is not known before the model runs."""
    unknown = _values_without_shape(model)
    if unknown:
        raise ModelError(
            f"the shape of {len(unknown)} value(s) depends on data",
            where="; ".join(unknown),
            fix="export the model with static shapes; for sizes that depend on an input's shape use --shape",
        )


def _values_without_shape(model: ir.Model) -> list[str]:
    return [
        f"{value.name} (from {node.op_type} {node.name!r})"
        for node in model.graph.all_nodes()
        for value in node.outputs
        if value.name and (static_shape(value) is None or value.dtype is None)
    ]


def _dims(value: onnx.ValueInfoProto) -> list[onnx.TensorShapeProto.Dimension]:
    return list(value.type.tensor_type.shape.dim)


def _is_static(dim: onnx.TensorShapeProto.Dimension) -> bool:
    return dim.HasField("dim_value") and dim.dim_value >= 0


def _check_given(value: onnx.ValueInfoProto, shape: tuple[int, ...]) -> None:
    dims = _dims(value)
    has_rank = value.type.tensor_type.HasField("shape")
    fits = not has_rank or (
        len(shape) == len(dims)
        and all(not _is_static(dim) or dim.dim_value == size for dim, size in zip(dims, shape, strict=True))
    )
    if not fits or any(size < 1 for size in shape):
        raise UsageError(
            f"--shape {value.name}={_join(shape)} does not fit the model",
            where=f"input {value.name}: {_join(_describe(dims))}",
            fix="give one positive size a dimension, and keep those that the model fixes",
        )


def _set_shape(value: onnx.ValueInfoProto, shape: tuple[int, ...]) -> None:
    tensor_type = value.type.tensor_type
    tensor_type.shape.CopyFrom(
        onnx.TensorShapeProto(dim=[onnx.TensorShapeProto.Dimension(dim_value=size) for size in shape])
    )


def _settle(value: onnx.ValueInfoProto, symbols: Mapping[str, int]) -> bool:
    """Give the open dimensions their sizes, in place; False where one stays open."""
    for index, dim in enumerate(value.type.tensor_type.shape.dim):
        if _is_static(dim):
            continue
        if dim.dim_param in symbols:
            dim.dim_value = symbols[dim.dim_param]
        elif index == 0 and not dim.dim_param:
            dim.dim_value = 1
    return all(_is_static(dim) for dim in _dims(value))


def _open_shape_error(values: list[onnx.ValueInfoProto]) -> ModelError:
    return ModelError(
        "input shapes are open",
        where="; ".join(f"input {value.name}: {_join(_describe(_dims(value))) or 'no rank'}" for value in values),
        fix=" ".join(f"--shape {value.name}={_join(_suggestion(value))}" for value in values)
        + " (with the sizes the model will run at)",
    )


def _describe(dims: list[onnx.TensorShapeProto.Dimension]) -> Iterator[object]:
    return (dim.dim_value if _is_static(dim) else dim.dim_param or "?" for dim in dims)


def _suggestion(value: onnx.ValueInfoProto) -> Iterator[object]:
    """The shape with a usual size where it is open: an example that can be pasted and edited."""
    dims = _dims(value)
    if not dims:
        return iter((1, 3, 96, 96))
    return (dim.dim_value if _is_static(dim) else 1 if index == 0 else 96 for index, dim in enumerate(dims))


def _join(sizes: Iterator[object] | tuple[int, ...]) -> str:
    return ",".join(map(str, sizes))
