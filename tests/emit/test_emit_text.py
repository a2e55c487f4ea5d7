"""Identifiers, literals, and the search for runtime files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from emit.compilers import STRICT, compiler_command, run
from hypothesis import given
from hypothesis import strategies as st
from tinycast.emit import c_identifier
from tinycast.emit.literals import float_literal, table_rows
from tinycast.emit.names import Names, comment_text
from tinycast.emit.runtime import runtime_files
from tinycast.errors import InternalError
from tinycast.ir.types import DType


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("kws", "kws"),
        ("KWS-int8 (v2)", "kws_int8_v2"),
        ("Modèle", "modele"),
        ("2layer", "model_2layer"),
        ("int", "model_int"),
        ("class", "model_class"),
        ("string", "model_string"),
        ("__x__", "x"),
        ("模型", "model"),
        ("", "model"),
    ],
)
def test_identifiers(text: str, identifier: str) -> None:
    assert c_identifier(text) == identifier


@given(st.text())
def test_every_text_gives_an_identifier_that_stays_what_it_is(text: str) -> None:
    identifier = c_identifier(text)
    assert re.fullmatch(r"[a-z][a-z0-9_]*", identifier)
    assert c_identifier(identifier) == identifier


@given(st.lists(st.text(max_size=60), min_size=1))
def test_names_are_unique(texts: list[str]) -> None:
    names = Names(frozenset({"m_a"}))
    given_out = [names.unique("m", text) for text in texts]
    assert len({*given_out, "m_a"}) == len(texts) + 1


@given(st.text())
def test_comments_cannot_be_left(text: str) -> None:
    safe = comment_text(text)
    assert "*/" not in safe
    assert "/*" not in safe
    assert len(safe) == len(text)
    assert all(" " <= c <= "~" for c in safe)


@pytest.mark.parametrize("compiler", ["gcc", "clang", "zig"])
def test_tables_hold_the_same_bits_after_compilation(tmp_path: Path, compiler: str) -> None:
    random = np.random.default_rng(3)
    bits = random.integers(0, 2**32, 5000, dtype=np.uint64).astype(np.uint32)
    bits = bits[~np.isnan(bits.view(np.float32))]
    edges = np.array([0.0, -0.0, np.inf, -np.inf, 1e-45, 3.4028235e38, 0.1, 1.17549435e-38], dtype=np.float32)
    floats = np.concatenate([edges, bits.view(np.float32)])
    wide = np.concatenate([[-(2**63), 2**63 - 1], random.integers(-(2**63), 2**63 - 1, 500)]).astype(np.int64)
    columns = [
        ("float", DType.FLOAT32, floats),
        ("int32_t", DType.INT32, floats.view(np.int32)),
        ("uint32_t", DType.UINT32, floats.view(np.uint32)),
        ("int64_t", DType.INT64, wide),
        ("uint8_t", DType.UINT8, np.arange(256).astype(np.uint8)),
        ("int16_t", DType.INT16, np.arange(-(2**15), 2**15, 7).astype(np.int16)),
    ]
    text = "#include <stdint.h>\n#include <stdio.h>\n"
    for index, (c_type, dtype, data) in enumerate(columns):
        text += f"static const {c_type} t{index}[] = {{\n" + "\n".join(table_rows(data, dtype)) + "\n};\n"
    text += "int main(void)\n{\n"
    text += "".join(f"    fwrite(t{i}, 1, sizeof t{i}, stdout);\n" for i in range(len(columns))) + "    return 0;\n}\n"
    (tmp_path / "t.c").write_text(text)
    assert max(map(len, text.splitlines())) <= 116
    run([*compiler_command(compiler), *STRICT, "t.c", "-o", "t"], tmp_path)
    run(["sh", "-c", "./t > out.bin"], tmp_path)
    assert (tmp_path / "out.bin").read_bytes() == b"".join(data.tobytes() for _, _, data in columns)


def test_a_weight_that_is_not_a_number_stays_one() -> None:
    assert float_literal(float("nan")) == "(0.0f / 0.0f)"


def test_a_cores_own_runtime_file_comes_first_and_brings_what_it_includes(tmp_path: Path) -> None:
    (tmp_path / "dsp").mkdir()
    (tmp_path / "generic").mkdir()
    (tmp_path / "dsp" / "tc_a.h").write_text('#include "tc_b.h"\n/* dsp */\n')
    (tmp_path / "generic" / "tc_a.h").write_text("/* generic */\n")
    (tmp_path / "generic" / "tc_b.h").write_text('#include <stdint.h>\n#  include "tc_a.h"\n')
    files = runtime_files(["tc_a.h"], ("dsp", "generic"), tmp_path)
    assert list(files) == ["tc_a.h", "tc_b.h"]
    assert b"dsp" in files["tc_a.h"]
    with pytest.raises(InternalError, match=r"tc_c\.h"):
        runtime_files(["tc_c.h"], ("dsp", "generic"), tmp_path)
