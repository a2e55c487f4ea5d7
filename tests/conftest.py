"""Fixtures that several test files use."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["web.fixtures"]

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
