"""Attention, embeddings and weights of a few bits as ONNX Runtime's tools write them, against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from contrib_models import Arrays, assert_near, compiled, inputs_of, microsoft, model_of, reference, simplified
from model_builders import floats, info, proto, write
from onnx import helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, MatMulNBitsQuantizer
from onnxruntime.transformers import optimizer
from tinycast.errors import ModelError
from tinycast.model import run
from tinycast.pipeline import CompileOptions, compile_file

node = helper.make_node
HEADS, SIZE, TOKENS, PAST = 2, 8, 5, 3
RANDOM = np.random.default_rng(4)


def weights(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 0.5, shape).astype(np.float32)


def ids(*values: int) -> np.ndarray:
    return np.asarray(values, np.int32)


X = {"x": [2, TOKENS, SIZE]}
QKV = {"w": weights(SIZE, 3 * SIZE), "b": weights(3 * SIZE)}
MASKS = {
    "none": None,
    "of_keys": ids(1, 1, 1, 0, 0, 1, 1, 1, 1, 0).reshape(2, 5),
    "of_pairs": np.tril(np.ones((2, 5, 5), np.int32)),
    "ends": ids(3, 5),
    "ends_and_starts": ids(4, 5, 1, 2),
}
ATTENTION: dict[str, tuple[list[onnx.NodeProto], dict[str, list[int]], list[str], Arrays]] = {
    **{
        f"mask_{name}{'_causal' if causal else ''}": (
            [microsoft("Attention", ["x", "w", "b", *(["m"] if mask is not None else [])], ["y"], num_heads=HEADS,
                       unidirectional=causal)],
            X, ["y"], QKV | ({"m": mask} if mask is not None else {}),
        )
        for name, mask in MASKS.items() for causal in (0, 1)
    },
    "other_sizes": (
        [microsoft("Attention", ["x", "w", "b"], ["y"], num_heads=HEADS, qkv_hidden_sizes=[4, 4, 12], scale=0.3)],
        X, ["y"], {"w": weights(SIZE, 20), "b": weights(20)},
    ),
    "past": (
        [microsoft("Attention", ["x", "w", "b", "", "past"], ["y", "present"], num_heads=HEADS, unidirectional=1)],
        X | {"past": [2, 2, HEADS, PAST, SIZE // HEADS]}, ["y", "present"], QKV,
    ),
    "bias": (
        [microsoft("Attention", ["x", "w", "b", "", "", "bias"], ["y"], num_heads=HEADS)],
        X | {"bias": [1, HEADS, TOKENS, TOKENS]}, ["y"], QKV,
    ),
    "several_heads": (
        [microsoft("MultiHeadAttention", ["x", "k", "v", "b", "m", "bias"], ["y"], num_heads=HEADS,
                   mask_filter_value=-20.0)],
        X | {"k": [2, 4, SIZE], "v": [2, 4, 6], "bias": [2, HEADS, TOKENS, 4]}, ["y"],
        {"b": weights(2 * SIZE + 6), "m": ids(1, 1, 1, 0, 1, 1, 0, 0).reshape(2, 4)},
    ),
    "heads_of_another_sequence": (
        [microsoft("MultiHeadAttention", ["x", "k", "v"], ["y"], num_heads=HEADS)],
        X | {"k": [2, HEADS, 6, SIZE // HEADS], "v": [2, HEADS, 6, SIZE // HEADS]}, ["y"], {},
    ),
    "heads_with_past": (
        [microsoft("MultiHeadAttention", ["x", "k", "v", "", "", "", "pk", "pv"], ["y", "nk", "nv"], num_heads=HEADS,
                   unidirectional=1)],
        X | {n: [2, TOKENS, SIZE] for n in "kv"} | {f"p{n}": [2, HEADS, PAST, SIZE // HEADS] for n in "kv"},
        ["y", "nk", "nv"], {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTENTION)
def test_attention(name: str, tmp_path: Path) -> None:
    nodes, shapes, outputs, constants = ATTENTION[name]
    path = write(tmp_path, model_of(nodes, shapes, outputs, constants))
    inputs = inputs_of(shapes)
    got = run(simplified(path), inputs)
    for output, wanted in zip(outputs, reference(path, inputs), strict=True):
        assert_near(got[output], wanted, 1e-5)


def encoder() -> tuple[onnx.ModelProto, Arrays]:
    """Embeddings, attention with a mask and a classifier, as the optimizer fuses a small BERT."""
    constants = {
        "word": weights(30, SIZE), "position": weights(TOKENS, SIZE), "segment": weights(2, SIZE),
        "g": weights(SIZE) + 1, "h": weights(SIZE), "w": QKV["w"], "b": QKV["b"], "c": weights(SIZE, 3),
    }  # fmt: skip
    nodes = [
        microsoft("EmbedLayerNormalization", ["ids", "kinds", "word", "position", "segment", "g", "h", "mask"],
                  ["e", "ends"], epsilon=1e-5),
        microsoft("Attention", ["e", "w", "b", "ends"], ["a"], num_heads=HEADS),
        microsoft("SkipLayerNormalization", ["a", "e", "g", "h"], ["s"]),
        node("MatMul", ["s", "c"], ["y"]),
    ]  # fmt: skip
    values = [helper.make_tensor_value_info(n, onnx.TensorProto.INT32, [1, TOKENS]) for n in ("ids", "kinds", "mask")]
    model = proto(nodes, values, [info("y", None)], constants, opset=17)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    inputs = {"ids": ids(3, 29, 0, 7, 7)[None], "kinds": ids(0, 0, 1, 1, 1)[None], "mask": ids(1, 1, 1, 1, 0)[None]}
    return model, inputs


def test_embedded_tokens_and_attention(tmp_path: Path) -> None:
    model, inputs = encoder()
    path = write(tmp_path, model)
    (wanted,) = reference(path, inputs)
    assert_near(run(simplified(path), inputs)["y"], wanted, 1e-5)
    assert_near(compiled(path, inputs)["y"], wanted, 1e-4)


@pytest.mark.parametrize("per_channel", [False, True])
def test_dynamically_quantized_attention(per_channel: bool, tmp_path: Path) -> None:
    """QAttention and QEmbedLayerNormalization, as quantize_dynamic writes them; tables keep their 8 bits."""
    model, inputs = encoder()
    path = tmp_path / "q.onnx"
    quantize_dynamic(write(tmp_path, model), path, per_channel=per_channel, weight_type=QuantType.QUInt8)
    written = {n.op_type for n in onnx.load(path).graph.node}
    assert {"QAttention", "QEmbedLayerNormalization"} <= written
    (wanted,) = reference(path, inputs)
    # A value that falls on another side of a rounding is a step of the 8 bits away.
    assert_near(run(simplified(path), inputs)["y"], wanted, 1e-4)
    assert_near(compiled(path, inputs)["y"], wanted, 1e-2)


def attention_layer() -> onnx.ModelProto:
    """A layer as PyTorch exports it, with LayerNormalization written out."""
    size, heads = 16, 2
    constants = {f"{n}w": weights(size, size) for n in "qkvo"} | {f"{n}b": weights(size) for n in "qkvo"}
    constants |= {
        "g": weights(size) + 1, "h": weights(size), "shape": np.asarray([0, 0, heads, size // heads]),
        "flat": np.asarray([0, 0, size]), "root": np.asarray(np.sqrt(size // heads), np.float32),
        "two": np.asarray(2, np.float32), "epsilon": np.asarray(1e-5, np.float32),
    }  # fmt: skip

    def norm(x: str, y: str) -> list[onnx.NodeProto]:
        return [
            node("ReduceMean", [x], [f"{y}m"], axes=[-1]), node("Sub", [x, f"{y}m"], [f"{y}d"]),
            node("Pow", [f"{y}d", "two"], [f"{y}p"]), node("ReduceMean", [f"{y}p"], [f"{y}v"], axes=[-1]),
            node("Add", [f"{y}v", "epsilon"], [f"{y}e"]), node("Sqrt", [f"{y}e"], [f"{y}s"]),
            node("Div", [f"{y}d", f"{y}s"], [f"{y}n"]), node("Mul", [f"{y}n", "g"], [f"{y}g"]),
            node("Add", [f"{y}g", "h"], [y]),
        ]  # fmt: skip

    nodes = norm("x", "n")
    for n in "qkv":
        perm = [0, 2, 3, 1] if n == "k" else [0, 2, 1, 3]
        nodes += [
            node("MatMul", ["n", f"{n}w"], [f"{n}1"]), node("Add", [f"{n}b", f"{n}1"], [f"{n}2"]),
            node("Reshape", [f"{n}2", "shape"], [f"{n}3"]), node("Transpose", [f"{n}3"], [n], perm=perm),
        ]  # fmt: skip
    nodes += [
        node("MatMul", ["q", "k"], ["s1"]), node("Div", ["s1", "root"], ["s2"]), node("Softmax", ["s2"], ["s3"]),
        node("MatMul", ["s3", "v"], ["c1"]), node("Transpose", ["c1"], ["c2"], perm=[0, 2, 1, 3]),
        node("Reshape", ["c2", "flat"], ["c3"]), node("MatMul", ["c3", "ow"], ["o1"]),
        node("Add", ["ob", "o1"], ["o2"]), node("Add", ["o2", "n"], ["o3"]), *norm("o3", "y"),
    ]  # fmt: skip
    return proto(nodes, [info("x", [1, 6, size])], [info("y", None)], constants, opset=14)


@pytest.mark.parametrize("several", [False, True])
def test_what_the_transformer_optimizer_writes(several: bool, tmp_path: Path) -> None:
    """(MultiHead)Attention, SkipLayerNormalization, and LayerNormalization at an opset that has none."""
    source = write(tmp_path, attention_layer())
    options = optimizer.FusionOptions("vit")
    options.use_multi_head_attention = several
    made = optimizer.optimize_model(str(source), "vit", 2, 16, optimization_options=options, opt_level=0)
    path = write(tmp_path, made.model, "optimized.onnx")
    written = {n.op_type for n in made.model.graph.node}
    assert written & {"Attention", "MultiHeadAttention"} == {"MultiHeadAttention" if several else "Attention"}
    assert {"LayerNormalization", "SkipLayerNormalization"} <= written
    inputs = inputs_of({"x": [1, 6, 16]})
    (wanted,) = reference(source, inputs)
    assert_near(run(simplified(path), inputs)["y"], wanted, 1e-5)
    assert_near(compiled(path, inputs)["y"], wanted, 1e-4)


@pytest.mark.parametrize("opset", [13, 17])
def test_norms_that_onnx_does_not_list(opset: int, tmp_path: Path) -> None:
    """SimplifiedLayerNormalization, which the optimizer writes in ONNX's name."""
    constants = {"g": floats(8), "two": np.asarray(2, np.float32), "e": np.asarray(1e-5, np.float32)}
    nodes = [
        node("Pow", ["x", "two"], ["p"]), node("ReduceMean", ["p"], ["v"], axes=[-1]), node("Add", ["v", "e"], ["ve"]),
        node("Sqrt", ["ve"], ["d"]), node("Div", ["x", "d"], ["n"]), node("Mul", ["g", "n"], ["y"]),
    ]  # fmt: skip
    source = write(tmp_path, proto(nodes, [info("x", [1, 3, 8])], [info("y", None)], constants, opset=opset))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    written = onnx.load(tmp_path / "optimized.onnx").graph.node
    assert [n.op_type for n in written] == ["SimplifiedLayerNormalization"]
    inputs = inputs_of({"x": [1, 3, 8]})
    (wanted,) = reference(source, inputs)
    assert_near(run(simplified(tmp_path / "optimized.onnx"), inputs)["y"], wanted, 1e-5)


