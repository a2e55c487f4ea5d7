"""Random recurrent layers: directions, states, lengths, peepholes, activations, layouts."""

from __future__ import annotations

from properties import Draw, Instance, family

_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_NUMBERS = {"Elu": 1, "LeakyRelu": 1, "ThresholdedRelu": 1, "Affine": 2, "HardSigmoid": 2, "ScaledTanh": 2}
_NAMES = (*_NUMBERS, "Relu", "Sigmoid", "Softplus", "Softsign", "Tanh")


@family("RNN", "GRU", "LSTM")
def recurrent(d: Draw, op: str) -> Instance:
    steps, batch, inputs, hidden = d.int(1, 6), d.int(1, 3), d.of(1, 3, 8, 35), d.of(1, 4, 9, 33)
    direction = d.of("forward", "reverse", "bidirectional")
    count = 2 if direction == "bidirectional" else 1
    rows = _GATES[op] * hidden
    attributes = [f'hidden_size={hidden}, direction="{direction}"']
    constants = {
        "w": d.array([count, rows, inputs], low=-0.5, high=0.5),
        "r": d.array([count, rows, hidden], low=-0.3, high=0.3),
    }
    given = {"x": d.input([steps, batch, inputs])}
    if d.flag():
        constants["b"] = d.array([count, 2 * rows], low=-0.5, high=0.5)
    if d.flag():
        given["l"] = d.input([batch], "int32", 0, steps)
    for name in "ij" if op == "LSTM" else "i":
        if d.flag():
            given[name] = d.input([count, batch, hidden], low=-1, high=1)
    if op == "LSTM" and d.flag():
        constants["p"] = d.array([count, 3 * hidden], low=-0.5, high=0.5)
    if op == "LSTM" and d.int(0, 3) == 0:
        attributes.append("input_forget=1")
    if op == "GRU":
        attributes.append(f"linear_before_reset={d.int(0, 1)}")
    if d.int(0, 2) == 0:
        attributes.append(f"clip={d.factor(0.3)}")
    if d.int(0, 2) == 0:
        attributes.append(_activations(d, op, count))
    names = ["x", "w", "r", *(n if n in (*constants, *given) else "" for n in ("blijp" if op == "LSTM" else "bli"))]
    results = "yhc" if op == "LSTM" else "yh"
    asked = d.some(results, 1)
    stated = ", ".join(name if name in asked else "" for name in results).rstrip(", ")
    node = f"{stated} = {op}<{', '.join(attributes)}>({', '.join(names)})"
    return Instance(node, given, constants, outputs=" ".join(sorted(asked, key=results.index)))


def _activations(d: Draw, op: str, directions: int) -> str:
    """Other functions than the usual ones, with their numbers."""
    names = [d.of(*_NAMES) for _ in range({"RNN": 1, "GRU": 2, "LSTM": 3}[op] * directions)]
    text = ", ".join(f'"{name}"' for name in names)
    numbered = [_NUMBERS.get(name, 0) for name in names]
    alpha = [d.factor(0.1, 0.9) for n in numbered if n > 0]
    beta = [d.factor(0.1, 0.9) for n in numbered if n > 1]
    more = (f", activation_alpha={alpha}" if alpha else "") + (f", activation_beta={beta}" if beta else "")
    return f"activations=[{text}]{more}"
