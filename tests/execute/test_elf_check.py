"""The instruction check against an assembler that knows every encoding."""

from __future__ import annotations

from pathlib import Path

import pytest
from tinycast.errors import InternalError
from tinycast.execute.elf import read_elf
from tinycast.execute.elf_check import check_instructions, instruction_group, thumb_instructions
from tinycast.target.load import all_targets, load_target
from tinycast.target.types import Platform, Target
from tinycast.toolchain.compiler import run_tool
from tinycast.toolchain.find import find_zig

LISTING = {
    None: """movs r0, #1; adds r0, r0, r1; ldr r0, [r1]; push {r4, lr}; pop {r4, pc}; muls r0, r1, r0; sxtb r0, r1
        uxth r0, r1; rev r0, r1; rev16 r0, r1; revsh r0, r1; cpsid i; nop; bl 0; mrs r0, primask; msr primask, r0
        dsb; dmb; isb; bkpt #1; svc #1; udf #1; bx lr; blx r0; b 0; beq 0; ldm r0!, {r1}; udf.w #1; mov r8, r0""",
    "thumb2": """cbz r0, #4; cbnz r0, #4
        it eq; moveq r0, r1; add.w r8, r9, r10; ldr.w r0, [r1, #100]; mla r0, r1, r2, r3
        mls r0, r1, r2, r3; mul r8, r9, r10; smull r0, r1, r2, r3; umull r0, r1, r2, r3; smlal r0, r1, r2, r3
        umlal r0, r1, r2, r3; ssat r0, #8, r1; usat r0, #7, r1, lsl #3; ssat r0, #8, r1, asr #4; usat r0, #8, r1, asr #2
        bfi r0, r1, #1, #2; ubfx r0, r1, #1, #2; sbfx r0, r1, #3, #4; clz r0, r1; rbit r0, r1; rev.w r8, r9
        sxtb.w r8, r9; sxth.w r8, r9; uxtb.w r8, r9, ror #8; ldrd r0, r1, [r2]; strd r0, r1, [r2]; movw r0, #1
        movt r0, #1; ldrex r0, [r1]; tbb [r0, r1]; b.w 0; beq.w 0; lsl.w r0, r1, r2; pld [r0]; orn r0, r1, r2
        ldmdb r0, {r1, r2}; push.w {r4, r8}; tst.w r8, r9; adr.w r0, 8; clrex; nop.w""",
    "divide": "sdiv r0, r1, r2; udiv r8, r9, r10",
    "dsp": """smlad r0, r1, r2, r3; smuad r0, r1, r2; smladx r0, r1, r2, r3; smlsd r0, r1, r2, r3; smlabb r0, r1, r2, r3
        smultt r0, r1, r2; smlawb r0, r1, r2, r3; smmla r0, r1, r2, r3; smmul r0, r1, r2; smmulr r0, r1, r2
        smmls r0, r1, r2, r3; usad8 r0, r1, r2; usada8 r0, r1, r2, r3; smlald r0, r1, r2, r3; smlsld r0, r1, r2, r3
        smlalbb r0, r1, r2, r3; umaal r0, r1, r2, r3; qadd r0, r1, r2; qsub r0, r1, r2; qdadd r0, r1, r2; sel r0, r1, r2
        sadd8 r0, r1, r2; uadd16 r0, r1, r2; ssub16 r0, r1, r2; shadd16 r0, r1, r2; uqsub8 r0, r1, r2; qadd16 r0, r1, r2
        sxtb16 r0, r1; uxtb16 r0, r1, ror #8; sxtab16 r0, r1, r2; sxtah r0, r1, r2; uxtab r0, r1, r2
        pkhbt r0, r1, r2, lsl #16; pkhtb r0, r1, r2, asr #16; ssat16 r0, #8, r1; usat16 r0, #7, r1""",
    "float": """vadd.f32 s0, s1, s2; vfma.f32 s0, s1, s2; vldr s0, [r0]; vstr s0, [r0]; vmov r0, s0; vmov s0, r0
        vpush {s16-s19}; vpop {s16-s19}; vcvt.s32.f32 s0, s1; vcmp.f32 s0, s1; vmrs APSR_nzcv, fpscr; vsqrt.f32 s0, s1
        vldmia r0!, {s0-s3}; vmaxnm.f32 s0, s1, s2; vselge.f32 s0, s1, s2; vrinta.f32 s0, s1; vmov r0, r1, d0""",
    "mve": """vadd.i32 q0, q1, q2; vmulh.s32 q0, q1, q2; vldrb.s8 q0, [r0]; vldrw.32 q0, [r0, q1]; vstrb.8 q0, [r0]
        vmladava.s8 r0, q1, q2; vmlaldav.s16 r0, r1, q1, q2; vqrdmulh.s32 q0, q1, q2; vmax.s32 q0, q1, q2; vdup.8 q0, r0
        vctp.8 r0; dls lr, r0; dlstp.8 lr, r0; wlstp.8 lr, r0, 4; vfma.f32 q0, q1, q2; vshl.s32 q0, q1, #3
        vmovlb.s8 q0, q1; vqmovnb.s32 q0, q1; vrev32.8 q0, q1; vaddva.s32 r0, q1; vpst; vaddt.i8 q0, q1, q2""",
}


