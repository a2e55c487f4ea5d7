"""Whole channels go, for real: every tensor they run through gets smaller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinycast.compress.layerwise import AnyArray, Layer, collect, prunable_layers
from tinycast.compress.prune.channel_choice import Channel, choose_by_cost, choose_by_magnitude, measure_consumers
from tinycast.compress.prune.least_squares import damp, solve_masked
from tinycast.compress.prune.options import ChannelOptions, Progress, Pruned
from tinycast.compress.prune.refit import channel_axis, refit_targets
from tinycast.compress.prune.report import report_layers, require_layers
from tinycast.compress.prune.tie_rules import tie_model
from tinycast.errors import ModelError

Removal = Mapping[ir.Value, Mapping[int, set[int]]]
"""Indices to remove, by value and axis."""


def prune_channels(
    model: ir.Model,
    samples: Mapping[str, AnyArray],
    options: ChannelOptions,
    progress: Progress | None = None,
) -> Pruned:
    """Remove channels from the model's tensors; the model given stays as it is, and so do inputs and outputs.

    Channels that only exist together (through a residual Add, a depthwise layer, Concat, Flatten) go together,
    and every such group loses `options.fraction` of its channels: those whose loss the layers that read them
    make up for best, over the samples. Then each layer is refitted, from the inputs that the smaller network
    gives to what is left of the whole network's outputs. Without `options.reconstruct` the filters of the least
    magnitude go, nothing is refitted, and `samples` are not used.

    Samples lie on axis 0. Raises ModelError where no channel can be removed.
    """
    progress = progress or (lambda done, total: None)
    pruned = model.clone()
    layers = prunable_layers(pruned)
    require_layers(layers, model)
    groups = tie_model(pruned).groups()
    steps = 2 * len(layers)
    if options.reconstruct:
        consumers = measure_consumers(model, pruned, samples, lambda done: progress(done, steps))
        chosen = [choose_by_cost(group, _count_to_remove(len(group), options), consumers) for group in groups]
    else:
        chosen = [choose_by_magnitude(group, _count_to_remove(len(group), options), layers) for group in groups]
    removal = positions_by_axis(channel for channels in chosen for channel in channels)
    if not removal:
        raise ModelError(
            "no channel can be removed",
            where=f"graph {model.graph.name}: {len(groups)} group(s) of channels that could go",
            fix="prune a larger fraction, or weights instead: --prune 0.5",
        )
    kept = {layer.output.name: _kept_outputs(layer, removal) for layer in layers}
    whole = [layer.name for layer in layers if layer.output not in removal]
    remove(pruned, removal)
    if options.reconstruct:
        for index, (layer, inputs, targets) in enumerate(refit_targets(model, pruned, samples, kept)):
            progress(len(layers) + index, steps)
            prior = layer.matrix()
            damped = damp(collect(layer, inputs, targets), prior)
            layer.set_matrix(solve_masked(damped, np.ones(prior.shape, dtype=bool)))
    progress(steps, steps)
    return Pruned(pruned, report_layers(model, pruned, whole))


def remove(model: ir.Model, removal: Removal) -> None:
    """Delete the indices from every value, and from the attributes and constants that count them, in place."""
    for value, axes in removal.items():
        assert value.shape is not None
        shape = list(value.shape.numpy())
        for axis, indices in axes.items():
            shape[axis] -= len(indices)
            if value.const_value is not None:
                smaller = np.delete(value.const_value.numpy(), sorted(indices), axis=axis)
                value.const_value = ir.tensor(smaller, name=value.name)
        value.shape = ir.Shape(shape)
    for node in model.graph:
        if node.op_type == "Reshape" and node.outputs[0] in removal:
            _set_target_shape(model.graph, node)
        elif "group" in node.attributes and node.attributes["group"].as_int() > 1 and node.inputs[0] in removal:
            # Only depthwise convolutions lose channels; each channel is a group of its own.
            x = node.inputs[0]
            assert x is not None
            assert x.shape is not None
            node.attributes["group"] = ir.AttrInt64("group", x.shape.numpy()[1])


def _set_target_shape(graph: ir.Graph, node: ir.Node) -> None:
    """Name the new shape in a constant of the node's own: others may share the old one."""
    output, old = node.outputs[0], node.inputs[1]
    assert output.shape is not None
    assert old is not None
    name = f"{old.name}_of_{output.name}"
    shape = ir.val(name, const_value=ir.tensor(np.array(output.shape.numpy(), dtype=np.int64), name=name))
    graph.register_initializer(shape)
    node.replace_input_with(1, shape)
    node.attributes.pop("allowzero", None)
    if not old.uses():
        del graph.initializers[old.name or ""]


def positions_by_axis(channels: Iterable[Channel]) -> dict[ir.Value, dict[int, set[int]]]:
    """All positions of the channels, as `remove` takes them."""
    removal: dict[ir.Value, dict[int, set[int]]] = {}
    for channel in channels:
        for value, axis, index in channel:
            removal.setdefault(value, {}).setdefault(axis, set()).add(index)
    return removal


def _count_to_remove(count: int, options: ChannelOptions) -> int:
    multiple = min(options.multiple, count)
    kept = max(multiple, multiple * round(count * (1 - options.fraction) / multiple))
    return max(0, count - kept)


def _kept_outputs(layer: Layer, removal: Removal) -> NDArray[np.int_]:
    assert layer.output.shape is not None
    shape = layer.output.shape.numpy()
    axis = channel_axis(layer) % len(shape)
    return np.delete(np.arange(shape[axis]), sorted(removal.get(layer.output, {}).get(axis, ())))
