"""Fixtures that several test files use."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["web.fixtures"]

# Property tests draw the same examples in every run; `--hypothesis-profile=explore` draws others.
settings.register_profile("same", deadline=None, derandomize=True, database=None)
settings.register_profile("explore", deadline=None, database=None)
settings.load_profile("same")

ROOT = Path(__file__).resolve().parent.parent


def shared_path() -> Path:
    """The folder of measuring models and data that may lie beside the checkout (never inside it)."""
    return ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    path = shared_path()
    if not (path / "models").is_dir():
        pytest.skip("needs the measuring models in ../shared/models beside the checkout")
    return path
