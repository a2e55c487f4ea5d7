"""The README is run: its shell blocks in order, its C against the package that they compile, its tables and links."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

from tinycast.target.load import all_targets

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The README's fenced code blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]


def test_every_command_is_of_a_kind_that_is_checked() -> None:
    unknown = [line for line in COMMANDS if not line.startswith(("tinycast ", "make ", "pip install "))]
    assert COMMANDS
    assert not unknown


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)
    named = [line.removeprefix("make ") for line in COMMANDS if line.startswith("make ")]
    assert {"demo", "test"} <= set(named) <= set(targets)


def test_install_commands_name_real_extras() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [extra for line in COMMANDS if line.startswith("pip ") for extra in re.findall(r"\[(\w+)\]", line)]
    assert extras
    assert set(extras) <= project["optional-dependencies"].keys()


def test_commands_run_in_order_and_the_c_example_compiles(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    path = os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))
    environment = {**os.environ, "PATH": path}

    def run(command: list[str]) -> None:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"

    for line in COMMANDS:
        words = shlex.split(line)
        if words[0] == "tinycast":
            run(words)
            if "-o" in words:
                assert (tmp_path / words[words.index("-o") + 1]).exists(), line
    (source,) = blocks("c")
    (tmp_path / "example.c").write_text(source, encoding="utf-8")
    compiler = [sys.executable, "-m", "ziglang", "cc", "-std=c99", "-c", "-Idigits_m4/include", "-o", "example.o"]
    run([*compiler, "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror", "example.c"])


def test_table_of_targets_is_complete() -> None:
    listed = re.findall(r"^\| `([\w-]+)` \|", README, re.MULTILINE)
    assert sorted(listed) == [target.name for target in all_targets()]


def test_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    missing = [link for link in links if not (ROOT / link).exists()]
    assert links
    assert not missing
