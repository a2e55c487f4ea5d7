"""Quantized RNN, GRU and LSTM: the same bytes on every target, as near the float model as ONNX Runtime's QDQ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import onnx_ir
import pytest
from emit.compilers import STRICT, compiler_command, exit_status, lay_out, run
from tinycast.compress.quantize import QuantizeOptions, quantize
from tinycast.execute.select import driver_for
from tinycast.ir.graph import Program, interpret
from tinycast.ir.types import DType
from tinycast.model import Session, load, save, simplify
from tinycast.ops.recurrent_integer import IntegerRecurrent, pack_gates, unpack_gates
from tinycast.pipeline import CompileOptions, build, compile_file, compile_model, quantize_file
from tinycast.program.lower import to_integers
from tinycast.target.load import load_target

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
TARGETS = ("host", "cortex-m0plus", "cortex-m4", "cortex-m55", "rv32imc", "wasm32", "wasm32-scalar")


@dataclass(frozen=True)
class Layer:
    """A layer between an input and a product; `last` takes the last state only."""

    kind: str
    steps: int = 12
    columns: int = 9
    hidden: int = 13
    directions: int = 1
    attributes: tuple[tuple[str, int], ...] = ()
    last: bool = False
    per_channel: bool = True
    bias: bool = True
    starts: bool = False  # from constants that are not zero

    @property
    def name(self) -> str:
        return "_".join(
            [
                self.kind.lower(),
                *(name for name, _ in self.attributes),
                *(["both"] if self.directions == 2 else []),
                *(["last"] if self.last else []),
                *([] if self.per_channel else ["one_scale"]),
                *([] if self.bias else ["no_bias"]),
                *(["starts"] if self.starts else []),
                str(self.hidden),
            ]
        )

    def save(self, path: Path) -> Path:
        random = np.random.default_rng(sum(map(ord, self.name)))
        rows, d, h = GATES[self.kind] * self.hidden, self.directions, self.hidden
        edge = 2 / np.sqrt(h)
        weights = {
            "w": random.uniform(-edge, edge, (d, rows, self.columns)),
            "r": random.uniform(-edge, edge, (d, rows, h)),
            "v": random.normal(0, 0.3, (d * h, 4)),
        }
        inputs = ["x", "w", "r", "b" if self.bias else ""]
        if self.bias:
            weights["b"] = random.uniform(-edge, edge, (d, 2 * rows))
        if self.starts:
            weights |= {n: random.uniform(-1, 1, (d, 1, h)) for n in ("h0", "c0")[: 2 if self.kind == "LSTM" else 1]}
            inputs += ["", *(n for n in ("h0", "c0") if n in weights)]
        arrays = {name: array.astype(np.float32) for name, array in weights.items()}
        arrays["s"] = np.array([1 if self.last else self.steps, d * h], np.int64)
        helper, kind_float = onnx.helper, onnx.TensorProto.FLOAT
        nodes = [
            helper.make_node(
                self.kind,
                inputs,
                ["", "y"] if self.last else ["y"],
                "layer",
                hidden_size=h,
                direction="bidirectional" if d == 2 else "forward",
                **dict(self.attributes),
            ),
            helper.make_node("Transpose", ["y"], ["t"], perm=[1, 0, 2] if self.last else [0, 2, 1, 3]),
            helper.make_node("Reshape", ["t", "s"], ["f"]),
            helper.make_node("MatMul", ["f", "v"], ["z"]),
        ]
        graph = helper.make_graph(
            nodes,
            "net",
            [helper.make_tensor_value_info("x", kind_float, [self.steps, 1, self.columns])],
            [helper.make_tensor_value_info("z", kind_float, None)],
            [onnx.numpy_helper.from_array(a, n) for n, a in arrays.items()],
        )
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
        return path

    def sequences(self, count: int, seed: int) -> np.ndarray:
        """Smooth ones, as features of sound are."""
        noise = np.random.default_rng(seed).normal(0, 1, (count, self.steps, 1, self.columns))
        for t in range(1, self.steps):
            noise[:, t] = 0.8 * noise[:, t - 1] + 0.6 * noise[:, t]
        return noise.astype(np.float32)


BEFORE = (("linear_before_reset", 1),)
FORGET = (("input_forget", 1),)
LAYERS = [
    *(Layer(kind) for kind in GATES),
    *(Layer(kind, directions=2, hidden=8) for kind in GATES),
    *(Layer(kind, last=True, hidden=6) for kind in GATES),
    *(Layer(kind, per_channel=False, bias=False) for kind in GATES),
    *(Layer(kind, starts=True, steps=3) for kind in GATES),
    Layer("GRU", attributes=BEFORE, directions=2, hidden=7),
    Layer("GRU", attributes=BEFORE, bias=False, hidden=5),
    Layer("LSTM", attributes=FORGET, columns=1),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("layers")


def quantized(layer: Layer, folder: Path) -> tuple[Path, onnx_ir.Model]:
    path = folder / f"{layer.name}_int8.onnx"
    if not path.exists():
        model = load(layer.save(folder / f"{layer.name}.onnx"))
        simplify(model)
        options = QuantizeOptions(per_channel=layer.per_channel)
        save(quantize(model, {"x": layer.sequences(40, 1)}, options), path)
    model = load(path)
    simplify(model)
    return path, model


def references(program: Program, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The quantized inputs, and what the program's references make of them."""
    quant = program.inputs[0].quant
    assert quant is not None
    integers = np.clip(np.rint(x / np.float32(quant.scale[0])) + quant.zero_point[0], -128, 127).astype(np.int8)
    return integers, np.stack([interpret(program, [sample])[program.outputs[0]] for sample in integers])


