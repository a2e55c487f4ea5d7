"""docs/operators.md and docs/operators.json from the outcomes of all cases."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.defs
from cases import Case, Class
from check import Outcome
from forms import KINDS, Forms, integer_forms
from tinycast.ops import IMPORTERS

# By target: the key of docs/operators.json that lists the cases that pass there.
RECORDS = {"host": "passing", "wasm32": "passing_wasm32"}

Outcomes = Mapping[str, Mapping[str, Outcome]]  # by target, then by the case's name


def write_tables(cases: Sequence[Case], outcomes: Outcomes, folder: Path) -> None:
    """Write both files; their content depends on the cases and outcomes only."""
    rows: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        rows[case.operator].append(case)
    names = [*sorted({*rows, *IMPORTERS} - {"(models)"}), "(models)"]
    forms = integer_forms()
    record: dict[str, Any] = {
        key: sorted(c.name for c in cases if outcomes[target][c.name].passed) for target, key in RECORDS.items()
    }
    record["operators"] = {
        name: {
            "opsets": _opsets(name),
            "compiled": name in IMPORTERS,
            "passed": _passed(outcomes["host"], rows[name]),
            "passed_wasm32": _passed(outcomes["wasm32"], rows[name]),
            "cases": len(rows[name]),
            "bound": sorted({b for c in rows[name] for b in outcomes["host"][c.name].bound}),
            "forms": _forms(rows.get(name, []), outcomes["host"], forms.get(name)),
        }
        for name in names
    }
    folder.mkdir(exist_ok=True)
    (folder / "operators.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (folder / "operators.md").write_text(_markdown(cases, outcomes, rows, names, forms), encoding="utf-8")


def _forms(cases: Sequence[Case], outcomes: Mapping[str, Outcome], integers: Forms | None) -> dict[str, str]:
    """The columns of forms: in float where a case with floats passes, on integers as the probes of it are compiled."""
    in_float = any(outcomes[c.name].passed and has_floats(c) for c in cases)
    return {"float": "yes" if in_float else ""} | {k: integers.cell(k) if integers else "" for k in KINDS}


def has_floats(case: Case) -> bool:
    """Whether an input or output of the case is a tensor of floats."""
    values = [np.asarray(v) for v in (*case.inputs, *case.outputs) if not isinstance(v, bytes | list)]
    return any(v.dtype.kind == "f" or "float" in v.dtype.name for v in values)


def _passed(outcomes: Mapping[str, Outcome], cases: Sequence[Case]) -> int:
    return sum(outcomes[c.name].passed for c in cases)


def _opsets(name: str) -> str:
    """The first and the latest version of the operator's domain that has it."""
    schemas = onnx.defs.get_all_schemas_with_history()
    since = [s.since_version for s in schemas if ".".join(filter(None, (s.domain, s.name))) == name]
    domain = name.rpartition(".")[0]
    latest = max((s.since_version for s in schemas if s.domain == domain), default=0)
    return f"{min(since)}-{latest if domain else onnx.defs.onnx_opset_version()}" if since else ""


def _markdown(
    cases: Sequence[Case],
    outcomes: Outcomes,
    rows: Mapping[str, list[Case]],
    names: Sequence[str],
    forms: Mapping[str, Forms],
) -> str:
    host, wasm = outcomes["host"], outcomes["wasm32"]
    lines = [
        "# Operators",
        "",
        f"Written by `make conformance` from the test cases of onnx {onnx.__version__}: each is compiled to C, built",
        "and run on the host, and compiled to WebAssembly (with SIMD) and run in wasmtime; the outputs are compared",
        "with the case's by the case's tolerance. Inputs that settle a shape or an axis are constants of the compiled",
        "model (column *bound*); all others are read at run time. Operators without *own kernels* are compiled through",
        "the function bodies that ONNX gives them.",
        "",
        "The forms: *float*, a case with floats passes; *int8*, between DequantizeLinear and QuantizeLinear it",
        "computes on integers alone; *int16x8*, the same with activations of 16 bits and weights of 8. What these two",
        "say is compiled from the probes in `tests/ops/qdq_rows.py`, whose results are compared with ONNX Runtime's.",
        "",
    ]
    for kind in (Class.PLAIN, Class.DATA_TYPE, Class.CLASSICAL):
        own = [c for c in cases if c.kind is kind]
        lines.append(
            f"* {kind.value}: of {len(own)} cases {_passed(host, own)} pass in C, {_passed(wasm, own)} in WebAssembly"
        )
    columns = ("operator", "opsets", "own kernels", "float", *KINDS, "C", "WebAssembly", "bound")
    lines += ["", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name in names:
        own = rows.get(name, [])
        bound = ", ".join(sorted({b for c in own for b in host[c.name].bound}))
        passed = " | ".join(f"{_passed(found, own)} / {len(own)}" for found in (host, wasm))
        formed = " | ".join(_forms(own, host, forms.get(name)).values())
        kernels = "yes" if name in IMPORTERS else ""
        lines.append(f"| {name} | {_opsets(name)} | {kernels} | {formed} | {passed} | {bound} |")
    lines += ["", "## Failing cases, by reason", ""]
    lines += _by_reason({c.name: host[c.name].reason for c in cases if not host[c.name].passed})
    only = {c.name: wasm[c.name].reason for c in cases if host[c.name].passed and not wasm[c.name].passed}
    if only:
        lines += ["", "## Failing in WebAssembly alone, by reason", "", *_by_reason(only)]
    return "\n".join(lines) + "\n"


def _by_reason(failing: Mapping[str, str]) -> list[str]:
    members: dict[str, list[str]] = defaultdict(list)
    for name, reason in failing.items():
        members[_general(reason)].append(name)
    ordered = sorted(members.items(), key=lambda item: (-len(item[1]), item[0]))
    return [f"* {reason} ({len(names)}): {', '.join(sorted(names))}" for reason, names in ordered]


def _general(reason: str) -> str:
    """The reason without the names of nodes and paths, so that like failures stand together."""
    reason = reason.split(" | ")[0] if not reason.endswith("compiled:") else reason
    reason = re.sub(r"/tmp/\S+", "", reason)
    return reason.replace("|", "/").replace("<", "&lt;").strip()
