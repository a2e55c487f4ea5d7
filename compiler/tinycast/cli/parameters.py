"""Values of options: sizes in bytes, shapes of inputs, lists of names. Each raises click.BadParameter."""

from __future__ import annotations

import re

import click

_UNITS = {"": 1, "B": 1, "K": 1024, "KIB": 1024, "KB": 1000, "M": 1024**2, "MIB": 1024**2, "MB": 1000**2}


def parse_size(text: str) -> int:
    """Bytes, with a unit as linker scripts write it (64K = 64KiB = 65536), or a decimal one (64KB = 64000)."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", text.strip())
    if found is None or found[2].upper() not in _UNITS:
        raise click.BadParameter(f"{text!r} is no size: write 64K or 64KiB (65536 bytes), 64KB (64000 bytes), or 65536")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """The name and shape of one input: `image=1,3,96,96`."""
    name, _, sizes = text.rpartition("=")
    parts = sizes.split(",")
    if not name or not all(part.strip().isdecimal() for part in parts):
        raise click.BadParameter(f"{text!r} is no shape: write name=1,3,96,96")
    return name, tuple(int(part) for part in parts)


def parse_state(text: str) -> tuple[str, str]:
    """An input and the output that it takes from the run before: `h0=hn`."""
    source, _, result = text.partition("=")
    if not source or not result:
        raise click.BadParameter(f"{text!r} is no state: write INPUT=OUTPUT")
    return source, result


def parse_names(text: str) -> tuple[str, ...]:
    """Names with commas between them; each is kept once."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not names:
        raise click.BadParameter("names nothing")
    return names
