"""The forms of operators on integers: each probe of tests/ops/qdq_rows.py is really compiled to integers."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ops"))

from host_batch import Row, loaded, program_of
from qdq_rows import QDQ_ROWS, qdq_model
from tinycast.ir.types import DType

KINDS = {"int8": "int8", "int16x8": "int16"}  # the column, and the element type of activations


@dataclass(frozen=True)
class Forms:
    """How many probes of an operator there are, and how many compute on integers alone, by column."""

    probes: int
    passed: Mapping[str, int]

    def cell(self, column: str) -> str:
        """The cell of the table."""
        count = self.passed[column]
        return "yes" if count == self.probes else f"{count} of {self.probes}" if count else ""


def operator_of(row: Row) -> str | None:
    """The operator that the row is about; None for rows of several nodes."""
    nodes = row.proto().graph.node
    return str(nodes[0].op_type) if len(nodes) == 1 else None


def integer_forms() -> dict[str, Forms]:
    """Compile every probe with activations of 8 and of 16 bits; by operator."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in QDQ_ROWS:
        operator = operator_of(row)
        if operator is not None:
            rows[operator].append(row)
    return {
        operator: Forms(len(own), {column: sum(is_integer(row, kind) for row in own) for column, kind in KINDS.items()})
        for operator, own in rows.items()
    }


def is_integer(row: Row, kind: str) -> bool:
    """Whether nothing of the probe computes in floats."""
    program = program_of(loaded(qdq_model(row, kind)))
    return not any(DType.FLOAT32 in {v.dtype for v in (*call.inputs, *call.outputs)} for call in program.calls)
