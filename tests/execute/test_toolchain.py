"""Compilers: found, missing, and what they say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from fixture_artifact import FILES, MANIFEST, samples, with_kernel_line
from tinycast.errors import FitError, InternalError, ToolMissingError, UsageError
from tinycast.execute.build import measure_firmware
from tinycast.execute.host import HostDriver
from tinycast.execute.unicorn import UnicornDriver
from tinycast.target.load import load_target
from tinycast.toolchain.compiler import cache_dir
from tinycast.toolchain.find import compiler_for, find_gcc, find_zig
from tinycast.toolchain.wasm import build_wasm


@pytest.mark.parametrize(
    ("name", "program", "package"),
    [
        ("host", "cc", None),
        ("cortex-m4", "arm-none-eabi-gcc", "gcc-arm-none-eabi"),
        ("rv32imc", "riscv64-unknown-elf-gcc", "gcc-riscv64-unknown-elf"),
    ],
)
def test_missing_compiler_says_how_to_install_one(
    name: str, program: str, package: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolMissingError, match=program) as caught:
        find_gcc(load_target(name))
    assert caught.value.exit_code == 4
    assert "pip install 'tinycast[toolchain]'" in caught.value.fix
    assert package is None or f"apt install {package}" in caught.value.fix


@pytest.mark.parametrize("name", ["host", "cortex-m4", "wasm32"])
def test_no_compiler_at_all(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, "ziglang", None)  # Python's own way to make an import fail
    with pytest.raises(ToolMissingError) as caught:
        compiler_for(load_target(name))
    assert caught.value.exit_code == 4
    assert "pip install 'tinycast[toolchain]'" in caught.value.fix
    assert not HostDriver(load_target("host")).available()


def test_zig_alone_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    x = {"x": samples(2)}
    host = HostDriver(load_target("host")).run(FILES, MANIFEST, x).outputs["y:0"]
    core = UnicornDriver(load_target("cortex-m4")).run(FILES, MANIFEST, x).outputs["y:0"]
    assert host.tobytes() == core.tobytes()


def test_unknown_compiler() -> None:
    with pytest.raises(UsageError, match="unknown compiler 'icc'"):
        compiler_for(load_target("host"), "icc")


def test_rejected_code_is_a_bug_of_ours_with_the_compilers_words() -> None:
    with pytest.raises(InternalError, match="rejects the generated code") as caught:
        HostDriver(load_target("host")).run(with_kernel_line("undeclared = 1;"), MANIFEST, {"x": samples(1)})
    assert "undeclared" in caught.value.where


def test_function_that_is_nowhere_fails_the_wasm_link() -> None:
    files = with_kernel_line("extern int somewhere_else(void); (void)somewhere_else();")
    with pytest.raises(InternalError) as caught:
        build_wasm(files, "tiny", load_target("wasm32"))
    assert "somewhere_else" in caught.value.where


@pytest.mark.parametrize("find", [find_gcc, find_zig])
@pytest.mark.parametrize(
    "line",
    [
        "static volatile uint8_t big[5000000]; big[0] = 1;",
        "extern const uint8_t rom[5000000]; (void)*(volatile const uint8_t *)rom;",
    ],
)
def test_too_large_for_the_machine(find: object, line: str) -> None:
    target = load_target("cortex-m4")
    assert callable(find)
    try:
        compiler = find(target)
    except ToolMissingError as error:
        pytest.skip(error.what)
    files = {**with_kernel_line(line), "src/rom.c": b"const unsigned char rom[5000000] = {1};\n"}
    with pytest.raises(FitError, match="does not fit"):
        measure_firmware(files, MANIFEST, target, compiler)


def test_cache_moves_with_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "tinycast"
    assert cache_dir().is_dir()


def test_cache_that_cannot_be_written_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert cache_dir().is_dir()
    assert tmp_path not in cache_dir().parents
    outputs = HostDriver(load_target("host")).run(FILES, MANIFEST, {"x": samples(1)}).outputs
    assert outputs["y:0"].shape == (1, 4)
