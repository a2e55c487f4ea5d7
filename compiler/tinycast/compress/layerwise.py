"""Layer-wise least squares on calibration inputs: what pruning, clustering, low rank and quantizing share.

A layer (Conv, Gemm or MatMul with constant weights) is linear in its weights, so how well a compressed
layer gives the float layer's outputs is a quadratic form over the layer's inputs. Use:

    for layer, inputs, targets in layer_inputs(float_model, compressed_model, samples):
        statistics = collect(layer, inputs, targets)
        layer.set_matrix(ridge(statistics, layer.matrix()))

`inputs` come from the compressed model as it stands, with every earlier layer already changed, and
`targets` from the float model: each layer makes up for the error of the layers before it ("asymmetric"
reconstruction: He et al., "Channel Pruning for Accelerating Very Deep Neural Networks", 2017).

Layout: a layer's weights are a matrix (G, M, K): G groups, M outputs a group, K inputs of one output
(channels a group times kernel positions, in ONNX's weight order). Where the layer takes a bias it is
the last column, so K counts it, and the inputs' last column is one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from tinycast.compress.walk import Walk

FloatArray = NDArray[np.float64]
AnyArray = NDArray[Any]

_PATCH_BYTES = 64_000_000


@dataclass(frozen=True)
class Layer:
    """One Conv, Gemm or MatMul with constant float weights; `bias_node` is the Add after a MatMul, if any."""

    node: ir.Node
    bias_node: ir.Node | None = None

    @property
    def name(self) -> str:
        return self.node.name or self.output.name or ""

    @property
    def input(self) -> ir.Value:
        return _present(self.node.inputs[0])

    @property
    def output(self) -> ir.Value:
        """The linear result, bias included, before any activation."""
        return (self.bias_node or self.node).outputs[0]

    @property
    def weight(self) -> ir.Value:
        return _present(self.node.inputs[1])

    @property
    def bias(self) -> ir.Value | None:
        if self.bias_node is not None:
            return next(v for v in self.bias_node.inputs if v is not None and v.is_initializer())
        return self.node.inputs[2] if len(self.node.inputs) > 2 else None

    @property
    def takes_bias(self) -> bool:
        """Whether the matrix has a bias column: always for Conv and Gemm, for MatMul only with an Add after it."""
        return self.node.op_type != "MatMul" or self.bias_node is not None

    @property
    def groups(self) -> int:
        attribute = self.node.attributes.get("group")
        return attribute.as_int() if attribute is not None else 1

    @property
    def transposed(self) -> bool:
        """Whether the stored weight is (inputs, outputs) instead of (outputs, inputs, ...)."""
        if self.node.op_type == "Gemm":
            attribute = self.node.attributes.get("transB")
            return attribute is None or attribute.as_int() == 0
        return self.node.op_type == "MatMul"

    @property
    def output_axis(self) -> int:
        """The axis of the stored weight that counts outputs: where per-channel scales go."""
        return 1 if self.transposed else 0

    def matrix(self) -> FloatArray:
        """Weights and bias, (G, M, K) as in the module's layout, float64."""
        weight = _array(self.weight)
        rows = weight.T if self.transposed else weight.reshape(weight.shape[0], -1)
        if self.takes_bias:
            bias = np.zeros(rows.shape[0]) if self.bias is None else _array(self.bias).reshape(-1)
            rows = np.concatenate([rows, np.broadcast_to(bias, rows.shape[:1])[:, None]], axis=1)
        return rows.reshape(self.groups, -1, rows.shape[1])

    def set_matrix(self, matrix: FloatArray) -> None:
        """Replace weights and bias in the model (float32). Shared initializers are split off first."""
        rows = matrix.reshape(-1, matrix.shape[2])
        if self.takes_bias:
            shape = (-1,) if self.bias is None or self.bias_node is None else _array(self.bias).shape
            self._set(self.bias_node or self.node, self.bias, "bias", rows[:, -1].reshape(shape))
            rows = rows[:, :-1]
        weight = rows.T if self.transposed else rows.reshape(-1, *_array(self.weight).shape[1:])
        self._set(self.node, self.weight, "weight", weight)

    def _set(self, node: ir.Node, value: ir.Value | None, role: str, data: FloatArray) -> None:
        tensor = ir.tensor(np.ascontiguousarray(data, dtype=np.float32), name=value.name if value is not None else None)
        if value is not None and len(value.uses()) == 1:
            value.const_value = tensor
            value.shape = ir.Shape(data.shape)
            return
        graph = node.graph
        assert isinstance(graph, ir.Graph)
        fresh = ir.val(f"{self.output.name}_{role}", const_value=ir.tensor(tensor.numpy()))
        fresh.const_value.name = fresh.name  # type: ignore[union-attr]
        graph.register_initializer(fresh)
        if value is None:
            node.resize_inputs(3)
            node.replace_input_with(2, fresh)
        else:
            node.replace_input_with(list(node.inputs).index(value), fresh)


