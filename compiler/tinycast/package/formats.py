"""The package formats: what each adds to the generated files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinycast.artifact import Artifact
from tinycast.emit import seal
from tinycast.emit.render import render
from tinycast.errors import UsageError
from tinycast.package.npm import add_npm
from tinycast.package.web import add_web
from tinycast.target.load import load_target
from tinycast.target.types import Platform, Target

_NATIVE = frozenset({Platform.HOST, Platform.ARM_M, Platform.RISCV, Platform.AVR})
_BROWSER = frozenset({Platform.WASM})


@dataclass(frozen=True)
class Format:
    """A package format; `add` takes what was emitted to what is written."""

    description: str
    platforms: frozenset[Platform]
    add: Callable[[Artifact], Artifact]


def _add_nothing(artifact: Artifact) -> Artifact:
    return artifact


def _add_cmake(artifact: Artifact) -> Artifact:
    """A static library, and the self-test for CTest where CMakeLists.txt is the top-level project."""
    name = artifact.manifest["name"]
    sources = sorted(path for path in artifact.files if path.startswith("src/") and path.endswith(".c"))
    selftest = f"test/{name}_selftest.c"
    text = render(
        "cmake/CMakeLists.txt.j2",
        name=name,
        NAME=name.upper(),
        sources=sources,
        extensions=bool(load_target(artifact.manifest["target"]).constant_qualifier),
        selftest=selftest if selftest in artifact.files else None,
    )
    return seal(artifact.manifest, {**artifact.files, "CMakeLists.txt": text})


FORMATS = {
    "c": Format("C source files", _NATIVE, _add_nothing),
    "cmake": Format("C source files and a CMakeLists.txt with a self-test", _NATIVE, _add_cmake),
    "wasm": Format("WebAssembly modules and their ES module loader", _BROWSER, _add_nothing),
    "npm": Format("an npm package: modules, loaders, worker, audio worklet, types", _BROWSER, add_npm),
    "web": Format("a page to try the model on, beside the modules", _BROWSER, add_web),
}


def choose_format(name: str | None, target: Target) -> str:
    """Return `name`, or the format usual for `target`; UsageError if `target` has no such format."""
    suitable = [key for key, entry in FORMATS.items() if target.platform in entry.platforms]
    if name is None:
        return suitable[0]
    if name not in suitable:
        raise UsageError(
            f"there is no format {name!r} for {target.name}", where="--format", fix=f"use {' or '.join(suitable)}"
        )
    return name


def package(artifact: Artifact, name: str | None, target: Target) -> Artifact:
    """Return `artifact` as the format `name` (None: the usual one) wants it; UsageError if `target` has no such one."""
    return FORMATS[choose_format(name, target)].add(artifact)