def narrowed(source: Path, path: Path, **settings: Any) -> set[str]:
    """Quantize the weights with ONNX Runtime's own tool; returns the operators."""
    config = DefaultWeightOnlyQuantConfig(op_types_to_quantize=("MatMul", "Gather"), **settings)
    quantizer = MatMulNBitsQuantizer(onnx.load(source), algo_config=config)
    quantizer.process()
    onnx.save(quantizer.model.model, path)
    return {n.op_type for n in quantizer.model.model.graph.node}


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize(("bits", "size"), [(4, 16), (4, 64), (8, 16), (2, 16)])
def test_products_with_weights_of_a_few_bits(bits: int, size: int, symmetric: bool, tmp_path: Path) -> None:
    nodes = [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["y"])]
    constants = {"w": weights(40, 6), "b": weights(6)}
    source = write(tmp_path, proto(nodes, [info("x", [1, 40])], [info("y", None)], constants))
    path = tmp_path / "q.onnx"
    assert "MatMulNBits" in narrowed(source, path, bits=bits, block_size=size, is_symmetric=symmetric)
    inputs = inputs_of({"x": [1, 40]})
    (wanted,) = reference(path, inputs)
    assert_near(run(simplified(path), inputs)["y"], wanted, 1e-5)
    assert_near(compiled(path, inputs)["y"], wanted, 1e-5)


