"""Reads targets/<name>.toml."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from tinycast.errors import InternalError, UsageError
from tinycast.resources import resource_dir
from tinycast.target.regions import make_regions
from tinycast.target.types import Platform, Target


def load_target(name: str) -> Target:
    """Return the target called `name`; UsageError with the closest names if there is none."""
    known = {target.name: target for target in all_targets()}
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)
        raise UsageError(f"unknown target {name!r}", where="--target", fix=f"use {' or '.join(close)}")
    return known[name]


@cache
def all_targets() -> tuple[Target, ...]:
    """Return every target, sorted by name."""
    return tuple(_read(path) for path in sorted(resource_dir("targets").glob("*.toml"), key=lambda path: path.stem))


def _read(path: Path) -> Target:
    entries: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    unknown = entries.keys() - {field.name for field in fields(Target)}
    if unknown:
        raise InternalError(f"unknown keys {sorted(unknown)}", where=f"targets/{path.name}")
    try:
        entries["regions"] = make_regions(entries.get("regions", []), f"targets/{path.name}")
        entries = {key: _frozen(value) for key, value in entries.items()}
        return Target(name=path.stem, **{**entries, "platform": Platform(entries["platform"])})
    except (TypeError, KeyError, ValueError, UsageError) as error:
        raise InternalError(f"not a target: {error}", where=f"targets/{path.name}") from error


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
