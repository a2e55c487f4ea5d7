"""Models in several memories: the same bytes, on the host under sanitizers and where linker scripts really put them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cli.cli_models import save_convolution
from emit.compilers import STRICT, compiler_command, exit_status, lay_out, run
from models.test_state import SWAP, save_text
from nets import Net, compiled, flat, net, port_inputs
from tinycast.artifact import Artifact
from tinycast.errors import FitError, ToolMissingError, UsageError
from tinycast.execute.build import build_bare
from tinycast.execute.elf import read_elf
from tinycast.execute.host import HostDriver
from tinycast.execute.select import driver_for
from tinycast.pipeline import CompileOptions, compile_file
from tinycast.target.load import load_target
from tinycast.target.regions import make_regions, read_regions
from tinycast.target.types import Region, RegionKind
from tinycast.toolchain.find import compiler_for

RAM, FLASH = RegionKind.RAM, RegionKind.FLASH
CHIP = (
    Region("dtcm", RAM, 3000, 1.0, io=False),
    Region("sram", RAM, 1 << 20, 3.0),
    Region("flash", FLASH, 6000, 2.0),
    Region("qspi", FLASH, 1 << 20, 12.0),
)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Net:
    return net("digits_int8", tmp_path_factory.mktemp("digits"))


def artifact(path: Path, target: str, regions: tuple[Region, ...] = CHIP, **options: object) -> Artifact:
    return compile_file(path, target, CompileOptions(name="net", regions=regions, **options))  # type: ignore[arg-type]


def test_the_host_gives_the_same_bytes_under_sanitizers(digits: Net, tmp_path: Path) -> None:
    made = artifact(digits.path, "host")
    inputs = port_inputs(digits.path, digits.first(4))
    usual = compiled(digits.path, "host")
    driver = HostDriver(load_target("host"), sanitize=True)
    outputs = driver.run(made.files, made.manifest, inputs).outputs
    expected = HostDriver(load_target("host")).run(usual.files, usual.manifest, inputs).outputs
    for name, value in expected.items():
        np.testing.assert_array_equal(flat(outputs[name]), flat(value))
    used = {r["name"]: r["bytes"] for r in made.manifest["memory"]["regions"]}
    assert set(used) == {"dtcm", "sram", "flash", "qspi"}
    assert 0 < used["dtcm"] <= 3000
    assert all(used.values())
    assert made.manifest["arena_bytes"] == used["dtcm"] + used["sram"]
    assert used["flash"] + used["qspi"] == made.manifest["weights_bytes"] == usual.manifest["weights_bytes"]
    assert any(layer["op"] == "CopyWeights" for layer in made.manifest["layers"])
    for compiler in ("gcc", "clang"):
        command = compiler_command(compiler)
        sources = lay_out(made.files, tmp_path)
        flags = [*STRICT, "-Iinclude", "-Isrc", "-DNET_SELFTEST_MAIN"]
        run([*command, *flags, *sources, "test/net_selftest.c", "-o", "selftest"], tmp_path)
        assert exit_status(["./selftest"], tmp_path) == 0


def test_linker_scripts_put_each_region_into_a_memory_of_its_own(digits: Net, tmp_path: Path) -> None:
    target = load_target("cortex-m7")
    made = artifact(digits.path, "cortex-m7")
    try:
        compiler = compiler_for(target)
        driver = driver_for(target)
    except ToolMissingError as error:
        pytest.skip(str(error))
    elf = read_elf(build_bare(made.files, made.manifest, target, compiler, tmp_path))
    (other, size) = target.more_memory[0]
    places = {name: address for name, address in elf.symbols if name.startswith(("net_arena_", "net_w"))}
    assert target.ram_origin <= places["net_arena_dtcm"] < target.ram_origin + target.ram_bytes
    assert other <= places["net_arena_sram"] < other + size
    weights = [address for name, address in places.items() if name.startswith("net_w")]
    assert any(other <= address < other + size for address in weights)
    assert any(target.flash_origin <= address < target.flash_origin + target.flash_bytes for address in weights)
    inputs = port_inputs(digits.path, digits.first(2))
    measured = driver.run(made.files, made.manifest, inputs)
    usual = compiled(digits.path, "host")
    expected = HostDriver(load_target("host")).run(usual.files, usual.manifest, inputs).outputs
    for name, value in expected.items():
        np.testing.assert_array_equal(flat(measured.outputs[name]), flat(value))
    assert measured.sizes is not None
    assert measured.sizes.bss_bytes < 64  # the arenas are in none of the sizes


def test_states_are_reset_in_their_region(tmp_path: Path) -> None:
    path = save_text(tmp_path / "swap.onnx", SWAP)
    states = {"one": "new_one", "two": "new_two"}
    tight = (Region("first", RAM, 48, 1.0), Region("second", RAM, 4096, 2.0))
    samples = {"x": np.random.default_rng(1).normal(size=(5, 1, 4)).astype(np.float32)}
    outputs = []
    for regions in ((), tight):
        made = artifact(path, "host", regions, states=states)
        outputs.append(HostDriver(load_target("host"), sanitize=True).run(made.files, made.manifest, samples).outputs)
    np.testing.assert_array_equal(outputs[0]["y"], outputs[1]["y"])
    assert all(r["bytes"] for r in made.manifest["memory"]["regions"])


def test_layers_are_streamed_where_they_do_not_fit_as_a_whole(digits: Net) -> None:
    arena = compiled(digits.path, "host").manifest["arena_bytes"]
    small = (Region("only", RAM, arena * 3 // 4),)
    made = artifact(digits.path, "host", small)
    assert made.manifest["memory"]["segments"]
    assert made.manifest["arena_bytes"] <= arena * 3 // 4


@pytest.mark.parametrize(
    ("regions", "message"),
    [
        ((Region("dtcm", RAM, 100), Region("sram", RAM, 500)), r"sram: \d+ bytes too small"),
        ((Region("sram", RAM, 1 << 20), Region("flash", FLASH, 1000)), r"flash: \d+ bytes too small"),
    ],
)
def test_what_does_not_fit_names_the_region(digits: Net, regions: tuple[Region, ...], message: str) -> None:
    with pytest.raises(FitError, match=message):
        artifact(digits.path, "cortex-m4", regions)


def test_webassembly_has_one_memory(tmp_path: Path) -> None:
    path = tmp_path / "convolution.onnx"
    save_convolution(path)
    with pytest.raises(UsageError, match="--memory"):
        artifact(path, "wasm32")


GOOD = {"name": "sram", "kind": "ram", "bytes": 1000}


@pytest.mark.parametrize(
    "tables",
    [
        [{**GOOD, "name": "Sram"}],
        [{**GOOD, "kind": "disk"}],
        [{**GOOD, "bytes": 0}],
        [{**GOOD, "bytes": True}],
        [{**GOOD, "cost": -1}],
        [{**GOOD, "section": 'x"'}],
        [{**GOOD, "size": 3}],
        [{"name": "sram"}],
        [GOOD, GOOD],
        [{**GOOD, "io": False}],
        ["sram"],
    ],
)
def test_tables_that_are_no_regions_are_refused(tables: list[dict[str, object]]) -> None:
    with pytest.raises(UsageError, match="memory region"):
        make_regions(tables, "chip.toml")


def test_a_file_lists_regions(tmp_path: Path) -> None:
    path = tmp_path / "chip.toml"
    path.write_text('[[regions]]\nname = "dtcm"\nkind = "ram"\nbytes = 4096\nsection = ".dtcm"\n', encoding="utf-8")
    assert read_regions(path) == (Region("dtcm", RAM, 4096, section=".dtcm"),)
    for text in ("", "regions = 3", "[[regions]", "[[regions]]\nx=1\n[[other]]\n"):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=r"chip\.toml"):
            read_regions(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_regions(tmp_path / "none.toml")
