# ruff: noqa: E501 - a table: one row a line
"""Rows of the test matrix: recurrent layers."""

from __future__ import annotations

from host_batch import Array, Row, ints

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
SEQUENCE = "float[5,2,3] x"  # 5 steps, 2 samples, 3 inputs


def weights(
    kind: str, directions: int = 1, inputs: int = 3, hidden: int = 4, bias: bool = True
) -> dict[str, tuple[int, ...] | Array]:
    rows = GATES[kind] * hidden
    arrays: dict[str, tuple[int, ...] | Array] = {"w": (directions, rows, inputs), "r": (directions, rows, hidden)}
    return arrays | ({"b": (directions, 2 * rows)} if bias else {})


def states(directions: int = 1, hidden: int = 4) -> str:
    return f"{SEQUENCE}, float[{directions},2,{hidden}] i"


ONE_NUMBER = {
    "Elu": ", activation_alpha=[0.7]",
    "LeakyRelu": ", activation_alpha=[0.2]",
    "ThresholdedRelu": ", activation_alpha=[0.3]",
}
TWO_NUMBERS = dict.fromkeys(("Affine", "HardSigmoid", "ScaledTanh"), ", activation_alpha=[0.6], activation_beta=[0.4]")
NUMBERS = ONE_NUMBER | TWO_NUMBERS
NAMES = (
    "Affine",
    "Elu",
    "HardSigmoid",
    "LeakyRelu",
    "Relu",
    "ScaledTanh",
    "Sigmoid",
    "Softplus",
    "Softsign",
    "Tanh",
    "ThresholdedRelu",
)

