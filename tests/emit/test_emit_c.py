"""Generated C: compiled by real compilers under all warnings, run, and looked at."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from emit.compilers import STRICT, compiler_command, exit_status, lay_out, run
from emit.small_model import RELU, small_model
from tinycast.emit import emit_c
from tinycast.emit.kernels import wrap_list
from tinycast.errors import InternalError, UsageError
from tinycast.ir.kernel import Golden
from tinycast.ir.types import DType, Value
from tinycast.target.load import load_target

ROOT = Path(__file__).resolve().parents[2]
MAIN = "-DTINY_SELFTEST_MAIN"
INCLUDES = ("-Iinclude", "-Isrc")


@pytest.mark.parametrize("optimize", ["-O0", "-O3"])
@pytest.mark.parametrize("compiler", ["gcc", "clang", "zig"])
def test_selftest_passes_without_a_warning(tmp_path: Path, compiler: str, optimize: str) -> None:
    command = compiler_command(compiler)
    sources = lay_out(emit_c(small_model()).files, tmp_path)
    flags = [*STRICT, optimize, *INCLUDES, MAIN]
    run([*command, *flags, *sources, "test/tiny_selftest.c", "-o", "selftest"], tmp_path)
    assert exit_status(["./selftest"], tmp_path) == 0


def test_clean_under_sanitizers(tmp_path: Path) -> None:
    sources = lay_out(emit_c(small_model()).files, tmp_path)
    flags = [*STRICT, *INCLUDES, MAIN, "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    run([*compiler_command("gcc"), *flags, *sources, "test/tiny_selftest.c", "-o", "selftest"], tmp_path)
    assert exit_status(["./selftest"], tmp_path) == 0


def test_selftest_returns_one_more_than_the_first_wrong_element(tmp_path: Path) -> None:
    model = small_model()
    assert model.golden is not None
    relu, scaled = model.golden.outputs
    wrong = scaled.copy()
    wrong[5] += 1
    model = replace(model, golden=Golden(model.golden.inputs, (relu, wrong), exact=False))
    sources = lay_out(emit_c(model).files, tmp_path)
    (tmp_path / "main.c").write_text('#include "tiny.h"\nint main(void) { return tiny_selftest(); }\n')
    command = [*compiler_command("gcc"), *STRICT, *INCLUDES, *sources]
    run([*command, "test/tiny_selftest.c", "main.c", "-o", "selftest"], tmp_path)
    assert exit_status(["./selftest"], tmp_path) == 1 + relu.size + 5


@pytest.mark.parametrize(("exact", "status"), [(True, 1), (False, 0)])
def test_one_step_off_is_wrong_only_where_the_golden_output_is_exact(tmp_path: Path, exact: bool, status: int) -> None:
    model = small_model()
    assert model.golden is not None
    relu, scaled = model.golden.outputs
    off = relu.copy()
    off[0] += -1 if off[0] > 0 else 1
    model = replace(model, golden=Golden(model.golden.inputs, (off, scaled), exact=exact))
    sources = lay_out(emit_c(model).files, tmp_path)
    run([*compiler_command("gcc"), *STRICT, *INCLUDES, MAIN, *sources, "test/tiny_selftest.c", "-o", "st"], tmp_path)
    assert exit_status(["./st"], tmp_path) == status


API_USER = r"""
#include <assert.h>
#include <string.h>
#include "tiny.h"

static TINY_ALIGNED(TINY_ARENA_ALIGN) unsigned char arena[TINY_ARENA_BYTES + 1];