@dataclass(frozen=True)
class LayerStatistics:
    """Second moments of a layer over all samples and positions.

    gram: (G, K, K), sum of x x^T; cross: (G, K, M), sum of x y^T; rows: how many x were summed.
    """

    gram: FloatArray
    cross: FloatArray
    rows: int


def prunable_layers(model: ir.Model) -> list[Layer]:
    """Conv, Gemm and MatMul with constant float weights, in the graph's (topological) order."""
    return [layer for node in model.graph if (layer := as_layer(node)) is not None]


def as_layer(node: ir.Node) -> Layer | None:
    """The layer that `node` is, or None. ConvTranspose is none: its outputs overlap, so no row stands for one."""
    if node.domain not in ("", "ai.onnx") or node.op_type not in ("Conv", "Gemm", "MatMul"):
        return None
    constant = [v is not None and v.is_initializer() and v.dtype == ir.DataType.FLOAT for v in node.inputs]
    if constant[0] or not constant[1] or (len(constant) > 2 and node.inputs[2] is not None and not constant[2]):
        return None
    if node.op_type == "Gemm":
        plain = {"alpha": 1.0, "beta": 1.0, "transA": 0}
        if any(name in node.attributes and node.attributes[name].value != value for name, value in plain.items()):
            return None
        bias = node.inputs[2] if len(node.inputs) > 2 else None
        if bias is not None and math.prod(_array(bias).shape[:-1]) != 1:
            return None
    if node.op_type == "MatMul":
        if _array(_present(node.inputs[1])).ndim != 2:
            return None
        return Layer(node, _bias_add(node))
    return Layer(node)


def _bias_add(node: ir.Node) -> ir.Node | None:
    """The Add of one constant an output channel that is the only reader of a MatMul."""
    readers = node.outputs[0].consumers()
    if len(readers) != 1 or readers[0].op_type != "Add" or node.outputs[0].is_graph_output():
        return None
    constants = [v for v in readers[0].inputs if v is not None and v.is_initializer()]
    outputs = _array(_present(node.inputs[1])).shape[1]
    rank = len(node.outputs[0].shape) if node.outputs[0].shape is not None else 1
    if len(constants) != 1 or constants[0].dtype != ir.DataType.FLOAT:
        return None
    shape = _array(constants[0]).shape
    return readers[0] if 1 <= len(shape) <= max(rank, 1) and shape[-1] == math.prod(shape) == outputs else None


def layer_inputs(
    reference: ir.Model, model: ir.Model, samples: Mapping[str, AnyArray]
) -> Iterator[tuple[Layer, NDArray[np.float32], NDArray[np.float32]]]:
    """Walk both models layer by layer: (layer of `model`, its inputs there, the same layer's outputs in `reference`).

    Samples lie on axis 0 of both arrays. The caller may change the layer's weights before it asks for
    the next item: later inputs see them. Layers match by the name of their node; layers without
    a match in `reference` are passed over.
    """
    targets_of = {layer.name: layer.output for layer in prunable_layers(reference)}
    model_walk, reference_walk = Walk(model, samples), Walk(reference, samples)
    for layer in prunable_layers(model):
        target = targets_of.get(layer.name)
        if target is None:
            continue
        inputs = model_walk.advance([layer.input])[layer.input]
        targets = reference_walk.advance([target])[target]
        yield layer, np.concatenate(inputs), np.concatenate(targets)


