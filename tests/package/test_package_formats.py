"""Package formats, built by their own build systems."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from emit.compilers import lay_out, run
from emit.small_model import HOST, small_model
from tinycast.emit import emit_c
from tinycast.errors import UsageError
from tinycast.ir.kernel import Golden
from tinycast.package import FORMATS, package, read_artifact, write_artifact
from tinycast.target.load import load_target

STRICT = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"


def cmake(folder: Path, *, passes: bool = True) -> str:
    """Configure, build and test the project in `folder`; return what ctest said."""
    if shutil.which("cmake") is None:
        pytest.skip("needs cmake on PATH")
    run(["cmake", "-S", ".", "-B", "build", f"-DCMAKE_C_FLAGS={STRICT}"], folder)
    run(["cmake", "--build", "build"], folder)
    return run(["ctest", "--test-dir", "build", "--no-tests=error"], folder, expect=0 if passes else 8)


def test_c_adds_nothing() -> None:
    artifact = emit_c(small_model())
    assert package(artifact, "c", HOST) == artifact


def test_cmake_builds_and_tests_on_its_own(tmp_path: Path) -> None:
    artifact = package(emit_c(small_model()), "cmake", HOST)
    write_artifact(artifact, tmp_path / "tiny")
    assert read_artifact(tmp_path / "tiny") == artifact
    assert "100% tests passed, 0 tests failed out of 1" in cmake(tmp_path / "tiny")


def test_cmake_reports_a_wrong_result(tmp_path: Path) -> None:
    model = small_model()
    assert model.golden is not None
    relu, scaled = model.golden.outputs
    wrong = replace(model, golden=Golden(model.golden.inputs, (relu + 5, scaled), exact=True))
    lay_out(package(emit_c(wrong), "cmake", HOST).files, tmp_path)
    assert "tiny_selftest (Failed)" in cmake(tmp_path, passes=False)


def test_cmake_package_as_a_part_of_another_project(tmp_path: Path) -> None:
    lay_out(package(emit_c(small_model()), "cmake", HOST).files, tmp_path / "models" / "tiny")
    (tmp_path / "main.c").write_text(
        """#include "tiny.h"
static TINY_ALIGNED(TINY_ARENA_ALIGN) unsigned char arena[TINY_ARENA_BYTES];
int main(void)
{
    tiny_model model;
    return tiny_init(&model, arena, sizeof arena) == TINY_OK && tiny_run(&model) == TINY_OK ? 0 : 1;
}
"""
    )
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(app C)\nenable_testing()\nadd_subdirectory(models/tiny)\n"
        "add_executable(app main.c)\ntarget_link_libraries(app tiny)\nadd_test(NAME app COMMAND app)\n"
    )
    said = cmake(tmp_path)
    assert "100% tests passed, 0 tests failed out of 1" in said
    assert "tiny_selftest" not in said


def test_cmake_without_golden_data_has_no_test() -> None:
    artifact = package(emit_c(replace(small_model(), golden=None)), "cmake", HOST)
    assert b"selftest" not in artifact.files["CMakeLists.txt"]


@pytest.mark.parametrize(("name", "target"), [("wasm", "host"), ("cmake", "wasm32"), ("zip", "cortex-m4")])
def test_formats_that_do_not_suit_are_refused(name: str, target: str) -> None:
    with pytest.raises(UsageError, match=f"no format '{name}' for {target}") as caught:
        package(emit_c(small_model()), name, load_target(target))
    suitable = [key for key, entry in FORMATS.items() if load_target(target).platform in entry.platforms]
    assert suitable
    assert all(key in caught.value.fix for key in suitable)
