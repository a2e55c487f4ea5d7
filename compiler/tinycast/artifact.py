"""What a compilation produces, held in memory until it is packaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Artifact:
    """Generated files and their manifest.

    `files` maps a relative POSIX path to its bytes. `manifest` is JSON-able; it is what
    `<name>_report.json` and the `tinycast` section of a .wasm hold (docs/manifest.md).
    """

    files: Mapping[str, bytes]
    manifest: Mapping[str, Any]
