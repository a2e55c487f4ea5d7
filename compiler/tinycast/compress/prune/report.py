"""What pruning did to each layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from tinycast.compress.layerwise import Layer, prunable_layers
from tinycast.compress.prune.options import LayerReport, PruneReport
from tinycast.errors import ModelError


def require_layers(layers: Sequence[Layer], model: ir.Model) -> None:
    """Raise ModelError where there is nothing to prune."""
    if not layers:
        raise ModelError(
            "the model has no layer to prune",
            where=f"graph {model.graph.name}: no Conv, Gemm or MatMul with constant float weights",
            fix="prune the float model, before it is quantized",
        )


def report_layers(before: ir.Model, after: ir.Model, kept_whole: Sequence[str] = ()) -> PruneReport:
    """Compare the layers of a model and of its pruned self, matched by the names of their outputs."""
    earlier = {layer.output.name: layer for layer in prunable_layers(before)}
    rows = [_compare(earlier[layer.output.name], layer) for layer in prunable_layers(after)]
    return PruneReport(tuple(rows), tuple(kept_whole))


def _compare(before: Layer, after: Layer) -> LayerReport:
    return LayerReport(
        after.name,
        _shape(before),
        _shape(after),
        before.matrix().size,
        after.matrix().size,
        _zeros(before),
        _zeros(after),
    )


def _shape(layer: Layer) -> tuple[int, ...]:
    assert layer.weight.const_value is not None
    return tuple(layer.weight.const_value.shape.numpy())


def _zeros(layer: Layer) -> int:
    assert layer.weight.const_value is not None
    return int(np.sum(layer.weight.const_value.numpy() == 0))
