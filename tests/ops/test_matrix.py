"""Every row of the matrix, compiled for the host, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from host_batch import Row, batches, loaded, run_each_on_host
from matrix import ROWS
from tinycast.errors import TinycastError
from tinycast.model import Session
from tinycast.model.run import stack_sizes
from tinycast.ops import FAMILIES, IMPORTERS

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
        wanted_outputs = stacked(expected[name], outputs)
        assert outputs.keys() == wanted_outputs.keys()
        for port, y in outputs.items():
            wanted = wanted_outputs[port]
            assert y.dtype == wanted.dtype, name
            assert y.size == wanted.size, (name, y.shape, wanted.shape)
            distance = float(np.abs(y.reshape(-1).astype(np.float64) - wanted.reshape(-1)).max(initial=0))
            if not distance <= TOLERANCE * float(np.abs(wanted.astype(np.float64)).max(initial=0)):
                wrong.append(f"{name}: output {port} differs by {distance:g}")
    assert not wrong + failures, "\n".join(wrong + failures)
    assert len(results) == len(rows)


def reference(proto, samples):
    """ONNX Runtime's outputs with every optimization off: a list of samples each."""
    import onnx_ir

    session = Session(onnx_ir.serde.deserialize_model(proto), optimized=False)
    count = len(next(iter(samples.values())))
    runs = [session.run({name: np.asarray(array[i]) for name, array in samples.items()}) for i in range(count)]
    return {port: [run[port] for run in runs] for port in session.outputs}


def stacked(expected, outputs):
    """The samples as the drivers give them."""
    found = {}
    for port, arrays in expected.items():
        found |= stack_sizes(port, arrays) if f"{port}.dims" in outputs else {port: np.stack(arrays)}
    return found


def operator_of(node: onnx.NodeProto) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain else node.op_type


def test_every_operator_has_a_row() -> None:
    used = {operator_of(node) for row in ROWS for node in row.proto().graph.node}
    assert set(IMPORTERS) - {"QuantizeLinear", "DequantizeLinear"} <= used


def test_every_operator_is_imported_by_one_family() -> None:
    names = [name for family in FAMILIES for name in family.IMPORTERS]
    assert len(names) == len(set(names))


def test_names_of_rows_are_unique() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS)
