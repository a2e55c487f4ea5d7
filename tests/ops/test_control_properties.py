"""Random bodies of Scan, Loop and If: the host's numbers, under ASan and UBSan, are ONNX Runtime's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from host_batch import Array, Row, ints, loaded, run_on_host
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import BUILDS
from test_control import assert_close
from test_matrix import reference

MODELS = 10  # in one build
OPERATORS = ("Add", "Sub", "Max", "Min", "Add", "Relu", "Tanh", "Identity", "MatMul")
SHAPE = "float[3,3]"


@st.composite
def bodies(draw: st.DrawFn, inputs: list[str], prefix: str, outputs: int) -> tuple[str, list[str]]:
    """Nodes on `inputs` (3x3), and the names of results: each made by a node, as ONNX asks."""
    names, nodes = list(inputs), []
    for i in range(draw(st.integers(1, 5))):
        operator = draw(st.sampled_from(OPERATORS))
        count = 1 if operator in ("Relu", "Tanh", "Identity") else 2
        operands = ", ".join(draw(st.sampled_from(names)) for _ in range(count))
        names.append(f"{prefix}{i}")
        # Tanh around what grows: rounds go on from what they gave.
        nodes.append(f"{prefix}w{i} = {operator}({operands}) {names[-1]} = Tanh({prefix}w{i})")
    results = []
    for i in range(outputs):
        nodes.append(f"{prefix}o{i} = Identity({draw(st.sampled_from(names))})")
        results.append(f"{prefix}o{i}")
    return " ".join(nodes), results


def typed(names: list[str]) -> str:
    return ", ".join(f"{SHAPE} {name}" for name in names)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """A Scan or Loop over up to three states, with captured tensors, and perhaps an If inside."""
    is_loop = draw(st.booleans())
    states = [f"h{i}" for i in range(draw(st.integers(1, 3)))]
    scanned = [] if is_loop else [f"x{i}" for i in range(draw(st.integers(1, 2)))]
    elements = draw(st.integers(0, 2))
    captured = ["k", "r"]
    body, made = draw(bodies([*states, *scanned, *captured], "b", len(states) + elements))
    if draw(st.booleans()):
        then, then_made = draw(bodies([*states, *captured], "t", 1))
        otherwise, else_made = draw(bodies([*states, *captured], "e", 1))
        body += (
            f" total = ReduceSum<keepdims=0>({states[0]}) limit = Constant<value_float=0.0>()"
            f" chosen = Greater(total, limit) picked = If<then_branch=t () => ({typed(then_made)}) {{ {then} }},"
            f" else_branch=e () => ({typed(else_made)}) {{ {otherwise} }}>(chosen)"
            f" {made[0]}_if = Add({made[0]}, picked)"
        )
        made[0] = f"{made[0]}_if"
    outputs = [f"y{i}" for i in range(len(made))]
    given = ", ".join([typed([f"i{n}" for n in states]), f"{SHAPE} r", *(f"float[4,3,3] i{n}" for n in scanned)])
    operands = ", ".join(f"i{name}" for name in [*states, *scanned])
    weights: dict[str, tuple[int, ...] | Array] = {"k": (3, 3)}
    if is_loop:
        weights["trips"] = ints(draw(st.integers(1, 4))).reshape(())
        node = (
            f"Loop<body=g (int64 n, bool c, {typed(states)}) => (bool d, {typed(made)}) {{ {body} d = Identity(c) }}>"
        )
        operands = f"trips, , {operands}"
    else:
        directions = [draw(st.integers(0, 1)) for _ in scanned]
        out_directions = [draw(st.integers(0, 1)) for _ in range(elements)]
        more = f", scan_output_directions={out_directions}" if elements else ""
        node = (
            f"Scan<num_scan_inputs={len(scanned)}, scan_input_directions={directions}{more},"
            f" body=g ({typed([*states, *scanned])}) => ({typed(made)}) {{ {body} }}>"
        )
    return Row("row", given, f"{', '.join(outputs)} = {node}({operands})", weights, outputs=" ".join(outputs))


BATCHES = st.lists(rows(), min_size=MODELS, max_size=MODELS)


def check_models(batch: list[Row]) -> None:
    named = {f"r{i}": replace(row, name=f"r{i}") for i, row in enumerate(batch)}
    protos = {name: row.proto() for name, row in named.items()}
    samples = {name: row.samples(protos[name], 2) for name, row in named.items()}
    results = run_on_host({name: loaded(proto) for name, proto in protos.items()}, samples)
    for name, proto in protos.items():
        for port, wanted in reference(proto, samples[name]).items():
            assert_close(results[name][port], wanted, f"{port} of {named[name].nodes}")
    assert len(results) == MODELS


@settings(BUILDS, max_examples=2)
@given(BATCHES)
def test_random_bodies(batch: list[Row]) -> None:
    check_models(batch)


@pytest.mark.slow
@settings(BUILDS, max_examples=25)
@given(BATCHES)
def test_many_random_bodies(batch: list[Row]) -> None:
    check_models(batch)
