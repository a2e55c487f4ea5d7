"""The same network on every target: the same bytes for int8, ONNX Runtime's numbers for float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from nets import CORES, FAST, FLOAT, INT8, compiled, execute, flat, net, port_inputs, reference
from tinycast.execute.qemu import QemuDriver
from tinycast.model import Session, load
from tinycast.target.load import load_target


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nets")


def assert_same_bytes(name: str, target: str, folder: Path, count: int | None, driver: str | None = None) -> None:
    subject = net(name, folder)
    samples = subject.samples if count is None else subject.first(count)
    expected = reference(subject.path, samples)
    outputs = execute(subject.path, target, samples, driver).outputs
    assert len(outputs) == len(expected)
    for array, wanted in zip(outputs.values(), expected, strict=True):
        np.testing.assert_array_equal(flat(array), wanted)


@pytest.mark.parametrize("target", FAST)
@pytest.mark.parametrize("name", INT8)
def test_all_inputs_give_the_references_bytes(name: str, target: str, folder: Path) -> None:
    assert_same_bytes(name, target, folder, None)


@pytest.mark.parametrize("target", CORES)
@pytest.mark.parametrize("name", INT8)
def test_emulated_cores_give_the_references_bytes(name: str, target: str, folder: Path) -> None:
    assert_same_bytes(name, target, folder, 25)


@pytest.mark.slow
@pytest.mark.parametrize("target", CORES)
@pytest.mark.parametrize("name", INT8)
def test_emulated_cores_on_all_inputs(name: str, target: str, folder: Path) -> None:
    assert_same_bytes(name, target, folder, None)


@pytest.mark.parametrize("name", INT8)
def test_node_gives_the_references_bytes(name: str, folder: Path) -> None:
    assert_same_bytes(name, "wasm32", folder, 50, "node")


@pytest.mark.parametrize("target", ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33"])
def test_unicorn_gives_the_references_bytes(target: str, folder: Path) -> None:
    assert_same_bytes("digits_int8", target, folder, 10, "unicorn")


@pytest.mark.parametrize("name", ["kws_int8_qdq", "ad_int8_qdq"])
def test_clang_gives_the_references_bytes(name: str, folder: Path) -> None:
    """The micro-kernels in assembly leave it enough registers."""
    subject, core = net(name, folder), load_target("cortex-m4")
    samples, artifact = subject.first(5), compiled(subject.path, core.name)
    run = QemuDriver(core, "zig").run(artifact.files, artifact.manifest, port_inputs(subject.path, samples))
    for array, wanted in zip(run.outputs.values(), reference(subject.path, samples), strict=True):
        np.testing.assert_array_equal(flat(array), wanted)


@pytest.mark.parametrize(("name", "accuracy"), [("digits_int8", 0.975), ("kws_int8_qdq", 0.90), ("ic_int8_qdq", 0.875)])
def test_accuracy(name: str, accuracy: float, folder: Path) -> None:
    subject = net(name, folder)
    (outputs,) = execute(subject.path, "host", subject.samples).outputs.values()
    assert subject.labels is not None
    assert np.mean(flat(outputs).argmax(1) == subject.labels) >= accuracy


@pytest.mark.parametrize(("name", "agreement"), [("kws_int8_qdq", 0.995), ("ic_int8_qdq", 0.99)])
def test_agreement_with_onnx_runtime(name: str, agreement: float, folder: Path) -> None:
    subject = net(name, folder)
    (outputs,) = execute(subject.path, "host", subject.samples).outputs.values()
    (expected,) = Session(load(subject.path)).run_samples(subject.samples).values()
    assert np.mean(flat(outputs).argmax(1) == flat(expected).argmax(1)) >= agreement


def assert_close_to_onnx_runtime(name: str, target: str, folder: Path, count: int | None) -> None:
    subject = net(name, folder)
    samples = subject.samples if count is None else subject.first(count)
    (outputs,) = execute(subject.path, target, samples).outputs.values()
    (expected,) = Session(load(subject.path)).run_samples(samples).values()
    assert np.abs(flat(outputs) - flat(expected)).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("target", FAST)
@pytest.mark.parametrize("name", FLOAT)
def test_float_on_all_inputs(name: str, target: str, folder: Path) -> None:
    assert_close_to_onnx_runtime(name, target, folder, None)


# The large ones on every core in `make test-all` only.
FLOAT_ON_CORES = [
    pytest.param(name, core, marks=pytest.mark.slow if name in ("ic_float", "ad_float") and core != "cortex-m4" else ())
    for name in FLOAT
    for core in CORES
]


@pytest.mark.parametrize(("name", "target"), FLOAT_ON_CORES)
def test_float_on_emulated_cores(name: str, target: str, folder: Path) -> None:
    assert_close_to_onnx_runtime(name, target, folder, 2)
