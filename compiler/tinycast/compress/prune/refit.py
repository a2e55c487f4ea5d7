"""What each layer should learn once the layers before it have changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinycast.compress.layerwise import AnyArray, Layer, prunable_layers
from tinycast.compress.walk import Walk

Kept = Mapping[str | None, NDArray[np.int_]]
"""Output channels of the whole network's layers that the pruned one still has, by the name of the layer's output."""


def refit_targets(
    reference: ir.Model, model: ir.Model, samples: Mapping[str, AnyArray], kept: Kept | None = None
) -> Iterator[tuple[Layer, AnyArray, AnyArray]]:
    """Walk both models: (layer of `model`, its inputs there, the outputs it should give), samples on axis 0.

    The caller changes the layer before it asks for the next. Targets are the outputs of `reference`, `kept`
    channels only where some are gone. A layer whose output is added to a value that is final already (a
    residual connection) makes up for that value's error, too, so that the sum comes out right.
    """
    wanted = {value.name: value for node in reference.graph for value in node.outputs}
    wanted.update({value.name: value for value in reference.graph.inputs})
    model_walk, reference_walk = Walk(model, samples), Walk(reference, samples)
    layers = prunable_layers(model)
    for index, layer in enumerate(layers):
        partner = _final_partner(layer, {later.node for later in layers[index:]})
        values = [layer.input, *([partner] if partner is not None else [])]
        present = model_walk.advance(values)
        goals = reference_walk.advance([wanted[value.name] for value in (layer.output, *values[1:])])
        target, *residual = map(np.concatenate, goals.values())
        if kept is not None:
            target, *residual = (
                np.take(goal, kept[layer.output.name], channel_axis(layer)) for goal in (target, *residual)
            )
        if partner is not None:
            target = target + residual[0] - np.concatenate(present[partner])
        yield layer, np.concatenate(present[layer.input]), target


def channel_axis(layer: Layer) -> int:
    """The axis of the layer's output that counts its channels."""
    return 1 if layer.node.op_type == "Conv" else -1


def _final_partner(layer: Layer, pending: Collection[ir.Node]) -> ir.Value | None:
    """The other term of the Add that alone reads the layer, where no layer still to come goes into it."""
    readers = layer.output.consumers()
    if layer.output.is_graph_output() or len(readers) != 1 or readers[0].op_type != "Add":
        return None
    others = [value for value in readers[0].inputs if value is not layer.output]
    if len(others) != 1 or others[0] is None or others[0].is_initializer() or others[0].shape != layer.output.shape:
        return None
    todo, seen = [others[0]], {others[0]}
    while todo:
        producer = todo.pop().producer()
        if producer in pending:
            return None
        inputs = producer.inputs if producer is not None else ()
        fresh = {value for value in inputs if value is not None} - seen
        todo += fresh
        seen |= fresh
    return others[0]
