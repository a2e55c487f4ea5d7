"""Random instances of every operator family, in C under ASan and UBSan, against ONNX Runtime or ONNX's reference.

The instances are the same in every run; `--hypothesis-profile=explore` draws others, and more of them.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import onnx.defs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from properties import FAMILIES, Instance, examples, failures, instances, operators
from tinycast.model.contrib import _REWRITES
from tinycast.model.qoperator import _FORMS, MICROSOFT
from tinycast.model.sequences import _Resolver
from tinycast.ops import IMPORTERS

for file in sorted(Path(__file__).parent.glob("properties_*.py")):
    import_module(file.stem)

PARTS = 8  # each is one build an example
NAMES = [tuple(list(FAMILIES)[part::PARTS]) for part in range(PARTS)]
MIXED = ("old.", "graph.")  # families of several operators
ELSEWHERE = {
    **dict.fromkeys(("If", "Loop", "Scan"), "test_control_properties.py draws their bodies"),
    **dict.fromkeys(
        ("Bernoulli", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
        "no two generators give the same numbers: test_matrix.py runs them, times zero",
    ),
    "com.microsoft.QLinearReduceMean": "ONNX Runtime has no kernel for it; it becomes ReduceMean, which is drawn",
    **dict.fromkeys(
        ("com.microsoft.LayerNormalization", "com.microsoft.SimplifiedLayerNormalization"),
        "not in that domain when read: test_model_contrib_attention.py lets ONNX Runtime's optimizer write them",
    ),
    **dict.fromkeys(("Optional", "OptionalGetElement", "OptionalHasElement"), "they fold away; ONNX's own cases run"),
    "SequenceMap": "its function body is a Loop",
}


def drawn(names: tuple[str, ...]) -> st.SearchStrategy[tuple[Instance, ...]]:
    """One instance of each."""
    return st.tuples(*map(instances, names))


@pytest.mark.parametrize("names", NAMES, ids=lambda names: f"{names[0]}..{names[-1]}")
def test_a_random_instance_of_each_operator(names: tuple[str, ...]) -> None:
    wrong = failures(examples(drawn(names), 1)[-1])
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("names", NAMES, ids=lambda names: f"{names[0]}..{names[-1]}")
def test_many_random_instances_of_each_operator(names: tuple[str, ...]) -> None:
    batches = examples(drawn(names), 12 if settings().derandomize else 60)
    wrong = [message for batch in batches for message in failures(batch)]
    assert not wrong, "\n".join(wrong)


def with_function_bodies() -> set[str]:
    """Standard operators that have no importer, and are compiled by the body that ONNX gives them."""
    newest = {schema.name: schema for schema in onnx.defs.get_all_schemas() if schema.domain == ""}
    return {name for name, s in newest.items() if s.has_function or s.has_context_dependent_function} - set(IMPORTERS)


def test_every_operator_is_drawn() -> None:
    rewritten = {f"{MICROSOFT}.{name}" for name in _REWRITES} | {f"{d}.{n}" if d else n for d, n in _FORMS}
    resolved = {name[1:] for name in vars(_Resolver) if name[1].isupper()}
    known = set(IMPORTERS) | with_function_bodies() | rewritten | resolved | {f"{MICROSOFT}.QLinearConcat"}
    assert known - set(FAMILIES) == set(ELSEWHERE) & known
    assert not set(ELSEWHERE) & set(FAMILIES)
    assert {name.removeprefix("qdq.") for name in FAMILIES if not name.startswith(MIXED)} <= known


def test_instances_are_about_their_operator() -> None:
    for batch in examples(drawn(tuple(FAMILIES)), 2):
        for name, instance in zip(FAMILIES, batch, strict=True):
            assert name.startswith(MIXED) or name.removeprefix("qdq.") in operators(instance.proto()), name
