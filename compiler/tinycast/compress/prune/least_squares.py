"""Least squares on fewer inputs: what removing weights costs, and the best weights for those that stay.

With H the damped Gram matrix of a layer's inputs, removing weight j of an output costs w_j^2 / [H^-1]_jj once
the others are refitted (Hassibi and Stork, "Second order derivatives for network pruning: optimal brain
surgeon", 1993). Frantar and Alistarh ("Optimal Brain Compression", 2022) remove weight by weight, one output
at a time, and compare the costs over all outputs and layers; here they go in a few blocks an output.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tinycast.compress.layerwise import FloatArray, LayerStatistics

DAMPING_PER_UNKNOWN = 0.3
LEAST_DAMPING = 1e-3
"""Ridge strength over the mean input energy, for as many rows as unknowns: the fewer rows, the less they are
believed. Refits of the last layers, which see one row a sample, fit the samples' noise without it."""

BLOCKS = 16
"""Steps in which an output loses its weights. One step is clearly worse, 64 are no better on two networks."""


def damp(statistics: LayerStatistics, prior: FloatArray) -> LayerStatistics:
    """Add the ridge towards `prior` (G, M, K), so that inputs the samples do not excite keep their weights."""
    size = statistics.gram.shape[1]
    relative = max(LEAST_DAMPING, DAMPING_PER_UNKNOWN * size / statistics.rows)
    strength = relative * np.trace(statistics.gram, axis1=1, axis2=2) / size
    strength = np.where(strength > 0, strength, 1.0)[:, None, None]
    gram = statistics.gram + strength * np.eye(size)
    return LayerStatistics(gram, statistics.cross + strength * np.swapaxes(prior, 1, 2), statistics.rows)


def output_energy(statistics: LayerStatistics, prior: FloatArray, has_bias: bool) -> float:
    """How much the layer's outputs vary, summed over outputs and rows: the unit to compare layers' costs in."""
    energy = float(np.einsum("gmk,gkl,gml->", prior, statistics.gram, prior))
    if has_bias:
        energy -= float(((prior @ statistics.gram[:, :, -1:]) ** 2).sum()) / statistics.rows
    return max(energy, np.finfo(np.float64).tiny)


def removal_costs(damped: LayerStatistics, weights: int) -> FloatArray:
    """What removing each of the first `weights` columns costs when the cheapest go first: (G, M, weights).

    Costs of one output never fall in the order of removal, so that any threshold cuts each order once.
    """
    groups, _, outputs = damped.cross.shape
    costs = np.empty((groups, outputs, weights))
    block_ends = np.linspace(0, weights, min(BLOCKS, weights) + 1).astype(int)
    for group in range(groups):
        inverse = np.linalg.inv(damped.gram[group])
        solutions = inverse @ damped.cross[group]
        for output in range(outputs):
            costs[group, output] = _removal_costs(inverse, solutions[:, output], np.diff(block_ends))
    return costs


def _removal_costs(inverse: FloatArray, solution: FloatArray, block_sizes: NDArray[np.int_]) -> FloatArray:
    weights = int(block_sizes.sum())
    kept_always = len(solution) - weights
    costs = np.empty(weights)
    remaining = np.arange(len(solution))
    highest = 0.0
    for block_size in block_sizes:
        left = len(remaining) - kept_always
        cost = solution[:left] ** 2 / np.diagonal(inverse)[:left]
        order = np.argsort(cost, kind="stable")
        gone, stay = order[:block_size], np.append(np.sort(order[block_size:]), np.arange(left, len(remaining)))
        costs[remaining[gone]] = np.maximum(cost[gone], highest)
        highest = max(highest, float(cost[gone].max()))
        inverse, solution = eliminate(inverse, solution[:, None], gone, stay)
        solution = solution[:, 0]
        remaining = remaining[stay]
    return costs


def eliminate(
    inverse: FloatArray, solution: FloatArray, gone: NDArray[np.int_], stay: NDArray[np.int_]
) -> tuple[FloatArray, FloatArray]:
    """Inverse Gram (K, K) and least-squares solution (K, M) of the inputs that `stay`, without those `gone`."""
    coupling = inverse[np.ix_(stay, gone)]
    right = np.concatenate([coupling.T, solution[gone]], axis=1)
    step = np.linalg.solve(inverse[np.ix_(gone, gone)], right)
    lowered = inverse[np.ix_(stay, stay)] - coupling @ step[:, : len(stay)]
    return lowered, solution[stay] - coupling @ step[:, len(stay) :]


def solve_masked(damped: LayerStatistics, mask: NDArray[np.bool_]) -> FloatArray:
    """The best weights (G, M, K) among those that are zero outside `mask` (G, M, K)."""
    result = np.zeros(mask.shape)
    for group, output in np.ndindex(*mask.shape[:2]):
        kept = np.flatnonzero(mask[group, output])
        gram = damped.gram[group][np.ix_(kept, kept)]
        result[group, output, kept] = np.linalg.solve(gram, damped.cross[group, kept, output])
    return result