def decibels(got: np.ndarray, wanted: np.ndarray) -> float:
    return float(10 * np.log10(np.square(wanted).sum() / np.square(got - wanted).sum()))


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_as_near_the_float_model_as_onnx_runtime(layer: Layer, folder: Path) -> None:
    path, model = quantized(layer, folder)
    program = to_integers(model, "net")
    assert program.notes == []
    assert [type(c.op) for c in program.calls].count(IntegerRecurrent) == 1
    assert DType.FLOAT32 not in {v.dtype for c in program.calls for v in (*c.inputs, *c.outputs) if v.size}
    x = layer.sequences(24, 2)
    float_session, qdq_session = Session(folder / f"{layer.name}.onnx"), Session(path)
    exact = np.stack([float_session.run({"x": sample})["z"] for sample in x])
    theirs = np.stack([qdq_session.run({"x": sample})["z"] for sample in x])
    _, raw = references(program, x)
    quant = program.outputs[0].quant
    assert quant is not None
    ours = (raw.astype(np.float32) - quant.zero_point[0]) * np.float32(quant.scale[0])
    assert decibels(ours, exact) > decibels(theirs, exact) - 0.5
    assert np.abs(ours - theirs).max() < 2.5 * quant.scale[0]


@pytest.mark.parametrize(
    "target", [pytest.param(t, marks=pytest.mark.slow if t in ("cortex-m0plus", "cortex-m55") else ()) for t in TARGETS]
)
def test_same_bytes_on_every_target(target: str, folder: Path) -> None:
    layers = LAYERS if target == "host" else [layer for layer in LAYERS if not layer.starts and layer.per_channel]
    for layer in layers:
        program = to_integers(quantized(layer, folder)[1], "net")
        inputs, wanted = references(program, layer.sequences(3, 3))
        artifact = build(compile_model(quantized(layer, folder)[1], load_target(target), "net", "0" * 64), None)
        measured = driver_for(load_target(target)).run(artifact.files, artifact.manifest, {"x": inputs})
        np.testing.assert_array_equal(measured.outputs["z"].reshape(wanted.shape), wanted, layer.name)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_code_is_clean(compiler: str, folder: Path, tmp_path: Path) -> None:
    """Without a warning, and without undefined behaviour on the self-test's input."""
    command = compiler_command(compiler)
    for layer in LAYERS:
        files = build(compile_model(quantized(layer, folder)[1], load_target("host"), "net", "0" * 64), "c").files
        sources = lay_out(files, tmp_path)
        flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"] if compiler == "gcc" else []
        run(
            [
                *command,
                *STRICT,
                "-O1",
                *flags,
                "-Iinclude",
                "-Isrc",
                "-DNET_SELFTEST_MAIN",
                *sources,
                "test/net_selftest.c",
                "-o",
                "net",
            ],
            tmp_path,
        )
        assert exit_status(["./net"], tmp_path) == 0


@pytest.mark.parametrize("kind", GATES)
def test_frame_by_frame_gives_the_bytes_of_the_whole_sequence(kind: str, folder: Path, tmp_path: Path) -> None:
    """The state between runs is the state between steps, to the bit."""
    layer = Layer(kind)
    whole_path, model = quantized(layer, folder)
    program = to_integers(model, "net")
    inputs, wanted = references(program, layer.sequences(1, 4))
    proto = onnx.load(whole_path)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del proto.graph.value_info[:]
    for value in proto.graph.output:
        value.type.tensor_type.ClearField("shape")
    for tensor in proto.graph.initializer:
        if tensor.data_type == onnx.TensorProto.INT64:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array([1, layer.hidden], np.int64), tensor.name))
    frame = tmp_path / "frame.onnx"
    onnx.save(proto, frame)
    for target in ("host", "cortex-m4", "wasm32"):
        artifact = compile_file(frame, target, CompileOptions(stateful=True))
        assert [state["dtype"] for state in artifact.manifest["states"]] == ["int16", "int32"][: 1 + (kind == "LSTM")]
        assert not [note for note in artifact.manifest["notes"] if "float32" in note]
        samples = inputs[0][:, None] if artifact.manifest["inputs"][0]["shape"][0] != 1 else inputs[0]
        outputs = driver_for(load_target(target)).run(artifact.files, artifact.manifest, {"x": samples}).outputs
        np.testing.assert_array_equal(outputs["z"].reshape(wanted[0].shape), wanted[0])


