"""The guides are followed to the letter in a copy of the project: the new operator and the new target work."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import fields
from pathlib import Path

import pytest
from conftest import ROOT
from tinycast.execute.qemu import QemuDriver
from tinycast.ir.graph import Pattern
from tinycast.target.load import all_targets, load_target
from tinycast.target.types import Target

DOCS = ROOT / "docs"
OPERATOR, TARGET, ARCHITECTURE = ("add_an_operator.md", "add_a_target.md", "architecture.md")
SHRINK = """
import sys
sys.path[:0] = ["tests", "tests/ops"]
from matrix import ROWS
from test_matrix import test_every_operator_has_a_row, test_float_models_agree_with_onnx_runtime
(row,) = (row for row in ROWS if row.name == "shrink")
test_float_models_agree_with_onnx_runtime((row,))
test_every_operator_has_a_row()

from host_batch import loaded
from tinycast.compress.quantize import QuantizeOptions, quantize
from tinycast.program.lower import to_integers
model = loaded(row.proto())
quantized = quantize(model, row.samples(row.proto(), 20), QuantizeOptions())
print(*(type(call.op).__name__ for call in to_integers(quantized, "net", keep_float_io=True).calls))
"""


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def blocks(name: str, language: str) -> list[str]:
    """The fenced code blocks of one language in a guide, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text(name), re.MULTILINE | re.DOTALL)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the project."""
    for name in ("compiler", "runtime_c", "templates", "targets", "tests", "examples"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def run(command: list[str], copy: Path) -> str:
    """Run in the copy, with the copy's tinycast; return the standard output."""
    path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))
    environment = {**os.environ, "PYTHONPATH": str(copy / "compiler"), "PATH": path}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def replace_once(path: Path, pattern: str, replacement: str) -> None:
    changed, count = re.subn(pattern, lambda match: match[0] + replacement, path.read_text("utf-8"), count=1)
    assert count == 1, f"{pattern} is not in {path.name}"
    path.write_text(changed, encoding="utf-8")


def test_the_new_operator_works(copy: Path) -> None:
    source, row = blocks(OPERATOR, "python")
    operator = copy / "compiler" / "tinycast" / "ops" / "shrink.py"
    assert f"`{operator.relative_to(copy).as_posix()}`:" in text(OPERATOR)
    operator.write_text(source, encoding="utf-8")
    operators = operator.parent / "__init__.py"
    replace_once(operators, r"from __future__ import annotations\n", "\nfrom tinycast.ops import shrink\n")
    replace_once(operators, r"FAMILIES = \(", "shrink, ")
    replace_once(
        operator.parents[1] / "compress" / "quantize" / "scheme.py", r"_UNARY = _CLAMPS \| \{\n", '    "Shrink",\n'
    )
    replace_once(copy / "tests" / "ops" / "matrix.py", r"POOL = \(\n", f"    {row.strip()},\n")
    assert run([sys.executable, "-c", SHRINK], copy).split() == ["Quantize", "Table", "Dequantize"]
    listed = json.loads(run([sys.executable, "-m", "tinycast.cli.main", "ops", "--json"], copy))["operators"]
    assert {"name": "Shrink", "family": "shrink"} in listed
    run([sys.executable, "-m", "ruff", "check", str(operator)], copy)
    run([sys.executable, "-m", "ruff", "format", "--check", str(operator)], copy)


def test_the_new_target_gives_the_same_bytes(copy: Path) -> None:
    if not QemuDriver(load_target("rv32imc")).available():
        pytest.skip("needs qemu-system-riscv32 and a compiler for RISC-V")
    (description,) = blocks(TARGET, "toml")
    assert "`targets/rv32imac.toml`:" in text(TARGET)
    (copy / "targets" / "rv32imac.toml").write_text(description, encoding="utf-8")
    commands = [line for block in blocks(TARGET, "sh") for line in block.splitlines()]
    assert any(" verify " in command for command in commands)
    for command in commands:
        run(shlex.split(command), copy)


def test_every_field_of_a_target_is_explained() -> None:
    explained = {
        name for row in re.findall(r"^\| (`.*?) \|", text(TARGET), re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert explained == {field.name for field in fields(Target)}


def test_every_micro_kernel_is_explained() -> None:
    used = {name for target in all_targets() for name in target.micro_kernels}
    assert used
    assert not [name for name in used if f'`"{name}"`' not in text(TARGET)]


def test_every_pattern_is_explained() -> None:
    assert set(re.findall(r"^\| `([A-Z]+)` \|", text(OPERATOR), re.MULTILINE)) == {pattern.name for pattern in Pattern}


@pytest.mark.parametrize("name", [OPERATOR, TARGET, ARCHITECTURE])
def test_files_and_names_that_are_mentioned_exist(name: str) -> None:
    """Files and folders by the end of their path; other names somewhere in the code."""
    made = {"compiler/tinycast/ops/shrink.py", "targets/rv32imac.toml", "shrink"}
    quoted = set(re.findall(r"`([^`\n<>]+)`", text(name))) - made
    folders = [ROOT / top for top in ("compiler", "docs", "runtime_c", "targets", "templates", "tests")]
    existing = [path for folder in folders for path in (folder, *folder.rglob("*")) if "__pycache__" not in path.parts]
    existing += ROOT.glob("*.*")
    paths = [q.rstrip("/") for q in quoted if re.fullmatch(r"[\w./]+(\.(py|h|toml|md)|/\w*)", q)]
    assert len(paths) > 1
    ends = [f"/{path.relative_to(ROOT).as_posix()}" for path in existing]
    assert not [path for path in paths if not any(end.endswith(f"/{path}") for end in ends)]
    words = {word for path in existing if path.suffix == ".py" for word in re.findall(r"\w+", path.read_text("utf-8"))}
    words |= {path.stem for path in existing}
    names = [q for q in quoted - {*paths} if re.fullmatch(r"[A-Za-z_.]*[a-z_](\(\))?", q)]
    assert not [q for q in names if q.removesuffix("()").rpartition(".")[2] not in words]


def test_commands_of_the_architecture_run(copy: Path) -> None:
    for command in "".join(blocks(ARCHITECTURE, "sh")).splitlines():
        run(shlex.split(command), copy)
    assert (copy / "answers.npz").is_file()
