"""An npm package: ES modules with types for pages, workers, audio worklets, Node, Deno and Bun."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tinycast.artifact import Artifact
from tinycast.emit import inline_loader, model_script, module_parts, render_script, seal
from tinycast.errors import UsageError

# npm wants one; whoever publishes the package gives it a version of its own.
_VERSION = "0.1.0"
# Of that name Node imports its own module, not the package.
_NODE_MODULES = """
assert async_hooks buffer child_process cluster console constants crypto dgram diagnostics_channel dns domain events
fs http http2 https inspector module net os path perf_hooks process punycode querystring readline repl stream
string_decoder sys timers tls trace_events tty url util v8 vm wasi worker_threads zlib
"""


def add_npm(package: Artifact) -> Artifact:
    """Add package.json, README.md, and the entry points `inline`, `worker` and, where samples fit, `audio`.

    Raises UsageError for the name of a module of Node.
    """
    manifest = package.manifest
    name = manifest["name"]
    if name in _NODE_MODULES.split():
        raise UsageError(
            f"a package named {name!r} cannot be imported: Node has a module of that name",
            where="--name",
            fix=f"choose another name: --name {name}_model",
        )
    has_audio = _takes_samples(manifest)
    has_weights = len(module_parts(package)) > 1

    def script(template: str) -> bytes:
        return render_script(f"npm/{template}.j2", manifest, has_audio=has_audio, has_weights=has_weights)

    files = {**package.files, f"{name}.inline.js": inline_loader(package)}
    parts = ["inline.d.ts", "worker.js", "worker.d.ts", "worker-thread.js"]
    entries = ["inline", "worker"]
    if has_audio:
        parts += ["audio.js", "audio.d.ts"]
        entries.append("audio")
        # One file: bundlers copy it as it is, and a worklet imports nothing at run time.
        files[f"{name}.audio-processor.js"] = model_script() + script("audio-processor.js")
    files |= {f"{name}.{part}": script(part) for part in parts}
    files["README.md"] = script("README.md")
    files["package.json"] = _package_json(manifest, entries, list(files))
    return seal(manifest, files)


def _takes_samples(manifest: Mapping[str, Any]) -> bool:
    """Whether a window of real numbers is all that the model takes."""
    inputs = manifest["inputs"]
    return len(inputs) == 1 and (inputs[0]["scale"] is not None or inputs[0]["dtype"] == "float32")


def _package_json(manifest: Mapping[str, Any], entries: list[str], files: list[str]) -> bytes:
    name = manifest["name"]
    modules = {".": name, **{f"./{entry}": f"{name}.{entry}" for entry in entries}}
    description = {
        "name": name,
        "version": _VERSION,
        "description": f"A neural network as one WebAssembly file, compiled by tinycast {manifest['tinycast']}",
        "type": "module",
        # Older resolvers read these instead of the exports.
        "main": f"./{name}.js",
        "types": f"./{name}.d.ts",
        "sideEffects": sorted(f"./{file}" for file in files if file.endswith(("-thread.js", "-processor.js"))),
        "exports": {
            **{key: {"types": f"./{stem}.d.ts", "default": f"./{stem}.js"} for key, stem in modules.items()},
            **{f"./{file}": f"./{file}" for file in sorted(files) if file.endswith((".wasm", ".bin"))},
            "./package.json": "./package.json",
        },
        "files": sorted(file for file in files if not file.endswith((".json", ".md"))),
    }
    return (json.dumps(description, indent=2) + "\n").encode("utf-8")
