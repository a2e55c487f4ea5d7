"""docs/operators.md and docs/operators.json from the outcomes of all cases."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
import onnx.defs
from cases import Case, Class
from check import Outcome
from tinycast.ops import IMPORTERS


def write_tables(cases: Sequence[Case], outcomes: Mapping[str, Outcome], folder: Path) -> None:
    """Write both files; their content depends on the cases and outcomes only."""
    rows: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        rows[case.operator].append(case)
    names = [*sorted({*rows, *IMPORTERS} - {"(models)"}), "(models)"]
    record = {
        "passing": sorted(c.name for c in cases if outcomes[c.name].passed),
        "operators": {
            name: {
                "opsets": _opsets(name),
                "compiled": name in IMPORTERS,
                "passed": sum(outcomes[c.name].passed for c in rows[name]),
                "cases": len(rows[name]),
                "bound": sorted({b for c in rows[name] for b in outcomes[c.name].bound}),
            }
            for name in names
        },
    }
    folder.mkdir(exist_ok=True)
    (folder / "operators.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    (folder / "operators.md").write_text(_markdown(cases, outcomes, rows, names), encoding="utf-8")


def _opsets(name: str) -> str:
    """The first and the latest version of the operator's domain that has it."""
    schemas = onnx.defs.get_all_schemas_with_history()
    since = [s.since_version for s in schemas if ".".join(filter(None, (s.domain, s.name))) == name]
    domain = name.rpartition(".")[0]
    latest = max((s.since_version for s in schemas if s.domain == domain), default=0)
    return f"{min(since)}-{latest if domain else onnx.defs.onnx_opset_version()}" if since else ""


def _markdown(
    cases: Sequence[Case], outcomes: Mapping[str, Outcome], rows: Mapping[str, list[Case]], names: Sequence[str]
) -> str:
    lines = [
        "# Operators",
        "",
        f"Written by `make conformance` from the test cases of onnx {onnx.__version__}: each is compiled to C, built",
        "and run on the host (on no other target), and compared with the case's outputs by the case's tolerance.",
        "Inputs that settle a shape or an axis are constants of the compiled model (column *bound*); all others are",
        "read at run time. Operators without *own kernels* are compiled through the function bodies that ONNX gives",
        "them.",
        "",
    ]
    for kind in (Class.PLAIN, Class.DATA_TYPE, Class.CLASSICAL):
        own = [c for c in cases if c.kind is kind]
        lines.append(f"* {kind.value}: {sum(outcomes[c.name].passed for c in own)} of {len(own)} cases pass")
    lines += ["", "| operator | opsets | own kernels | passed | bound |", "|---|---|---|---|---|"]
    for name in names:
        own = rows.get(name, [])
        passed = sum(outcomes[c.name].passed for c in own)
        bound = ", ".join(sorted({b for c in own for b in outcomes[c.name].bound}))
        lines.append(
            f"| {name} | {_opsets(name)} | {'yes' if name in IMPORTERS else ''} | {passed} / {len(own)} | {bound} |"
        )
    lines += ["", "## Failing cases, by reason", ""]
    reasons: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        if not outcomes[case.name].passed:
            reasons[_general(outcomes[case.name].reason)].append(case.name)
    for reason, members in sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0])):
        lines += [f"* {reason} ({len(members)}): {', '.join(sorted(members))}"]
    return "\n".join(lines) + "\n"


def _general(reason: str) -> str:
    """The reason without the names of nodes and paths, so that like failures stand together."""
    reason = reason.split(" | ")[0] if not reason.endswith("compiled:") else reason
    reason = re.sub(r"/tmp/\S+", "", reason)
    return reason.replace("|", "/").replace("<", "&lt;").strip()
