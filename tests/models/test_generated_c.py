"""The C that real networks become: what compilers, sanitizers, linkers and emulators say of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from emit.compilers import STRICT, compiler_command, exit_status, lay_out, run
from nets import CORES, FLOAT, INT8, compiled, execute, net, port_inputs
from tinycast.emit.wasm import emit_wasm
from tinycast.execute.build import STACK_BYTES, render
from tinycast.execute.host import HostDriver, run_program
from tinycast.execute.qemu import QemuDriver
from tinycast.model import load, simplify
from tinycast.pipeline import compile_model
from tinycast.resources import resource_dir
from tinycast.target.load import load_target
from tinycast.toolchain.find import find_gcc, find_program

ALL = (*INT8, *FLOAT)
INCLUDES = ("-Iinclude", "-Isrc")
HARNESS = resource_dir("templates") / "harness"
ELEMENT_BYTES = {"float": 4, "int32_t": 4, "uint32_t": 4, "int16_t": 2, "uint16_t": 2, "int64_t": 8}
# Of libgcc and the Arm run-time ABI (IHI 0043): arithmetic that a core has no instruction for, and M0+'s jump tables.
RUN_TIME_HELPER = re.compile(
    r"__aeabi_(mem(cpy|set|clr)[48]?|[lu]?idiv(mod)?|uidiv(mod)?|[lu]l?div(mod)?|lmul|llsl|llsr|lasr"
    r"|[fd](add|sub|rsub|mul|div|neg)|[fd]cmp(eq|lt|le|ge|gt|un)|[fd]2u?(iz|lz)|[iu]l?2[fd]|[ul]2[fd]|f2d|d2f)"
    r"|__gnu_thumb1_case_[us]?[qhs]i"
    r"|__(mul|div|udiv|mod|umod)[sd]i3|__(ashl|ashr|lshr)di3|__c[lt]z[sd]i2"
    r"|__(add|sub|mul|div)[sd]f3|__neg[sd]f2|__(eq|ne|lt|le|gt|ge|unord)[sd]f2"
    r"|__fix(uns)?[sd]f[sd]i|__float(un)?[sd]i[sd]f|__extendsfdf2|__truncdfsf2"
)
FUNCTION = re.compile(r"^(?:static inline )?[\w ]+?\**(\w+)\([^;{}]*\)\n\{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
ARRAY = re.compile(r"^\s+(?:static |const |volatile )*(\w+) \w+((?:\[\d+\])+)", re.MULTILINE)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nets")


def laid_out(name: str, target: str, folder: Path, where: Path) -> list[str]:
    """Write the C package for `target` into `where`; return its sources, relative to it."""
    return lay_out(compiled(net(name, folder).path, target).files, where)


def cross_command(target: str) -> list[str]:
    core = load_target(target)
    find_program(core.gcc, "the cross compiler")
    headers = [] if core.gcc.startswith("arm") else ["-ffreestanding", "-fbuiltin", f"-I{HARNESS / 'freestanding'}"]
    return [core.gcc, *core.gcc_flags, *headers]


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("name", ALL)
def test_selftest_passes_on_the_host_without_a_warning(name: str, compiler: str, folder: Path, tmp_path: Path) -> None:
    sources = laid_out(name, "host", folder, tmp_path)
    command = [*compiler_command(compiler), *STRICT, "-O2", "-DNET_SELFTEST_MAIN", *INCLUDES]
    run([*command, *sources, "test/net_selftest.c", "-o", "selftest"], tmp_path)
    assert exit_status(["./selftest"], tmp_path) == 0


@pytest.mark.parametrize("target", CORES)
@pytest.mark.parametrize("name", ALL)
def test_cross_compilers_accept_it_and_it_needs_nothing(name: str, target: str, folder: Path, tmp_path: Path) -> None:
    sources = laid_out(name, target, folder, tmp_path)
    run([*cross_command(target), *STRICT, "-O2", *INCLUDES, "-c", *sources, "test/net_selftest.c"], tmp_path)
    objects = [tmp_path / f"{Path(source).stem}.o" for source in sources]
    assert len(objects) == 3
    defined, undefined = symbols(objects)
    assert {"net_init", "net_run"} <= defined
    foreign = {s for s in undefined - defined if not RUN_TIME_HELPER.fullmatch(s)}
    assert foreign <= {"memcpy", "memset"}
    assert writable_bytes(objects) == 0


def symbols(objects: list[Path]) -> tuple[set[str], set[str]]:
    """Names that the object files define, and names that they do not."""
    defined, undefined = set(), set()
    for path in objects:
        with path.open("rb") as file:
            for symbol in ELFFile(file).get_section_by_name(".symtab").iter_symbols():
                names = undefined if symbol["st_shndx"] == "SHN_UNDEF" else defined
                names.add(symbol.name)
    return defined, undefined - {""}


def writable_bytes(objects: list[Path]) -> int:
    """Bytes of .data and .bss: mutable globals."""
    total = 0
    for path in objects:
        with path.open("rb") as file:
            total += sum(s["sh_size"] for s in ELFFile(file).iter_sections() if s["sh_flags"] & 1)
    return total


@pytest.mark.parametrize("target", ["wasm32"])
@pytest.mark.parametrize("name", ALL)
def test_clang_accepts_what_becomes_webassembly(name: str, target: str, folder: Path, tmp_path: Path) -> None:
    model = load(net(name, folder).path)
    simplify(model)
    files = emit_wasm(compile_model(model, load_target(target), "net", "0" * 64)).files
    sources = [*lay_out(files, tmp_path), "src/net_wasm.c"]
    simd = ["-msimd128"] if target == "wasm32" else []
    headers = ["--target=wasm32", "-ffreestanding", f"-I{HARNESS / 'freestanding'}"]
    run([*compiler_command("clang"), *headers, *simd, *STRICT, "-O2", *INCLUDES, "-c", *sources], tmp_path)
    assert (tmp_path / "net_wasm.o").exists()


def assert_sanitizers_find_nothing(name: str, folder: Path, count: int | None) -> None:
    """Address and undefined behaviour sanitizers; a finding is an ExecutionError."""
    subject = net(name, folder)
    artifact = compiled(subject.path, "host")
    inputs = port_inputs(subject.path, subject.samples if count is None else subject.first(count))
    outputs = HostDriver(load_target("host"), sanitize=True).run(artifact.files, artifact.manifest, inputs).outputs
    assert [len(array) for array in outputs.values()] == [len(array) for array in inputs.values()]


@pytest.mark.parametrize("name", ALL)
def test_sanitizers_find_nothing(name: str, folder: Path) -> None:
    assert_sanitizers_find_nothing(name, folder, 100 if name in INT8 else 20)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_sanitizers_find_nothing_on_all_inputs(name: str, folder: Path) -> None:
    assert_sanitizers_find_nothing(name, folder, None)


@pytest.mark.parametrize("target", ["cortex-m0plus", "cortex-m4", "rv32imc"])
@pytest.mark.parametrize("name", ALL)
def test_selftest_passes_on_an_emulated_core(name: str, target: str, folder: Path, tmp_path: Path) -> None:
    core = load_target(target)
    if not QemuDriver(core, compiler="gcc").available():
        pytest.skip(f"needs {core.gcc} and {core.qemu[0]}")
    program = selftest_firmware(name, target, folder, tmp_path)
    command = [find_program(core.qemu[0], "the emulator"), *core.qemu[1:]]
    options = ["-display", "none", "-monitor", "none", "-serial", "none"]
    run_program(
        [*command, *options, "-semihosting-config", "enable=on,target=native", "-kernel", program], tmp_path, 60
    )
    assert (tmp_path / "outputs.bin").read_bytes() == b"\0\0\0\0"


def selftest_firmware(name: str, target: str, folder: Path, where: Path) -> str:
    """A program that writes the self-test's result to outputs.bin; the name of its file in `where`."""
    core = load_target(target)
    sources = laid_out(name, target, folder, where)
    manifest = compiled(net(name, folder).path, target).manifest
    script = render("link.ld.j2", manifest=manifest, target=core, stack_bytes=STACK_BYTES)
    (where / "link.ld").write_text(script, encoding="utf-8")
    (where / "inputs.bin").write_bytes(b"")
    (where / "main.c").write_text(
        '#include "harness.h"\n#include "net.h"\n'
        "int main(void)\n{\n    const int result = net_selftest();\n    tc_open();\n"
        "    tc_write(&result, sizeof result);\n    tc_exit(NULL);\n}\n",
        encoding="utf-8",
    )
    start = "start_riscv.c" if "riscv" in core.gcc else "start_arm_m.c"
    find_gcc(core).build(
        [
            *(where / source for source in (*sources, "test/net_selftest.c", "main.c")),
            *(HARNESS / file for file in (start, "io_semihosting.c")),
        ],
        where / "selftest.elf",
        flags=(f"-Wl,-T,{where / 'link.ld'}", "-Wl,--gc-sections"),
        include_dirs=[where / "include", where / "src", HARNESS],
    )
    return "selftest.elf"


