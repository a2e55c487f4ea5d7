"""Builds executables: the model plus a harness that feeds it samples, or plus nothing (for its size)."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2

from tinycast.execute.elf import read_elf
from tinycast.execute.elf_check import check_instructions
from tinycast.execute.types import FirmwareSizes
from tinycast.resources import resource_dir
from tinycast.target.types import Platform, Target
from tinycast.toolchain.compiler import Compiler, write_sources

STACK_BYTES = 32 * 1024  # of the emulated machine, where what an inference uses is measured
_START_UP = {Platform.ARM_M: "start_arm_m.c", Platform.RISCV: "start_riscv.c"}


def build_harness(
    files: Mapping[str, bytes],
    manifest: Mapping[str, Any],
    compiler: Compiler,
    folder: Path,
    *,
    io: Sequence[str],
    flags: Sequence[str] = (),
) -> Path:
    """Build model, rendered harness and the harness files `io` in `folder`; return the executable."""
    harness = resource_dir("templates") / "harness"
    sources = write_sources(files, folder)
    main = folder / "harness.c"
    main.write_text(render("harness.c.j2", manifest=manifest), encoding="utf-8")
    output = folder / "harness.elf"
    compiler.build(
        [*sources, main, *(harness / name for name in io)],
        output,
        flags=flags,
        include_dirs=[folder / "include", folder / "src", harness],
    )
    return output


def build_bare(
    files: Mapping[str, bytes],
    manifest: Mapping[str, Any],
    target: Target,
    compiler: Compiler,
    folder: Path,
    *,
    profile: bool = False,
) -> Path:
    """Build the harness for a machine without an operating system; it reads samples through semihosting."""
    flags = _link_flags(manifest, target, folder)
    if profile:
        flags = (*flags, *_layer_marks(manifest, folder))
    start = _START_UP[target.platform]
    output = build_harness(files, manifest, compiler, folder, io=[start, "io_semihosting.c"], flags=flags)
    check_instructions(read_elf(output), target)
    return output


def build_avr(
    files: Mapping[str, bytes],
    manifest: Mapping[str, Any],
    compiler: Compiler,
    folder: Path,
    *,
    profile: bool = False,
) -> Path:
    """Build the harness for simavr, with avr-libc's start-up code and linker script."""
    # Sections that nothing refers to, as the marks', are thrown away.
    flags = _layer_marks(manifest, folder) if profile else ("-Wl,--gc-sections",)
    return build_harness(files, manifest, compiler, folder, io=["io_avr.c"], flags=flags)


def measure_firmware(
    files: Mapping[str, bytes], manifest: Mapping[str, Any], target: Target, compiler: Compiler
) -> FirmwareSizes:
    """Link the least firmware (start-up code, init, one run) and return its sizes in bytes.

    Only for bare-metal targets. Raises ToolMissingError, FitError or InternalError like `Compiler.build`.
    """
    harness = resource_dir("templates") / "harness"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sources = write_sources(files, folder)
        main, output = folder / "firmware.c", folder / "firmware.elf"
        main.write_text(render("firmware.c.j2", manifest=manifest), encoding="utf-8")
        has_start_up = target.platform in _START_UP
        start = [harness / _START_UP[target.platform]] if has_start_up else []
        flags = _link_flags(manifest, target, folder) if has_start_up else ("-Wl,--gc-sections",)
        compiler.build([*sources, main, *start], output, flags=flags, include_dirs=[folder / "include", folder / "src"])
        elf = read_elf(output)
    check_instructions(elf, target)
    sizes = elf.sizes()
    # avr-libc's linker script has no section for the arena alone.
    return sizes if has_start_up else replace(sizes, bss_bytes=sizes.bss_bytes - manifest["arena_bytes"])


def _layer_marks(manifest: Mapping[str, Any], folder: Path) -> tuple[str, ...]:
    layers = folder / "layers.h"
    layers.write_text(render("layers.h.j2", manifest=manifest), encoding="utf-8")
    return ("-include", str(layers))


def _link_flags(manifest: Mapping[str, Any], target: Target, folder: Path) -> tuple[str, ...]:
    script = folder / "link.ld"
    regions = _regions(manifest)
    places = _machine_places(regions, target)
    text = render("link.ld.j2", manifest=manifest, target=target, stack_bytes=STACK_BYTES, places=places)
    script.write_text(text, encoding="utf-8")
    prefix = manifest["name"].upper()
    sections = (
        f'-D{prefix}_{kind}_{r["name"].upper()}_SECTION=__attribute__((section(".{kind.lower()}.{r["name"]}")))'
        for r in regions
        for kind in ["ARENA" if r["kind"] == "ram" else "WEIGHTS"]
    )
    return (f"-Wl,-T,{script}", "-Wl,--gc-sections", *sections)


def _regions(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The memories that a model uses; none where it has one arena."""
    return [r for r in manifest.get("memory", {}).get("regions", []) if r["bytes"]]


def _machine_places(regions: Sequence[Mapping[str, Any]], target: Target) -> dict[str, str]:
    """The emulated machine's memory for each region: its main ones first, then the others that it has."""
    places = {}
    for kind, main in (("ram", "RAM"), ("flash", "FLASH")):
        others = [main, *(f"MORE{i}" for i in range(1, len(target.more_memory) + 1))]
        for at, region in enumerate(r for r in regions if r["kind"] == kind):
            places[region["name"]] = others[min(at, len(others) - 1)]
    return places


def render(template: str, *, manifest: Mapping[str, Any], **values: Any) -> str:
    """Render a template of templates/harness for the model of `manifest`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource_dir("templates") / "harness"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    name = manifest["name"]
    return environment.get_template(template).render(
        name=name,
        prefix=name.upper(),
        inputs=manifest["inputs"],
        outputs=manifest["outputs"],
        regions=_regions(manifest),
        **values,
    )