int main(void)
{
    static tiny_model model;
    const int shape[] = TINY_INPUT_0_SHAPE;

    assert(tiny_run(NULL) == TINY_ERROR_NULL);
    assert(tiny_run(&model) == TINY_ERROR_NOT_INITIALIZED);
    assert(tiny_input_0(&model) == NULL && tiny_output_0(&model) == NULL);
    assert(tiny_init(NULL, arena, sizeof arena) == TINY_ERROR_NULL);
    assert(tiny_init(&model, NULL, sizeof arena) == TINY_ERROR_NULL);
    assert(tiny_init(&model, arena, TINY_ARENA_BYTES - 1) == TINY_ERROR_ARENA_SIZE);
    assert(tiny_init(&model, arena + 1, TINY_ARENA_BYTES) == TINY_ERROR_ARENA_ALIGN);
    assert(tiny_run(&model) == TINY_ERROR_NOT_INITIALIZED);
    assert(tiny_init(&model, arena, TINY_ARENA_BYTES) == TINY_OK);
    assert(tiny_input_serving_default_image(&model) == tiny_input_0(&model));
    assert(tiny_output_result_0(&model) == tiny_output_1(&model));
    assert(TINY_RANK_OF_SHAPE(shape) == TINY_INPUT_0_RANK && shape[3] == 4);
    assert(TINY_INPUT_0_ELEMENTS == 24 && TINY_OUTPUT_1_BYTES == 96 && TINY_WEIGHTS_BYTES == 56);
    assert(TINY_INPUT_0_SCALE == 0.5f && TINY_INPUT_0_ZERO_POINT == -3);
    assert(strlen(TINY_MODEL_HASH) == 64);
    assert(tiny_run(&model) == TINY_OK);
    return tiny_init(&model, arena, 0) == TINY_ERROR_ARENA_SIZE ? 0 : 1;
}
""".replace("TINY_RANK_OF_SHAPE(shape)", "sizeof shape / sizeof shape[0]")


def test_every_error_code_and_macro(tmp_path: Path) -> None:
    sources = lay_out(emit_c(small_model()).files, tmp_path)
    (tmp_path / "user.c").write_text(API_USER)
    run([*compiler_command("gcc"), *STRICT, *INCLUDES, *sources, "user.c", "-o", "user"], tmp_path)
    assert exit_status(["./user"], tmp_path) == 0


def test_header_and_library_from_cpp(tmp_path: Path) -> None:
    sources = lay_out(emit_c(small_model()).files, tmp_path)
    (tmp_path / "user.cpp").write_text(API_USER)
    run([*compiler_command("gcc"), *STRICT, *INCLUDES, "-c", *sources], tmp_path)
    flags = ["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror", "-Iinclude"]
    objects = [f"{Path(source).stem}.o" for source in sources]
    run([*compiler_command("g++"), *flags, "user.cpp", *objects, "-o", "user"], tmp_path)
    assert exit_status(["./user"], tmp_path) == 0


def test_two_models_in_one_program(tmp_path: Path) -> None:
    first = lay_out(emit_c(small_model(name="tiny")).files, tmp_path)
    second = lay_out(emit_c(small_model(name="other")).files, tmp_path)
    (tmp_path / "main.c").write_text(
        '#include "other.h"\n#include "tiny.h"\nint main(void) { return tiny_selftest() + other_selftest(); }\n'
    )
    tests = ["test/tiny_selftest.c", "test/other_selftest.c"]
    command = [*compiler_command("gcc"), *STRICT, *INCLUDES, *first, *second, *tests, "main.c", "-o", "both"]
    run(command, tmp_path)
    assert exit_status(["./both"], tmp_path) == 0


def test_needs_nothing_of_libc_but_memcpy_and_memset_and_has_no_mutable_globals(tmp_path: Path) -> None:
    if shutil.which("nm") is None:
        pytest.skip("needs nm on PATH")
    sources = lay_out(emit_c(small_model()).files, tmp_path)
    run([*compiler_command("gcc"), *STRICT, "-O2", *INCLUDES, "-c", *sources], tmp_path)
    run(["gcc", "-r", "-nostdlib", *(f"{Path(s).stem}.o" for s in sources), "-o", "all.o"], tmp_path)
    symbols = [line.split()[-2:] for line in run(["nm", "all.o"], tmp_path).splitlines()]
    undefined = {name for kind, name in symbols if kind == "U"}
    assert undefined <= {"memcpy", "memset", "_GLOBAL_OFFSET_TABLE_"}
    assert "memset" in undefined or undefined == set()
    assert {kind for kind, _ in symbols} <= set("TtRrU")
    assert all(name.startswith("tiny_") for kind, name in symbols if kind in "TR")


def test_reads_as_if_formatted(tmp_path: Path) -> None:
    tool = compiler_command("clang-format")
    shutil.copy(ROOT / ".clang-format", tmp_path)
    files = emit_c(small_model()).files
    lay_out(files, tmp_path)
    generated = [n for n in files if n.endswith((".c", ".h")) and not n.startswith("src/tc_")]
    assert len(generated) == 7
    run([*tool, "--dry-run", "--Werror", *generated], tmp_path)


def test_long_calls_and_signatures_read_as_if_formatted(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    lists = []
    for count in range(1, 17):
        for length in (4, 16, 28):
            arguments = [f"AT({random.integers(10 ** random.integers(1, 6))})" for _ in range(count)]
            lists.append(wrap_list(f"    tiny_{'f' * length}(", arguments, ");"))
    calls = "\n".join(lists)
    lists = []
    for count in range(1, 10):
        parameters = [f"const int8_t *restrict {'p' * random.integers(1, 12)}{i}" for i in range(count)]
        lists.append(wrap_list(f"void tiny_{'f' * 20}(", parameters, ");"))
    shutil.copy(ROOT / ".clang-format", tmp_path)
    (tmp_path / "t.c").write_text("\n".join(lists) + "\n\nvoid f(void)\n{\n" + calls + "\n}\n")
    assert exit_status([*compiler_command("clang-format"), "--dry-run", "--Werror", "t.c"], tmp_path) == 0


@pytest.mark.parametrize("target", ["cortex-m0plus", "cortex-m55", "rv32imc"])
def test_cross_compilers_have_no_warning_either(tmp_path: Path, target: str) -> None:
    """Where int32_t is a long, and where there is no C library."""
    core = load_target(target)
    sources = lay_out(emit_c(small_model(core)).files, tmp_path)
    command = [*compiler_command(core.gcc), *core.gcc_flags, "-ffreestanding", *STRICT, *INCLUDES]
    run([*command, "-c", *sources, "test/tiny_selftest.c"], tmp_path)
    assert (tmp_path / "tiny_selftest.o").exists()


def test_same_input_same_bytes_and_no_trace_of_the_machine() -> None:
    first, second = emit_c(small_model()), emit_c(small_model())
    assert first == second
    assert list(first.files) == sorted(first.files)
    text = b"".join(first.files.values()).decode("ascii")
    assert str(ROOT) not in text
    assert not re.search(r"\b20\d\d-\d\d", text)


def test_equal_kernels_and_constants_are_emitted_once() -> None:
    files = emit_c(small_model()).files
    kernels, weights = files["src/tiny_kernels.c"].decode(), files["src/tiny_weights.c"].decode()
    assert kernels.count("void tiny_") == 3
    assert "another_name" not in kernels
    assert weights.count("const int8_t") == 1
    body = files["src/tiny.c"].decode()
    assert body.count("tiny_add_clamped(") == 2
    assert len(re.findall(r"TINY_ON_LAYER\(\d\);", body)) == 4


def test_restrict_is_dropped_only_where_memory_is_shared() -> None:
    header = emit_c(small_model()).files["src/tiny_kernels.h"].decode()
    assert "void tiny_relu(const int8_t *x, int8_t *y);" in header
    assert "int16_t *restrict wide" in header
    model = small_model()
    apart = dict(model.plan.placements)
    apart["second"] = replace(apart["second"], offset=112)
    separate = replace(model, plan=replace(model.plan, placements=apart, arena_bytes=136))
    header = emit_c(separate).files["src/tiny_kernels.h"].decode()
    assert "void tiny_relu(const int8_t *restrict x, int8_t *restrict y);" in header


def test_overlap_that_a_kernel_does_not_allow_is_refused() -> None:
    model = small_model()
    steps = list(model.steps)
    steps[2] = replace(steps[2], kernel=replace(RELU, in_place=()))
    with pytest.raises(InternalError, match=r"overlaps (y and x|x and y)"):
        emit_c(replace(model, steps=tuple(steps)))


def test_buffer_outside_of_the_arena_is_refused() -> None:
    model = small_model()
    with pytest.raises(InternalError, match="misplaces"):
        emit_c(replace(model, plan=replace(model.plan, arena_bytes=100)))


@pytest.mark.parametrize("name", ["Tiny", "int", "2nd", "a-b", "", "string"])
def test_names_that_are_no_prefix_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the prefix"):
        emit_c(replace(small_model(), name=name))


def test_an_output_may_be_a_constant(tmp_path: Path) -> None:
    model = small_model()
    data = np.array([2**63 - 1, -(2**63)], dtype=np.int64)
    constant = Value("answer", (2,), DType.INT64, data=data)
    port = replace(model.outputs[0], value=constant, name="answer", dtype=DType.INT64, shape=(2,), quant=None)
    assert model.golden is not None
    golden = Golden(model.golden.inputs, (*model.golden.outputs, data), exact=True)
    artifact = emit_c(replace(model, outputs=(*model.outputs, port), golden=golden))
    assert artifact.manifest["outputs"][2]["arena_offset"] is None
    sources = lay_out(artifact.files, tmp_path)
    run([*compiler_command("gcc"), *STRICT, *INCLUDES, MAIN, *sources, "test/tiny_selftest.c", "-o", "st"], tmp_path)
    assert exit_status(["./st"], tmp_path) == 0


def test_model_without_layers_compiles(tmp_path: Path) -> None:
    model = small_model()
    identity = replace(model, steps=(), outputs=(replace(model.inputs[0], name="same"),), golden=None)
    artifact = emit_c(identity)
    assert not any(path.startswith("test/") for path in artifact.files)
    assert "selftest" not in artifact.files["include/tiny.h"].decode()
    sources = lay_out(artifact.files, tmp_path)
    for compiler in ("gcc", "clang"):
        run([*compiler_command(compiler), *STRICT, *INCLUDES, "-c", *sources], tmp_path)


def test_weights_go_where_the_macro_says(tmp_path: Path) -> None:
    sources = lay_out(emit_c(small_model()).files, tmp_path)
    section = '-DTINY_WEIGHTS_SECTION=__attribute__((section(".external")))'
    run([*compiler_command("gcc"), *STRICT, *INCLUDES, section, "-c", *sources], tmp_path)
    assert ".external" in run(["objdump", "-h", "tiny_weights.o"], tmp_path)