@pytest.mark.parametrize("target", ["host", "cortex-m4", "wasm32-scalar"])
@pytest.mark.parametrize("name", ALL)
def test_no_heap_no_recursion_no_large_arrays(name: str, target: str, folder: Path) -> None:
    model = load(net(name, folder).path)
    simplify(model)
    files = emit_wasm(compile_model(model, load_target(target), "net", "0" * 64)).files
    texts = [content.decode() for path, content in files.items() if path.startswith("src/")]
    functions = {name: body for text in texts for name, body in FUNCTION.findall(text)}
    assert "net_run" in functions
    assert len(functions) > 5
    calls = {name: set(re.findall(r"\b(\w+)\(", body)) & functions.keys() for name, body in functions.items()}
    assert not [name for name in calls if name in reachable(name, calls)], "recursion"
    for function, body in functions.items():
        for element, extents in ARRAY.findall(body):
            count = 1
            for extent in re.findall(r"\d+", extents):
                count *= int(extent)
            assert count * ELEMENT_BYTES.get(element, 1) <= 64, f"{function} has an array of {count} {element}"
    assert not re.search(r"\b(malloc|calloc|realloc|free|alloca|printf)\b\s*\(", "".join(texts))


def reachable(start: str, calls: dict[str, set[str]]) -> set[str]:
    """All functions that `start` calls, directly or not."""
    found: set[str] = set()
    pending = [start]
    while pending:
        new = calls[pending.pop()] - found
        found |= new
        pending += new
    return found


# Instructions of one inference; where DESIGN has no figure only the stack is held.
@pytest.mark.parametrize(
    ("name", "limit"), [(name, {"kws_int8_qdq": 16_000_000, "ic_int8_qdq": 45_000_000}.get(name)) for name in ALL]
)
def test_stack_and_instructions_on_cortex_m4(name: str, limit: int | None, folder: Path) -> None:
    subject = net(name, folder)
    measured = execute(subject.path, "cortex-m4", subject.first(1))
    assert measured.stack_bytes is not None
    assert measured.instructions is not None
    print(f"{name}: {measured.instructions:,} instructions, {measured.stack_bytes} bytes of stack, {measured.sizes}")
    assert 0 < measured.stack_bytes <= 600
    assert measured.instructions > 0
    if limit is not None:
        assert measured.instructions < limit
