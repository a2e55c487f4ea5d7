"""Random instances of operators as older opsets have them: attributes that became inputs, other meanings."""

from __future__ import annotations

import numpy as np
from properties import Draw, Instance, family, ints
from properties_spatial import window


@family("old.Reduce")
def reductions(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 4)
    kind = d.of("Max", "Min", "Mean", "Sum", "L1", "L2", "SumSquare", "Prod", "LogSumExp")
    opset = d.of(7, 11, *((13, 17) if kind != "Sum" else ()))
    axes = [axis - (d.of(0, len(shape)) if opset > 10 else 0) for axis in sorted(d.some(range(len(shape)), 1))]
    attributes = f"keepdims={d.int(0, 1)}" + (f", axes={axes}" if d.flag() else "")
    return Instance(f"y = Reduce{kind}<{attributes}>(x)", {"x": d.input(shape)}, opset=opset)


@family("old.Softmax")
def flattened(d: Draw, op: str) -> Instance:
    shape = d.shape(2, 4, 5)
    kind, opset = d.of("Softmax", "LogSoftmax", "Hardmax"), d.of(7, 11, 12)
    axis = f"<axis={d.int(0, len(shape) - 1)}>" if d.flag() else ""
    after = d.of("y = Identity(a)", "y = Neg(a)")
    return Instance(f"a = {kind}{axis}(x) {after}", {"x": d.input(shape)}, opset=opset)


@family("old.Resize")
def resizes(d: Draw, op: str) -> Instance:
    shape = [1, d.int(1, 3), d.int(2, 5), d.int(2, 5)]
    scales = np.asarray([1, 1, *(d.of(1.0, 1.5, 2.0, 2.5, 3.0) for _ in range(2))], np.float32)
    name, opset = d.of(("Upsample", 9), ("Upsample", 7), ("Resize", 10))
    mode = d.of("nearest", "linear")
    if opset == 7:
        return Instance(f'y = Upsample<mode="{mode}", scales={scales.tolist()}>(x)', {"x": d.input(shape)}, opset=7)
    return Instance(f'y = {name}<mode="{mode}">(x, s)', {"x": d.input(shape)}, {"s": scales}, opset=opset)


@family("old.Pad")
def pads(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 4, 5)
    mode = d.of("constant", "edge", "reflect")
    most = [n - 1 if mode == "reflect" else 3 for n in shape] * 2
    attributes = f'mode="{mode}", pads={[d.int(0, n) for n in most]}' + (", value=1.5" if mode == "constant" else "")
    return Instance(f"y = Pad<{attributes}>(x)", {"x": d.input(shape)}, opset=d.of(7, 10))


@family("old.Slice")
def slices(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 4, 6)
    axes = sorted(d.some(range(len(shape)), 1))
    starts = [d.int(0, shape[a] - 1) for a in axes]
    ends = [d.of(d.int(s + 1, shape[a]), 1000) for s, a in zip(starts, axes, strict=True)]
    starts = [s - d.of(0, shape[a]) for s, a in zip(starts, axes, strict=True)]
    return Instance(f"y = Slice<axes={axes}, starts={starts}, ends={ends}>(x)", {"x": d.input(shape)}, opset=d.of(7, 9))


@family("old.Squeeze")
def squeezes(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 3)
    axes = sorted(d.order(len(shape) + 2)[:2])
    back = f" b = Neg(a) y = Squeeze<axes={axes}>(b)" if d.flag() else " y = Neg(a)"
    return Instance(f"a = Unsqueeze<axes={axes}>(x){back}", {"x": d.input(shape)}, opset=d.of(7, 11, 12))


@family("old.Split")
def splits(d: Draw, op: str) -> Instance:
    shape, sizes = d.shape(1, 3), [d.int(1, 3) for _ in range(d.int(2, 3))]
    axis = d.int(0, len(shape) - 1)
    even = d.flag()
    shape[axis] = sizes[0] * len(sizes) if even else sum(sizes)
    results = ", ".join("pqr"[: len(sizes)])
    attributes = f"axis={axis}" + ("" if even else f", split={sizes}")
    node = f"{results} = Split<{attributes}>(x)"
    return Instance(node, {"x": d.input(shape)}, outputs=results.replace(",", ""), opset=d.of(7, 11))


@family("old.TopK")
def top_k(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 3, 7)
    axis = d.int(0, len(shape) - 1)
    k, x = d.int(1, shape[axis]), {"x": d.input(shape)}
    if d.flag():
        return Instance(f"y, z = TopK<axis={axis}, k={k}>(x)", x, outputs="y z", opset=9)
    return Instance(f"y, z = TopK<axis={axis}>(x, k)", x, {"k": ints(k)}, outputs="y z", opset=10)


@family("old.Clip")
def clips(d: Draw, op: str) -> Instance:
    bounds = d.some(["min=-0.5", "max=0.75"])
    stated = f"<{', '.join(bounds)}>" if bounds else ""
    return Instance(f"y = Clip{stated}(x)", {"x": d.input(d.shape())}, opset=d.of(7, 10))


