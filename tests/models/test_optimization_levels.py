"""Inline assembly that takes nearly all registers compiles at every level, with and without frame pointers."""

from __future__ import annotations

from pathlib import Path

import pytest
from emit.compilers import STRICT, compiler_command, lay_out, run
from nets import compiled, net
from tinycast.resources import resource_dir
from tinycast.target.load import load_target
from tinycast.toolchain.find import find_program

HEADERS = ("-ffreestanding", "-fbuiltin", f"-I{resource_dir('templates') / 'harness' / 'freestanding'}")
CLANG = {
    "cortex-m4": ("--target=thumbv7em-none-eabihf", "-mcpu=cortex-m4"),
    "cortex-m55": ("--target=thumbv8.1m.main-none-eabihf", "-mcpu=cortex-m55"),
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nets")


@pytest.mark.parametrize("level", ["-O0", "-Os", "-O3", "-O1 -fno-omit-frame-pointer"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("target", CLANG)
def test_kernels_compile_without_a_warning(
    target: str, compiler: str, level: str, folder: Path, tmp_path: Path
) -> None:
    core = load_target(target)
    if compiler == "gcc":
        find_program(core.gcc, "the cross compiler")
        command = [core.gcc, *core.gcc_flags]
    else:
        command = [*compiler_command("clang"), *CLANG[target]]
    for name in ("digits_int8", "ic_int8_qdq"):
        lay_out(compiled(net(name, folder).path, target).files, tmp_path)
        flags = [*HEADERS, *STRICT, *level.split(), "-Iinclude", "-Isrc"]
        run([*command, *flags, "-c", "src/net_kernels.c"], tmp_path)
        assert (tmp_path / "net_kernels.o").stat().st_size > 0
