"""Measure the measuring networks on emulated microcontrollers; writes mcu.md.

    python benchmarks/mcu.py [--shared ../shared] [--output benchmarks/mcu.md]

Instructions are exact and repeatable: the emulator counts them from the call of the model to its return, on one
random input. Flash is that of a linked program that does nothing else, start-up code and weights included. The
arena holds input, output and scratch; the stack is what was measured below it. "least" is the smallest arena that
--ram can ask for. MobileNet is MobileNetV1-0.25 for
96x96 images with random weights (mobilenet.py).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mobilenet import int8_model
from tinycast.execute.inputs import random_inputs
from tinycast.execute.qemu import QemuDriver
from tinycast.execute.select import driver_for
from tinycast.model import load, save, simplify
from tinycast.pipeline import build, compile_model
from tinycast.report.peers import PEERS, Peer
from tinycast.schedule.goal import Optimize
from tinycast.schedule.tuning import Tuning, databases
from tinycast.target.load import load_target

ROOT = Path(__file__).resolve().parent.parent
TARGETS = ["cortex-m4", "cortex-m55", "cortex-m0plus", "rv32imc"]
NETWORKS = ["KWS", "IC", "AD"]


@dataclass(frozen=True)
class Row:
    """One network on one core."""

    network: str
    target: str
    macs: int
    instructions: int
    cycles: int | None
    flash_bytes: int
    arena_bytes: int
    stack_bytes: int
    option: str  # on the command line


def int8_models(shared: Path, mobilenet: Path) -> dict[str, Path]:
    models = {name: shared / "models" / f"{name.lower()}_int8_qdq.onnx" for name in NETWORKS}
    return models | {"MobileNet": mobilenet}


def measure(
    path: Path,
    network: str,
    target_name: str,
    optimize: Optimize = Optimize.TIME,
    ram_bytes: int | None = None,
    compiler: str | None = None,
) -> Row:
    target = load_target(target_name)
    model = load(path)
    simplify(model)
    tuning = Tuning(list(databases()))
    compiled = compile_model(model, target, path.stem, "0" * 64, optimize=optimize, ram_bytes=ram_bytes, tuning=tuning)
    artifact = build(compiled)
    manifest = artifact.manifest
    driver = QemuDriver(target, compiler) if compiler else driver_for(target)
    measured = driver.run(artifact.files, manifest, random_inputs(manifest, 1))
    assert measured.instructions is not None
    assert measured.stack_bytes is not None
    assert measured.sizes is not None
    return Row(
        network,
        target_name,
        manifest["macs"],
        measured.instructions,
        measured.cycles_estimate,
        measured.sizes.flash_bytes,
        manifest["arena_bytes"],
        measured.stack_bytes,
        f"--optimize {optimize.value}",
    )


def clang_rows(shared: Path, mobilenet: Path) -> Iterator[Row]:
    for name, path in int8_models(shared, mobilenet).items():
        yield measure(path, name, "cortex-m4", compiler="zig")


def small_rows(shared: Path, mobilenet: Path) -> Iterator[Row]:
    """The same with little RAM, or little flash."""
    floats = {f"{name} float": shared / "models" / f"{name.lower()}_float.onnx" for name in ("KWS", "IC")}
    for name, path in (int8_models(shared, mobilenet) | floats).items():
        yield measure(path, name, "cortex-m4", Optimize.RAM)
        # One byte cannot be had: the least that can is compiled.
        least = measure(path, name, "cortex-m4", Optimize.TIME, 1)
        yield replace(least, option=f"--ram {least.arena_bytes}")


def rows(shared: Path, mobilenet: Path) -> Iterator[Row]:
    for target in TARGETS:
        for name, path in int8_models(shared, mobilenet).items():
            yield measure(path, name, target)
    for name in NETWORKS:
        yield measure(shared / "models" / f"{name.lower()}_float.onnx", f"{name} float", "cortex-m4")


def number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def own_line(row: Row) -> str:
    cells = [row.instructions, row.cycles, row.flash_bytes, row.arena_bytes, row.stack_bytes]
    per_mac = f"{row.instructions / row.macs:.2f}"
    figures = [number(cells[0]), per_mac, *map(number, cells[1:])]
    return " | ".join(("", row.target, row.network, *figures, "")).strip()


def peer_line(peer: Peer, own: Row) -> str:
    def against(theirs: int | None, ours: int | None) -> str:
        return number(theirs) + (f" ({theirs / ours:.2f})" if theirs and ours else "")

    figures = [
        against(peer.instructions, own.instructions),
        against(peer.cycles, own.cycles),
        against(peer.flash_bytes, own.flash_bytes),
        against(peer.arena_bytes, own.arena_bytes),
    ]
    return " | ".join(("", peer.target, peer.network, peer.name, *figures, peer.source, "")).strip()


def small_line(row: Row, usual: Row) -> str:
    instructions = f"{number(row.instructions)} ({row.instructions / usual.instructions:.3f})"
    figures = [instructions, *map(number, (row.flash_bytes, row.arena_bytes, row.stack_bytes))]
    return " | ".join(("", row.network, f"`{row.option}`", *figures, "")).strip()


def clang_line(row: Row, usual: Row) -> str:
    instructions = f"{number(row.instructions)} ({row.instructions / usual.instructions:.3f})"
    figures = [instructions, *map(number, (row.cycles, row.flash_bytes, row.stack_bytes))]
    return " | ".join(("", row.network, *figures, "")).strip()


def page(measured: list[Row], clang: list[Row], small: list[Row]) -> Iterator[str]:
    own: Mapping[tuple[str, str], Row] = {(row.network, row.target): row for row in measured}
    yield "# Microcontrollers\n"
    yield "Written by `make bench-mcu` (benchmarks/mcu.py, which also says how it is measured). Models are int8"
    yield "unless they are called float. Cycles are estimated for memory without wait states"
    yield "(compiler/tinycast/execute/cycles.py says how, and how far off they may be).\n"
    yield "| core | network | instructions | a MAC | cycles, estimated | flash, bytes | arena, bytes | stack, bytes |"
    yield "|---|---|---|---|---|---|---|---|"
    yield from map(own_line, measured)
    yield "\n## Built with clang\n"
    yield "Cortex-M4, the same C and arena; clang is that of zig. In brackets: how many times gcc's instructions.\n"
    yield "| network | instructions | cycles, estimated | flash, bytes | stack, bytes |"
    yield "|---|---|---|---|---|"
    yield from (clang_line(row, own[row.network, row.target]) for row in clang)
    yield "\n## With less memory\n"
    yield "Cortex-M4; the last line of a network has the least RAM there is. In brackets: how many times the"
    yield "instructions that the default options take.\n"
    yield "| network | options | instructions | flash, bytes | arena, bytes | stack, bytes |"
    yield "|---|---|---|---|---|---|"
    yield from (small_line(row, own[row.network, row.target]) for row in small)
    yield "\n## Others\n"
    yield "In brackets: how many times ours that is. Data: compiler/tinycast/report/peers.py.\n"
    yield "| core | network | by | instructions | cycles | flash, bytes | arena, bytes | source |"
    yield "|---|---|---|---|---|---|---|---|"
    for peer in PEERS:
        yield peer_line(peer, own[peer.network, peer.target])


def main() -> int:
    parser = argparse.ArgumentParser(description="measure microcontrollers")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="folder of models/")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "mcu.md")
    arguments = parser.parse_args()
    if not (arguments.shared / "models").is_dir():
        print(f"no measuring models in {arguments.shared}: name their folder with --shared", file=sys.stderr)
        return 2
    measured = []
    with tempfile.TemporaryDirectory() as folder:
        mobilenet = Path(folder) / "mobilenet.onnx"
        save(int8_model(), mobilenet)
        for row in rows(arguments.shared, mobilenet):
            print(own_line(row), flush=True)
            measured.append(row)
        clang = list(clang_rows(arguments.shared, mobilenet))
        small = list(small_rows(arguments.shared, mobilenet))
    arguments.output.write_text("\n".join(page(measured, clang, small)) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
