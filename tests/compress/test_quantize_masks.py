"""Masks leave scores their steps, and constants that have two uses or none that is an input's."""

from __future__ import annotations

import numpy as np
import pytest
from quantize_models import Array, constant, model_of, outputs, samples_of, sqnr_db
from tinycast.compress.quantize import ActivationType, QuantizeOptions, quantize

ATTENTION = """
q = MatMul (x, w1) k = MatMul (x, w2) v = MatMul (x, w3) t = Transpose <perm = [0, 2, 1]> (k)
s = MatMul (q, t) {masked} p = Softmax <axis = -1> (m) y = MatMul (p, v)
"""
FAR = {"infinite": -np.inf, "float's least": float(np.finfo(np.float32).min), "-10000": -1e4}


def causal(least: float) -> Array:
    return np.where(np.tri(6) > 0, 0, least).astype(np.float32)


@pytest.mark.parametrize("least", FAR.values(), ids=FAR)
@pytest.mark.parametrize("kind", [ActivationType.INT8, ActivationType.INT16], ids=lambda kind: kind.value)
@pytest.mark.parametrize(
    ("masked", "weights"),
    [
        ("m = Add (s, a)", {"a": 0.0}),
        ("m = Add (a, s)", {"a": 0.0}),
        ("b = Add (a, r) m = Add (s, b)", {"a": 0.0, "r": (6, 6)}),
        ("b = Mul (a, x0) c = Add (s, b) u = Unsqueeze (c, z) m = Squeeze (u, z)", {"a": 0.0, "z": np.asarray([1])}),
    ],
    ids=["mask", "mask first", "mask and positions", "computed mask"],
)
def test_a_mask_costs_no_accuracy(masked: str, weights: dict[str, object], kind: ActivationType, least: float) -> None:
    if "x0" in masked:
        if np.isinf(least):
            pytest.skip("infinity times zero is no number")
        masked = f"x0 = Sigmoid (g) {masked}"
    arrays = {name: causal(least) if name == "a" else given for name, given in weights.items()}
    if "g" in masked:
        arrays["g"] = np.asarray(40.0, np.float32)
    model = model_of(
        "float[1,6,8] x => float[1,6,8] y",
        ATTENTION.format(masked=masked),
        w1=(8, 8), w2=(8, 8), w3=(8, 8), **arrays,
    )  # fmt: skip
    samples = samples_of(model)
    (exact,), (rounded,) = (
        outputs(m, samples) for m in (model, quantize(model, samples, QuantizeOptions(activations=kind)))
    )
    assert sqnr_db(exact, rounded) > 28


def test_scores_without_a_mask_keep_their_range() -> None:
    model = model_of("float[1,6] x => float[1,6] y", "s = Mul (x, c) y = Softmax (s)", c=np.asarray(3.0, np.float32))
    samples = samples_of(model)
    quantized = quantize(model, samples, QuantizeOptions())
    scale = next(n for n in quantized.graph if n.name == "s_quantize").inputs[1]
    reach = 3 * np.ptp(samples["x"])
    assert 0.9 * reach <= 255 * float(constant(quantized, scale)) <= reach


def test_a_constant_that_is_weights_here_and_an_operand_there() -> None:
    """A filter's prediction and update multiply by one matrix from both sides."""
    nodes = "a = MatMul (h, x) b = Transpose <perm = [0, 2, 1]> (a) y = MatMul (b, h)"
    model = model_of("float[1,5,4] x => float[1,4,5] y", nodes, h=(5, 5))
    samples = samples_of(model)
    quantized = quantize(model, samples, QuantizeOptions())
    assert sqnr_db(outputs(model, samples)[0], outputs(quantized, samples)[0]) > 28


def test_what_depends_on_no_input() -> None:
    """Learned queries are normalized and projected, the same for every sample."""
    nodes = "n = LayerNormalization (l, s) q = MatMul (n, w) t = Transpose <perm = [0, 2, 1]> (x) y = MatMul (q, t)"
    model = model_of("float[1,5,8] x => float[1,3,5] y", nodes, l=(1, 3, 8), s=np.ones(8, np.float32), w=(8, 8))
    samples = samples_of(model)
    quantized = quantize(model, samples, QuantizeOptions())
    assert sqnr_db(outputs(model, samples)[0], outputs(quantized, samples)[0]) > 28
