"""A wrong program fails with a clear error wherever it runs: never a hang, never a silent wrong output."""

from __future__ import annotations

from typing import Any

import pytest
from fixture_artifact import FILES, MANIFEST, samples, with_kernel_line
from tinycast.errors import InternalError, TinycastError
from tinycast.execute.host import HostDriver
from tinycast.execute.qemu import QemuDriver
from tinycast.execute.types import ExecutionError
from tinycast.execute.unicorn import UnicornDriver
from tinycast.execute.wasm import NodeDriver, WasmtimeDriver
from tinycast.target.load import load_target
from tinycast.toolchain.wasm import build_wasm

EMULATORS: list[Any] = [QemuDriver, UnicornDriver]
# As constants the assembler marks them as data, which the check of the ELF leaves to the emulator.
UDIV = '__asm__ volatile(".short 0xfbb0, 0xf0f1" ::: "r0");'
EOR_WIDE = '__asm__ volatile(".short 0xea80, 0x0001" ::: "r0");'
QADD = '__asm__ volatile(".short 0xfa81, 0xf080" ::: "r0");'
SMLAD = '__asm__ volatile(".short 0xfb22, 0x4003" ::: "r0");'
VADD_F32 = '__asm__ volatile(".short 0xee30, 0x0a20");'
VADD_I32 = '__asm__ volatile(".short 0xef22, 0x0844");'
UNALIGNED = '__asm__ volatile("ldr r0, [%0]" :: "r"((uintptr_t)x | 1u) : "r0");'
ENDLESS = 'for (;;) { __asm__ volatile(""); }'
OVERFLOW = "volatile uint8_t big[40000]; for (uint32_t i = 0; i < sizeof big; i++) { big[i] = 1; }"


def run(driver: Any, files: dict[str, bytes]) -> None:
    if not driver.available():
        pytest.skip(f"{driver.name} is not installed")
    driver.run(files, MANIFEST, {"x": samples(2)})


@pytest.mark.parametrize("emulator", EMULATORS)
@pytest.mark.parametrize(
    ("core", "line"),
    [
        pytest.param("cortex-m0plus", UDIV, id="m0plus-divide"),
        pytest.param("cortex-m0plus", EOR_WIDE, id="m0plus-thumb2"),
        pytest.param("cortex-m0plus", SMLAD, id="m0plus-dsp"),
        pytest.param("cortex-m0plus", UNALIGNED, id="m0plus-unaligned-load"),
        pytest.param("cortex-m3", QADD, id="m3-dsp"),
        pytest.param("cortex-m3", VADD_F32, id="m3-float"),
        pytest.param("cortex-m4", VADD_I32, id="m4-mve"),
        pytest.param("cortex-m33", VADD_I32, id="m33-mve"),
    ],
)
def test_emulated_core_faults(emulator: Any, core: str, line: str) -> None:
    with pytest.raises(ExecutionError, match=r"fail|fault") as caught:
        run(emulator(load_target(core), timeout_seconds=60), with_kernel_line(line))
    assert "0x000000" in caught.value.where or "0x100000" in caught.value.where


@pytest.mark.parametrize("emulator", EMULATORS)
@pytest.mark.parametrize(("core", "line"), [("cortex-m4", SMLAD), ("cortex-m4", QADD), ("cortex-m3", UNALIGNED)])
def test_the_same_instruction_runs_on_a_core_that_has_it(emulator: Any, core: str, line: str) -> None:
    driver = emulator(load_target(core))
    if not driver.available():
        pytest.skip(f"{driver.name} is not installed")
    assert driver.run(with_kernel_line(line), MANIFEST, {"x": samples(2)}).instructions > 0


@pytest.mark.parametrize("emulator", EMULATORS)
@pytest.mark.parametrize("compiler", ["gcc", "zig"])
def test_dsp_instruction_is_refused_before_cortex_m3_runs_it(emulator: Any, compiler: str) -> None:
    """Both emulators execute SMLAD as an M3, so the linked ELF is checked."""
    line = '__asm__ volatile(".inst.w 0xfb224003" ::: "r0");'
    with pytest.raises(InternalError, match="1 instructions which cortex-m3 does not have") as caught:
        run(emulator(load_target("cortex-m3"), compiler), with_kernel_line(line))
    assert "fb224003 (dsp)" in caught.value.where


@pytest.mark.parametrize("driver", [QemuDriver, UnicornDriver, HostDriver, WasmtimeDriver, NodeDriver])
def test_endless_loop_ends(driver: Any) -> None:
    target = {HostDriver: "host", WasmtimeDriver: "wasm32", NodeDriver: "wasm32"}.get(driver, "cortex-m4")
    with pytest.raises(ExecutionError, match="in 2 s"):
        run(driver(load_target(target), timeout_seconds=2), with_kernel_line(ENDLESS))


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4", "cortex-m55", "rv32imc"])
def test_stack_overflow_is_seen(core: str) -> None:
    with pytest.raises(ExecutionError) as caught:
        run(QemuDriver(load_target(core), timeout_seconds=60), with_kernel_line(OVERFLOW))
    assert "the stack overflowed" in caught.value.where


def test_riscv_core_has_no_float_unit_and_no_atomics() -> None:
    for line in (".word 0x00107053", ".word 0x1005202f"):  # fadd.s, lr.w
        with pytest.raises(ExecutionError) as caught:
            run(
                QemuDriver(load_target("rv32imc"), timeout_seconds=60), with_kernel_line(f'__asm__ volatile("{line}");')
            )
        assert "mcause 0x00000002" in caught.value.where  # illegal instruction


def test_scalar_wasm_engine_refuses_simd() -> None:
    simd = WasmtimeDriver(load_target("wasm32"))
    line = (
        "typedef int8_t v16 __attribute__((vector_size(16), aligned(1))); volatile v16 v = {x[0]}; v = v + v; (void)v;"
    )
    files = with_kernel_line(line)
    run(simd, files)
    module = build_wasm(files, "tiny", load_target("wasm32"))
    with pytest.raises(ExecutionError, match="refuses the module"):
        WasmtimeDriver(load_target("wasm32-scalar")).run({"tiny.wasm": module}, MANIFEST, {"x": samples(1)})


@pytest.mark.parametrize(
    "driver",
    [
        HostDriver(load_target("host")),
        QemuDriver(load_target("cortex-m4")),
        UnicornDriver(load_target("cortex-m4")),
        WasmtimeDriver(load_target("wasm32")),
        NodeDriver(load_target("wasm32")),
    ],
    ids=lambda driver: str(driver.name),
)
@pytest.mark.parametrize(
    ("old", "new"),
    [(b"    return 0;\n}\n\nint8_t", b"    return 7;\n}\n\nint8_t"), (b"16);\n    return 0;", b"16);\n    return 7;")],
    ids=["init", "run"],
)
def test_error_codes_are_not_ignored(driver: Any, old: bytes, new: bytes) -> None:
    source = FILES["src/tiny.c"]
    assert source.count(old) == 1
    with pytest.raises(TinycastError) as caught:
        run(driver, {**FILES, "src/tiny.c": source.replace(old, new)})
    assert "failed" in str(caught.value)
