"""Pruning of single weights: how many go, which, and that the others make up for them."""

from __future__ import annotations

import numpy as np
import pytest
from quantize_models import model_of, samples_of
from tinycast.compress.layerwise import LayerStatistics, prunable_layers
from tinycast.compress.prune import (
    ChannelOptions,
    PruneOptions,
    PruneSpec,
    Scope,
    parse_prune,
    prune_weights,
)
from tinycast.compress.prune.least_squares import removal_costs, solve_masked
from tinycast.errors import ModelError, UsageError
from tinycast.model import Session

NODES = """
    a = Conv <pads=[1,1,1,1]> (x, w1, b1)
    b = Relu (a)
    c = Conv <pads=[1,1,1,1], group=8> (b, w2, b2)
    d = Relu (c)
    e = Conv <pads=[1,1,1,1], group=2> (d, w3)
    f = Add (e, d)
    g = GlobalAveragePool (f)
    h = Flatten (g)
    y = Gemm <transB=1> (h, w4, b4)
"""


def small_model():
    return model_of(
        "float[1,3,8,8] x => float[1,6] y",
        NODES,
        w1=(8, 3, 3, 3),
        b1=(8,),
        w2=(8, 1, 3, 3),
        b2=(8,),
        w3=(8, 4, 3, 3),
        w4=(6, 8),
        b4=(6,),
    )


def output_of(model, samples):
    return Session(model).run_samples(samples)["y"]


@pytest.mark.parametrize("reconstruct", [True, False])
@pytest.mark.parametrize("fraction", [0.25, 0.5, 0.81])
def test_exactly_the_fraction_of_all_weights_goes(fraction: float, reconstruct: bool) -> None:
    model = small_model()
    report = prune_weights(model, samples_of(model), PruneOptions(fraction, reconstruct=reconstruct)).report
    weights = sum(int(np.prod(layer.shape_before)) for layer in report.layers)
    assert weights == 8 * 27 + 8 * 9 + 8 * 36 + 48
    assert report.zeros_after == round(fraction * weights)
    assert sum(layer.zeros_before for layer in report.layers) == 0


@pytest.mark.parametrize("reconstruct", [True, False])
def test_exactly_the_fraction_of_each_layer_goes(reconstruct: bool) -> None:
    model = small_model()
    report = prune_weights(model, samples_of(model), PruneOptions(0.3, Scope.PER_LAYER, reconstruct)).report
    assert [layer.zeros_after for layer in report.layers] == [round(0.3 * n) for n in (216, 72, 288, 48)]


def test_two_of_four_neighbouring_input_channels_stay() -> None:
    model = small_model()
    pruned, report = prune_weights(model, samples_of(model), PruneOptions(n_m=(2, 4)))
    grouped, last = prunable_layers(pruned)[2:]
    assert (np.count_nonzero(grouped.weight.const_value.numpy(), axis=1) == 2).all()
    assert (np.count_nonzero(last.weight.const_value.numpy().reshape(6, 2, 4), axis=2) == 2).all()
    assert report.layers[1].zeros_after == 0, "a depthwise layer has no four input channels to choose from"
    stem = np.moveaxis(prunable_layers(pruned)[0].weight.const_value.numpy(), 1, -1).reshape(8, 27)
    assert (np.count_nonzero(stem[:, :24].reshape(8, 6, 4), axis=2) == 2).all()
    assert (np.count_nonzero(stem[:, 24:], axis=1) == 2).all()


@pytest.mark.parametrize("scope", Scope)
def test_reconstruction_beats_magnitude(scope: Scope) -> None:
    model = small_model()
    calibration, rest = samples_of(model, 60), samples_of(model, 40, seed=2)
    expected = output_of(model, rest)
    errors = [
        np.mean((output_of(prune_weights(model, calibration, PruneOptions(0.5, scope, r)).model, rest) - expected) ** 2)
        for r in (False, True)
    ]
    assert errors[1] < 0.3 * errors[0]


def test_same_result_twice_and_the_model_given_stays() -> None:
    model = small_model()
    before = [layer.matrix() for layer in prunable_layers(model)]
    results = [prune_weights(model, samples_of(model), PruneOptions()).model for _ in range(2)]
    for old, layer, first, second in zip(before, *(map(prunable_layers, (model, *results))), strict=True):
        assert np.array_equal(old, layer.matrix())
        assert np.array_equal(first.matrix(), second.matrix())
        assert not np.array_equal(first.matrix(), layer.matrix())