@pytest.mark.parametrize("kind", GATES)
def test_a_model_of_one_frame_is_calibrated_on_a_stream(kind: str, tmp_path: Path) -> None:
    """Its states become inputs and outputs, which ONNX Runtime carries and the compiled model keeps."""
    layer = Layer(kind, steps=1)
    path = layer.save(tmp_path / "frame.onnx")
    long = Layer(kind, steps=300)
    np.savez(tmp_path / "stream.npz", x=long.sequences(1, 1)[0])
    model = quantize_file(path, tmp_path / "stream.npz", QuantizeOptions(), {}, stateful=True)
    save(model, tmp_path / "frame_int8.onnx")
    stream = long.sequences(1, 2)[0][:100]
    options = CompileOptions(stateful=True, float_io=True)
    artifact = compile_file(tmp_path / "frame_int8.onnx", "host", options)
    assert [state["dtype"] for state in artifact.manifest["states"]] == ["int16", "int32"][: 1 + (kind == "LSTM")]
    ours = driver_for(load_target("host")).run(artifact.files, artifact.manifest, {"x": stream}).outputs["z"]
    session = Session(tmp_path / "frame_int8.onnx")
    carried = {v.name or "": np.zeros(v.shape.numpy(), np.float32) for v in model.graph.inputs[1:] if v.shape}
    names = [str(v.name) for v in model.graph.outputs[1:]]
    theirs = []
    for sample in stream:
        result = session.run({"x": sample[None], **carried})
        carried = {name: result[output] for name, output in zip(carried, names, strict=True)}
        theirs.append(result["z"])
    whole = Layer(kind, steps=100).save(tmp_path / "whole.onnx")
    proto = onnx.load(whole)
    for tensor in proto.graph.initializer:  # the weights of the model of one frame
        own = next(t for t in onnx.load(path).graph.initializer if t.name == tensor.name)
        if tensor.name != "s":
            tensor.CopyFrom(own)
    onnx.save(proto, whole)
    exact = Session(whole).run({"x": stream})["z"]
    assert decibels(ours, exact) > decibels(np.concatenate(theirs), exact) - 0.5
    assert decibels(ours, exact) > 20


def test_packed_weights_unpack() -> None:
    weight = np.random.default_rng(0).integers(-127, 128, (2, 3 * 5, 7)).astype(np.int8)
    packed = pack_gates(weight, 3)
    assert packed.shape == (2, 3, 2, 4, 8)
    np.testing.assert_array_equal(unpack_gates(packed, 7, 5).reshape(weight.shape), weight)
    first = packed[0, 0, 0, 0]  # rows 0 and 1, then 2 and 3: elements 0, elements 1
    np.testing.assert_array_equal(first[:4], [weight[0, 0, 0], weight[0, 1, 0], weight[0, 0, 1], weight[0, 1, 1]])


@pytest.mark.parametrize("change", ["activation", "clip", "shown"])
def test_what_has_no_integer_form_stays_in_float(change: str, folder: Path) -> None:
    proto = onnx.load(quantized(Layer("GRU"), folder)[0])
    (node,) = (n for n in proto.graph.node if n.op_type == "GRU")
    if change == "activation":
        node.attribute.append(onnx.helper.make_attribute("activations", ["HardSigmoid", "Tanh"]))
    elif change == "clip":
        node.attribute.append(onnx.helper.make_attribute("clip", 2.0))
    else:
        proto.graph.output.append(onnx.helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, None))
    model = onnx_ir.serde.deserialize_model(proto)
    program = to_integers(model, "net")
    assert any("GRU" in note and "float32" in note for note in program.notes)


@pytest.mark.parametrize(("scale", "in_float"), [(1 / 127, False), (0.05, True)])
def test_a_start_outside_of_what_a_state_holds_stays_in_float(scale: float, in_float: bool, folder: Path) -> None:
    """Captioning starts from features, which a dense layer makes of an image: they may be larger than 1."""
    proto = onnx.load(quantized(Layer("GRU", starts=True, steps=3), folder)[0])
    (start,) = (t for t in proto.graph.initializer if t.name.startswith("h0"))
    proto.graph.initializer.remove(start)
    integers = onnx.helper.make_tensor_value_info("h", onnx.TensorProto.INT8, start.dims)
    proto.graph.input.append(integers)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(scale), "h_scale"))
    proto.graph.node.insert(0, onnx.helper.make_node("DequantizeLinear", ["h", "h_scale"], [start.name]))
    program = to_integers(onnx_ir.serde.deserialize_model(proto), "net")
    assert any("GRU" in note and "float32" in note for note in program.notes) == in_float
