"""Random int8 layers: the host's bytes, under ASan and UBSan, are those of the NumPy reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from host_batch import Array, Row, loaded, program_of, run_on_host
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import BUILDS
from tinycast.ir.graph import interpret
from tinycast.ir.types import DType

SAMPLES = 2
LAYERS = 12  # in one build
# (groups, input channels of one, output channels of one)
CHANNELS = [(1, 1, 1), (1, 3, 8), (1, 4, 7), (1, 13, 4), (2, 3, 2), (5, 1, 1), (8, 1, 1), (3, 1, 2), (1, 70, 2)]


def quantized_row(name: str, shape: str, node: str, weights: dict[str, Array], seed: int, ratio: float) -> Row:
    """`node` computes `a` from `d`, the dequantized input, and quantized weights `w` and `b` where there are any."""
    random = np.random.default_rng(seed)
    scale_x = np.float32(random.uniform(0.005, 0.1))
    constants: dict[str, Array] = {"sx": scale_x, "zx": np.int8(random.integers(-128, 128))}
    before = "d = DequantizeLinear(x, sx, zx)"
    if "w" in weights:
        scales = random.uniform(0.002, 0.02, weights["w"].shape[0] if seed % 2 else ()).astype(np.float32)
        constants |= weights | {"sw": scales, "sb": (scales * scale_x).astype(np.float32)}
        before += " wf = DequantizeLinear<axis=0>(w, sw) bf = DequantizeLinear<axis=0>(b, sb)"
    constants |= {"sy": np.float32(scale_x * ratio), "zy": np.int8(random.integers(-128, 128))}
    nodes = f"{before} {node} y = QuantizeLinear(a, sy, zy)"
    return Row(name, f"int8[{shape}] x", nodes, constants, output_type="int8")


@st.composite
def convolutions(draw: st.DrawFn) -> Row:
    kernel, strides, dilations = (draw(st.tuples(*[st.integers(1, n)] * 2)) for n in (4, 3, 2))
    pads = draw(st.tuples(*[st.integers(0, 3)] * 4))
    size = [
        draw(st.integers(max(1, (k - 1) * d + 1 - p0 - p1), 9))
        for k, d, p0, p1 in zip(kernel, dilations, pads[:2], pads[2:], strict=True)
    ]
    group, inner, outer = draw(st.sampled_from(CHANNELS))
    seed = draw(st.integers(0, 10**6))
    random = np.random.default_rng(seed)
    weights = {
        "w": random.integers(-128, 128, (group * outer, inner, *kernel)).astype(np.int8),
        "b": random.integers(-3000, 3000, group * outer).astype(np.int32),
    }
    relu = draw(st.booleans())
    attributes = f"strides={list(strides)}, dilations={list(dilations)}, pads={list(pads)}, group={group}"
    node = f"c = Conv<{attributes}>(d, wf, bf) a = {'Relu' if relu else 'Identity'}(c)"
    shape = f"1,{group * inner},{size[0]},{size[1]}"
    return quantized_row(f"conv{seed}", shape, node, weights, seed, draw(st.floats(0.05, 30)))


@st.composite
def pools(draw: st.DrawFn) -> Row:
    kernel, strides = draw(st.tuples(*[st.integers(1, 4)] * 2)), draw(st.tuples(*[st.integers(1, 3)] * 2))
    pads = [draw(st.integers(0, k - 1)) for k in (*kernel, *kernel)]
    size = [draw(st.integers(k, 9)) for k in kernel]
    seed = draw(st.integers(0, 10**6))
    ceil = draw(st.integers(0, 1))
    attributes = f"kernel_shape={list(kernel)}, strides={list(strides)}, pads={pads}, ceil_mode={ceil}"
    node = draw(
        st.sampled_from(
            [
                f"a = MaxPool<{attributes}>(d)",
                f"a = AveragePool<{attributes}, count_include_pad=0>(d)",
                f"a = AveragePool<{attributes}, count_include_pad=1>(d)",
                "a = GlobalAveragePool(d)",
            ]
        )
    )
    channels = draw(st.sampled_from([1, 3, 4, 7, 8]))
    return quantized_row(f"pool{seed}", f"1,{channels},{size[0]},{size[1]}", node, {}, seed, draw(st.floats(0.3, 3)))


@st.composite
def products(draw: st.DrawFn) -> Row:
    rows, inner, outer = draw(st.sampled_from([1, 1, 2, 3])), draw(st.integers(1, 200)), draw(st.integers(1, 13))
    seed = draw(st.integers(0, 10**6))
    random = np.random.default_rng(seed)
    weights = {
        "w": random.integers(-128, 128, (outer, inner)).astype(np.int8),
        "b": random.integers(-(2**20), 2**20, outer).astype(np.int32),
    }
    node = "a = Gemm<transB=1>(d, wf, bf)"
    return quantized_row(f"gemm{seed}", f"{rows},{inner}", node, weights, seed, draw(st.floats(0.05, 30)))


LAYER_BATCHES = st.lists(st.one_of(convolutions(), pools(), products()), min_size=LAYERS, max_size=LAYERS)


def check_layers(rows: list[Row]) -> None:
    named = {f"r{i}": replace(row, name=f"r{i}") for i, row in enumerate(rows)}
    models = {name: loaded(row.proto()) for name, row in named.items()}
    programs = {name: program_of(model) for name, model in models.items()}
    random = np.random.default_rng(11)
    samples, expected = {}, {}
    for name, program in programs.items():
        (x,), (y,) = program.inputs, program.outputs
        assert not program.notes, (rows, program.notes)
        assert not any(DType.FLOAT32 in (v.dtype for v in (*c.inputs, c.output)) for c in program.calls)
        samples[name] = {x.name: random.integers(-128, 128, (SAMPLES, *x.shape)).astype(np.int8)}
        samples[name][x.name][0] = random.choice([-128, 127], x.shape)  # the largest accumulators
        expected[name] = np.stack([interpret(program, [sample])[y] for sample in samples[name][x.name]])
    results = run_on_host(models, samples)
    for name, row in named.items():
        (got,) = results[name].values()
        assert np.array_equal(got.reshape(expected[name].shape), expected[name]), row


@settings(BUILDS, max_examples=3)
@given(LAYER_BATCHES)
def test_random_int8_layers(rows: list[Row]) -> None:
    check_layers(rows)


@pytest.mark.slow
@settings(BUILDS, max_examples=40)
@given(LAYER_BATCHES)
def test_many_random_int8_layers(rows: list[Row]) -> None:
    check_layers(rows)
