"""The activations inside of recurrent layers: in NumPy, in C, and read from a node's attributes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tinycast.ops.node import Node
from tinycast.ops.unary import FUNCTIONS, Real

# What each does to the variable {x}.
_C = {
    "Affine": "{x} = {alpha} * {x} + {beta};",
    "Elu": "{x} = {x} < 0.0f ? {alpha} * tc_expm1({x}) : {x};",
    "HardSigmoid": "{x} = {alpha} * {x} + {beta};\n{x} = {x} < 0.0f ? 0.0f : {x} > 1.0f ? 1.0f : {x};",
    "LeakyRelu": "{x} = {x} < 0.0f ? {alpha} * {x} : {x};",
    "Relu": "{x} = {x} < 0.0f ? 0.0f : {x};",
    "ScaledTanh": "{x} = {alpha} * tc_tanh({beta} * {x});",
    "Sigmoid": "{x} = tc_sigmoid({x});",
    "Softplus": "{x} = tc_softplus({x});",
    "Softsign": "{x} = {x} / (1.0f + ({x} < 0.0f ? -{x} : {x}));",
    "Tanh": "{x} = tc_tanh({x});",
    "ThresholdedRelu": "{x} = {x} > {alpha} ? {x} : 0.0f;",
}
_NUMPY: dict[str, Callable[[Real, float, float], Real]] = {
    **{name: FUNCTIONS[name].numpy for name in _C if name in FUNCTIONS},
    "Affine": lambda x, a, b: a * x + b,
    "Relu": lambda x, a, b: np.maximum(x, 0.0),
    "ScaledTanh": lambda x, a, b: a * np.tanh(b * x),
}
# The values of alpha and beta where a node gives none; None where it has to give one.
_DEFAULTS: dict[str, tuple[float | None, ...]] = {
    **{name: tuple(value for _, value in FUNCTIONS[name].attributes) for name in _C if name in FUNCTIONS},
    "Affine": (None, None),
    "Relu": (),
    "ScaledTanh": (None, None),
    "ThresholdedRelu": (None,),  # ONNX says 1, ONNX Runtime takes 0
}


@dataclass(frozen=True)
class Activation:
    """function(clamp(x, -clip, clip)); no clamp where `clip` is 0."""

    function: str
    alpha: float = 0.0
    beta: float = 0.0
    clip: float = 0.0

    def apply(self, x: Real) -> Real:
        clipped = np.clip(x, -self.clip, self.clip) if self.clip else x
        return _NUMPY[self.function](clipped, self.alpha, self.beta)

    def statements(self, variable: str) -> str:
        """C that puts the result of `variable` into its place."""
        limit = literal(self.clip)
        clamp = f"{{x}} = {{x}} > {limit} ? {limit} : {{x}} < -{limit} ? -{limit} : {{x}};\n" if self.clip else ""
        return (clamp + _C[self.function]).format(x=variable, alpha=literal(self.alpha), beta=literal(self.beta))


def literal(value: float) -> str:
    """A float32 constant in C."""
    text = f"{np.float32(value)!s}f"
    return f"({text})" if value < 0 else text


def read_activations(node: Node, directions: int, defaults: Sequence[str]) -> tuple[tuple[Activation, ...], ...]:
    """The activations of each direction, in the order of the node's attribute.

    As in ONNX Runtime, activation_alpha and activation_beta hold the values of those activations only that take one,
    in order, and where they end, defaults follow; `clip` bounds the gates, and so not the last activation of an LSTM.
    """
    clip = node.float("clip", 0.0)
    names = node.texts("activations", list(defaults) * directions)
    if len(names) != len(defaults) * directions:
        node.reject(f"{len(defaults) * directions} activations are needed, there are {len(names)}")
    known = {name.lower(): name for name in _C}
    given = [iter(node.floats(attribute, [])) for attribute in ("activation_alpha", "activation_beta")]
    activations = []
    for place, name in enumerate(names):
        function = known.get(name.lower())
        if function is None:
            node.reject(f"the activation {name} is not supported", fix=f"use one of {', '.join(_C)}")
        values = [next(stated, default) for stated, default in zip(given, _DEFAULTS[function], strict=False)]
        numbers = [value for value in values if value is not None]
        if len(numbers) < len(values):
            missing = "activation_alpha and activation_beta" if len(values) == 2 else "activation_alpha"
            node.reject(f"the activation {function} has no default", fix=f"state {missing}")
        alpha, beta = (*numbers, 0.0, 0.0)[:2]
        activations.append(Activation(function, alpha, beta, clip if place % len(defaults) < 2 else 0.0))
    count = len(defaults)
    return tuple(tuple(activations[d * count : (d + 1) * count]) for d in range(directions))
