"""Every row of the matrix, compiled for the host, against ONNX Runtime."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from host_batch import Row, batches, loaded, run_each_on_host
from matrix import ROWS
from tinycast.errors import TinycastError
from tinycast.model import Session
from tinycast.ops import IMPORTERS

TOLERANCE = 1e-5  # of the largest output


@pytest.mark.parametrize("rows", batches(ROWS, 24), ids=lambda rows: f"{rows[0].name}..{rows[-1].name}")
def test_float_models_agree_with_onnx_runtime(rows: tuple[Row, ...]) -> None:
    models, samples, expected, wrong = {}, {}, {}, []
    for row in rows:
        proto = row.proto()
        samples[row.name] = row.samples(proto)
        expected[row.name] = reference(proto, samples[row.name])
        try:
            models[row.name] = loaded(proto)
        except TinycastError as error:
            wrong.append(f"{row.name}: {error}")
            del samples[row.name]
    results, failures = run_each_on_host(models, samples)
    for name, outputs in results.items():
        assert outputs.keys() == expected[name].keys()
        for port, y in outputs.items():
            distance = float(np.abs(y.reshape(-1) - expected[name][port].reshape(-1)).max())
            if not distance <= TOLERANCE * float(np.abs(expected[name][port]).max()):
                wrong.append(f"{name}: output {port} differs by {distance:g}")
    assert not wrong + failures, "\n".join(wrong + failures)
    assert len(results) == len(rows)


def reference(proto, samples):
    """ONNX Runtime's outputs with every optimization off, samples in front."""
    import onnx_ir

    session = Session(onnx_ir.serde.deserialize_model(proto), optimized=False)
    count = len(next(iter(samples.values())))
    runs = [session.run({name: array[i] for name, array in samples.items()}) for i in range(count)]
    return {port: np.stack([run[port] for run in runs]) for port in session.outputs}


def test_every_operator_has_a_row() -> None:
    """A row here, or a passing case of ONNX's own (tests/conformance)."""
    used = {node.op_type for row in ROWS for node in row.proto().graph.node}
    record = json.loads((Path(__file__).resolve().parents[2] / "docs" / "operators.json").read_text(encoding="utf-8"))
    covered = {name for name, row in record["operators"].items() if row["passed"]}
    assert set(IMPORTERS) - {"QuantizeLinear", "DequantizeLinear"} <= used | covered


def test_names_of_rows_are_unique() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
