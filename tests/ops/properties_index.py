"""Random operators on positions: gathers, scatters, extrema, orders, cumulated and data-dependent sizes."""

from __future__ import annotations

import numpy as np
from properties import SAMPLES, Array, Draw, Instance, family, ints, number

KINDS = ("float32", "float32", "int32", "int64", "int8", "uint8")


def _indices(d: Draw, shape: list[int], length: int, kinds: tuple[str, ...] = ("int64", "int32")) -> Array:
    return d.input(shape, d.of(*kinds), -length, length - 1)


@family("Gather")
def gather(d: Draw, op: str) -> Instance:
    shape, kind = d.shape(1), d.of(*KINDS)
    axis = d.axis(len(shape))
    indices = _indices(d, d.shape(0, 2), shape[axis])
    node = f"y = {op}<axis={axis}>(x, i)"
    how = d.of("input", "constant", "table")
    if how == "constant":
        return Instance(node, {"x": d.input(shape, kind)}, {"i": indices[0]})
    if how == "table":
        return Instance(node, {"i": indices}, {"x": d.array(shape, kind)})
    return Instance(node, {"x": d.input(shape, kind), "i": indices})


@family("GatherElements")
def gather_elements(d: Draw, op: str) -> Instance:
    shape = d.shape(1)
    axis = d.axis(len(shape))
    taken = [d.int(1, n) for n in shape]
    taken[axis] = d.int(1, 6)
    i = _indices(d, taken, shape[axis])
    return Instance(f"y = {op}<axis={axis}>(x, i)", {"x": d.input(shape, d.of(*KINDS)), "i": i})


def _tuples(d: Draw, shape: list[int], most: int) -> Array:
    """Index tuples into the first axes of `shape`, rows of one sample all different where `most` allows."""
    return np.stack([d.random.integers(-n, n, most) for n in shape], -1).astype(np.int64)


@family("GatherND")
def gather_nd(d: Draw, op: str) -> Instance:
    shape = d.shape(1)
    batch = d.int(0, len(shape) - 1)
    inner = shape[batch : batch + d.int(1, len(shape) - batch)]
    places = [*shape[:batch], *d.shape(0, 2, 3)]
    i = _tuples(d, inner, SAMPLES * int(np.prod(places))).reshape(SAMPLES, *places, len(inner))
    kind = d.of("float32", "int32", "int64")
    return Instance(f"y = {op}<batch_dims={batch}>(x, i)", {"x": d.input(shape, kind), "i": i})


@family("Scatter", "ScatterElements")
def scatter_elements(d: Draw, op: str) -> Instance:
    shape = d.shape(1)
    axis = d.axis(len(shape))
    taken = [d.int(1, n) for n in shape]
    how = "none" if op == "Scatter" else d.of("none", "add", "mul", "min", "max")
    if how == "none":  # several updates of one element have no meaning
        order = np.argsort(
            d.random.random([SAMPLES, *taken[:axis], shape[axis], *taken[axis:][1:]]), axis % len(shape) + 1
        )
        i = np.take(order, range(taken[axis]), axis % len(shape) + 1).astype(np.int64)
        i -= shape[axis] * (d.random.random(i.shape) < 0.3) if op != "Scatter" else 0
    else:
        i = _indices(d, taken, shape[axis], ("int64",))
    kind = "float32" if how == "mul" else d.of("float32", "int32", "int64")
    inputs = {"x": d.input(shape, kind, -9, 9), "i": i, "u": d.input(taken, kind, -9, 9)}
    attributes = f"axis={axis}" + (f', reduction="{how}"' if op != "Scatter" else "")
    return Instance(f"y = {op}<{attributes}>(x, i, u)", inputs, opset=10 if op == "Scatter" else 21)


@family("ScatterND")
def scatter_nd(d: Draw, op: str) -> Instance:
    shape = d.shape(1)
    depth = d.int(1, len(shape))
    whole = int(np.prod(shape[:depth]))
    places = d.shape(1, 2, 3)
    how = d.of("none", "add", "mul", "min", "max")
    count = int(np.prod(places))
    if how == "none" and count > whole:
        places, count = [1], 1
    flat = np.stack([d.random.choice(whole, count, replace=how != "none") for _ in range(SAMPLES)])
    i = np.stack(np.unravel_index(flat, shape[:depth]), -1)
    i = (i - np.asarray(shape[:depth]) * (d.random.random(i.shape) < 0.3)).reshape(SAMPLES, *places, depth)
    kind = d.of("float32", "int32", "int64")
    inputs = {
        "x": d.input(shape, kind, -9, 9),
        "i": i.astype(np.int64),
        "u": d.input([*places, *shape[depth:]], kind, -9, 9),
    }
    return Instance(f'y = {op}<reduction="{how}">(x, i, u)', inputs)