@family("old.Pool")
def pools(d: Draw, op: str) -> Instance:
    w = window(d, d.of(1, 2, 3), pools=True, dilated=False)
    kind, opset = d.of("MaxPool", "AveragePool", "LpPool"), d.of(8, 10, 11, 18)
    attributes = f"kernel_shape={w.kernel}, {w.attributes}"
    if opset >= 10 and kind != "LpPool":
        attributes += f", ceil_mode={d.int(0, 1)}"
    if kind == "AveragePool":
        attributes += f", count_include_pad={d.int(0, 1)}"
    return Instance(f"y = {kind}<{attributes}>(x)", {"x": d.input([1, d.int(1, 4), *w.image])}, opset=opset)


@family("old.Normalization")
def normalizations(d: Draw, op: str) -> Instance:
    groups = d.int(1, 3)
    channels = groups * d.int(1, 3)
    x = {"x": d.input([1, channels, *d.shape(2, 2, 4)])}
    per_channel = {name: d.array([channels], low=0.3) for name in "sbmv"}
    if d.flag():
        return Instance("y = BatchNormalization(x, s, b, m, v)", x, per_channel, opset=d.of(7, 9, 14))
    given = {name: per_channel[name] for name in "sb"}
    return Instance("y = InstanceNormalization(x, s, b)", x, given, opset=d.of(7, 20), tolerance=2e-5)


@family("old.DFT")
def dft(d: Draw, op: str) -> Instance:
    shape = d.shape(2, 3, 6)
    axis, inverse = d.int(1, len(shape) - 1), d.int(0, 1)
    node = f"y = DFT<axis={axis}, inverse={inverse}>(x)"
    return Instance(node, {"x": d.input([*shape, 2 if inverse else d.int(1, 2)])}, opset=17, tolerance=2e-5)


@family("old.Dropout")
def dropout(d: Draw, op: str) -> Instance:
    return Instance("a = Dropout<ratio=0.3>(x) y = Neg(a)", {"x": d.input(d.shape())}, opset=d.of(7, 10))


@family("old.OneHot")
def one_hot(d: Draw, op: str) -> Instance:
    i = d.input(d.shape(1, 2), "int64", 0, 4)
    return Instance(
        f"y = OneHot<axis={d.of(-1, 0)}>(i, d, v)", {"i": i}, {"d": np.asarray(5), "v": d.array([2])}, opset=9
    )


@family("old.GridSample")
def grid_sample(d: Draw, op: str) -> Instance:
    mode = d.of("bilinear", "nearest", "bicubic")
    inputs = {"x": d.input([1, 2, d.int(1, 4), d.int(1, 4)]), "g": d.input([1, 2, 3, 2], low=-1.4, high=1.4)}
    node = f'y = GridSample<mode="{mode}", align_corners={d.int(0, 1)}>(x, g)'
    return Instance(node, inputs, opset=16, tolerance=5e-5)


@family("old.RoiAlign")
def roi_align(d: Draw, op: str) -> Instance:
    corner = d.input([2, 2], low=0, high=3)
    inputs = {"x": d.input([1, 2, 6, 6]), "r": np.concatenate([corner, corner + d.input([2, 2], low=1, high=4)], -1)}
    node = f"y = RoiAlign<output_height=2, output_width={d.int(1, 3)}, sampling_ratio={d.int(0, 2)}>(x, r, b)"
    return Instance(node, inputs, {"b": ints(0, 0)}, opset=d.of(10, 15))


@family("old.Gemm")
def gemm(d: Draw, op: str) -> Instance:
    n, k, m = d.int(1, 4), d.int(1, 9), d.int(1, 7)
    constants = {"w": d.array([k, m]), "b": d.array(d.of([m], [n, m], [1, m]))}
    return Instance(f"y = Gemm<alpha={d.factor()}>(x, w, b)", {"x": d.input([n, k])}, constants, opset=d.of(7, 9, 11))


@family("old.Recurrent")
def recurrent(d: Draw, op: str) -> Instance:
    kind, gates = d.of(("RNN", 1), ("GRU", 3), ("LSTM", 4))
    hidden = d.int(1, 5)
    constants = {"w": d.array([1, gates * hidden, 3]), "r": d.array([1, gates * hidden, hidden])}
    node = f"y, h = {kind}<hidden_size={hidden}>(x, w, r)"
    return Instance(node, {"x": d.input([4, 2, 3], low=-1, high=1)}, constants, outputs="y h", opset=d.of(7, 13))


@family("old.ArgMax")
def arg_max(d: Draw, op: str) -> Instance:
    shape = d.shape()
    node = f"y = {d.of('ArgMax', 'ArgMin')}<axis={d.int(0, len(shape) - 1)}, keepdims={d.int(0, 1)}>(x)"
    return Instance(node, {"x": np.rint(d.input(shape))}, opset=d.of(7, 11))


@family("old.Loss")
def loss(d: Draw, op: str) -> Instance:
    inputs = {"x": d.input([2, 4, 3]), "l": d.input([2, 3], "int64", 0, 3)}
    return Instance(f'y = SoftmaxCrossEntropyLoss<reduction="{d.of("none", "mean")}">(x, l)', inputs, opset=12)
