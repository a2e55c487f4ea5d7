"""Memory of the modules, and what is left of it after a trap."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import wasmtime
from execute.fixture_artifact import FILES, MANIFEST, expected, samples, with_kernel_line
from playwright.sync_api import Page
from tinycast.artifact import Artifact
from tinycast.emit import finish_wasm, wasm_package
from tinycast.errors import InternalError
from tinycast.pipeline import CompileOptions, compile_file
from tinycast.target.load import load_target
from tinycast.toolchain.wasm import build_wasm
from tinycast.toolchain.wasm_binary import MAGIC, fix_memory, leb128, read_leb128, sections
from web.fixtures import Serve

PAGE_BYTES = 65536
TRAP = "volatile int8_t frame[256]; frame[0] = x[0]; if (frame[0] == 99) { __builtin_trap(); }"


def check_memory(artifact: Artifact) -> None:
    """No more than arena, weights as stored and 64 KiB, in whole pages; and it cannot grow."""
    manifest = artifact.manifest
    bound = manifest["arena_bytes"] + manifest["weights_bytes"] + PAGE_BYTES
    modules = [content for name, content in artifact.files.items() if name.endswith(".wasm")]
    assert len(modules) >= 2
    for module in modules:
        exports = wasmtime.Module(wasmtime.Engine(), module).exports
        (memory,) = (e.type for e in exports if isinstance(e.type, wasmtime.MemoryType))
        assert memory.limits.min == memory.limits.max
        assert memory.limits.min <= -(-bound // PAGE_BYTES)


def test_memory_is_what_is_needed(digits: Artifact, float_digits: Artifact) -> None:
    check_memory(digits)
    check_memory(float_digits)


@pytest.mark.parametrize(
    ("name", "most_loaded_bytes"),
    [("kws_int8_qdq", 34_000), ("ic_int8_qdq", 84_000), ("ic_float", 300_000), ("ad_int8_qdq", 184_000)],
)
def test_memory_and_download_of_the_measuring_models(shared: Path, name: str, most_loaded_bytes: int) -> None:
    artifact = compile_file(shared / "models" / f"{name}.onnx", "wasm32", CompileOptions(name=name))
    check_memory(artifact)
    script = brotli_bytes(artifact.files[f"{name}.js"])
    for module in ("wasm", "relaxed.wasm"):  # a page loads one of them
        assert script + brotli_bytes(artifact.files[f"{name}.{module}"]) <= most_loaded_bytes


def brotli_bytes(content: bytes) -> int:
    """The size that a server sends."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node on PATH, for brotli")
    script = 'console.log(require("node:zlib").brotliCompressSync(require("node:fs").readFileSync(0)).length)'
    return int(subprocess.run([node, "-e", script], input=content, check=True, capture_output=True).stdout)


def test_too_much_stack_is_refused() -> None:
    with pytest.raises(InternalError, match="rejects the generated code") as caught:
        build_wasm(with_kernel_line("volatile int8_t frame[2000]; frame[x[0]] = 1;"), "tiny", load_target("wasm32"))
    assert "stack frame size" in caught.value.where


def test_numbers_and_sections_are_read_as_written() -> None:
    for value in (0, 1, 127, 128, 65535, 65536, 2**32 - 1):
        assert read_leb128(leb128(value), 0) == (value, len(leb128(value)))
    module = MAGIC + b"\5\3\1\0\x80\1"[:1] + b"\4\1\0\x80\1"
    assert sections(module) == [(5, b"\1\0\x80\1")]
    assert sections(fix_memory(module)) == [(5, b"\1\1\x80\1\x80\1")]
    with pytest.raises(ValueError, match="longer than the module"):
        sections(module[:-1])


def test_runs_again_after_a_trap_and_others_do_not_notice(page: Page, serve: Serve) -> None:
    """100 traps of a kernel with 256 bytes of stack do not wear 4 KiB down."""
    manifest = {**MANIFEST, "macs": 16}
    module = build_wasm(with_kernel_line(TRAP), "tiny", load_target("wasm32"))
    package = wasm_package(finish_wasm(Artifact(FILES, manifest), module))
    x = samples(4)
    page.goto(serve(package.files))
    messages, after, other = page.evaluate(
        """async (rows) => {
          const { load } = await import("/tiny.js");
          const [model, other] = [await load(), await load()];
          const input = model.input();
          const messages = new Set();
          for (let i = 0; i < 100; ++i) {
            try {
              model.run(new Int8Array(4).fill(99));
            } catch (error) {
              messages.add(error.message);
            }
          }
          const after = rows.map((row) => {
            input.set(row);
            return Array.from(model.run());
          });
          return [[...messages], after, rows.map((row) => Array.from(other.run(Int8Array.from(row))))];
        }""",
        x.tolist(),
    )
    assert messages == ["tiny: the run was stopped: unreachable; the model can be run again"]
    assert after == other == expected(x).tolist()