@pytest.mark.parametrize("group", LISTING)
def test_groups_match_the_assembler(group: str | None, tmp_path: Path) -> None:
    target = load_target("cortex-m55")
    statements = [part.strip() for line in LISTING[group].splitlines() for part in line.split(";")]
    text = "\n".join(_with_label(index, statement) for index, statement in enumerate(statements))
    source, built = tmp_path / "listing.s", tmp_path / "listing.o"
    source.write_text(f".syntax unified\n.thumb\n.text\n{text}\n", encoding="ascii")
    compiler = find_zig(target)
    run_tool([*compiler.command, *compiler.machine_flags, "-c", str(source), "-o", str(built)], what="no object")
    decoded = list(thumb_instructions(read_elf(built)))
    conditional = {"it eq", "moveq r0, r1"}
    wrong = {
        f"{statement}: {opcode:08x}": instruction_group(opcode)
        for statement, (_, opcode) in zip(statements, decoded, strict=True)
        if instruction_group(opcode) != group and statement not in conditional
    }
    assert wrong == {}


def _with_label(index: int, statement: str) -> str:
    """A branch to an absolute address would stay a relocation; one to the next instruction is encoded."""
    operation = statement.split()[0]
    if operation in ("bl", "b", "beq", "b.w", "beq.w"):
        return f"{operation} label_{index}\nlabel_{index}:"
    return statement


@pytest.mark.parametrize(
    "target", [t for t in all_targets() if t.platform is Platform.ARM_M], ids=lambda t: str(t.name)
)
def test_each_core_refuses_what_it_lacks(target: Target, tmp_path: Path) -> None:
    groups = {"thumb2": 0xEA800001, "divide": 0xFBB0F0F1, "dsp": 0xFB224003, "float": 0xEE300A20, "mve": 0xEF220844}
    core = find_zig(load_target("cortex-m55"))
    for group, opcode in groups.items():
        source, built = tmp_path / f"{group}.s", tmp_path / f"{group}.o"
        source.write_text(f".syntax unified\n.thumb\n.text\n.inst.w {opcode:#x}\n", encoding="ascii")
        run_tool([*core.command, *core.machine_flags, "-c", str(source), "-o", str(built)], what="no object")
        elf = read_elf(built)
        assert [found for _, found in thumb_instructions(elf)] == [opcode]
        if group in target.instructions:
            check_instructions(elf, target)
        else:
            with pytest.raises(InternalError, match="does not have"):
                check_instructions(elf, target)


def test_constants_between_code_are_not_instructions(tmp_path: Path) -> None:
    source, built = tmp_path / "data.s", tmp_path / "data.o"
    source.write_text(".syntax unified\n.thumb\n.text\nnop\n.short 0xfb22, 0x4003\nnop\n", encoding="ascii")
    compiler = find_zig(load_target("cortex-m3"))
    run_tool([*compiler.command, *compiler.machine_flags, "-c", str(source), "-o", str(built)], what="no object")
    assert [opcode for _, opcode in thumb_instructions(read_elf(built))] == [0xBF00, 0xBF00]