def test_weights_that_nothing_needs_go_first() -> None:
    """Half the inputs are always zero: their weights go, and the outputs stay as they are."""
    weight = np.random.default_rng(0).uniform(0.5, 1.5, (5, 8)).astype(np.float32)
    model = model_of("float[1,8] x => float[1,5] y", "y = Gemm <transB=1> (x, w, b)", w=weight, b=(5,))
    samples = samples_of(model, 500)
    samples["x"][:, ::2] = 0
    pruned = prune_weights(model, samples, PruneOptions(0.5)).model
    assert (prunable_layers(pruned)[0].weight.const_value.numpy()[:, ::2] == 0).all()
    np.testing.assert_allclose(output_of(pruned, samples), output_of(model, samples), rtol=1e-4, atol=1e-5)


def test_weights_shared_by_two_layers_are_split() -> None:
    nodes = "a = MatMul (x, w)  b = Relu (a)  y = MatMul (b, w)"
    model = model_of("float[1,6] x => float[1,6] y", nodes, w=(6, 6))
    pruned, report = prune_weights(model, samples_of(model), PruneOptions(0.5, Scope.PER_LAYER))
    assert [layer.zeros_after for layer in report.layers] == [18, 18]
    first, second = prunable_layers(pruned)
    assert first.weight is not second.weight


def test_masked_solution_is_the_least_squares_solution() -> None:
    random = np.random.default_rng(0)
    x, y = random.standard_normal((50, 6)), random.standard_normal((50, 3))
    mask = random.random((1, 3, 6)) < 0.6
    solution = solve_masked(LayerStatistics((x.T @ x)[None], (x.T @ y)[None], 50), mask)
    for output in range(3):
        expected = np.linalg.lstsq(x[:, mask[0, output]], y[:, output], rcond=None)[0]
        np.testing.assert_allclose(solution[0, output, mask[0, output]], expected, rtol=1e-9)
    assert (solution[~mask] == 0).all()


def test_removal_costs_are_the_errors_they_leave() -> None:
    """With one weight a block, the first cost is the error left by the cheapest weight, by brute force."""
    random = np.random.default_rng(1)
    x = random.standard_normal((40, 5)) @ random.standard_normal((5, 5))
    y = x @ random.standard_normal((5, 1))
    costs = removal_costs(LayerStatistics((x.T @ x)[None], (x.T @ y)[None], 40), 5)[0, 0]
    errors = [np.linalg.lstsq(np.delete(x, j, axis=1), y, rcond=None)[1][0] for j in range(5)]
    assert np.argmin(costs) == np.argmin(errors)
    assert costs.min() == pytest.approx(min(errors))


def test_progress_ends_with_all_steps() -> None:
    model = small_model()
    calls: list[tuple[int, int]] = []
    prune_weights(model, samples_of(model), PruneOptions(), lambda done, total: calls.append((done, total)))
    assert calls == sorted(calls)
    assert calls[-1] == (8, 8)


def test_model_without_layers() -> None:
    model = model_of("float[1,4] x => float[1,4] y", "y = Relu (x)")
    with pytest.raises(ModelError, match="no layer to prune"):
        prune_weights(model, samples_of(model), PruneOptions())


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("0.5", PruneOptions(0.5)),
        (".7", PruneOptions(0.7)),
        ("weights:0.25", PruneOptions(0.25)),
        ("layer:0.5", PruneOptions(0.5, Scope.PER_LAYER)),
        ("2:4", PruneOptions(0.5, n_m=(2, 4))),
        ("channels:0.3", ChannelOptions(0.3)),
    ],
)
def test_parse(text: str, spec: PruneSpec) -> None:
    assert parse_prune(text) == spec


@pytest.mark.parametrize(
    "text",
    ["", "half", "0", "1", "1.5", "-0.5", "4:2", "2:2", "0:4", "2:0", "channels", "channels:0", "rows:0.5", "0.5:x"],
)
def test_parse_refuses_and_lists_the_forms(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_prune(text)
    assert "--prune" in error.value.where
    for form in ("0.5", "weights:0.5", "layer:0.5", "2:4", "channels:0.3"):
        assert form in error.value.fix
