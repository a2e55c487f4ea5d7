"""Builds executables: the model plus a harness that feeds it samples, or plus nothing (for its size)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from tinycast.resources import resource_dir
from tinycast.toolchain.compiler import Compiler, write_sources


def build_harness(
    files: Mapping[str, bytes],
    manifest: Mapping[str, Any],
    compiler: Compiler,
    folder: Path,
    *,
    io: Sequence[str],
    flags: Sequence[str] = (),
) -> Path:
    """Build model, rendered harness and the harness files `io` in `folder`; return the executable."""
    harness = resource_dir("templates") / "harness"
    sources = write_sources(files, folder)
    main = folder / "harness.c"
    main.write_text(render("harness.c.j2", manifest=manifest), encoding="utf-8")
    output = folder / "harness.elf"
    compiler.build(
        [*sources, main, *(harness / name for name in io)],
        output,
        flags=flags,
        include_dirs=[folder / "include", folder / "src", harness],
    )
    return output


def render(template: str, *, manifest: Mapping[str, Any], **values: Any) -> str:
    """Render a template of templates/harness for the model of `manifest`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource_dir("templates") / "harness"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    name = manifest["name"]
    return environment.get_template(template).render(
        name=name, prefix=name.upper(), inputs=manifest["inputs"], outputs=manifest["outputs"], **values
    )
