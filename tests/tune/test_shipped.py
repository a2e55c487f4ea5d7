"""The tuning database that comes with the package."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import ROOT
from tinycast.model import load, simplify
from tinycast.pipeline import compile_model
from tinycast.schedule.tuning import Tuning, core_key, read_database, shipped
from tinycast.target.load import load_target

FILES = sorted((ROOT / "targets" / "tuned").glob("*.json"))


def test_there_are_some() -> None:
    assert FILES
    assert shipped().entries


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_entries_are_of_a_core_that_there_is(path: Path) -> None:
    """Where a target's file changes what schedules depend on, its schedules have to be measured again."""
    database = read_database(path)
    assert path.read_text(encoding="utf-8") == database.text()
    assert set(database.entries) == {core_key(load_target(path.stem))}, "run make tune-shipped"
    for entry in database.entries[core_key(load_target(path.stem))].values():
        assert entry["tuned"] <= entry["usual"]
        assert entry["measure"] == "instructions"
        json.dumps(entry["choice"])


def test_compiling_uses_them(shared: Path) -> None:
    """The autoencoder has fully connected layers only."""
    model = load(shared / "models" / "ad_int8_qdq.onnx")
    simplify(model)
    usual, tuned = (
        compile_model(model, load_target("rv32imc"), "ad", "0" * 64, tuning=tuning) for tuning in (Tuning(), None)
    )
    assert {name for step in usual.steps for name in step.kernel.tuned_by} == set()
    assert tuned.steps[1].kernel.tuned_by == ["shipped"]
    assert tuned.plan.arena_bytes <= usual.plan.arena_bytes
    assert not [note for note in tuned.notes if "tuning" in note]
