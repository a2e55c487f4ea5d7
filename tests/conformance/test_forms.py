"""The table's columns of forms: what is said of an operator is what its probes are compiled to."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from forms import KINDS, Forms, is_integer, operator_of
from host_batch import loaded
from qdq_rows import QDQ_ROWS, qdq_model
from tinycast import ops
from tinycast.ir.graph import Op
from tinycast.model.functions import write_out_functions
from tinycast.program.from_onnx import import_program

ROWS = {row.name: row for row in QDQ_ROWS}


def test_every_operator_with_an_integer_form_has_a_probe() -> None:
    for module in pkgutil.iter_modules(ops.__path__):
        importlib.import_module(f"tinycast.ops.{module.name}")
    formed = {kind for kind in _subclasses(Op) if "integer_form" in vars(kind)}
    assert len(formed) > 15
    probed: set[type[Op]] = set()
    for row in QDQ_ROWS:
        if not row.name.startswith("table_"):
            model = loaded(qdq_model(row))
            write_out_functions(model, ops.IMPORTERS)
            program = import_program(model, row.name)
            probed.update(base for call in program.calls for base in type(call.op).__mro__)
    assert formed <= probed, {kind.__name__ for kind in formed - probed}


def _subclasses(kind: type[Op]) -> Iterator[type[Op]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


@pytest.mark.parametrize(
    ("name", "int8", "int16"), [("conv_2d", True, True), ("group_norm", True, False), ("table_tanh", True, True)]
)
def test_probes_say_what_is_compiled(name: str, int8: bool, int16: bool) -> None:
    assert [is_integer(ROWS[name], kind) for kind in KINDS.values()] == [int8, int16]


def test_cells() -> None:
    forms = Forms(3, {"int8": 3, "int16x8": 1})
    assert [forms.cell(column) for column in KINDS] == ["yes", "1 of 3"]
    assert Forms(2, dict.fromkeys(KINDS, 0)).cell("int8") == ""
    assert operator_of(ROWS["conv_1d"]) == "Conv"
    assert operator_of(ROWS["swish"]) is None
