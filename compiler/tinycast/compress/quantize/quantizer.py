"""Post-training quantization: a float ONNX model and sample inputs give a standard QDQ model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinycast.compress.layerwise import Layer, collect, layer_inputs, ridge
from tinycast.compress.quantize.bodies import bodies_of, observe
from tinycast.compress.quantize.calibrate import choose_range
from tinycast.compress.quantize.insert import Inserter
from tinycast.compress.quantize.masks import Range, clip_masks, finite, softmax_floor
from tinycast.compress.quantize.options import ActivationType, AnyArray, Calibration, QuantizeOptions
from tinycast.compress.quantize.parameters import (
    Parameters,
    activation_parameters,
    softmax_parameters,
    weight_scales,
)
from tinycast.compress.quantize.reconstruct import FloatArray, correct_bias, round_with_compensation
from tinycast.compress.quantize.scheme import Scheme, is_softmax, scheme_of
from tinycast.compress.walk import Walk
from tinycast.errors import ModelError, UsageError
from tinycast.model.names import name_nodes
from tinycast.model.shapes import infer_shapes

Progress = Callable[[int, int], None]

# Refitting follows the directions in which the inputs have at least average energy and leaves the rest to the
# float weights: with 1e-2 it fits the calibration inputs and loses up to 2 dB on others (benchmarks/quantization.py).
_REFIT_DAMPING = 1.0
_ROUNDING_DAMPING = 0.01
_ROWS_PER_UNKNOWN = 256


def quantize(
    model: ir.Model,
    samples: Mapping[str, AnyArray],
    options: QuantizeOptions | None = None,
    progress: Progress | None = None,
) -> ir.Model:
    """A new model, weights of 8 bits, activations of 8 or 16, in QuantizeLinear/DequantizeLinear form; `model` stays.

    `model` is float32 with static shapes and opset 13 or later, best simplified before (BatchNormalization
    folded). `samples` are calibration inputs by name, on axis 0; a hundred are plenty. Inputs and outputs stay
    float, with Q/DQ at the edge; so do those of a loop's body and of a branch, which are quantized inside unless they
    never run on the samples. `progress` is called with (steps done, all steps), the last time with both equal.
    The result is the same for the same arguments, byte for byte.

    Scales are per tensor for activations, and for weights per output channel, symmetric in [-127, 127]; a bias
    is int32 with the scale of its input times that of its weights. With `options.reconstruct` each layer, in
    order, has its weights refitted so that the quantized network's inputs give the float network's outputs
    (ridge regression), then rounded with error compensation, then its bias corrected.

    Raises UsageError for missing or unusable samples, ModelError for a model that is already quantized, has no
    operator with an integer form, or is of an older opset.
    """
    options = options or QuantizeOptions()
    _check(model, samples, options)
    reference = model.clone()
    name_nodes(reference)
    infer_shapes(reference)
    scheme = scheme_of(reference.graph)
    inner = [scheme_of(body) for body in bodies_of(reference)]
    if not any(each.shared for each in (scheme, *inner)):
        raise ModelError(
            "nothing in the model can be quantized",
            where=f"operators: {', '.join(sorted({node.op_type for node in reference.graph}))}",
            fix="compile the float model as it is",
        )
    steps = _Steps(len(scheme.sources) + len(scheme.layers), progress)
    parameters = _calibrate(reference, scheme, samples, options, steps)
    result = reference.clone()
    for body, found in zip(bodies_of(result), _calibrate_bodies(reference, inner, samples, options), strict=True):
        _quantize_body(result, body, found, options)
    _quantize_graph(reference, result, parameters, samples, options, steps)
    return result


class _Steps:
    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress, self._done = total, progress, 0

    def advance(self) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total)


def _check(model: ir.Model, samples: Mapping[str, AnyArray], options: QuantizeOptions) -> None:
    if any(node.op_type == "QuantizeLinear" for node in model.graph):
        raise ModelError(
            "the model is quantized already", where="it has QuantizeLinear nodes", fix="give the float model"
        )
    opset = model.graph.opset_imports.get("", 0)
    least, what = (21, "16-bit") if options.activations is ActivationType.INT16 else (13, "per-channel")
    if opset < least:
        raise ModelError(
            f"opset {opset} has no {what} DequantizeLinear", where="opset_import", fix=f"export with opset {least}+"
        )
    names = [value.name or "" for value in model.graph.inputs]
    missing = [name for name in names if name not in samples]
    if missing:
        raise UsageError(
            f"no calibration samples for the input {', '.join(map(repr, missing))}",
            where=f"samples have {', '.join(map(repr, samples)) or 'no arrays'}",
            fix="name each array as the model names its input",
        )
    for name in names:
        array = samples[name]
        if len(array) == 0 or not np.isfinite(array).all():
            raise UsageError(
                "calibration needs at least one sample, and finite numbers only",
                where=f"samples of {name!r}, shape {array.shape}",
                fix="remove samples with NaN or Inf",
            )


def _calibrate(
    model: ir.Model, scheme: Scheme, samples: Mapping[str, AnyArray], options: QuantizeOptions, steps: _Steps
) -> dict[str, Parameters]:
    """Parameters of every quantized activation and constant operand by name, from the float model's values."""
    walk = Walk(model, samples)
    ranges: dict[ir.Value, Range] = {}
    for value in scheme.sources:
        arrays = walk.advance([value])[value]
        low, high = _range(value, np.concatenate([array.reshape(-1) for array in arrays]), options)
        ranges[value] = (min(0.0, max(low, softmax_floor(value, arrays))), high)
        steps.advance()
    return _with_shared(scheme, ranges, options)


