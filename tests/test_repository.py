"""Rules that every tracked file keeps."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAXIMUM_LINES = 400
CODE = {".py", ".c", ".h", ".js", ".mjs", ".ts"}
# Folders of one machine: a home, a temporary or work folder, a Windows drive.
MACHINE_PATH = re.compile(r"(?<![\w.}~/])/(?:home|root|work|tmp|Users|mnt|private)/\w|\b[A-Z]:\\\\?Users\b")
# What stamps a time on what is compiled.
TIME_STAMP = re.compile(
    r"__(?:DATE|TIME|TIMESTAMP)__|\b(?:datetime|date)\.(?:now|today|utcnow)\b|\btime\.(?:time|strftime)\("
)


def tracked_files() -> list[Path]:
    """Files that git tracks, and that exist."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("needs a git checkout")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def read_text(path: Path) -> str | None:
    """The text of a file, None for a binary one."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def matching_lines(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    """`file:line: text` of every line that the pattern finds."""
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate((read_text(path) or "").splitlines(), start=1)
        if pattern.search(line)
    ]


def called_names(node: ast.AST) -> set[str]:
    """Last names of all functions called under a node: `pytest.raises(...)` gives "raises"."""
    calls = (child.func for child in ast.walk(node) if isinstance(child, ast.Call))
    return {name for call in calls if (name := getattr(call, "attr", None) or getattr(call, "id", None))}


def checks_something(function: ast.AST) -> bool:
    """Whether a test has an assertion, expects an exception, or calls a helper named for checking."""
    if any(isinstance(node, ast.Assert) for node in ast.walk(function)):
        return True
    names = called_names(function)
    return "raises" in names or any(name.startswith(("assert_", "check_")) for name in names)


def functions_that_check_nothing(source: str) -> list[str]:
    """Names of the test functions of a module that check nothing."""
    functions = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef))
    return [node.name for node in functions if node.name.startswith("test_") and not checks_something(node)]


def test_no_paths_of_one_machine() -> None:
    found = matching_lines(MACHINE_PATH, [path for path in tracked_files() if path != Path(__file__)])
    assert not found, "\n".join(found)


def test_nothing_that_is_generated_is_stamped_with_a_time() -> None:
    folders = ("compiler", "runtime_c", "templates", "examples")
    paths = [path for path in tracked_files() if path.relative_to(ROOT).parts[0] in folders]
    assert not (found := matching_lines(TIME_STAMP, paths)), "\n".join(found)


def test_files_are_short() -> None:
    lengths = {path: len((read_text(path) or "").splitlines()) for path in tracked_files() if path.suffix in CODE}
    long = [f"{path.relative_to(ROOT)}: {lines} lines" for path, lines in lengths.items() if lines > MAXIMUM_LINES]
    assert lengths
    assert not long, "\n".join(long)


def test_every_test_checks_something() -> None:
    modules = [path for path in tracked_files() if path.match("test_*.py")]
    empty = {
        str(path.relative_to(ROOT)): names
        for path in modules
        if (names := functions_that_check_nothing(path.read_text(encoding="utf-8")))
    }
    assert modules
    assert not empty


@pytest.mark.parametrize(
    ("body", "empty"),
    [
        ("assert True", False),
        ("check_bytes(1)", False),
        ("with pytest.raises(ValueError): run()", False),
        ("run()", True),
        ("if False:\n  print('checked')", True),
    ],
)
def test_the_search_for_empty_tests(body: str, empty: bool) -> None:
    lines = "\n".join(f"  {line}" for line in body.splitlines())
    assert functions_that_check_nothing(f"def test_it():\n{lines}\n") == (["test_it"] if empty else [])


@pytest.mark.parametrize("line", ["see " + "/home" + "/someone", "x = '" + "/work" + "/main'"])
def test_the_search_for_machine_paths_finds_them(line: str) -> None:
    assert MACHINE_PATH.search(line)


@pytest.mark.parametrize(
    "line", ["benchmarks" + "/work" + "/x", "https://example.org/home/page", "#!/usr/bin/env bash"]
)
def test_the_search_for_machine_paths_passes_others(line: str) -> None:
    assert not MACHINE_PATH.search(line)
