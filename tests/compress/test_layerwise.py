"""Layer statistics: rows times weights are the layer's outputs, ridge finds weights that give the targets."""

from __future__ import annotations

import numpy as np
import pytest
from quantize_models import Array, convolutional, model_of, outputs, samples_of
from tinycast.compress.layerwise import collect, input_rows, layer_inputs, prunable_layers, ridge

LAYERS: dict[str, tuple[str, str, dict[str, tuple[int, ...] | Array]]] = {
    "conv 1-D": (
        "float[1,4,16] x => float[1,6,8] y",
        "y = Conv <kernel_shape = [3], pads = [0, 2], strides = [2]> (x, w, b)",
        {"w": (6, 4, 3), "b": (6,)},
    ),
    "grouped, dilated": (
        "float[1,4,8,8] x => float[1,6,4,8] y",
        "y = Conv <kernel_shape = [3, 2], pads = [2, 1, 2, 0], dilations = [2, 1], strides = [2, 1], group = 2> (x, w)",
        {"w": (6, 2, 3, 2)},
    ),
    "same lower": (
        "float[1,2,7,7] x => float[1,3,4,4] y",
        'y = Conv <kernel_shape = [4, 4], auto_pad = "SAME_LOWER", strides = [2, 2]> (x, w, b)',
        {"w": (3, 2, 4, 4), "b": (3,)},
    ),
    "gemm": ("float[1,6] x => float[1,3] y", "y = Gemm (x, w, b)", {"w": (6, 3), "b": (1, 3)}),
    "matmul": ("float[1,5,6] x => float[1,5,3] y", "y = MatMul (x, w)", {"w": (6, 3)}),
    "matmul, bias": (
        "float[1,5,6] x => float[1,5,3] y",
        "m = MatMul (x, w) y = Add (m, b)",
        {"w": (6, 3), "b": (1, 1, 3)},
    ),
}


@pytest.mark.parametrize("case", LAYERS)
def test_rows_times_matrix_are_the_outputs(case: str) -> None:
    signature, nodes, weights = LAYERS[case]
    model = model_of(signature, nodes, **weights)
    samples = samples_of(model, 7)
    (layer,) = prunable_layers(model)
    y = outputs(model, samples)[0]
    channels_last = np.moveaxis(y, 1, -1) if layer.node.op_type == "Conv" else y
    rows = np.arange(channels_last.size // channels_last.shape[-1])
    computed = input_rows(layer, samples["x"], rows) @ np.swapaxes(layer.matrix(), 1, 2)
    computed = np.moveaxis(computed, 0, 1).reshape(channels_last.shape)
    np.testing.assert_allclose(computed, channels_last, atol=1e-5)


@pytest.mark.parametrize("case", LAYERS)
def test_ridge_recovers_weights_from_outputs(case: str) -> None:
    signature, nodes, weights = LAYERS[case]
    model = model_of(signature, nodes, **weights)
    changed = model.clone()
    (layer,) = prunable_layers(changed)
    wanted = layer.matrix()
    layer.set_matrix(np.zeros_like(wanted))
    samples = samples_of(model, 60)
    ((found, inputs, targets),) = layer_inputs(model, changed, samples)
    solution = ridge(collect(found, inputs, targets), found.matrix(), damping=1e-9)
    np.testing.assert_allclose(solution, wanted, atol=1e-4)
    found.set_matrix(solution)
    np.testing.assert_allclose(outputs(changed, samples)[0], outputs(model, samples)[0], atol=1e-4)


def test_ridge_keeps_the_prior_where_inputs_say_nothing() -> None:
    model = model_of("float[1,4] x => float[1,2] y", "y = Gemm <transB = 1> (x, w, b)", w=(2, 4), b=(2,))
    samples = {"x": np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)}
    samples["x"][:, 2] = 0
    ((layer, inputs, targets),) = layer_inputs(model, model.clone(), samples)
    solution = ridge(collect(layer, inputs, 2 * targets), layer.matrix())
    np.testing.assert_allclose(solution[:, :, 2], layer.matrix()[:, :, 2])
    np.testing.assert_allclose(solution[:, :, 0], 2 * layer.matrix()[:, :, 0], rtol=1e-2)


def test_later_layers_see_the_changes_of_earlier_ones() -> None:
    model = convolutional()
    changed = model.clone()
    seen = []
    for index, (layer, inputs, _) in enumerate(layer_inputs(model, changed, samples_of(model, 5))):
        seen.append(float(np.abs(inputs).max()))
        if index == 0:
            layer.set_matrix(np.zeros_like(layer.matrix()))
    assert seen[0] > 0
    assert seen[1] == 0


def test_shared_weights_are_split_when_one_layer_changes() -> None:
    model = model_of("float[1,4] x => float[1,4] y", "a = Gemm (x, w, b) y = Gemm (a, w, b)", w=(4, 4), b=(4,))
    first, second = prunable_layers(model)
    kept = second.matrix()
    first.set_matrix(np.zeros_like(kept))
    np.testing.assert_array_equal(second.matrix(), kept)
    assert not first.matrix().any()
    assert outputs(model, samples_of(model, 2))[0].shape == (2, 4)


def test_only_constant_float_weights_make_a_layer() -> None:
    model = model_of(
        "float[1,4,4] x, float[1,4,4] z => float[1,4,4] y",
        "a = MatMul (x, z) y = MatMul (w, a)",
        w=(4, 4),
    )
    assert prunable_layers(model) == []


def test_fewer_rows_scale_the_statistics() -> None:
    model = convolutional()
    ((layer, inputs, targets), *_) = list(layer_inputs(model, model.clone(), samples_of(model, 60)))
    every = collect(layer, inputs, targets)
    some = collect(layer, inputs, targets, rows_per_unknown=100)
    assert every.rows == 60 * 12 * 12
    assert some.rows == 100 * every.gram.shape[1] < every.rows
    np.testing.assert_allclose(some.gram / some.rows, every.gram / every.rows, atol=0.1)
    np.testing.assert_array_equal(some.gram, collect(layer, inputs, targets, rows_per_unknown=100).gram)
