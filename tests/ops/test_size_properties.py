"""Random instances of the operators whose output size depends on data, in C under sanitizers, against a reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from host_batch import Array, Row, floats, ints, loaded, run_on_host
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator
from tinycast.model.run import stack_sizes

SAMPLES = 3
ROWS = 10  # in one build
COMMON = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # the message names the row: shrinking would take many builds
    suppress_health_check=list(HealthCheck),
)
SHAPES = st.lists(st.integers(1, 6), min_size=1, max_size=3)


def text(shape: list[int]) -> str:
    return ",".join(map(str, shape))


@st.composite
def non_zeros(draw: st.DrawFn) -> Row:
    kind = draw(st.sampled_from(["float", "int64", "bool"]))
    shape = text(draw(SHAPES))
    nodes = draw(st.sampled_from(["y = NonZero(x)", "a = NonZero(x) y = Transpose(a)"]))
    return Row("non_zero", f"{kind}[{shape}] x", f"{nodes}", output_type="int64", low=-1, high=draw(st.integers(1, 3)))


@st.composite
def compressions(draw: st.DrawFn) -> Row:
    shape = draw(SHAPES)
    axis = draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    most = int(np.prod(shape)) if axis is None else shape[axis]
    attributes = "" if axis is None else f"<axis={axis}>"
    given_text = f"float[{text(shape)}] x, bool[{draw(st.integers(1, most))}] c"
    return Row("compress", given_text, f"y = Compress{attributes}(x, c)")


@st.composite
def uniques(draw: st.DrawFn) -> Row:
    shape = draw(SHAPES)
    axis = draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    attributes = f"sorted={draw(st.integers(0, 1))}" + ("" if axis is None else f", axis={axis}")
    kind = draw(st.sampled_from(["float", "int32", "uint8"]))
    before = "a = Round(x) " if kind == "float" else "a = Identity(x) "
    nodes = before + f"y, i, j, k = Unique<{attributes}>(a)"
    types = f"{kind} int64 int64 int64"
    return Row("unique", f"{kind}[{text(shape)}] x", nodes, outputs="y i j k", output_type=types, low=0, high=3)


@st.composite
def suppressions(draw: st.DrawFn) -> Row:
    batches, classes, boxes = draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(1, 20))
    weights: dict[str, Array] = {
        "m": ints(draw(st.integers(1, 8))),
        "o": floats(draw(st.sampled_from([0.0, 0.3, 0.9]))),
    }
    operands = "a, s, m, o"
    if draw(st.booleans()):
        weights["t"] = floats(draw(st.sampled_from([-3.0, 0.0, 1.5])))
        operands += ", t"
    center = draw(st.integers(0, 1))
    before = "a = Abs(b)" if center else "a = Identity(b)"
    nodes = f"{before} y = NonMaxSuppression<center_point_box={center}>({operands})"
    shapes = f"float[{batches},{boxes},4] b, float[{batches},{classes},{boxes}] s"
    return Row("suppression", shapes, nodes, weights, output_type="int64")


BATCHES = st.lists(st.one_of(non_zeros(), compressions(), uniques(), suppressions()), min_size=ROWS, max_size=ROWS)


def check_rows(rows: list[Row]) -> None:
    named = {f"r{i}": replace(row, name=f"r{i}") for i, row in enumerate(rows)}
    samples, expected = {}, {}
    for name, row in named.items():
        proto = row.proto()
        samples[name] = row.samples(proto, SAMPLES)
        reference = ReferenceEvaluator(proto)
        given_arrays = [{port: array[i] for port, array in samples[name].items()} for i in range(SAMPLES)]
        expected[name] = [reference.run(None, arrays) for arrays in given_arrays]
    results = run_on_host({name: loaded(row.proto()) for name, row in named.items()}, samples)
    for name, row in named.items():
        for place, port in enumerate(row.outputs.split()):
            wanted = stack_sizes(port, [np.asarray(run[place]) for run in expected[name]])
            is_sized = f"{port}.dims" in results[name]
            got = results[name][port]
            if is_sized:
                assert np.array_equal(results[name][f"{port}.dims"], wanted[f"{port}.dims"]), row
            assert np.array_equal(got.reshape(wanted[port].shape), wanted[port]), row
            assert got.dtype == wanted[port].dtype, row


@settings(COMMON, max_examples=3)
@given(BATCHES)
def test_random_instances(rows: list[Row]) -> None:
    check_rows(rows)


@pytest.mark.slow
@settings(COMMON, max_examples=40)
@given(BATCHES)
def test_many_random_instances(rows: list[Row]) -> None:
    check_rows(rows)
