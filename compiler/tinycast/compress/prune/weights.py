"""Single weights become zero; what stays makes up for them, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinycast.compress.layerwise import AnyArray, FloatArray, Layer, collect, layer_inputs, prunable_layers
from tinycast.compress.prune.least_squares import damp, output_energy, removal_costs, solve_masked
from tinycast.compress.prune.options import Progress, Pruned, PruneOptions, Scope
from tinycast.compress.prune.refit import refit_targets
from tinycast.compress.prune.report import report_layers, require_layers

Mask = NDArray[np.bool_]


def prune_weights(
    model: ir.Model,
    samples: Mapping[str, AnyArray],
    options: PruneOptions,
    progress: Progress | None = None,
) -> Pruned:
    """Set weights of Conv, Gemm and MatMul to zero; the model given stays as it is.

    With `options.reconstruct`, weights go by what their removal costs the layer's outputs over the samples,
    relative to how much those outputs vary, and every layer's other weights are refitted, from the inputs that
    the already pruned layers give to the outputs of the whole network. Without, by magnitude over the layer's
    root mean square; `samples` are not used then.

    Exactly round(fraction * weights) weights go, in all or in each layer; fewer stay non-zero where some were
    zero among the best already. Samples lie on axis 0. Raises ModelError for a model without such layers.
    """
    progress = progress or (lambda done, total: None)
    pruned = model.clone()
    layers = prunable_layers(pruned)
    require_layers(layers, model)
    steps = 2 * len(layers)
    costs = [_magnitudes(layer) for layer in layers]
    if options.reconstruct and options.scope is Scope.GLOBAL and options.n_m is None:
        for index, (layer, inputs, targets) in enumerate(layer_inputs(model, pruned, samples)):
            progress(index, steps)
            prior = layer.matrix()
            statistics = collect(layer, inputs, targets)
            energy = output_energy(statistics, prior, layer.takes_bias)
            costs[index] = removal_costs(damp(statistics, prior), _weights(layer)) / energy
    counts = _counts_to_keep(costs, options)
    if not options.reconstruct:
        for layer, cost, count in zip(layers, costs, counts, strict=True):
            mask = _mask(layer, cost, count, options)
            layer.set_matrix(np.where(mask, layer.matrix(), 0.0))
    else:
        for index, (layer, inputs, targets) in enumerate(refit_targets(model, pruned, samples)):
            progress(len(layers) + index, steps)
            # The order of removal is found anew: the inputs changed since the budget was shared out.
            damped = damp(collect(layer, inputs, targets), layer.matrix())
            mask = _mask(layer, removal_costs(damped, _weights(layer)), counts[index], options)
            layer.set_matrix(solve_masked(damped, mask))
    progress(steps, steps)
    return Pruned(pruned, report_layers(model, pruned))


def _weights(layer: Layer) -> int:
    """Weights of one output: the matrix's columns without the bias."""
    return int(layer.matrix().shape[2]) - layer.takes_bias


def _magnitudes(layer: Layer) -> FloatArray:
    weights = layer.matrix()[:, :, : _weights(layer)]
    size = np.sqrt(np.mean(weights**2))
    return np.abs(weights) / (size if size > 0 else 1.0)


def _counts_to_keep(costs: list[FloatArray], options: PruneOptions) -> list[int]:
    """How many weights each layer keeps."""
    if options.scope is Scope.PER_LAYER:
        return [cost.size - round(options.fraction * cost.size) for cost in costs]
    everything = np.concatenate([cost.ravel() for cost in costs])
    gone = np.zeros(everything.size, dtype=bool)
    gone[np.argsort(everything, kind="stable")[: round(options.fraction * everything.size)]] = True
    ends = np.cumsum([cost.size for cost in costs])
    return [int((~part).sum()) for part in np.split(gone, ends[:-1])]


def _mask(layer: Layer, costs: FloatArray, count: int, options: PruneOptions) -> Mask:
    """Which entries of the layer's matrix stay; a bias always does."""
    if options.n_m is not None:
        kept = _best_of_neighbours(layer, costs, *options.n_m)
    else:
        kept = np.zeros(costs.size, dtype=bool)
        kept[np.argsort(-costs.ravel(), kind="stable")[:count]] = True
        kept = kept.reshape(costs.shape)
    if layer.takes_bias:
        kept = np.concatenate([kept, np.ones((*kept.shape[:2], 1), dtype=bool)], axis=2)
    return kept


def _best_of_neighbours(layer: Layer, costs: FloatArray, n: int, m: int) -> Mask:
    """Keep the n dearest of every m neighbours; neighbours are input channels first, then kernel positions.

    That is the order in which channels-last kernels read weights. A last group of fewer than m keeps n at most.
    Groups with fewer than m input channels (depthwise) stay whole: no kernel gains from skipping there.
    """
    columns = np.arange(costs.shape[2])
    if layer.node.op_type == "Conv":
        assert layer.weight.shape is not None
        shape = layer.weight.shape.numpy()[1:]
        if layer.groups > 1 and shape[0] < m:
            return np.ones(costs.shape, dtype=bool)
        columns = np.moveaxis(columns.reshape(shape), 0, -1).ravel()
    kept = np.zeros(costs.shape, dtype=bool)
    for start in range(0, len(columns), m):
        group = columns[start : start + m]
        best = np.argsort(-costs[:, :, group], axis=2, kind="stable")[:, :, :n]
        np.put_along_axis(kept, group[best], True, axis=2)
    return kept
