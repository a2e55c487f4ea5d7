"""Random reductions, softmaxes, normalizations and losses."""

from __future__ import annotations

import numpy as np
from properties import Draw, Instance, family, ints

_LOSS = ("none", "sum", "mean")


@family(
    *(f"Reduce{kind}" for kind in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"))
)
def reductions(d: Draw, op: str) -> Instance:
    shape = d.shape(0, 4)
    kinds = ("int8", "uint8", "int32", "int64") if op in ("ReduceMax", "ReduceMin") else ("int32", "int64")
    kind = d.of(
        "float32", "float32", *(kinds if "Log" not in op and op not in ("ReduceL1", "ReduceL2", "ReduceMean") else ())
    )
    low = 0.1 if op == "ReduceLogSum" else 0 if kind == "uint8" else -3
    axes = d.some(range(len(shape)))
    attributes = f"keepdims={d.int(0, 1)}"
    x = {"x": d.input(shape, kind, low, 3)}
    if axes and d.flag():
        named = ints(*(axis - d.of(0, len(shape)) for axis in axes))
        return Instance(f"y = {op}<{attributes}>(x, a)", x, {"a": named})
    if d.flag():
        return Instance(f"y = {op}<{attributes}, noop_with_empty_axes=1>(x)", x)
    return Instance(f"y = {op}<{attributes}>(x)", x)


@family("Softmax", "LogSoftmax", "Hardmax")
def softmax(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 4, 6)
    if d.flag():
        shape[-1] = d.int(1, 300)
    wide = d.of(1.0, 8.0, 300.0)
    opset = d.of(21, 21, 11)
    attribute = f"<axis={d.axis(len(shape))}>" if d.flag() or len(shape) < 2 else ""
    return Instance(f"y = {op}{attribute}(x)", {"x": d.input(shape, "float32", -wide, wide)}, opset=opset)


@family("LayerNormalization", "RMSNormalization")
def layer_norm(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 4)
    shape[-1] = d.of(shape[-1] + 1, 31, 64)
    axis = d.axis(len(shape))
    inner = shape[axis:]
    constants = {"s": d.array(inner if op == "LayerNormalization" else d.narrowed(inner) or [1], low=0.2)}
    operands = "x, s"
    if op == "LayerNormalization" and d.flag():
        constants["b"] = d.array(inner)
        operands += ", b"
    attributes = f"axis={axis}, epsilon={d.of(1e-5, 0.01)}"
    opset = 23 if op == "RMSNormalization" else 21
    return Instance(f"y = {op}<{attributes}>({operands})", {"x": d.input(shape)}, constants, opset=opset)


@family("InstanceNormalization", "GroupNormalization")
def norm_of_channels(d: Draw, op: str) -> Instance:
    groups = d.int(1, 3)
    channels = groups * d.int(1, 3)
    shape = [d.int(1, 2), channels, *d.shape(1, 3)]
    shape[-1] += 1
    constants = {"s": d.array([channels]), "b": d.array([channels])}
    attributes = f"epsilon={d.of(1e-5, 0.01)}" + (f", num_groups={groups}" if op == "GroupNormalization" else "")
    return Instance(f"y = {op}<{attributes}>(x, s, b)", {"x": d.input(shape)}, constants, tolerance=2e-5)


@family("BatchNormalization")
def batch_norm(d: Draw, op: str) -> Instance:
    shape = [d.int(1, 2), d.int(1, 5), *d.shape(0, 3)]
    arrays = {name: d.array([shape[1]], low=0.2 if name == "v" else -2) for name in "sbmv"}
    inputs = {"x": d.input(shape)}
    for name in d.some("sbmv"):
        inputs[name] = np.stack([arrays[name]] * len(inputs["x"]))
        del arrays[name]
    return Instance(f"a = Neg(x) y = {op}<epsilon={d.of(1e-5, 0.1)}>(a, s, b, m, v)", inputs, arrays)


@family("LRN")
def local_response(d: Draw, op: str) -> Instance:
    shape = [d.int(1, 2), d.int(1, 7), d.int(1, 4), d.int(1, 4)]
    size = d.of(1, 3, 5)  # ONNX Runtime takes no even ones
    attributes = f"size={size}, alpha={d.factor()}, beta={d.factor()}, bias={d.factor(0.5)}"
    return Instance(f"y = {op}<{attributes}>(x)", {"x": d.input(shape)})


@family("LpNormalization")
def lp_norm(d: Draw, op: str) -> Instance:
    shape = d.shape(1)
    return Instance(f"y = {op}<axis={d.axis(len(shape))}, p={d.int(1, 2)}>(x)", {"x": d.input(shape)})


@family("MeanVarianceNormalization")
def mean_variance(d: Draw, op: str) -> Instance:
    shape = [d.int(1, 2), d.int(1, 4), d.int(2, 4), d.int(2, 4)]
    axes = sorted(d.of((0, 2, 3), (2, 3), (1, 2, 3), (0, 1, 2, 3)))
    attribute = f"<axes={axes}>" if d.flag() else ""
    return Instance(f"y = {op}{attribute}(x)", {"x": d.input(shape)}, tolerance=2e-5)


@family("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def losses(d: Draw, op: str) -> Instance:
    n, classes, more = d.int(1, 3), d.int(1, 5), d.shape(0, 2, 3)
    ignored = d.flag()
    attributes = f'reduction="{d.of(*_LOSS)}"' + (", ignore_index=0" if ignored else "")
    labels = d.input([n, *more], d.of("int64", "int32"), 0, classes - 1)
    labels.reshape(len(labels), -1)[:, 0] = classes - 1
    inputs = {"x": d.input([n, classes, *more]), "l": labels}
    if classes == 1:
        attributes = attributes.removesuffix(", ignore_index=0")
    operands, constants = "x, l", {}
    if d.flag():
        constants["w"] = d.array([classes], low=0.2)
        operands += ", w"
    if op == "SoftmaxCrossEntropyLoss" and d.flag():
        return Instance(f"y, z = {op}<{attributes}>({operands})", inputs, constants, outputs="y z")
    return Instance(f"y = {op}<{attributes}>({operands})", inputs, constants)
