# ruff: noqa: E501 - a table: one row a line
"""Every operator with an integer form, alone between QuantizeLinear and DequantizeLinear."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
import onnx_ir
from host_batch import Array, Row, floats, ints, scalar
from onnx import helper, numpy_helper
from tinycast.model import Session
from tinycast.ops import IMPORTERS
from tinycast.ops.unary import FUNCTIONS

IMAGE = "float[1,6,8,6] x"
SEQUENCE = "float[1,5,12] x"
RECURRENT = "float[7,1,5] x"
TWO = "float[1,6,4,5] x, float[1,6,4,5] b"
ANGLES = np.outer(np.arange(7), 0.5 ** np.arange(4)).astype(np.float32)

LAYERS = {
    "Conv",
    "ConvTranspose",
    "GRU",
    "Gemm",
    "InstanceNormalization",
    "LSTM",
    "MatMul",
    "RNN",
}  # whose weights are int8 beside activations of 16 bits, too

# Where functions of one number are defined, as far as rows need it.
DOMAINS = {
    **dict.fromkeys(("Acosh", "Log", "Reciprocal", "Sqrt"), (1.05, 3.0)),
    **dict.fromkeys(("Acos", "Asin", "Atanh"), (-0.9, 0.9)),
    "Tan": (-1.2, 1.2),
}

# Constants whose names begin with w are quantized as well, as is a bias c.
QDQ_ROWS = (
    Row("conv_1d", "float[1,4,20] x", "y = Conv<pads=[1,1]>(x, w, c)", {"w": (6, 4, 3), "c": (6,)}),
    Row("conv_2d", IMAGE, "y = Conv<pads=[1,1,1,1]>(x, w, c)", {"w": (5, 6, 3, 3), "c": (5,)}),
    Row("conv_group", IMAGE, "y = Conv<group=2>(x, w)", {"w": (4, 3, 3, 3)}),
    Row("conv_depthwise", IMAGE, "y = Conv<group=6, strides=[2,2]>(x, w, c)", {"w": (6, 1, 3, 3), "c": (6,)}),
    Row("conv_3d", "float[1,4,5,6,4] x", "y = Conv<group=2, pads=[1,0,1,1,1,0], strides=[1,2,1]>(x, w, c)", {"w": (6, 2, 3, 3, 2), "c": (6,)}),
    Row("conv_3d_no_bias", "float[1,3,4,4,4] x", "y = Conv(x, w)", {"w": (5, 3, 2, 2, 2)}),
    Row("conv_transpose", IMAGE, "y = ConvTranspose<strides=[2,2]>(x, w, c)", {"w": (6, 4, 3, 3), "c": (4,)}),
    Row("conv_transpose_3d", "float[1,4,3,3,2] x", "y = ConvTranspose<strides=[2,2,2]>(x, w, c)", {"w": (4, 3, 2, 2, 2), "c": (3,)}),
    Row("conv_transpose_1d", "float[1,4,9] x", "y = ConvTranspose<strides=[2]>(x, w)", {"w": (4, 3, 3)}),
    Row("gemm", "float[3,12] x", "y = Gemm<transB=1>(x, w, c)", {"w": (7, 12), "c": (7,)}),
    Row("mat_mul", SEQUENCE, "y = MatMul(x, w)", {"w": (12, 9)}),
    Row("mat_mul_of_two", "float[2,5,12] x, float[2,12,7] b", "y = MatMul(x, b)"),
    Row("mat_mul_of_two_long", "float[3,600] x, float[600,5] b", "y = MatMul(x, b)"),
    Row("max_pool", IMAGE, "y = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x)"),
    Row("max_pool_3d", "float[1,4,5,6,4] x", "y = MaxPool<kernel_shape=[2,3,2], pads=[0,1,0,1,1,1], strides=[2,1,1]>(x)"),
    Row("average_pool", IMAGE, "y = AveragePool<kernel_shape=[2,3], strides=[2,1]>(x)"),
    Row("average_pool_1d", "float[1,4,20] x", "y = AveragePool<kernel_shape=[4], pads=[1,2]>(x)"),
    Row("global_average_pool", IMAGE, "y = GlobalAveragePool(x)"),
    Row("global_max_pool", IMAGE, "y = GlobalMaxPool(x)"),
    Row("add", TWO, "y = Add(x, b)"),
    Row("add_broadcast", "float[1,6,4,5] x, float[6,1,1] b", "y = Add(x, b)"),
    Row("add_constant", IMAGE, "y = Add(x, w)", {"w": (6, 1, 1)}),
    Row("sub", TWO, "y = Sub(x, b)"),
    Row("mul", TWO, "y = Mul(x, b)"),
    Row("mul_constant", IMAGE, "y = Mul(x, w)", {"w": (6, 1, 1)}),
    Row("div_by_number", IMAGE, "y = Div(x, k)", {"k": scalar(1.7)}),
    Row("min", TWO, "y = Min(x, b)"),
    Row("max", TWO, "y = Max(x, b)"),
    Row("max_constant", IMAGE, "y = Max(x, w)", {"w": (6, 1, 1)}),
    Row("where", "bool[4,5] k, float[1,6,4,5] x, float[1,6,4,5] b", "y = Where(k, x, b)"),
    Row("concat", TWO, "y = Concat<axis=1>(x, b)"),
    Row("slice", IMAGE, "y = Slice(x, p, q, r)", {"p": ints(1, 0), "q": ints(5, 7), "r": ints(1, 2)}),
    Row("slice_steps", IMAGE, "y = Slice(x, p, q, r, s)", {"p": ints(7), "q": ints(0), "r": ints(2), "s": ints(-2)}),
    Row("split", IMAGE, "y, z = Split<axis=1, num_outputs=2>(x)", outputs="y z"),
    Row("pad", IMAGE, "y = Pad(x, p)", {"p": ints(0, 0, 1, 2, 0, 1, 0, 1)}),
    Row("pad_value", IMAGE, "y = Pad(x, p, k)", {"p": ints(0, 0, 1, 2, 0, 1, 0, 1), "k": scalar(0.5)}),
    Row("pad_edge", IMAGE, 'y = Pad<mode="edge">(x, p)', {"p": ints(0, 0, 1, 2, 0, 0, 0, 1)}),
    Row("pad_reflect", IMAGE, 'y = Pad<mode="reflect">(x, p)', {"p": ints(0, 0, 1, 2, 0, 0, 0, 1)}),
    Row("reshape", IMAGE, "y = Reshape(x, p)", {"p": ints(2, 3, -1)}),
    Row("flatten", IMAGE, "y = Flatten(x)"),
    Row("transpose", IMAGE, "y = Transpose<perm=[0,3,1,2]>(x)"),
    Row("squeeze", IMAGE, "y = Squeeze(x, p)", {"p": ints(0)}),
    Row("unsqueeze", IMAGE, "y = Unsqueeze(x, p)", {"p": ints(1)}),
    Row("expand", "float[1,6,1] x", "y = Expand(x, p)", {"p": ints(2, 6, 5)}),
    Row("tile", "float[2,6] x", "y = Tile(x, p)", {"p": ints(2, 3)}),
    Row("gather", IMAGE, "y = Gather<axis=2>(x, p)", {"p": ints(3, 0, 7)}),
    Row("gather_at_run_time", "float[6,4] x, int64[3] i", "y = Gather(x, i)", low=-2, high=2),
    Row("depth_to_space", "float[1,8,3,4] x", "y = DepthToSpace<blocksize=2>(x)"),
    Row("space_to_depth", IMAGE, "y = SpaceToDepth<blocksize=2>(x)"),
    *(Row(f"resize_{name}", IMAGE, f"y = Resize<{attributes}>(x, , s)", {"s": floats(1, 1, *scales)}) for name, attributes, scales in (
        ("nearest", 'mode="nearest"', (2, 2)),
        ("nearest_down", 'mode="nearest"', (0.5, 0.5)),
        ("linear", 'mode="linear"', (2, 2)),
        ("linear_corners", 'mode="linear", coordinate_transformation_mode="align_corners"', (1.5, 2)),
        ("linear_rows", 'mode="linear"', (2, 1)),
        ("linear_down", 'mode="linear", antialias=1', (0.4, 0.5)),
        ("cubic", 'mode="cubic"', (2, 1.5)),
    )),
    Row("resize_linear_1d", "float[1,4,9] x", 'y = Resize<mode="linear">(x, , s)', {"s": floats(1, 1, 2.5)}),
    Row("upsample", IMAGE, 'y = Resize<mode="linear", coordinate_transformation_mode="asymmetric">(x, , , s)', {"s": ints(1, 6, 16, 12)}),
    Row("reduce_mean", IMAGE, "y = ReduceMean<keepdims=0>(x, p)", {"p": ints(2, 3)}),
    Row("reduce_mean_last", SEQUENCE, "y = ReduceMean(x, p)", {"p": ints(-1)}),
    Row("reduce_sum", IMAGE, "y = ReduceSum<keepdims=0>(x, p)", {"p": ints(2, 3)}),
    Row("reduce_sum_channels", IMAGE, "y = ReduceSum(x, p)", {"p": ints(1)}),
    Row("reduce_max", IMAGE, "y = ReduceMax(x, p)", {"p": ints(1)}),
    Row("reduce_min", IMAGE, "y = ReduceMin<keepdims=0>(x, p)", {"p": ints(2, 3)}),
    Row("softmax", SEQUENCE, "y = Softmax(x)"),
    Row("softmax_middle", IMAGE, "y = Softmax<axis=1>(x)"),
    Row("layer_norm", SEQUENCE, "y = LayerNormalization(x, s, b)", {"s": (12,), "b": (12,)}),
    Row("layer_norm_quantized_scale", SEQUENCE, "y = LayerNormalization(x, w, b)", {"w": (12,), "b": (12,)}),
    Row("rms_norm", SEQUENCE, "y = RMSNormalization(x, s)", {"s": (12,)}, opset=23),
    Row("instance_norm", IMAGE, "y = InstanceNormalization(x, s, b)", {"s": (6,), "b": (6,)}),
    Row("instance_norm_1d", "float[1,3,40] x", "y = InstanceNormalization(x, w, c)", {"w": (3,), "c": (3,)}),
    Row("group_norm", IMAGE, "y = GroupNormalization<num_groups=3>(x, s, b)", {"s": (6,), "b": (6,)}),
    Row("group_norm_one", SEQUENCE, "y = GroupNormalization<num_groups=1>(x, s, b)", {"s": (5,), "b": (5,)}),
    Row("batch_norm", IMAGE, "y = BatchNormalization(x, s, b, m, v)", {"s": (6,), "b": (6,), "m": (6,), "v": np.linspace(0.2, 3, 6).astype(np.float32)}),
    Row("prelu", IMAGE, "y = PRelu(x, s)", {"s": (6, 1, 1)}),
    Row("prelu_number", IMAGE, "y = PRelu(x, s)", {"s": floats(0.25)}),
    Row("relu", IMAGE, "y = Relu(x)"),
    *(Row(f"table_{name.lower()}", IMAGE, f"y = {name}(x)", opset=24 if name == "Swish" else 21, low=DOMAINS.get(name, (-2, 2))[0], high=DOMAINS.get(name, (-2, 2))[1]) for name in sorted(FUNCTIONS.keys() & IMPORTERS.keys() - {"Pow"})),
    Row("shrink", IMAGE, "y = Shrink<lambd=0.5, bias=0.25>(x)"),
    Row("pow", IMAGE, "y = Pow(x, k)", {"k": scalar(2)}),
    Row("clip", IMAGE, "y = Clip(x, p, q)", {"p": scalar(-0.5), "q": scalar(1.2)}),
    Row("swish", IMAGE, "s = Sigmoid(x) y = Mul(x, s)"),
    Row("identity", IMAGE, "a = Relu(x) y = Identity(a)"),
    Row("sum", TWO, "y = Sum(x, b)"),
    Row("gather_elements", "float[3,4] x, int64[3,4] i", "y = GatherElements(x, i)"),
    Row("gather_nd", "float[6,4] x, int64[3,1] i", "y = GatherND(x, i)"),
    Row("trilu", "float[4,5] x", "y = Trilu(x)"),
    Row("einsum", "float[2,5,12] x, float[2,12,7] b", 'y = Einsum<equation="bij,bjk->bik">(x, b)'),
    Row("center_crop_pad", IMAGE, "y = CenterCropPad<axes=[2,3]>(x, p)", {"p": ints(6, 8)}),
    Row("rnn", RECURRENT, "y = RNN<hidden_size=6>(x, w, wr, b)", {"w": (1, 6, 5), "wr": (1, 6, 6), "b": (1, 12)}),
    Row("gru", RECURRENT, "y = GRU<hidden_size=6>(x, w, wr, b)", {"w": (1, 18, 5), "wr": (1, 18, 6), "b": (1, 36)}),
    Row("lstm", RECURRENT, "y = LSTM<hidden_size=6>(x, w, wr, b)", {"w": (1, 24, 5), "wr": (1, 24, 6), "b": (1, 48)}),
    Row("rotary", "float[1,2,5,8] x", "y = RotaryEmbedding(x, a, b, p)", {"a": np.cos(ANGLES), "b": np.sin(ANGLES), "p": ints(1, 2, 3, 4, 5).reshape(1, 5)}, opset=23),
    Row("rotary_interleaved", "float[1,2,7,10] x", "y = RotaryEmbedding<interleaved=1, rotary_embedding_dim=8>(x, a, b)", {"a": np.cos(ANGLES)[None], "b": np.sin(ANGLES)[None]}, opset=23),
    Row("rotary_flat", "float[1,5,16] x", "y = RotaryEmbedding<num_heads=2>(x, a, b, p)", {"a": np.cos(ANGLES), "b": np.sin(ANGLES), "p": ints(0, 1, 2, 3, 4).reshape(1, 5)}, opset=23),
)  # fmt: skip


def qdq_model(row: Row, kind: str = "int8") -> onnx.ModelProto:
    """The row's model with QuantizeLinear and DequantizeLinear round its floats, scales from its own samples."""
    proto = row.proto()
    samples = row.samples(proto, 8)
    session = Session(onnx_ir.serde.deserialize_model(row.proto()), optimized=False)
    runs = [session.run({name: np.asarray(array[i]) for name, array in samples.items()}) for i in range(8)]
    made = _Quantizer(proto.graph, np.dtype(kind))
    inputs = {v.name for v in proto.graph.input if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    scales = {name: made.activation(name, samples[name]) for name in sorted(inputs)}
    weights = {t.name: t for t in proto.graph.initializer}
    kinds = {node.op_type for node in proto.graph.node}
    for name in sorted(weights):
        if name.startswith("w") and kinds & LAYERS:
            scales[name] = made.weight(weights[name])
        elif name.startswith("w"):
            made.constant(weights[name])
    if "c" in weights:
        made.bias(weights["c"], scales["x"] * scales["w"])
    for node in proto.graph.node:
        node.input[:] = [made.renamed.get(name, name) for name in node.input]
    outputs = []
    for value in proto.graph.output:
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            for node in proto.graph.node:
                node.output[:] = [f"{name}_float" if name == value.name else name for name in node.output]
            array = np.stack([run[value.name] for run in runs])
            outputs += made.output(value.name, array, is_probability="Softmax" in row.nodes)
    nodes = [*made.nodes, *proto.graph.node, *outputs]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return proto


class _Quantizer:
    """Adds constants to a graph and collects the nodes."""

    def __init__(self, graph: onnx.GraphProto, dtype: np.dtype[np.generic]) -> None:
        self._graph, self._dtype = graph, dtype
        self.nodes: list[onnx.NodeProto] = []
        self.renamed: dict[str, str] = {}

    def _constant(self, name: str, data: Array) -> str:
        self._graph.initializer.append(numpy_helper.from_array(data, name))
        return name

    def _rule(self, name: str, array: Array, is_probability: bool = False) -> tuple[list[str], float]:
        limits = np.iinfo(self._dtype)
        low, high = (0.0, 255 / 256) if is_probability else (min(0.0, float(array.min())), max(0.0, float(array.max())))
        if self._dtype.itemsize == 2:  # 16 bits are symmetric as a rule
            low, high = -max(-low, high), max(-low, high)
        scale = np.float32((high - low) / (int(limits.max) - int(limits.min)))
        zero = (
            np.zeros((), self._dtype)
            if self._dtype.itemsize == 2
            else np.asarray(np.clip(np.rint(limits.min - low / scale), limits.min, limits.max), self._dtype)
        )
        return [self._constant(f"{name}_scale", scale), self._constant(f"{name}_zero", zero)], float(scale)

    def activation(self, name: str, array: Array) -> float:
        rule, scale = self._rule(name, array)
        self.nodes.append(helper.make_node("QuantizeLinear", [name, *rule], [f"{name}_q"], f"{name}_quantize"))
        self._dequantize(name, rule)
        return scale

    def weight(self, tensor: onnx.TensorProto) -> float:
        data = numpy_helper.to_array(tensor)
        scale = np.float32(np.abs(data).max() / 127)
        self._integers(tensor, np.rint(data / scale).astype(np.int8), scale)
        return float(scale)

    def constant(self, tensor: onnx.TensorProto) -> None:
        """A constant that is treated as an activation."""
        data = numpy_helper.to_array(tensor)
        rule, scale = self._rule(tensor.name, data)
        limits, zero = np.iinfo(self._dtype), numpy_helper.to_array(self._graph.initializer[-1])
        steps = np.clip(np.rint(data / np.float32(scale)) + zero, limits.min, limits.max)
        self._graph.initializer.remove(tensor)
        self._constant(f"{tensor.name}_q", steps.astype(self._dtype))
        self._dequantize(tensor.name, rule)

    def bias(self, tensor: onnx.TensorProto, scale: float) -> None:
        data = np.rint(numpy_helper.to_array(tensor) / scale).astype(np.int32)
        self._integers(tensor, data, np.float32(scale))

    def _integers(self, tensor: onnx.TensorProto, data: Array, scale: np.float32) -> None:
        name = tensor.name
        self._graph.initializer.remove(tensor)
        self._constant(f"{name}_q", data)
        rule = [self._constant(f"{name}_scale", scale), self._constant(f"{name}_zero", np.zeros((), data.dtype))]
        self._dequantize(name, rule)

    def _dequantize(self, name: str, rule: list[str]) -> None:
        self.renamed[name] = f"{name}_d"
        self.nodes.append(
            helper.make_node("DequantizeLinear", [f"{name}_q", *rule], [f"{name}_d"], f"{name}_dequantize")
        )

    def output(self, name: str, array: Array, *, is_probability: bool) -> Iterator[onnx.NodeProto]:
        rule, _ = self._rule(name, array, is_probability)
        yield helper.make_node("QuantizeLinear", [f"{name}_float", *rule], [f"{name}_q"], f"{name}_quantize")
        yield helper.make_node("DequantizeLinear", [f"{name}_q", *rule], [name], f"{name}_dequantize")
