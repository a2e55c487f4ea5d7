"""The classes of ONNX's own cases, and a fixed cross-section of them through the compiler."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import onnx
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cases import Case, Class, all_cases
from check import check

_STRIDE = 20
_STRIDE_IN_WASM = 60
_LEAST_PASSING = 1640
_RECORD = Path(__file__).resolve().parents[2] / "docs" / "operators.json"


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return all_cases()


def test_classes(cases: list[Case]) -> None:
    if not onnx.__version__.startswith("1.23."):
        pytest.skip("the counts are those of onnx 1.23")
    of_nodes = Counter(case.kind for case in cases if "/" not in case.name)
    assert of_nodes == {Class.PLAIN: 1557, Class.DATA_TYPE: 272, Class.CLASSICAL: 8, Class.OTHER: 47}
    assert Counter(case.kind for case in cases if "/" in case.name) == {Class.PLAIN: 140}


def test_bound_inputs_are_few(cases: list[Case]) -> None:
    """What is computed stays to be computed: no case has its first input bound, unless that gives a shape alone."""
    windows = {"BlackmanWindow", "HammingWindow", "HannWindow"}
    generators = {*windows, "ConstantOfShape", "MelWeightMatrix", "Range", "Loop"}
    for case in cases:
        first = next((v.name for v in case.model.graph.input), "")
        assert first not in case.bound or case.operator in generators, case.name


def test_only_shapes_and_axes_are_bound(cases: list[Case]) -> None:
    """Lengths, counts and axes are integers; floats are bound only where a length is computed of them."""
    lengths_of_floats = {"OneHot", "Range", "Resize", "Upsample"}
    for case in cases:
        if case.kind in (Class.PLAIN, Class.DATA_TYPE):
            kinds = {array.dtype.kind for array in case.bound.values()}
            assert kinds <= {"i", "u"} or case.operator in lengths_of_floats, case.name
    by_name = {case.name: case for case in cases}
    assert set(by_name["test_loop11"].bound) == {"trip_count"}  # how long its scan output is at most
    assert set(by_name["test_resize_tf_crop_and_resize"].bound) == {"sizes"}


def test_most_cases_pass(cases: list[Case]) -> None:
    """By the record of the last full run: it is not to shrink."""
    passing = set(json.loads(_RECORD.read_text(encoding="utf-8"))["passing"])
    assert passing <= {case.name for case in cases}
    assert len(passing & {case.name for case in cases if case.kind is Class.PLAIN}) >= _LEAST_PASSING


@pytest.mark.parametrize("part", range(4))
def test_cases_recorded_as_passing_pass(cases: list[Case], part: int) -> None:
    passing = set(json.loads(_RECORD.read_text(encoding="utf-8"))["passing"])
    plain = [case for case in cases if case.kind is Class.PLAIN][::_STRIDE]
    chosen = [case for case in plain if case.name in passing][part::4]
    assert len(chosen) > 10
    failed = [f"{case.name}: {outcome.reason}" for case in chosen if not (outcome := check(case)).passed]
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("part", range(2))
def test_cases_recorded_as_passing_pass_in_wasm(cases: list[Case], part: int) -> None:
    passing = set(json.loads(_RECORD.read_text(encoding="utf-8"))["passing"])
    plain = [case for case in cases if case.kind is Class.PLAIN][7::_STRIDE_IN_WASM]
    chosen = [case for case in plain if case.name in passing][part::2]
    assert len(chosen) > 10
    failed = [f"{case.name}: {outcome.reason}" for case in chosen if not (outcome := check(case, "wasm32")).passed]
    assert not failed, "\n".join(failed)
