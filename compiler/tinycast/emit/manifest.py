"""The manifest (docs/manifest.md), and the report file that holds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import tinycast
from tinycast.artifact import Artifact
from tinycast.emit.kernels import Function
from tinycast.emit.ports import PortView, StateView
from tinycast.ir.kernel import Compiled, Role, Streamed
from tinycast.memory import certificate
from tinycast.memory.certificate import regions_used

MANIFEST_VERSION = 1


def build_manifest(
    compiled: Compiled,
    inputs: list[PortView],
    outputs: list[PortView],
    states: list[StateView],
    calls: list[Function],
    weights_bytes: int,
) -> dict[str, Any]:
    """Return the manifest; `calls` are the functions of `compiled.steps`, in their order."""
    plan = compiled.plan
    return {
        "manifest_version": MANIFEST_VERSION,
        "tinycast": tinycast.__version__,
        "name": compiled.name,
        "target": compiled.target.name,
        "model_sha256": compiled.model_sha256,
        "inputs": [port.manifest() for port in inputs],
        "outputs": [port.manifest() for port in outputs],
        "states": [state.manifest() for state in states],
        "arena_bytes": plan.arena_bytes,
        "arena_align": compiled.target.arena_align,
        "lower_bound_bytes": plan.lower_bound_bytes,
        "weights_bytes": weights_bytes,
        "macs": sum(step.macs for step in compiled.steps),
        "layers": [
            {
                "index": index,
                "name": step.name,
                "op": step.op,
                "symbol": call.symbol,
                "macs": step.macs,
                "scratch_bytes": sum(value.bytes for value in step.values(Role.SCRATCH)),
                "sources": list(step.sources),
                "notes": list(step.notes),
                "tuned": step.kernel.tuned_by,
            }
            for index, (step, call) in enumerate(zip(compiled.steps, calls, strict=True))
        ],
        "memory": {
            "placements": [
                {
                    "name": p.name,
                    "offset": p.offset,
                    "bytes": p.bytes,
                    "first_step": p.first_step,
                    "last_step": p.last_step,
                    **({"region": plan.regions[p.region].region.name} if plan.regions else {}),
                }
                for p in sorted(plan.placements.values(), key=lambda p: (p.first_step, p.offset, p.name))
            ],
            "shared": [list(pair) for pair in plan.shared],
            "peak_step": plan.peak_step,
            "lower_bound_is_optimal": plan.lower_bound_is_optimal,
            "regions": [*regions_used(plan), *_flash_used(compiled)],
            "segments": [
                _segment(index, step.streamed) for index, step in enumerate(compiled.steps) if step.streamed is not None
            ],
        },
        "notes": list(compiled.notes),
    }


def _flash_used(compiled: Compiled) -> list[dict[str, Any]]:
    """What the weights take of each memory, where they lie in several."""
    regions = {region.name: region for region in compiled.flash.values()}
    return [
        {
            "name": name,
            "kind": region.kind.value,
            "bytes": sum(len(data) for (_, data), r in compiled.flash.items() if r is region),
            "available_bytes": region.bytes,
        }
        for name, region in sorted(regions.items())
    ]


def _segment(index: int, streamed: Streamed) -> dict[str, Any]:
    """A step that computes several layers row by row. Rows are kept, not computed again: the factor is 1."""
    return {
        "step": index,
        "layers": list(streamed.layers),
        "buffers": [{"name": name, "rows": rows, "bytes": size} for name, rows, size in streamed.buffers],
        "rows_made": streamed.turns,
        "recompute_factor": 1.0,
        "scratch": certificate(streamed.plan),
    }


def report_path(name: str) -> str:
    """Where the report of the model `name` lies in its folder."""
    return f"{name}_report.json"


def seal(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Artifact:
    """Return an artifact of `files` and the report: the manifest, and under "files" all paths of the folder."""
    path = report_path(manifest["name"])
    paths = sorted({*files, path})
    report = json.dumps({**manifest, "files": paths}, indent=2) + "\n"
    contents = {**files, path: report.encode("utf-8")}
    return Artifact({p: contents[p] for p in paths}, manifest)