def _calibrate_bodies(
    model: ir.Model, schemes: Sequence[Scheme], samples: Mapping[str, AnyArray], options: QuantizeOptions
) -> list[dict[str, Parameters]]:
    """The same for the bodies of control flow, over all rounds; nothing for one that never ran."""
    seen = observe(model, samples, [[_name(value) for value in scheme.sources] for scheme in schemes])
    result: list[dict[str, Parameters]] = []
    for scheme, values in zip(schemes, seen, strict=True):
        ran = all(array.size for array in values.values())
        ranges = {v: _range(v, values[_name(v)], options) for v in scheme.sources if ran}
        result.append(_with_shared(scheme, ranges, options) if ranges else {})
    return result


def _range(value: ir.Value, values: NDArray[np.float32], options: QuantizeOptions) -> Range:
    # What is clipped from an input is lost to the whole network, and inputs seldom have outliers.
    is_whole = value.is_graph_input() or options.activations is ActivationType.INT16
    return choose_range(finite(values), Calibration.MINMAX if is_whole else options.calibration)


def _with_shared(scheme: Scheme, ranges: dict[ir.Value, Range], options: QuantizeOptions) -> dict[str, Parameters]:
    """The parameters of the sources, of constant operands, and of all that share them."""
    for value in scheme.operands:
        assert value.const_value is not None
        ranges[value] = choose_range(finite(value.const_value.numpy().reshape(-1)), Calibration.MINMAX)
    kind = options.activations
    found = {
        value: softmax_parameters(kind) if is_softmax(value) else activation_parameters(*limits, kind)
        for value, limits in clip_masks(scheme, ranges).items()
    }
    return {_name(value): found[scheme.shared.get(value, value)] for value in (*found, *scheme.shared)}


def _quantize_graph(
    reference: ir.Model,
    model: ir.Model,
    parameters: Mapping[str, Parameters],
    samples: Mapping[str, AnyArray],
    options: QuantizeOptions,
    steps: _Steps,
) -> None:
    """Quantize activations and constant operands, then layer by layer the weights, in place."""
    scheme = scheme_of(model.graph)
    inserter = Inserter(model, model.graph, options.activations.numpy_dtype)
    input_scales = _input_scales(scheme, parameters)
    _quantize_activations(scheme, inserter, parameters)
    scales: dict[str, NDArray[np.float32]] = {}
    if options.reconstruct:
        for layer, inputs, targets in layer_inputs(reference, model, samples):
            statistics = collect(layer, inputs, targets, _ROWS_PER_UNKNOWN)
            matrix = ridge(statistics, layer.matrix(), _REFIT_DAMPING)
            scale = _layer_scales(layer, matrix, input_scales[layer.node.name], options.per_channel)
            columns = matrix.shape[2] - layer.takes_bias
            each = np.broadcast_to(scale.astype(np.float64), matrix.shape[0] * matrix.shape[1])
            matrix = round_with_compensation(
                matrix, each.reshape(matrix.shape[:2]), statistics.gram, columns, _ROUNDING_DAMPING
            )
            if layer.takes_bias:
                correct_bias(matrix, statistics)
            layer.set_matrix(matrix)
            scales[layer.name] = scale
            steps.advance()
    _quantize_weights(scheme, inserter, input_scales, scales, options)
    for _ in range(len(scheme.layers) - len(scales)):
        steps.advance()
    inserter.remove_unused_initializers()