RECURRENT = (
    *(Row(f"{kind.lower()}", SEQUENCE, f"y, h = {kind}<hidden_size=4>(x, w, r, b)", weights(kind), outputs="y h") for kind in GATES),
    *(Row(f"{kind.lower()}_no_bias", SEQUENCE, f"y, h = {kind}<hidden_size=4>(x, w, r)", weights(kind, bias=False), outputs="y h") for kind in GATES),
    *(Row(f"{kind.lower()}_reverse", SEQUENCE, f'y, h = {kind}<hidden_size=4, direction="reverse">(x, w, r, b)', weights(kind), outputs="y h") for kind in GATES),
    *(Row(f"{kind.lower()}_bidirectional", SEQUENCE, f'y, h = {kind}<hidden_size=4, direction="bidirectional">(x, w, r, b)', weights(kind, 2), outputs="y h") for kind in GATES),
    *(Row(f"{kind.lower()}_states", states(2), f'y, h = {kind}<hidden_size=4, direction="bidirectional">(x, w, r, b, , i)', weights(kind, 2), outputs="y h") for kind in GATES),
    *(Row(f"{kind.lower()}_lengths", f"{states(2)}, int32[2] l", f'y, h = {kind}<hidden_size=4, direction="bidirectional">(x, w, r, b, l, i)', weights(kind, 2), outputs="y h", low=0, high=6) for kind in GATES),
    *(Row(f"{kind.lower()}_lengths_reverse", f"{SEQUENCE}, int32[2] l", f'y, h = {kind}<hidden_size=4, direction="reverse">(x, w, r, , l)', weights(kind, bias=False), outputs="y h", low=0, high=6) for kind in GATES),
    *(Row(f"{kind.lower()}_last_state", SEQUENCE, f", y = {kind}<hidden_size=4>(x, w, r, b)", weights(kind)) for kind in GATES),
    *(Row(f"{kind.lower()}_all_steps", SEQUENCE, f"y = {kind}<hidden_size=4>(x, w, r, b)", weights(kind)) for kind in GATES),
    *(Row(f"{kind.lower()}_clip", SEQUENCE, f"y, h = {kind}<hidden_size=4, clip=0.3>(x, w, r, b)", weights(kind), outputs="y h") for kind in GATES),
    *(Row(f"{kind.lower()}_weights_at_run_time", f"{SEQUENCE}, float[1,{rows},3] w, float[1,{rows},4] r, float[1,{2 * rows}] b", f"y, h = {kind}<hidden_size=4>(x, w, r, b)", outputs="y h", low=-0.5, high=0.5) for kind, rows in ((k, g * 4) for k, g in GATES.items())),
    *(Row(f"{kind.lower()}_one", "float[1,1,1] x", f"y, h = {kind}<hidden_size=1>(x, w, r, b)", weights(kind, inputs=1, hidden=1), outputs="y h") for kind in GATES),
    *(Row(f"{kind.lower()}_long", "float[9,1,70] x", f"y, h = {kind}<hidden_size=37>(x, w, r, b)", weights(kind, inputs=70, hidden=37), outputs="y h") for kind in GATES),
    *(Row(f"rnn_{name.lower()}", SEQUENCE, f'y = RNN<hidden_size=4, activations=["{name}"]{NUMBERS.get(name, "")}>(x, w, r, b)', weights("RNN")) for name in NAMES),
    *(Row(f"rnn_{name.lower()}_defaults", SEQUENCE, f'y = RNN<hidden_size=4, activations=["{name}"]>(x, w, r, b)', weights("RNN")) for name in ("Elu", "HardSigmoid", "LeakyRelu")),
    Row("rnn_of_two_activations", SEQUENCE, 'y = RNN<hidden_size=4, direction="bidirectional", activations=["Relu", "LeakyRelu"], activation_alpha=[0.3]>(x, w, r, b)', weights("RNN", 2)),
    Row("gru_activations", SEQUENCE, 'y, h = GRU<hidden_size=4, activations=["HardSigmoid", "Softsign"], activation_alpha=[0.3], activation_beta=[0.6]>(x, w, r, b)', weights("GRU"), outputs="y h"),
    *(Row(f"gru_linear_before_reset{'' if bias else '_no_bias'}", SEQUENCE, f"y, h = GRU<hidden_size=4, linear_before_reset=1>(x, w, r{', b' if bias else ''})", weights("GRU", bias=bias), outputs="y h") for bias in (True, False)),
    Row("gru_linear_before_reset_clip", states(2), 'y, h = GRU<hidden_size=4, linear_before_reset=1, clip=0.4, direction="bidirectional">(x, w, r, b, , i)', weights("GRU", 2), outputs="y h"),
    Row("lstm_all_outputs", f"{states(2)}, float[2,2,4] j", 'y, h, c = LSTM<hidden_size=4, direction="bidirectional">(x, w, r, b, , i, j)', weights("LSTM", 2), outputs="y h c"),
    Row("lstm_cell_state", SEQUENCE, ", , y = LSTM<hidden_size=4>(x, w, r, b)", weights("LSTM")),
    Row("lstm_peepholes", f"{states()}, float[1,2,4] j, int32[2] l", "y, h, c = LSTM<hidden_size=4>(x, w, r, b, l, i, j, p)", weights("LSTM") | {"p": (1, 12)}, outputs="y h c", low=0, high=6),
    Row("lstm_peepholes_clip", SEQUENCE, 'y, h, c = LSTM<hidden_size=4, clip=0.2, direction="bidirectional">(x, w, r, b, , , , p)', weights("LSTM", 2) | {"p": (2, 12)}, outputs="y h c"),
    Row("lstm_input_forget", SEQUENCE, "y, h, c = LSTM<hidden_size=4, input_forget=1>(x, w, r, b)", weights("LSTM"), outputs="y h c"),
    Row("lstm_input_forget_peepholes", SEQUENCE, "y, h, c = LSTM<hidden_size=4, input_forget=1>(x, w, r, b, , , , p)", weights("LSTM") | {"p": (1, 12)}, outputs="y h c"),
    Row("lstm_activations", SEQUENCE, 'y = LSTM<hidden_size=4, direction="bidirectional", activations=["HardSigmoid", "Tanh", "Elu", "Sigmoid", "ScaledTanh", "Softplus"], activation_alpha=[0.3, 0.8, 1.2], activation_beta=[0.6, 0.7]>(x, w, r, b)', weights("LSTM", 2)),
    Row("lstm_of_two_layers", "float[6,1,3] x", "a = LSTM<hidden_size=4>(x, w, r, b) s = Squeeze(a, one) , y = GRU<hidden_size=2>(s, v, q)", weights("LSTM") | {"v": (1, 6, 4), "q": (1, 6, 2), "one": ints(1)}),
)  # fmt: skip
