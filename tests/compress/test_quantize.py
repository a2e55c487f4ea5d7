"""The quantized model: its form, its accuracy, degenerate inputs, determinism."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from quantize_models import (
    Array,
    constant,
    convolutional,
    model_of,
    node_named,
    outputs,
    producers,
    samples_of,
    sqnr_db,
)
from tinycast.compress.quantize import ActivationType, Calibration, QuantizeOptions, quantize
from tinycast.errors import ModelError, UsageError
from tinycast.model import save

LINEAR = ("float[1,8] x => float[1,4] y", "y = Gemm <transB = 1> (x, w, b)")


def to_bytes(model: ir.Model) -> bytes:
    return bytes(ir.to_proto(model).SerializeToString(deterministic=True))


@pytest.mark.parametrize("calibration", Calibration, ids=lambda kind: kind.value)
@pytest.mark.parametrize("reconstruct", [True, False])
def test_every_calibration_stays_close_to_float(calibration: Calibration, reconstruct: bool) -> None:
    model = convolutional()
    options = QuantizeOptions(calibration=calibration, reconstruct=reconstruct)
    quantized = quantize(model, samples_of(model), options)
    onnx.checker.check_model(ir.to_proto(quantized), full_check=True)
    fresh = samples_of(model, seed=5)
    assert sqnr_db(outputs(model, fresh)[0], outputs(quantized, fresh)[0]) > 30


def test_one_scale_for_all_channels_costs_accuracy() -> None:
    model = convolutional()
    first = model.graph.initializers["w1"]
    assert first.const_value is not None
    spread = np.logspace(0, -3, 8, dtype=np.float32)[:, None, None, None]
    first.const_value = ir.tensor(first.const_value.numpy() * spread, name="w1")
    samples, fresh = samples_of(model), samples_of(model, seed=5)
    expected = outputs(model, fresh)[0]
    ratios = {
        per_channel: sqnr_db(
            expected,
            outputs(quantize(model, samples, QuantizeOptions(per_channel=per_channel, reconstruct=False)), fresh)[0],
        )
        for per_channel in (True, False)
    }
    assert ratios[True] > ratios[False]
    assert ratios[False] > 15


def test_one_pair_a_tensor_and_a_scale_per_channel() -> None:
    model = convolutional()
    quantized = quantize(model, samples_of(model))
    for node in producers(quantized, "QuantizeLinear"):
        pair = node.outputs[0].consumers()
        assert [reader.op_type for reader in pair] == ["DequantizeLinear"]
        assert list(pair[0].inputs[1:]) == list(node.inputs[1:])
        value = node.inputs[0]
        assert value is not None
        assert len(value.consumers()) == 1
    for node in [*producers(quantized, "Conv"), *producers(quantized, "Gemm")]:
        x, weight, bias = (value.producer() for value in node.inputs if value is not None)
        assert x is not None
        assert weight is not None
        assert bias is not None
        integers = constant(quantized, weight.inputs[0])
        assert integers.dtype == np.int8
        assert integers.min() >= -127
        assert not constant(quantized, weight.inputs[2]).any()
        weight_scales = constant(quantized, weight.inputs[1])
        assert weight_scales.shape == (len(integers),)
        assert constant(quantized, bias.inputs[0]).dtype == np.int32
        assert not constant(quantized, bias.inputs[2]).any()
        np.testing.assert_allclose(
            constant(quantized, bias.inputs[1]), constant(quantized, x.inputs[1]) * weight_scales, rtol=1e-6
        )


def test_clamps_belong_to_the_operator_before_them() -> None:
    model = convolutional()
    quantized = quantize(model, samples_of(model))
    for clamp in [*producers(quantized, "Relu"), *producers(quantized, "Clip")]:
        value = clamp.inputs[0]
        assert value is not None
        assert value.producer() is not None
        assert value.producer().op_type in ("Conv", "Add")  # type: ignore[union-attr]
        quantizer = clamp.outputs[0].consumers()[0]
        assert int(constant(quantized, quantizer.inputs[2])) == -128


def test_moving_operators_keep_the_scale() -> None:
    model = convolutional()
    quantized = quantize(model, samples_of(model))
    for op_type in ("MaxPool", "Flatten"):
        node = producers(quantized, op_type)[0]
        before = node.inputs[0]
        assert before is not None
        assert before.producer() is not None
        assert list(before.producer().inputs[1:]) == list(node.outputs[0].consumers()[0].inputs[1:])  # type: ignore[union-attr]


def test_concat_shares_with_inputs_nobody_else_reads() -> None:
    model = model_of(
        "float[1,8] x => float[1,16] y",
        "a = Tanh (x) b = Mul (x, c) y = Concat <axis = 1> (a, b)",
        c=np.asarray(3, np.float32),
    )
    quantized = quantize(model, samples_of(model))
    scales = {node.inputs[1].name for node in producers(quantized, "QuantizeLinear") if node.inputs[1] is not None}
    assert scales == {"x_scale", "y_scale"}


@pytest.mark.parametrize(
    ("kind", "levels", "zero_point"),
    [(ActivationType.INT8, 256, -128), (ActivationType.UINT8, 256, 0), (ActivationType.INT16, 32768, 0)],
)
def test_softmax_has_its_fixed_scale(kind: ActivationType, levels: int, zero_point: int) -> None:
    model = convolutional()
    quantized = quantize(model, samples_of(model), QuantizeOptions(activations=kind))
    last = node_named(quantized, "y_quantize")
    assert float(constant(quantized, last.inputs[1])) == 1 / levels
    assert int(constant(quantized, last.inputs[2])) == zero_point


def test_inputs_and_outputs_keep_name_and_type() -> None:
    model = convolutional()
    quantized = quantize(model, samples_of(model))
    for before, after in zip(
        [*model.graph.inputs, *model.graph.outputs], [*quantized.graph.inputs, *quantized.graph.outputs], strict=True
    ):
        assert (after.name, after.dtype, after.shape) == (before.name, before.dtype, before.shape)


def test_the_float_model_stays_and_the_result_is_deterministic(tmp_path) -> None:
    model = convolutional()
    samples, before = samples_of(model), to_bytes(model)
    first, second = quantize(model, samples), quantize(model, samples)
    assert to_bytes(model) == before
    assert to_bytes(first) == to_bytes(second)
    save(first, tmp_path / "q.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "q.onnx"), full_check=True)


def test_progress_counts_to_the_end() -> None:
    for reconstruct in (True, False):
        calls: list[tuple[int, int]] = []
        model = convolutional()
        quantize(
            model,
            samples_of(model, 4),
            QuantizeOptions(reconstruct=reconstruct),
            lambda done, total, calls=calls: calls.append((done, total)),
        )
        assert [done for done, _ in calls] == list(range(1, calls[-1][1] + 1))
        assert {total for _, total in calls} == {len(calls)}


def test_values_that_are_always_zero() -> None:
    model = convolutional()
    samples = {"x": np.zeros((3, 3, 12, 12), np.float32)}
    for name in ("b1", "b2", "b4"):
        model.graph.initializers[name].const_value = ir.tensor(
            np.zeros_like(constant(model, model.graph.initializers[name])), name=name
        )
    quantized = quantize(model, samples)
    np.testing.assert_allclose(outputs(quantized, samples)[0], outputs(model, samples)[0], atol=1 / 256)
    assert all(np.all(constant(quantized, node.inputs[1]) > 1e-9) for node in producers(quantized, "QuantizeLinear"))


@pytest.mark.parametrize("reconstruct", [True, False])
def test_dead_channels_and_large_biases(reconstruct: bool) -> None:
    weights = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)
    weights[1], weights[2] = 0, 1e-9
    biases = np.asarray([0.5, 700, -700, 0], np.float32)
    model = model_of(*LINEAR, w=weights, b=biases)
    samples = samples_of(model)
    quantized = quantize(model, samples, QuantizeOptions(reconstruct=reconstruct))
    fresh = samples_of(model, seed=3)
    step = float(constant(quantized, node_named(quantized, "y_quantize").inputs[1]))
    assert np.abs(outputs(model, fresh)[0] - outputs(quantized, fresh)[0]).max() < step
    bias = next(n for n in producers(quantized, "DequantizeLinear") if constant_or_none(n) == np.int32)
    assert np.abs(constant(quantized, bias.inputs[0]).astype(np.int64)).max() < 2**29


def constant_or_none(node: ir.Node) -> np.dtype | None:
    value = node.inputs[0]
    return None if value is None or value.const_value is None else value.const_value.numpy().dtype


def test_weights_of_two_layers_at_once() -> None:
    model = model_of(
        "float[1,8] x => float[1,8] y",
        "a = Gemm <transB = 1> (x, w, b) r = Relu (a) y = Gemm <transB = 1> (r, w, b)",
        w=(8, 8),
        b=(8,),
    )
    samples = samples_of(model)
    for reconstruct in (True, False):
        quantized = quantize(model, samples, QuantizeOptions(reconstruct=reconstruct))
        assert sqnr_db(outputs(model, samples)[0], outputs(quantized, samples)[0]) > 30


def test_one_sample_is_enough_to_run() -> None:
    model = convolutional()
    samples = samples_of(model, 1)
    quantized = quantize(model, samples)
    assert sqnr_db(outputs(model, samples)[0], outputs(quantized, samples)[0]) > 25


def test_clipping_ranges_are_narrower_than_min_max() -> None:
    model = model_of("float[1,64] x => float[1,64] y", "a = Relu (x) y = Tanh (a)")
    samples = samples_of(model, 200)
    samples["x"][0, 0] = 50
    tanh = {}
    for calibration in Calibration:
        quantized = quantize(model, samples, QuantizeOptions(calibration=calibration))
        tanh[calibration] = float(constant(quantized, node_named(quantized, "a_quantize").inputs[1]))
    assert tanh[Calibration.MINMAX] == pytest.approx(50 / 255)
    assert all(tanh[kind] < tanh[Calibration.MINMAX] for kind in Calibration if kind is not Calibration.MINMAX)


@pytest.mark.parametrize(
    ("samples", "what"),
    [
        ({}, "no calibration samples for the input 'x'"),
        ({"x": np.zeros((0, 8), np.float32)}, "at least one sample"),
        ({"x": np.full((2, 8), np.nan, np.float32)}, "finite numbers"),
    ],
)
def test_unusable_samples(samples: dict[str, Array], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        quantize(model_of(*LINEAR, w=(4, 8), b=(4,)), samples)


def test_models_that_cannot_be_quantized() -> None:
    model = model_of(*LINEAR, w=(4, 8), b=(4,))
    samples = samples_of(model)
    with pytest.raises(ModelError, match="quantized already"):
        quantize(quantize(model, samples), samples)
    floating = model_of("float[1,8] x => float[1,8] y", "y = Exp (x)")
    with pytest.raises(ModelError, match="nothing in the model"):
        quantize(floating, samples)
    model.graph.opset_imports[""] = 11
    with pytest.raises(ModelError, match="opset 11"):
        quantize(model, samples)