def _quantize_body(
    model: ir.Model, body: ir.Graph, parameters: Mapping[str, Parameters], options: QuantizeOptions
) -> None:
    """Quantize a body of control flow in place, its weights to the nearest; nothing without parameters."""
    if not parameters:
        return
    scheme = scheme_of(body)
    inserter = Inserter(model, body, options.activations.numpy_dtype)
    input_scales = _input_scales(scheme, parameters)
    _quantize_activations(scheme, inserter, parameters)
    _quantize_weights(scheme, inserter, input_scales, {}, options)
    inserter.remove_unused_initializers()


def _input_scales(scheme: Scheme, parameters: Mapping[str, Parameters]) -> dict[str | None, float]:
    """The scale of the input of each layer, by the node's name."""
    nodes = [layer.node for layer in scheme.layers] + scheme.transposed
    return {node.name: float(parameters[_name(node.inputs[0])].scale) for node in nodes}


def _quantize_activations(scheme: Scheme, inserter: Inserter, parameters: Mapping[str, Parameters]) -> None:
    names = [(value, _name(value), _name(source)) for value, source in scheme.shared.items()]
    for value, name, source in names:
        inserter.quantize_activation(value, parameters[name], source)
    layers = {node for layer in scheme.layers for node in (layer.node, layer.bias_node) if node is not None}
    for value in scheme.operands:
        inserter.quantize_operand(value, parameters[_name(value)], layers)


def _quantize_weights(
    scheme: Scheme,
    inserter: Inserter,
    input_scales: Mapping[str | None, float],
    scales: Mapping[str, NDArray[np.float32]],
    options: QuantizeOptions,
) -> None:
    """Quantize weights and biases; `scales` are those of layers whose weights were rounded before."""
    for layer in scheme.layers:
        input_scale = input_scales[layer.node.name]
        scale = scales.get(layer.name)
        if scale is None:
            scale = _layer_scales(layer, layer.matrix(), input_scale, options.per_channel)
        inserter.quantize_weight(layer.node, 1, scale, layer.output_axis)
        if layer.bias is not None:
            holder = layer.bias_node or layer.node
            bias_scale = (scale * input_scale).astype(np.float32)
            inserter.quantize_bias(holder, list(holder.inputs).index(layer.bias), bias_scale)
    for node in scheme.transposed:
        _quantize_transposed(inserter, node, input_scales[node.name], options.per_channel)
    for node in scheme.recurrent:
        for index in (1, 2):
            _quantize_gates(inserter, node, index, options.per_channel)


def _layer_scales(layer: Layer, matrix: FloatArray, input_scale: float, per_channel: bool) -> NDArray[np.float32]:
    """One scale an output channel, or one for all as a scalar."""
    columns = matrix.shape[2] - layer.takes_bias
    limits = np.abs(matrix[:, :, :columns]).max(axis=2).reshape(-1)
    bias = matrix[:, :, -1].reshape(-1) if layer.takes_bias else np.zeros_like(limits)
    return weight_scales(limits, np.abs(bias), input_scale, per_channel)


def _quantize_transposed(inserter: Inserter, node: ir.Node, input_scale: float, per_channel: bool) -> None:
    """ConvTranspose: weights (C, M/groups, ...) have a scale per entry of axis 1, the same in every group."""
    arrays = [value.const_value.numpy() for value in node.inputs[1:] if value is not None and value.const_value]
    limits = np.abs(arrays[0]).max(axis=tuple(i for i in range(arrays[0].ndim) if i != 1)).astype(np.float64)
    bias = np.abs(arrays[1].reshape(-1, limits.size)).max(axis=0) if len(arrays) > 1 else np.zeros_like(limits)
    scales = weight_scales(limits, bias, input_scale, per_channel)
    inserter.quantize_weight(node, 1, scales, 1)
    if len(arrays) > 1:
        bias_scales = (scales * input_scale).astype(np.float32)
        tiled = np.tile(bias_scales, arrays[1].size // limits.size) if scales.ndim else bias_scales
        inserter.quantize_bias(node, 2, tiled)


def _quantize_gates(inserter: Inserter, node: ir.Node, index: int, per_channel: bool) -> None:
    """W or R of a recurrent layer, (D, gates * H, columns): one scale a row, the same in both directions."""
    value = node.inputs[index]
    assert value is not None
    assert value.const_value is not None
    limits = np.abs(value.const_value.numpy()).max(axis=(0, 2)).astype(np.float64)
    inserter.quantize_weight(node, index, weight_scales(limits, np.zeros_like(limits), 1.0, per_channel), 1)


def _name(value: ir.Value | None) -> str:
    assert value is not None
    assert value.name
    return value.name