def collect(
    layer: Layer, compressed_inputs: AnyArray, target_outputs: AnyArray, rows_per_unknown: int | None = None
) -> LayerStatistics:
    """Sum the second moments of inputs (N, C, ...) and targets (N, M, ...) over samples and positions.

    `rows_per_unknown` bounds the work: at most so many rows for each of the K, drawn evenly (always the same).
    """
    convolution = layer.node.op_type == "Conv"
    channels_last = np.moveaxis(target_outputs, 1, -1) if convolution else target_outputs
    outputs = channels_last.reshape(-1, channels_last.shape[-1])
    size = layer.matrix().shape[2]
    rows = np.arange(len(outputs))
    if rows_per_unknown is not None and rows_per_unknown * size < len(rows):
        rows = np.sort(np.random.default_rng(0).choice(rows, rows_per_unknown * size, replace=False))
    gram = np.zeros((layer.groups, size, size))
    cross = np.zeros((layer.groups, size, outputs.shape[1] // layer.groups))
    for chunk in np.array_split(rows, -(-rows.size * layer.groups * size * 8 // _PATCH_BYTES)):
        x = input_rows(layer, compressed_inputs, chunk)
        y = outputs[chunk].astype(np.float64).reshape(len(chunk), layer.groups, -1)
        transposed = np.swapaxes(x, 1, 2)
        gram += transposed @ x
        cross += transposed @ np.moveaxis(y, 1, 0)
    return LayerStatistics(gram, cross, len(rows))


def input_rows(layer: Layer, inputs: AnyArray, rows: NDArray[np.int64]) -> FloatArray:
    """What each output is the dot product with (im2col): (G, rows, K).

    `rows` picks from all samples and positions, counted samples first.
    """
    groups = layer.groups
    if layer.node.op_type == "Conv":
        patches = _patches(layer, inputs)
        positions = (len(patches), *patches.shape[2 : 2 + (patches.ndim - 2) // 2])
        sample, *place = np.unravel_index(rows, positions)
        index: tuple[Any, ...] = (sample, slice(None), *place)
        picked = patches[index].astype(np.float64)
        x: FloatArray = np.moveaxis(picked.reshape(len(rows), groups, -1), 1, 0)
    else:
        x = inputs.reshape(1, -1, inputs.shape[-1])[:, rows].astype(np.float64)
    if layer.takes_bias:
        x = np.concatenate([x, np.ones((*x.shape[:2], 1))], axis=2)
    return x


def ridge(statistics: LayerStatistics, prior: FloatArray, damping: float = 1e-4) -> FloatArray:
    """Weights (G, M, K) that minimise |X w - y|^2 + damping * mean(diag(gram)) * |w - prior|^2.

    Directions the samples do not excite keep `prior`, so a dead input or too few samples do no harm.
    """
    size = statistics.gram.shape[1]
    strength = damping * np.trace(statistics.gram, axis1=1, axis2=2) / size
    strength = np.where(strength > 0, strength, 1.0)[:, None, None]
    residual = statistics.cross - statistics.gram @ np.swapaxes(prior, 1, 2)
    step = np.linalg.solve(statistics.gram + strength * np.eye(size), residual)
    return prior + np.swapaxes(step, 1, 2)


def _patches(layer: Layer, inputs: AnyArray) -> AnyArray:
    """Windows (N, C, *output, *kernel) of the zero-padded input of a convolution."""
    kernel = _array(layer.weight).shape[2:]
    strides = _integers(layer.node, "strides", [1] * len(kernel))
    dilations = _integers(layer.node, "dilations", [1] * len(kernel))
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = _pads(layer.node, inputs.shape[2:], extents, strides)
    padded = np.pad(inputs, [(0, 0), (0, 0), *pads])
    spatial = tuple(range(2, padded.ndim))
    windows = np.lib.stride_tricks.sliding_window_view(padded, extents, axis=spatial)
    index = (slice(None), slice(None), *(slice(None, None, s) for s in (*strides, *dilations)))
    return windows[index]


def _pads(node: ir.Node, sizes: Sequence[int], extents: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int]]:
    attribute = node.attributes.get("auto_pad")
    mode = attribute.as_string() if attribute is not None else "NOTSET"
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        pads = []
        for size, extent, stride in zip(sizes, extents, strides, strict=True):
            total = max(0, (-(-size // stride) - 1) * stride + extent - size)
            small, large = total // 2, total - total // 2
            pads.append((small, large) if mode == "SAME_UPPER" else (large, small))
        return pads
    flat = [0] * (2 * len(sizes)) if mode == "VALID" else _integers(node, "pads", [0] * (2 * len(sizes)))
    return list(zip(flat[: len(sizes)], flat[len(sizes) :], strict=True))


def _integers(node: ir.Node, name: str, default: list[int]) -> list[int]:
    attribute = node.attributes.get(name)
    return list(attribute.as_ints()) if attribute is not None else default


def _array(value: ir.Value) -> NDArray[np.float64]:
    assert value.const_value is not None
    return value.const_value.numpy().astype(np.float64)


def _present(value: ir.Value | None) -> ir.Value:
    assert value is not None
    return value
