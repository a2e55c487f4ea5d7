"""JavaScript around WebAssembly modules: loaders that choose between builds of a model, and their types."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tinycast.artifact import Artifact
from tinycast.emit.manifest import seal
from tinycast.emit.render import render
from tinycast.emit.wasm_weights import refer_to, split_weights
from tinycast.errors import InternalError
from tinycast.ir.types import DType
from tinycast.target.load import load_target
from tinycast.toolchain.wasm_binary import MAGIC

_TYPED_ARRAYS = {
    DType.FLOAT32: "Float32Array",
    DType.INT8: "Int8Array",
    DType.UINT8: "Uint8Array",
    DType.INT16: "Int16Array",
    DType.UINT16: "Uint16Array",
    DType.INT32: "Int32Array",
    DType.UINT32: "Uint32Array",
    DType.INT64: "BigInt64Array",
    DType.UINT64: "BigUint64Array",
    DType.BOOL: "Uint8Array",
    DType.FLOAT64: "Float64Array",
}
_WEIGHTS_SUFFIX = ".weights.bin"
_COMMENTS = re.compile(r"^ *(//.*\n|/\*\*(.|\n)*?\*/\n|(?=\S))", re.MULTILINE)
# Modules that only engines with these instructions take for valid. Their functions are `f32x4.relaxed_madd` of zeros
# and `i8x16.popcnt(i8x16.splat(0))`.
_PROBES = {
    ("simd128", "relaxed-simd"): MAGIC
    + bytes.fromhex("0105016000017b 03020100 0a1301110041 00fd0f4100fd0f4100fd0f fd85020b"),
    ("simd128",): MAGIC + bytes.fromhex("0105016000017b 03020100 0a0a0108004100fd0ffd620b"),
    (): MAGIC,
}


@dataclass(frozen=True)
class Build:
    """One .wasm of a package, and the file of its weights if that is another one."""

    target: str
    file: str
    weights: str | None = None
    trial: bytes | None = None  # module that tells whether an engine that can run the build should

    @property
    def parts(self) -> list[str]:
        """The files that make the module, one after the other."""
        return [self.file] if self.weights is None else [self.file, self.weights]

    @property
    def trial_base64(self) -> str:
        return b64encode(self.trial or b"").decode("ascii")

    @property
    def probe(self) -> bytes:
        return _PROBES[load_target(self.target).instructions]


def wasm_package(
    *modules: Artifact, faster: Artifact | None = None, trial: bytes | None = None, separate_weights: bool = False
) -> Artifact:
    """Return `modules` (from `finish_wasm`) with their ES module loader, its types, and a report.

    They are builds of one model, the best first; an engine gets the first that it runs, and before all of them
    `faster`, if `trial` (from `build_trial`) says so. The report is that of the first of `modules`. With
    `separate_weights` each module is two files, and builds with the same weights share theirs. Raises InternalError if
    they are not the same model, or have other inputs or outputs.
    """
    first = modules[0].manifest
    name = first["name"]
    builds: list[Build] = []
    files: dict[str, bytes] = {}
    for module in (*modules, *([] if faster is None else [faster])):
        if _interface(module.manifest) != _interface(first):
            raise InternalError("the builds are not the same model", where=name)
        target = module.manifest["target"]
        # The first build's file is the one that other hosts, which choose nothing, look for.
        file = f"{name}.wasm" if not builds else f"{name}.{target.partition('-')[2]}.wasm"
        content, weights_file = module.files[f"{name}.wasm"], None
        if separate_weights:
            code, weights = split_weights(content)
            same = (path for path, other in files.items() if other == weights)
            weights_file = next(same, file.removesuffix(".wasm") + _WEIGHTS_SUFFIX)
            files[weights_file] = weights
            content = refer_to(weights_file, code)
        own_trial = trial if module is faster else None
        builds.insert(0 if module is faster else len(builds), Build(target, file, weights_file, own_trial))
        files[file] = content
    files[f"{name}.js"] = render_script("js/load.js.j2", first, builds=builds) + model_script()
    files[f"{name}.d.ts"] = render_script("js/load.d.ts.j2", first, builds=builds)
    return seal(first, files)


def inline_loader(package: Artifact) -> bytes:
    """The loader of a `wasm_package` with the .wasm inside that hosts look for, as base64."""
    manifest = package.manifest
    build = Build(manifest["target"], f"{manifest['name']}.wasm")
    base64 = b64encode(b"".join(module_parts(package))).decode("ascii")
    return render_script("js/inline.js.j2", manifest, build=build, base64=base64) + model_script()


def model_script() -> bytes:
    """The class that runs a module, which all loaders share."""
    return _without_comments(render("js/model.js").decode("utf-8"))


def module_parts(package: Artifact) -> list[bytes]:
    """The .wasm of a `wasm_package` that hosts look for, in one piece or as code and weights."""
    name = package.manifest["name"]
    return [package.files[path] for path in (f"{name}.wasm", f"{name}{_WEIGHTS_SUFFIX}") if path in package.files]


def render_script(template: str, manifest: Mapping[str, Any], **context: Any) -> bytes:
    """Return a template around a loader, filled in with the manifest, typed arrays by type, and `context`."""
    arrays = {dtype.value: _TYPED_ARRAYS[dtype.carrier] for dtype in DType}
    script = render(template, name=manifest["name"], manifest=manifest, arrays=arrays, **context)
    if not template.endswith(".js.j2"):
        return script
    head, rest = script.decode("utf-8").split("\n\n", 1)
    return f"{head}\n\n".encode() + _without_comments(rest)


def _without_comments(script: str) -> bytes:
    """The JavaScript without comments and indentation: visitors would download them, and the types have their own."""
    return _COMMENTS.sub("", script).encode("utf-8")


def _interface(manifest: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a caller of the module sees: its hash, and its ports but for their places."""
    ports = [{**port, "arena_offset": None} for key in ("inputs", "outputs") for port in manifest[key]]
    return (manifest["name"], manifest["model_sha256"], ports)