@pytest.mark.parametrize("symmetric", [False, True])
def test_tables_with_elements_of_a_few_bits(symmetric: bool, tmp_path: Path) -> None:
    """GatherBlockQuantized: the table stays in bytes, its last block not being a whole one."""
    source = write(
        tmp_path,
        proto(
            [node("Gather", ["t", "i"], ["y"])],
            [helper.make_tensor_value_info("i", onnx.TensorProto.INT64, [1, 3])],
            [info("y", None)],
            {"t": weights(50, 40)},
        ),
    )
    path = tmp_path / "q.onnx"
    written = narrowed(source, path, block_size=16, is_symmetric=symmetric, quant_axes=(("Gather", 1),))
    assert "GatherBlockQuantized" in written
    inputs = {"i": np.asarray([[4, 0, 49]])}
    (wanted,) = reference(path, inputs)
    assert_near(run(simplified(path), inputs)["y"], wanted, 1e-6)
    assert_near(compiled(path, inputs)["y"], wanted, 1e-6)
    artifact = compile_file(path, "host", CompileOptions())
    assert artifact.manifest["weights_bytes"] <= 50 * 48 + 50 * 3 * 4 + 100


def test_rotary_attention_is_refused(tmp_path: Path) -> None:
    nodes = [microsoft("Attention", ["x", "w", "b"], ["y"], num_heads=HEADS, do_rotary=1)]
    path = write(tmp_path, model_of(nodes, X, ["y"], QKV))
    with pytest.raises(ModelError, match=r"com\.microsoft\.Attention: operator not supported") as refused:
        compile_file(path, "host", CompileOptions())
    assert "MatMul and Softmax" in str(refused.value)
