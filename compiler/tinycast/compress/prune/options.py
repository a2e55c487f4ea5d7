"""What to prune, as a user says it, and what came of it."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import onnx_ir as ir

from tinycast.errors import UsageError

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all), the last time with both equal."""

FORMS = "0.5, weights:0.5, layer:0.5, 2:4 or channels:0.3"


class Scope(enum.Enum):
    """Where the fraction holds: over all layers together, or in each layer by itself."""

    GLOBAL = "global"
    PER_LAYER = "per layer"


@dataclass(frozen=True)
class PruneOptions:
    """Which weights become zero.

    `fraction` of all weights of Conv, Gemm and MatMul (biases are not counted), or, with `n_m` = (2, 4), all but
    the n best of m neighbours along a filter's inputs. `reconstruct` refits the others on the samples.
    """

    fraction: float = 0.5
    scope: Scope = Scope.GLOBAL
    reconstruct: bool = True
    n_m: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        _check_fraction(self.fraction, "fraction")
        if self.n_m is not None and not 0 < self.n_m[0] < self.n_m[1]:
            raise UsageError(
                f"{self.n_m[0]} of {self.n_m[1]} weights cannot stay",
                where="N:M pruning",
                fix="keep at least one and fewer than all, for example 2:4",
            )


@dataclass(frozen=True)
class ChannelOptions:
    """Which channels go: `fraction` of each group of channels that stand or fall together.

    How many stay is rounded to a `multiple` (SIMD kernels like 4), never to none. `reconstruct` refits the
    layers on the samples.
    """

    fraction: float = 0.25
    multiple: int = 1
    reconstruct: bool = True

    def __post_init__(self) -> None:
        _check_fraction(self.fraction, "fraction")
        if self.multiple < 1:
            raise UsageError(f"{self.multiple} is no multiple", where="channel pruning", fix="use 1 or more")


PruneSpec = PruneOptions | ChannelOptions


@dataclass(frozen=True)
class LayerReport:
    """One layer: the shape of its stored weight, its parameters (bias counted) and zero weights before and after."""

    name: str
    shape_before: tuple[int, ...]
    shape_after: tuple[int, ...]
    parameters_before: int
    parameters_after: int
    zeros_before: int
    zeros_after: int


@dataclass(frozen=True)
class PruneReport:
    """All layers in graph order; `kept_whole` names those that lost no output channel (only when channels went)."""

    layers: tuple[LayerReport, ...]
    kept_whole: tuple[str, ...] = ()

    @property
    def parameters_before(self) -> int:
        return sum(layer.parameters_before for layer in self.layers)

    @property
    def parameters_after(self) -> int:
        return sum(layer.parameters_after for layer in self.layers)

    @property
    def zeros_after(self) -> int:
        return sum(layer.zeros_after for layer in self.layers)


class Pruned(NamedTuple):
    """A pruned model with its report."""

    model: ir.Model
    report: PruneReport


def parse_prune(text: str) -> PruneSpec:
    """Read the value of `--prune`: `0.5` or `weights:0.5` (over all layers), `layer:0.5` (in each layer),
    `2:4` (N of M stay), `channels:0.3` (whole channels go). Raises UsageError for anything else.
    """
    kind, separator, value = text.strip().partition(":")
    if not separator:
        kind, value = "weights", kind
    try:
        if kind.isdecimal() and value.isdecimal():
            return PruneOptions(fraction=1 - int(kind) / int(value), n_m=(int(kind), int(value)))
        if kind in ("weights", "layer", "channels") and re.fullmatch(r"\d*\.?\d+", value):
            fraction = float(value)
            if kind == "channels":
                return ChannelOptions(fraction)
            return PruneOptions(fraction, Scope.GLOBAL if kind == "weights" else Scope.PER_LAYER)
    except (UsageError, ZeroDivisionError):
        pass
    raise UsageError(f"{text!r} is nothing to prune by", where="--prune", fix=f"use {FORMS}, fractions between 0 and 1")


def _check_fraction(fraction: float, where: str) -> None:
    if not 0 < fraction < 1:
        raise UsageError(f"{fraction} is no fraction to prune", where=where, fix="use one between 0 and 1, like 0.5")
