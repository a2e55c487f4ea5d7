"""Jinja2, set up for C: an undefined name is an error, and a block's own line leaves no blank line."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from tinycast.emit.names import comment_text
from tinycast.resources import resource_dir


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(resource_dir("templates")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # the files are C, CMake and JavaScript; the web page escapes by itself
    )
    environment.filters["comment"] = comment_text
    return environment


def render(template: str, **context: Any) -> bytes:
    """Return templates/`template` filled in with `context`."""
    return _environment().get_template(template).render(**context).encode("utf-8")
