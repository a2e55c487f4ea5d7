"""A page to try a model on: one file, which loads nothing and can be opened without a server too."""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from tinycast.artifact import Artifact
from tinycast.emit import inline_loader, module_parts, render_script, seal
from tinycast.emit.render import render
from tinycast.errors import UsageError
from tinycast.ir.types import DType

_SCRIPTS = ("values.js", "picture.js", "signals.js", "inputs.js", "results.js", "profile.js")


def add_web(package: Artifact) -> Artifact:
    """Add index.html, with model, script and style inside. Its policy allows them by hash, and nothing else."""
    manifest = package.manifest
    name = manifest["name"]
    _check_numbers(manifest)
    parts = [inline_loader(package), *(render(f"web/{part}") for part in _SCRIPTS)]
    layers = [{"name": layer["name"], "op": layer["op"]} for layer in manifest["layers"]]
    script = b"".join([*parts, render_script("web/main.js", manifest, layers=layers)])
    style = render("web/page.css")
    loaded = [*module_parts(package), package.files[f"{name}.js"]]
    page = render_script(
        "web/index.html.j2",
        manifest,
        script=script.decode("utf-8"),
        style=style.decode("utf-8"),
        script_hash=_source_hash(script),
        style_hash=_source_hash(style),
        summary=_summary(manifest),
        memory_note=f"{_size(manifest['arena_bytes'])} of it for activations",
        download=_size(sum(len(gzip.compress(content, 9, mtime=0)) for content in loaded)),
        download_note=f"gzip, {name}.wasm and its loader",
    )
    return seal(manifest, {**package.files, "index.html": page})


def _check_numbers(manifest: Mapping[str, Any]) -> None:
    """The page shows numbers, and JavaScript has none in the narrow float types."""
    coded = [port for port in (*manifest["inputs"], *manifest["outputs"]) if DType(port["dtype"]).is_coded_float]
    if coded:
        raise UsageError(
            f"a page cannot show {coded[0]['dtype']}", where=f"{coded[0]['name']!r}", fix="compile with --io float"
        )


def _source_hash(content: bytes) -> str:
    """How a Content-Security-Policy names an inline script or style."""
    return f"'sha256-{b64encode(sha256(content).digest()).decode('ascii')}'"


def _summary(manifest: Mapping[str, Any]) -> str:
    layers = len(manifest["layers"])
    parts = [f"{layers} layer{'' if layers == 1 else 's'}"]
    if manifest["macs"]:
        parts.append(f"{manifest['macs']:,} multiply-accumulates")
    if manifest["weights_bytes"]:
        parts.append(f"{_size(manifest['weights_bytes'])} of weights")
    return ", ".join(parts)


def _size(count: int) -> str:
    """Bytes in a unit that leaves three digits or so."""
    if count < 1000:
        return f"{count} byte{'' if count == 1 else 's'}"
    thousands, unit = (count / 1000, "KB") if count < 1_000_000 else (count / 1_000_000, "MB")
    return f"{thousands:.1f} {unit}" if thousands < 100 else f"{thousands:,.0f} {unit}"
