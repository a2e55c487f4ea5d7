"""One artifact, every target, every driver, every compiler: the same bytes, and the same counts where counted."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from fixture_artifact import FILES, MANIFEST, expected, samples, with_kernel_line
from tinycast.errors import UsageError
from tinycast.execute.host import HostDriver
from tinycast.execute.qemu import QemuDriver
from tinycast.execute.select import drivers_of
from tinycast.execute.types import Driver, FirmwareSizes
from tinycast.execute.unicorn import UnicornDriver
from tinycast.execute.wasm import WasmtimeDriver
from tinycast.target.load import all_targets, load_target
from tinycast.target.types import Platform, Target
from tinycast.toolchain.wasm import build_wasm
from tinycast.toolchain.wasm_binary import sections

X = samples(40)
HOST = load_target("host")
BARE = [target for target in all_targets() if target.platform in (Platform.ARM_M, Platform.RISCV)]
PAIRS = [
    pytest.param(target, driver, id=f"{target.name}-{driver.name}")
    for target in all_targets()
    for driver in drivers_of(target)
]


def require(driver: Driver) -> None:
    if not driver.available():
        pytest.skip(f"{driver.name} is not installed")


@pytest.mark.parametrize(("target", "driver"), PAIRS)
def test_same_bytes_everywhere(target: Target, driver: Driver) -> None:
    require(driver)
    outputs = driver.run(FILES, MANIFEST, {"x": X}).outputs
    assert list(outputs) == ["y:0"]
    assert outputs["y:0"].dtype == np.int8
    np.testing.assert_array_equal(outputs["y:0"], expected(X))


def test_host_with_zig() -> None:
    outputs = HostDriver(HOST, compiler="zig").run(FILES, MANIFEST, {"x": X}).outputs
    np.testing.assert_array_equal(outputs["y:0"], expected(X))


@pytest.mark.parametrize("target", BARE, ids=lambda target: str(target.name))
@pytest.mark.parametrize("compiler", ["gcc", "zig"])
def test_figures_of_a_core(target: Target, compiler: str) -> None:
    driver = QemuDriver(target, compiler)
    require(driver)
    plain = driver.run(FILES, MANIFEST, {"x": X})
    profiled = driver.run(FILES, MANIFEST, {"x": X}, profile=True)
    np.testing.assert_array_equal(plain.outputs["y:0"], expected(X))
    assert plain.layer_instructions is None
    assert plain.instructions is not None
    assert profiled.instructions is not None
    assert profiled.layer_instructions is not None
    assert len(profiled.layer_instructions) == 2
    assert abs(plain.instructions - profiled.instructions) <= 4
    before_first_layer = profiled.instructions - sum(profiled.layer_instructions)
    assert 0 < before_first_layer < 12
    assert profiled.layer_instructions[0] > profiled.layer_instructions[1] > 4
    assert plain.stack_bytes is not None
    assert 0 < plain.stack_bytes < 200
    assert plain.sizes is not None
    assert 300 < plain.sizes.text_bytes < 1000
    assert plain.sizes.flash_bytes == plain.sizes.text_bytes + plain.sizes.data_bytes
    assert plain.sizes.bss_bytes < 32  # the model struct, but not the arena


@pytest.mark.parametrize("target", [t for t in BARE if t.unicorn_cpu], ids=lambda target: str(target.name))
@pytest.mark.parametrize("compiler", ["gcc", "zig"])
def test_unicorn_counts_what_qemu_counts(target: Target, compiler: str) -> None:
    qemu, unicorn = QemuDriver(target, compiler), UnicornDriver(target, compiler)
    require(qemu)
    require(unicorn)
    # Divisions, long multiplies, branches and floats, so that blocks of many kinds are counted.
    work = (
        "volatile float f = 1.0f; static volatile uint32_t t[16];"
        " for (uint32_t i = 0; i < 500u; i++) {"
        " if (i % 7u == (uint32_t)x[0] % 3u) { t[i % 16u] += i / 3u; } else { f = f * 0.5f + 0.25f; }"
        " t[i % 13u] ^= (uint32_t)(((uint64_t)t[i % 5u] * i) >> 32); }"
    )
    files = with_kernel_line(work)
    first = qemu.run(files, MANIFEST, {"x": X[:3]}, profile=True)
    second = unicorn.run(files, MANIFEST, {"x": X[:3]}, profile=True)
    assert first.instructions is not None
    assert first.instructions > 8000
    np.testing.assert_array_equal(first.outputs["y:0"], second.outputs["y:0"])
    # Emulators cut code into other blocks, at whose ends the estimate is less exact.
    assert (first.cycles_estimate or 0) == pytest.approx(second.cycles_estimate or 0, rel=0.05)
    estimates = {"outputs": {}, "cycles_estimate": 0, "layer_cycles": None}
    assert replace(first, **estimates) == replace(second, **estimates)


def test_sizes_follow_data() -> None:
    driver = QemuDriver(load_target("cortex-m4"))
    require(driver)
    files = with_kernel_line("static volatile int32_t counter = 5; counter++;")
    base, grown = (driver.run(each, MANIFEST, {"x": X[:1]}).sizes for each in (FILES, files))
    assert isinstance(base, FirmwareSizes)
    assert isinstance(grown, FirmwareSizes)
    assert base.data_bytes == 0
    assert 4 <= grown.data_bytes <= 16
    assert grown.flash_bytes > base.flash_bytes


def test_stack_is_what_a_kernel_takes() -> None:
    driver = QemuDriver(load_target("cortex-m4"))
    require(driver)
    base = driver.run(FILES, MANIFEST, {"x": X[:1]}).stack_bytes
    line = "volatile uint8_t big[1000]; for (uint32_t i = 0; i < sizeof big; i++) { big[i] = 1; }"
    grown = driver.run(with_kernel_line(line), MANIFEST, {"x": X[:1]}).stack_bytes
    assert base is not None
    assert grown is not None
    assert 1000 <= grown - base <= 1032


@pytest.mark.parametrize("name", ["wasm32", "wasm32-scalar"])
def test_wasm_is_small_deterministic_and_imports_nothing(name: str) -> None:
    target = load_target(name)
    module = build_wasm(FILES, "tiny", target)
    assert module == build_wasm(FILES, "tiny", target)
    assert len(module) < 2000
    assert not {section for section, _ in sections(module)} & {0, 2}  # custom (names, producers), imports
    prebuilt = {"tiny.wasm": module}
    outputs = WasmtimeDriver(target).run(prebuilt, MANIFEST, {"x": X}).outputs
    np.testing.assert_array_equal(outputs["y:0"], expected(X))


@pytest.mark.skipif(shutil.which("gcc") is None, reason="sanitizers need gcc")
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("volatile int32_t n = INT32_MAX; n += 1 + n;", "signed integer overflow"),
        ("static volatile int8_t small[4]; small[4 + (x[0] & 0)] = 1;", "runtime error|global-buffer-overflow"),
    ],
)
def test_sanitizers_speak(line: str, message: str) -> None:
    driver = HostDriver(HOST, sanitize=True)
    np.testing.assert_array_equal(driver.run(FILES, MANIFEST, {"x": X}).outputs["y:0"], expected(X))
    with pytest.raises(Exception, match="failed with status") as caught:
        driver.run(with_kernel_line(line), MANIFEST, {"x": X})
    assert any(part in str(caught.value) for part in message.split("|"))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "the model has"),
        ({"z": X}, "the model has"),
        ({"x": X.astype(np.float32)}, "expected int8"),
        ({"x": X[:, :3]}, r"expected shape \(samples, 4\)"),
        ({"x": X[0]}, r"expected shape \(samples, 4\)"),
        ({"x": X[:0]}, "samples"),
    ],
)
def test_bad_inputs_are_named(inputs: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        HostDriver(HOST).run(FILES, MANIFEST, inputs)


def test_samples_may_keep_the_batch_dimension() -> None:
    outputs = HostDriver(HOST).run(FILES, MANIFEST, {"x": X[:, None, :]}).outputs
    np.testing.assert_array_equal(outputs["y:0"], expected(X))


@pytest.mark.parametrize(("target", "driver"), PAIRS)
def test_model_without_inputs_runs_once(target: Target, driver: Driver) -> None:
    require(driver)
    line = "tiny_reverse(tiny_weights, y); return; (void)x;"
    manifest = {**MANIFEST, "inputs": []}
    measured = driver.run(with_kernel_line(line), manifest, {})
    np.testing.assert_array_equal(measured.outputs["y:0"], [[17, -90, 33, 4]])
    if target.gcc:
        assert measured.instructions is not None
        assert measured.instructions > 20
