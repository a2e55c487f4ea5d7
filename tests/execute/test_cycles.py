"""The cycle estimate: each kind of instruction as the manual times it, and the drivers' runs of the fixture."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixture_artifact import FILES, MANIFEST, samples
from tinycast.execute.cycles import classify, dual_issue, single_issue
from tinycast.execute.elf import read_elf
from tinycast.execute.elf_check import thumb_instructions
from tinycast.execute.select import drivers_of
from tinycast.target.load import load_target
from tinycast.toolchain.compiler import run_tool
from tinycast.toolchain.find import find_zig

# Statements and their cycles on the M4 in this order (Technical Reference Manual, 3.3.1 and 3.3.3).
TIMED = {
    "adds r0, r0, r1; smlad r0, r1, r2, r3; smmla r0, r1, r2, r3; muls r0, r1, r0; sxtb16 r0, r1": 5,
    "ldr r0, [r1]": 2,
    "ldr r0, [r1]; ldr r2, [r3, #4]; ldrsb r4, [r5, r6]": 4,
    "ldr r0, [r1]; ldr r2, [r0]": 4,
    "ldr.w r8, [r1, #8]!; ldrb.w r9, [r8, r2]": 4,
    "str r0, [r1]": 1,
    "str.w r8, [r1], #4; strb r0, [r1, #3]": 2,
    "str r0, [r1, r2]": 2,
    "ldr r3, [r4]; str r0, [r1, r2]": 3,
    "ldrd r0, r1, [r2], #8": 3,
    "ldm r0!, {r1, r2, r3}": 4,
    "push {r4, r5, lr}; pop {r4, r5, pc}": 8,
    "push.w {r4, r8, r9, lr}": 5,
    "vldr s0, [r0]; vstr s0, [r0]": 4,
    "vldmia r0!, {s0-s3}": 5,
    "vmul.f32 s0, s1, s2; vadd.f32 s0, s1, s2; vmov r0, s1": 3,
    "vfma.f32 s0, s1, s2; vmla.f32 s0, s1, s2": 6,
    "vdiv.f32 s0, s1, s2": 14,
    "vsqrt.f32 s0, s1": 14,
    "sdiv r0, r1, r2": 7,
}


@pytest.mark.parametrize("text", TIMED)
def test_instructions_take_what_the_manual_says(text: str, tmp_path: Path) -> None:
    source, built = tmp_path / "listing.s", tmp_path / "listing.o"
    lines = text.replace("; ", "\n")
    source.write_text(f".syntax unified\n.thumb\n.fpu fpv4-sp-d16\n.text\n{lines}\n", encoding="ascii")
    compiler = find_zig(load_target("cortex-m4"))
    run_tool([*compiler.command, *compiler.machine_flags, "-c", str(source), "-o", str(built)], what="no object")
    body = [classify(opcode) for _, opcode in thumb_instructions(read_elf(built))]
    assert len(body) == text.count(";") + 1
    assert single_issue(body) == TIMED[text]
    assert -(-len(body) // 2) <= dual_issue(body) <= TIMED[text]


@pytest.mark.parametrize("name", ["cortex-m4", "cortex-m33", "cortex-m7"])
def test_drivers_agree(name: str) -> None:
    estimates = []
    for driver in drivers_of(load_target(name)):
        if driver.available():
            measured = driver.run(FILES, MANIFEST, {"x": samples(3)})
            assert measured.layer_cycles is None
            by_layer = driver.run(FILES, MANIFEST, {"x": samples(3)}, profile=True)
            assert by_layer.layer_cycles is not None
            assert by_layer.layer_instructions is not None
            assert by_layer.cycles_estimate is not None
            for cycles, instructions in zip(by_layer.layer_cycles, by_layer.layer_instructions, strict=True):
                assert instructions / 2 <= cycles <= 2.5 * instructions
            assert 0 < by_layer.cycles_estimate - sum(by_layer.layer_cycles) < 40
            assert measured.instructions is not None
            assert measured.cycles_estimate is not None
            assert measured.instructions / 2 <= measured.cycles_estimate <= 2.5 * measured.instructions
            estimates.append(measured.cycles_estimate)
    assert estimates
    assert max(estimates) <= 1.05 * min(estimates)


def test_cores_without_rules_have_no_estimate() -> None:
    driver = drivers_of(load_target("cortex-m0plus"))[-1]
    if not driver.available():
        pytest.skip(f"{driver.name} is not installed")
    assert driver.run(FILES, MANIFEST, {"x": samples(1)}).cycles_estimate is None
