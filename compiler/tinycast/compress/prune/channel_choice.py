"""Which channels of a group go: those that the layers reading them can best do without."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinycast.compress.layerwise import AnyArray, FloatArray, Layer, collect, layer_inputs
from tinycast.compress.prune.least_squares import damp, eliminate, output_energy
from tinycast.compress.prune.ties import Position

Channel = list[Position]
"""All positions that go when the channel goes."""


@dataclass(frozen=True)
class Consumer:
    """A dense layer that reads channels: its inverse Gram (K, K) and weights (K, M), over its outputs' energy."""

    weight: ir.Value
    input_axis: int
    positions: int
    """Kernel positions: matrix columns of one input channel."""

    inverse: FloatArray
    solution: FloatArray
    energy: float

    def columns(self, channel: Channel) -> NDArray[np.int_]:
        """The matrix columns that read the channel."""
        indices = [i for value, axis, i in channel if value is self.weight and axis == self.input_axis]
        return (np.array(indices, dtype=int)[:, None] * self.positions + np.arange(self.positions)).ravel()


def measure_consumers(
    reference: ir.Model, model: ir.Model, samples: Mapping[str, AnyArray], progress: Callable[[int], None]
) -> list[Consumer]:
    """Statistics of all dense layers of `model`, which is still a copy of `reference`."""
    consumers = []
    for index, (layer, inputs, targets) in enumerate(layer_inputs(reference, model, samples)):
        progress(index)
        if layer.groups > 1:
            continue
        prior = layer.matrix()
        statistics = collect(layer, inputs, targets)
        inverse = np.linalg.inv(damp(statistics, prior).gram[0])
        energy = output_energy(statistics, prior, layer.takes_bias)
        assert layer.weight.shape is not None
        positions = math.prod(layer.weight.shape.numpy()[2:])
        axis = 1 - layer.output_axis
        consumers.append(Consumer(layer.weight, axis, positions, inverse, prior[0].T, energy))
    return consumers


def choose_by_cost(channels: Sequence[Channel], count: int, consumers: Sequence[Consumer]) -> list[Channel]:
    """`count` channels, one after the other, each the cheapest once its readers are refitted to the others.

    The cost of a channel is the squared error it leaves in the outputs of each layer that reads it, relative to
    that layer's energy. None go where no dense layer reads them: nothing says then what they are worth.
    """
    states = [_Elimination(consumer, channels) for consumer in consumers]
    states = [state for state in states if state.is_reader]
    if not states:
        return []
    remaining = list(range(len(channels)))
    chosen = []
    for _ in range(count):
        costs = sum(state.costs(remaining) for state in states)
        best = remaining.pop(int(np.argmin(costs)))
        for state in states:
            state.drop(best)
        chosen.append(channels[best])
    return chosen


def choose_by_magnitude(channels: Sequence[Channel], count: int, layers: Sequence[Layer]) -> list[Channel]:
    """The `count` channels whose filters are smallest, each layer's by its root mean square."""
    sizes = np.zeros(len(channels))
    for layer in layers:
        weight = layer.matrix().reshape(-1, layer.matrix().shape[2])
        energies = (weight**2).mean(axis=1) / max(float((weight**2).mean()), np.finfo(float).tiny)
        for number, channel in enumerate(channels):
            made = [i for value, axis, i in channel if value is layer.weight and axis == layer.output_axis]
            sizes[number] += energies[made].sum()
    return [channels[number] for number in np.argsort(sizes, kind="stable")[:count]]


class _Elimination:
    """One consumer while channels of one group go."""

    def __init__(self, consumer: Consumer, channels: Sequence[Channel]) -> None:
        self._inverse, self._solution = consumer.inverse, consumer.solution
        self._energy = consumer.energy
        self._columns = [consumer.columns(channel) for channel in channels]
        self._present = np.arange(len(consumer.solution))

    @property
    def is_reader(self) -> bool:
        return any(len(columns) for columns in self._columns)

    def costs(self, channels: Sequence[int]) -> FloatArray:
        result = np.zeros(len(channels))
        for number, channel in enumerate(channels):
            at = np.searchsorted(self._present, self._columns[channel])
            weights = self._solution[at]
            result[number] = np.sum(weights * np.linalg.solve(self._inverse[np.ix_(at, at)], weights))
        return result / self._energy

    def drop(self, channel: int) -> None:
        gone = np.isin(self._present, self._columns[channel])
        self._inverse, self._solution = eliminate(
            self._inverse, self._solution, np.flatnonzero(gone), np.flatnonzero(~gone)
        )
        self._present = self._present[~gone]
