"""AVR: constants in flash, an int of 16 bits, two to sixteen KiB of RAM; the bytes that every target gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnx.parser
import pytest
from emit.compilers import STRICT, lay_out, run
from models.nets import flat, net, port_inputs, reference
from quantized_nets import METHODS, NETS
from tinycast.errors import FitError, ModelError
from tinycast.execute.simavr import SimavrDriver
from tinycast.ir.graph import interpret
from tinycast.pipeline import CompileOptions, build, compile_file, compile_model
from tinycast.program.lower import to_integers
from tinycast.target.load import load_target
from tinycast.toolchain.find import compiler_for

SAMPLES = 2


def driver(name: str) -> SimavrDriver:
    found = SimavrDriver(load_target(name))
    if not found.available():
        pytest.skip("needs avr-gcc and simavr: apt install gcc-avr avr-libc libsimavr-dev libelf-dev")
    return found


def test_digits_gives_the_reference_bytes_and_its_cycles_by_layer(tmp_path: Path) -> None:
    digits = net("digits_int8", tmp_path)
    made = compile_file(digits.path, "atmega2560", CompileOptions(name="net"))
    inputs = port_inputs(digits.path, digits.first(SAMPLES))
    simulator = driver("atmega2560")
    compiler = compiler_for(simulator.target)
    sources = lay_out(made.files, tmp_path / "c")
    for source in (*sources, "test/net_selftest.c"):
        flags = [*STRICT, *compiler.machine_flags, "-Iinclude", "-Isrc", "-c", source, "-o", "object.o"]
        run([*compiler.command, *flags], tmp_path / "c")
    measured = simulator.run(made.files, made.manifest, inputs, profile=True)
    for got, expected in zip(measured.outputs.values(), reference(digits.path, digits.first(SAMPLES)), strict=True):
        np.testing.assert_array_equal(flat(got), flat(expected))
    assert measured.instructions is not None
    assert measured.cycles_estimate is not None
    assert measured.layer_instructions is not None
    assert measured.layer_cycles is not None
    assert len(measured.layer_cycles) == len(made.manifest["layers"]) == len(measured.layer_instructions)
    assert 0 < measured.instructions - sum(measured.layer_instructions) < 100
    assert 0 < measured.cycles_estimate - sum(measured.layer_cycles) < 200
    assert 1.2 < measured.cycles_estimate / measured.instructions < 2.5
    assert measured.instructions < 55 * made.manifest["macs"]
    assert measured.sizes is not None
    assert measured.sizes.data_bytes < 16  # no constant is copied to RAM by the start-up code
    assert made.manifest["weights_bytes"] < measured.sizes.flash_bytes < made.manifest["weights_bytes"] + 14_000
    assert measured.stack_bytes is not None
    assert 0 < measured.stack_bytes < 300


def test_streamed_layers_read_flash_too(tmp_path: Path) -> None:
    """Into the 2 KiB of the smallest chip: rows at a time."""
    digits, chip = net("digits_int8", tmp_path), load_target("atmega328p")
    made = compile_file(digits.path, chip.name, CompileOptions(name="net"))
    assert made.manifest["memory"]["segments"]
    assert made.manifest["arena_bytes"] <= chip.arena_bytes
    inputs = port_inputs(digits.path, digits.first(1))
    # With the harness it needs a little more room than this chip has.
    measured = driver("atmega1284p").run(made.files, made.manifest, inputs)
    for got, expected in zip(measured.outputs.values(), reference(digits.path, digits.first(1)), strict=True):
        np.testing.assert_array_equal(flat(got), flat(expected))


def save_products(path: Path, rows: int, count: int) -> Path:
    """`count` matrices of rows x rows, in float."""
    random = np.random.default_rng(0)
    names = ["x", *(f"h{i}" for i in range(1, count)), "y"]
    nodes = [
        onnx.helper.make_node("MatMul", [names[i], f"w{i}"], [names[i + 1]], name=f"product_{i}") for i in range(count)
    ]
    weights = [
        onnx.numpy_helper.from_array(random.normal(size=(rows, rows)).astype(np.float32), f"w{i}") for i in range(count)
    ]
    ports = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, rows]) for name in "xy"]
    graph = onnx.helper.make_graph(nodes, "products", ports[:1], ports[1:], weights)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10), path)
    return path


@pytest.mark.parametrize(
    ("rows", "count", "chip", "message"),
    [
        (100, 1, "atmega2560", "no array of more than 32767 bytes"),
        (64, 5, "atmega2560", "82176 bytes, 17152 more than atmega2560 can address"),
        (64, 2, "atmega328p", "33024 bytes, 768 more than atmega328p can address"),
    ],
)
def test_weights_that_do_not_fit(rows: int, count: int, chip: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(FitError, match=message):
        compile_file(save_products(tmp_path / "large.onnx", rows, count), chip, CompileOptions())


def test_a_constant_output_is_refused(tmp_path: Path) -> None:
    graph = "(float[1,4] x) => (float[1,4] y, float[2] z) { y = Relu(x) z = Constant<value = float[2] {1.5, 2.5}>() }"
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]> g {graph}')
    onnx.save(proto, tmp_path / "constant.onnx")
    with pytest.raises(ModelError, match="constant"):
        compile_file(tmp_path / "constant.onnx", "atmega2560", CompileOptions())


def assert_net_agrees(name: str, method: str, chip: str = "atmega1284p") -> None:
    row = next(row for row in NETS if row.name == name)
    model = METHODS[method](row)
    program = to_integers(model, "net")
    made = build(compile_model(model, load_target(chip), "net", "0" * 64))
    random = np.random.default_rng(5)
    samples = {
        v.name: random.integers(-128, 128, (SAMPLES, *v.shape)).astype(v.dtype.numpy)
        if v.dtype.numpy.kind == "i"
        else random.integers(0, 256, (SAMPLES, *v.shape)).astype(v.dtype.numpy)
        for v in program.inputs
    }
    ports = {p["name"]: p for p in made.manifest["inputs"]}
    feeds = {n: x.reshape(SAMPLES, *ports[n]["shape"]) for n, x in samples.items()}
    measured = driver(chip).run(made.files, made.manifest, feeds)
    for index, value in enumerate(program.outputs):
        runs = [interpret(program, [samples[v.name][i] for v in program.inputs])[value] for i in range(SAMPLES)]
        expected, got = np.stack(runs).reshape(SAMPLES, -1), measured.outputs[made.manifest["outputs"][index]["name"]]
        if expected.dtype == np.float32:  # a tool left the last operator in float
            np.testing.assert_allclose(flat(got), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        else:
            np.testing.assert_array_equal(flat(got), expected)


@pytest.mark.parametrize(("name", "method"), [("branches", "qdq_int8"), ("encoder_net", "tinycast_int8")])
def test_operators(name: str, method: str) -> None:
    assert_net_agrees(name, method)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["qdq_int8_channels", "qoperator_uint8", "tinycast_int8"])
@pytest.mark.parametrize("name", [row.name for row in NETS])
def test_all_operators(name: str, method: str) -> None:
    assert_net_agrees(name, method)
