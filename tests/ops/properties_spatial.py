"""Random convolutions, pools, samplers and windows, in one to three dimensions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from properties import SAMPLES, Draw, Instance, family, ints

_LIMIT = {1: 12, 2: 8, 3: 5}  # elements along an axis


@dataclass(frozen=True)
class Window:
    """How a window goes over the image; `attributes` says so in text."""

    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    pads: list[int]
    image: list[int]
    attributes: str

    @property
    def rank(self) -> int:
        return len(self.kernel)


def window(d: Draw, rank: int = 0, *, dilated: bool = True, pools: bool = False, auto: bool = True) -> Window:
    """At least one window lies in the padded image; no border of a pool has a window for itself."""
    rank = rank or d.of(1, 2, 2, 3)
    kernel, strides = [d.int(1, 4) for _ in range(rank)], [d.int(1, 3) for _ in range(rank)]
    dilations = [d.int(1, 3) if dilated else 1 for _ in range(rank)]
    spans = [(k - 1) * f + 1 for k, f in zip(kernel, dilations, strict=True)]
    how = d.of("", "", "VALID", "SAME_UPPER", "SAME_LOWER") if auto else ""
    if how.startswith("SAME"):  # ONNX Runtime takes no dilations then, nor gaps between windows
        dilations, spans = [1] * rank, kernel
        strides = [min(s, k) for s, k in zip(strides, kernel, strict=True)]
    pads = [0 if how else d.int(0, (k - 1) if pools else 3) for k in kernel * 2]
    least = [
        s if how == "VALID" or pools else max(1, s - a - b) for s, a, b in zip(spans, pads, pads[rank:], strict=False)
    ]
    image = [d.int(n, max(n, _LIMIT[rank])) for n in least]
    attributes = f"strides={strides}" + (f", dilations={dilations}" if dilated else "")
    attributes += f', auto_pad="{how}"' if how else f", pads={pads}"
    return Window(kernel, strides, dilations, pads, image, attributes)


def channels(d: Draw) -> tuple[int, int, int]:
    """Groups, and the input and output channels of one."""
    return d.of(
        (1, 1, 3), (1, 3, 8), (1, 4, 5), (1, 9, 2), (2, 3, 2), (3, 1, 1), (4, 1, 1), (8, 1, 1), (3, 1, 2), (2, 4, 4)
    )


@family("Conv")
def conv(d: Draw, op: str) -> Instance:
    w, (group, inner, outer) = window(d), channels(d)
    inputs = {"x": d.input([d.of(1, 1, 2), group * inner, *w.image])}
    constants = {"w": d.array([group * outer, inner, *w.kernel])}
    if d.flag():
        constants["b"] = d.array([group * outer])
    if d.int(0, 4) == 0:  # weights at run time
        inputs["w"] = np.stack([constants.pop("w")] * SAMPLES)
    bias = ", b" if "b" in constants else ""
    after = d.of("y = Identity(a)", "y = Relu(a)", "y = Neg(a)")
    return Instance(f"a = {op}<group={group}, {w.attributes}>(x, w{bias}) {after}", inputs, constants)


@family("ConvTranspose")
def conv_transpose(d: Draw, op: str) -> Instance:
    rank = d.of(1, 2, 2, 3)
    group, inner, outer = channels(d)
    kernel, strides, dilations = ([d.int(1, n) for _ in range(rank)] for n in (4, 3, 2))
    image = [d.int(1, {1: 9, 2: 5, 3: 3}[rank]) for _ in range(rank)]
    spans = [(k - 1) * f + 1 for k, f in zip(kernel, dilations, strict=True)]
    whole = [(n - 1) * s + span for n, s, span in zip(image, strides, spans, strict=True)]
    pads = [d.int(0, min(2, (n - 1) // 2)) for n in whole * 2]
    attributes = f"strides={strides}, dilations={dilations}, group={group}"
    how = d.of("pads", "output_padding", "output_shape", "SAME_UPPER", "SAME_LOWER")
    if how.startswith("SAME"):
        strides = [min(s, span) for s, span in zip(strides, spans, strict=True)]  # no gaps between the windows
        attributes = f"strides={strides}, dilations={dilations}, group={group}"
        attributes += f', auto_pad="{how}"'
    elif how == "output_shape":
        ends = [n - a - b for n, a, b in zip(whole, pads, pads[rank:], strict=False)]
        attributes += f", output_shape={[n + d.int(0, s - 1) for n, s in zip(ends, strides, strict=True)]}"
    else:
        attributes += f", pads={pads}"
    if how == "output_padding":
        attributes += f", output_padding={[d.int(0, max(s, f) - 1) for s, f in zip(strides, dilations, strict=True)]}"
    constants = {"w": d.array([group * inner, outer, *kernel])}
    if d.flag():
        constants["b"] = d.array([group * outer])
    bias = ", b" if "b" in constants else ""
    x = {"x": d.input([d.of(1, 1, 2), group * inner, *image])}
    return Instance(f"y = {op}<{attributes}>(x, w{bias})", x, constants)


@family("MaxPool")
def max_pool(d: Draw, op: str) -> Instance:
    w = window(d, pools=True)
    positions = d.int(0, 3) == 0
    x = d.input([d.of(1, 1, 2), d.int(1, 5), *w.image])
    attributes = f"kernel_shape={w.kernel}, {w.attributes}, ceil_mode={d.int(0, 1)}"
    if positions:
        node = f"y, z = {op}<{attributes}, storage_order={d.int(0, 1)}>(x)"
        return Instance(node, {"x": np.rint(x)}, outputs="y z")
    return Instance(f"y = {op}<{attributes}>(x)", {"x": x})


@family("AveragePool", "LpPool")
def sum_pools(d: Draw, op: str) -> Instance:
    w = window(d, pools=True)
    more = f"count_include_pad={d.int(0, 1)}" if op == "AveragePool" else f"p={d.int(1, 3)}"
    attributes = f"kernel_shape={w.kernel}, {w.attributes}, ceil_mode={d.int(0, 1)}, {more}"
    return Instance(f"y = {op}<{attributes}>(x)", {"x": d.input([d.of(1, 1, 2), d.int(1, 5), *w.image])})


@family("GlobalAveragePool", "GlobalMaxPool")
def global_pools(d: Draw, op: str) -> Instance:
    return Instance(f"y = {op}(x)", {"x": d.input([d.of(1, 1, 2), d.int(1, 9), *d.shape(1, 3, 7)])})


@family("MaxUnpool")
def max_unpool(d: Draw, op: str) -> Instance:
    rank = d.of(1, 2, 3)
    kernel = [d.int(1, 3) for _ in range(rank)]  # windows that do not overlap give each position once
    image = [k * d.int(1, 3) for k in kernel]
    pool = f"kernel_shape={kernel}, strides={kernel}"
    x = {"x": d.input([d.int(1, 2), d.int(1, 3), *image])}
    return Instance(f"a, i = MaxPool<{pool}>(x) y = {op}<{pool}>(a, i)", x)


@family("Col2Im")
def col2im(d: Draw, op: str) -> Instance:
    w = window(d, d.of(1, 2, 3), auto=False)
    spans = [(k - 1) * f + 1 for k, f in zip(w.kernel, w.dilations, strict=True)]
    ends = [n + a + b for n, a, b in zip(w.image, w.pads, w.pads[w.rank :], strict=False)]
    counts = [(n - span) // s + 1 for n, span, s in zip(ends, spans, w.strides, strict=True)]
    shape = [d.int(1, 2), d.int(1, 3) * int(np.prod(w.kernel)), int(np.prod(counts))]
    constants = {"s": ints(*w.image), "b": ints(*w.kernel)}
    # ONNX Runtime forgets the dilation in one dimension.
    return Instance(f"y = {op}<{w.attributes}>(x, s, b)", {"x": d.input(shape)}, constants, by_reference=True)


@family("DeformConv")
def deform_conv(d: Draw, op: str) -> Instance:
    w, offset_groups = window(d, 2, auto=False), d.of(1, 2)
    group, inner, outer = d.of((1, 2, 3), (2, 1, 1), (2, 2, 1), (1, 4, 2))
    n, c = d.int(1, 2), group * inner
    sizes = [
        (size + a + b - (k - 1) * f - 1) // s + 1
        for size, a, b, k, f, s in zip(w.image, w.pads, w.pads[2:], w.kernel, w.dilations, w.strides, strict=False)
    ]
    count = offset_groups * int(np.prod(w.kernel))
    inputs = {"x": d.input([n, c, *w.image]), "o": d.input([n, 2 * count, *sizes])}
    constants, operands = {"w": d.array([group * outer, inner, *w.kernel])}, "x, w, o"
    if d.flag():
        constants["b"] = d.array([group * outer])
        operands += ", b"
    if d.flag():
        inputs["m"] = d.input([n, count, *sizes])
        operands += ", m" if "b" in constants else ", , m"
    attributes = f"{w.attributes}, group={group}, offset_group={offset_groups}, kernel_shape={w.kernel}"
    return Instance(f"y = {op}<{attributes}>({operands})", inputs, constants)


@family("GridSample")
def grid_sample(d: Draw, op: str) -> Instance:
    rank = d.of(2, 2, 3)
    mode = d.of("linear", "nearest", *(("cubic",) if rank == 2 else ()))
    n, image, taken = d.int(1, 2), d.shape(rank, rank), d.shape(rank, rank, 3)
    # Numbers of which none lies in the middle between two pixels.
    grid = d.input([n, *taken, rank], "float32", -1.6, 1.6)
    attributes = f'mode="{mode}", padding_mode="{d.of("zeros", "border", "reflection")}", align_corners={d.int(0, 1)}'
    x = d.input([n, d.int(1, 3), *image])
    return Instance(f"y = {op}<{attributes}>(x, g)", {"x": x, "g": grid}, tolerance=5e-5)


@family("AffineGrid")
def affine_grid(d: Draw, op: str) -> Instance:
    rank, n = d.of(2, 3), d.int(1, 2)
    aligned = d.int(0, 1)
    # One pixel has no two corners to align.
    size = ints(n, d.int(1, 3), *(d.int(1 + aligned, 5) for _ in range(rank)))
    theta = d.input([n, rank, rank + 1])
    return Instance(f"y = {op}<align_corners={aligned}>(t, s)", {"t": theta}, {"s": size})


@family("RoiAlign")
def roi_align(d: Draw, op: str) -> Instance:
    n, regions = d.int(1, 2), d.int(1, 4)
    x = d.input([n, d.int(1, 3), d.int(2, 9), d.int(2, 9)])
    corner, size = d.input([regions, 2], low=-1, high=5), d.input([regions, 2], low=0.1, high=6)
    attributes = f"output_height={d.int(1, 4)}, output_width={d.int(1, 4)}, sampling_ratio={d.int(0, 3)}"
    attributes += f', mode="{d.of("avg", "max")}", spatial_scale={d.of(0.5, 1.0, 1.5)}'
    attributes += f', coordinate_transformation_mode="{d.of("half_pixel", "output_half_pixel")}"'
    inputs = {"x": x, "r": np.concatenate([corner, corner + size], -1)}
    return Instance(f"y = {op}<{attributes}>(x, r, b)", inputs, {"b": d.array([regions], "int64", 0, n - 1)})


@family("Resize")
def resize(d: Draw, op: str) -> Instance:
    mode = d.of("nearest", "nearest", "linear", "cubic")
    rank = d.of(1, 2, 2) if mode != "cubic" else 2
    shape = [d.int(1, 2), d.int(1, 3), *d.shape(rank, rank, 6)]
    where = d.of(
        "half_pixel", "asymmetric", "pytorch_half_pixel", "align_corners", "half_pixel_symmetric", "tf_crop_and_resize"
    )
    attributes = f'mode="{mode}", coordinate_transformation_mode="{where}"'
    if mode == "nearest":
        attributes += f', nearest_mode="{d.of("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")}"'
    if mode == "cubic":
        attributes += f", cubic_coeff_a={d.of(-0.75, -0.5)}, exclude_outside={d.int(0, 1)}"
    target = [d.int(1, 9) for _ in range(rank)]
    constants, roi = {}, ""
    if where == "tf_crop_and_resize":
        constants["r"] = np.asarray([0, 0, *[0.25] * rank, 1, 1, *[d.of(0.75, 1.25)] * rank], np.float32)
        attributes += f", extrapolation_value={d.of(0.0, -3.0)}"
        roi = "r"
    if d.flag() or roi:  # the reference takes a length of 1.5 elements for one of several
        constants["s"] = ints(*shape[:2], *target)
        node = f"y = {op}<{attributes}>(x, {roi}, , s)"
    else:
        constants["s"] = np.asarray(
            [1, 1, *(d.of(0.5, 1.0, 1.5, 2.0, 3.0) if n > 1 else 2.0 for n in shape[2:])], np.float32
        )
        node = f"y = {op}<{attributes}>(x, {roi}, s)"
    # ONNX Runtime crops no axis that keeps its length, and aligns the corners of whole lengths only.
    by_reference = where in ("tf_crop_and_resize", "align_corners")
    return Instance(node, {"x": d.input(shape)}, constants, tolerance=2e-5, by_reference=by_reference)


@family("Upsample")
def upsample(d: Draw, op: str) -> Instance:
    shape = [1, d.int(1, 3), d.int(2, 5), d.int(2, 5)]
    scales = np.asarray([1, 1, d.of(1.0, 1.5, 2.0, 3.0), d.of(1.0, 1.5, 2.0, 3.0)], np.float32)
    node = f'y = {op}<mode="{d.of("nearest", "linear")}">(x, s)'
    return Instance(node, {"x": d.input(shape)}, {"s": scales}, opset=9)
