"""Memory regions as a target file or a file of the user's lists them: [[regions]] tables in TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from tinycast.errors import UsageError
from tinycast.target.types import Region, RegionKind

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_SECTION = re.compile(r"[A-Za-z0-9_.$]*")
_FIX = 'write tables like [[regions]] name = "dtcm", kind = "ram", bytes = 131072, cost = 1.0'


def read_regions(path: Path) -> tuple[Region, ...]:
    """The regions of a TOML file; UsageError for what is none."""
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"the file cannot be read: {error.strerror}", where=str(path), fix="check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"the file is no TOML: {error}", where=str(path), fix=_FIX) from None
    if entries.keys() != {"regions"} or not isinstance(entries["regions"], list) or not entries["regions"]:
        raise UsageError("the file must hold [[regions]] and nothing else", where=str(path), fix=_FIX)
    return make_regions(entries["regions"], str(path))


def make_regions(tables: Sequence[Mapping[str, Any]], where: str) -> tuple[Region, ...]:
    """Regions from parsed tables. UsageError for one that makes no sense, or where inputs have no place to be."""
    regions = tuple(_make(table, where) for table in tables)
    if len({region.name for region in regions}) < len(regions):
        raise UsageError("two memory regions have one name", where=where, fix="give each a name of its own")
    if regions and not any(region.kind is RegionKind.RAM and region.io for region in regions):
        raise UsageError("no memory region is RAM that inputs and outputs may lie in", where=where, fix=_FIX)
    return regions


def _make(table: object, where: str) -> Region:
    types = {"name": str, "kind": str, "bytes": int, "cost": int | float, "io": bool, "section": str}
    if not isinstance(table, Mapping):
        raise UsageError("a memory region is a table", where=where, fix=_FIX)
    unknown = table.keys() - {field.name for field in fields(Region)}
    if unknown or {"name", "kind", "bytes"} - table.keys():
        raise UsageError(f"a memory region has {sorted(table)}", where=where, fix=_FIX)
    wrong = [key for key, value in table.items() if not isinstance(value, types[key])]
    known = {kind.value for kind in RegionKind}
    values = {"cost": 1.0, "section": "", **table}
    if (
        wrong
        or values["kind"] not in known
        or not _NAME.fullmatch(values["name"])
        or not _SECTION.fullmatch(values["section"])
        or isinstance(values["bytes"], bool)
        or values["bytes"] <= 0
        or values["cost"] <= 0
    ):
        raise UsageError(f"this is no memory region: {dict(table)}", where=where, fix=_FIX)
    return Region(**{**table, "kind": RegionKind(table["kind"])})