@family("TensorScatter")
def tensor_scatter(d: Draw, op: str) -> Instance:
    batch, length = d.int(1, 3), d.int(2, 6)
    before, after = d.shape(0, 1), d.shape(1, 2)
    added = d.int(1, length)
    mode = d.of("linear", "circular")
    axis = 1 + len(before) - d.of(0, 2 + len(before) + len(after))
    x, u = ([batch, *before, n, *after] for n in (length, added))
    i = d.input([batch], "int64", 0, length - added if mode == "linear" else length - 1)
    node = f'y = {op}<axis={axis}, mode="{mode}">(x, u, i)'
    return Instance(node, {"x": d.input(x), "u": d.input(u), "i": i}, opset=24, by_reference=True)


@family("ReverseSequence")
def reverse_sequence(d: Draw, op: str) -> Instance:
    shape = [d.int(1, 5), d.int(1, 5), *d.shape(0, 2)]
    time = d.int(0, 1)
    lengths = d.input([shape[1 - time]], "int64", 1, shape[time])
    return Instance(f"y = {op}<time_axis={time}, batch_axis={1 - time}>(x, l)", {"x": d.input(shape), "l": lengths})


@family("ArgMax", "ArgMin")
def arg_extremum(d: Draw, op: str) -> Instance:
    shape = d.shape(1)
    attributes = f"axis={d.axis(len(shape))}, keepdims={d.int(0, 1)}, select_last_index={d.int(0, 1)}"
    x = d.input(shape, d.of("float32", "float32", "int8", "uint8", "int32"), 0, 4)
    return Instance(f"y = {op}<{attributes}>(x)", {"x": np.rint(x).astype(x.dtype)})


@family("TopK")
def top_k(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 3, 9)
    axis = d.axis(len(shape))
    k = d.int(1, shape[axis])
    x = d.input(shape, d.of("float32", "int64", "int32"), -20, 20)
    x = np.rint(x).astype(x.dtype)
    node = f"y, z = {op}<axis={axis}, largest={d.int(0, 1)}, sorted=1>(x, k)"
    return Instance(node, {"x": x}, {"k": ints(k)}, outputs="y z")


@family("CumSum", "CumProd")
def cumulated(d: Draw, op: str) -> Instance:
    shape = d.shape(1)
    attributes = f"exclusive={d.int(0, 1)}, reverse={d.int(0, 1)}"
    axis = number(d.axis(len(shape)), d.of("int32", "int64"))
    x = d.input(shape, d.of("float32", "int32", "int64"), -3, 3)
    is_product = op == "CumProd"
    return Instance(
        f"y = {op}<{attributes}>(x, a)", {"x": x}, {"a": axis}, opset=26 if is_product else 21, by_reference=is_product
    )


@family("NonZero")
def non_zero(d: Draw, op: str) -> Instance:
    x = d.input(d.shape(1, 3, 6), d.of("float32", "int64", "bool", "int32", "uint8"), 0, d.int(1, 3))
    return Instance(f"a = {op}(x) y = {d.of('Identity', 'Transpose')}(a)", {"x": np.floor(x).astype(x.dtype)})


@family("Compress")
def compress(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 3, 6)
    axis = d.axis(len(shape)) if d.flag() else None
    most = int(np.prod(shape)) if axis is None else shape[axis]
    attribute = "" if axis is None else f"<axis={axis}>"
    inputs = {"x": d.input(shape, d.of(*KINDS), 0, 99), "c": d.input([d.int(1, most)], "bool")}
    return Instance(f"y = {op}{attribute}(x, c)", inputs)


@family("Unique")
def unique(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 3, 6)
    attributes = f"sorted={d.int(0, 1)}" + (f", axis={d.axis(len(shape))}" if d.flag() else "")
    x = d.input(shape, d.of("float32", "int64", "int8"), 0, 3)
    x = np.rint(x).astype(x.dtype)
    return Instance(f"y, i, j, k = {op}<{attributes}>(x)", {"x": x}, outputs="y i j k")


@family("NonMaxSuppression")
def suppression(d: Draw, op: str) -> Instance:
    batches, classes, boxes = d.int(1, 2), d.int(1, 3), d.int(1, 20)
    constants = {"m": ints(d.int(1, 8)), "o": d.of(*(np.asarray([v], np.float32) for v in (0.0, 0.3, 0.9)))}
    operands = "b, s, m, o"
    if d.flag():
        constants["t"] = d.of(*(np.asarray([v], np.float32) for v in (-3.0, 0.0, 1.5)))
        operands += ", t"
    center = d.int(0, 1)
    b = d.input([batches, boxes, 4])
    inputs = {"b": np.abs(b) if center else b, "s": d.input([batches, classes, boxes])}
    return Instance(f"y = {op}<center_point_box={center}>({operands})", inputs, constants)
