"""Random operators that move elements: shapes, slices, parts, borders, repetitions, constants made of shapes."""

from __future__ import annotations

import numpy as np
from onnx.numpy_helper import from_array
from properties import Draw, Instance, family, ints, number

KINDS = ("float32", "float32", "int8", "int32", "int64", "bool")


def split_up(d: Draw, count: int) -> list[int]:
    """Factors of `count`, some of them 1."""
    factors = []
    while count > 1 and len(factors) < 5:
        factor = d.of(*(n for n in range(1, count + 1) if count % n == 0))
        factors.append(factor)
        count //= factor
    return [*factors, count] if count > 1 or not factors else factors


@family("Reshape")
def reshape(d: Draw, op: str) -> Instance:
    shape = d.shape(0)
    target = split_up(d, int(np.prod(shape)))
    for axis in range(min(len(shape), len(target))):
        if target[axis] == shape[axis] and d.flag():
            target[axis] = 0
    if d.flag():
        target[d.int(0, len(target) - 1)] = -1
    return Instance(f"y = {op}(x, s)", {"x": d.input(shape, d.of(*KINDS))}, {"s": ints(*target)})


@family("Flatten")
def flatten(d: Draw, op: str) -> Instance:
    shape = d.shape(1)
    return Instance(f"y = {op}<axis={d.int(-len(shape), len(shape))}>(x)", {"x": d.input(shape, d.of(*KINDS))})


@family("Squeeze")
def squeeze(d: Draw, op: str) -> Instance:
    shape = [d.of(1, 1, 3, 4) for _ in range(d.int(1, 4))]
    ones = [axis - d.of(0, len(shape)) for axis, n in enumerate(shape) if n == 1]
    x = {"x": d.input(shape, d.of(*KINDS))}
    if not ones or d.flag():
        return Instance(f"a = Identity(x) y = {op}(a)", x)
    return Instance(f"a = Identity(x) y = {op}(a, s)", x, {"s": ints(*d.some(ones, 1))})


@family("Unsqueeze")
def unsqueeze(d: Draw, op: str) -> Instance:
    shape, more = d.shape(0, 3), d.int(1, 3)
    rank = len(shape) + more
    axes = [axis - d.of(0, rank) for axis in d.order(rank)[:more]]
    return Instance(f"y = {op}(x, s)", {"x": d.input(shape, d.of(*KINDS))}, {"s": ints(*axes)})


@family("Transpose")
def transpose(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 5)
    attribute = f"<perm={d.order(len(shape))}>" if d.flag() else ""
    return Instance(f"y = {op}{attribute}(x)", {"x": d.input(shape, d.of(*KINDS))})


@family("Slice")
def slices(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 4, 7)
    axes = d.some(range(len(shape)), 1)
    starts, ends, steps = [], [], []
    for n in (shape[axis] for axis in axes):
        start = d.int(0, n - 1)
        if d.flag():
            end = d.int(start + 1, n)
            ends.append(d.of(end, *((end - n,) if end < n else (1000, 2**63 - 1))))
        else:
            end = d.int(-1, start - 1)
            ends.append(d.of(end, end - n) if end >= 0 else d.of(-n - 1, -1000))
        steps.append(d.int(1, 3) * (1 if end > start else -1))
        starts.append(d.of(start, start - n, *((1000,) if end < start == n - 1 else ())))
    named = [axis - d.of(0, len(shape)) for axis in axes]
    constants = {"s": ints(*starts), "e": ints(*ends), "a": ints(*named), "t": ints(*steps)}
    kind = d.of("int32", "int64")
    if kind == "int32":
        constants = {name: np.clip(a, -(2**31), 2**31 - 1).astype(np.int32) for name, a in constants.items()}
    return Instance(f"y = {op}(x, s, e, a, t)", {"x": d.input(shape, d.of(*KINDS))}, constants)


@family("Concat")
def concat(d: Draw, op: str) -> Instance:
    shape, kind = d.shape(1), d.of(*KINDS)
    axis = d.axis(len(shape))
    inputs, constants = {}, {}
    for name in "abcd"[: d.int(1, 4)]:
        part = list(shape)
        part[axis] = d.int(1, 4)
        if inputs and d.flag():
            constants[name] = d.array(part, kind)
        else:
            inputs[name] = d.input(part, kind)
    names = d.some(sorted(inputs | constants), len(inputs | constants))
    return Instance(f"y = {op}<axis={axis}>({', '.join(names)})", inputs, constants)


@family("Split")
def split(d: Draw, op: str) -> Instance:
    shape, parts = d.shape(1), d.int(1, 4)
    axis = d.axis(len(shape))
    names = "pqrs"[:parts]
    results = ", ".join(names)
    kind = d.of("float32", "int32", "int64", "uint8")
    if d.flag():
        sizes = [d.int(1, 3) for _ in names]
        shape[axis] = sum(sizes)
        node, constants = f"{results} = {op}<axis={axis}>(x, n)", {"n": ints(*sizes)}
    else:
        each = d.int(1, 3)
        shape[axis] = each * parts - d.int(0, min(each - 1, parts - 1))
        node, constants = f"{results} = {op}<axis={axis}, num_outputs={parts}>(x)", {}
    return Instance(node, {"x": d.input(shape, kind)}, constants, outputs=" ".join(names))


@family("Expand")
def expand(d: Draw, op: str) -> Instance:
    whole = d.shape(1)
    asked = [d.of(1, n) for n in whole[d.int(0, len(whole)) :]]
    shape = d.narrowed(whole)
    return Instance(f"y = {op}(x, s)", {"x": d.input(shape, d.of(*KINDS))}, {"s": ints(*asked)})


@family("Tile")
def tile(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 4, 4)
    kind = d.of("float32", "int8", "int32", "int64", "bool")
    return Instance(f"y = {op}(x, r)", {"x": d.input(shape, kind)}, {"r": ints(*(d.int(1, 3) for _ in shape))})


@family("DepthToSpace", "SpaceToDepth")
def blocks(d: Draw, op: str) -> Instance:
    size, (n, c, h, w) = d.int(1, 3), (d.int(1, 4) for _ in range(4))
    if op == "SpaceToDepth":
        return Instance(f"y = {op}<blocksize={size}>(x)", {"x": d.input([n, c, h * size, w * size])})
    mode = d.of("DCR", "CRD")
    return Instance(f'y = {op}<blocksize={size}, mode="{mode}">(x)', {"x": d.input([n, c * size * size, h, w])})


@family("Pad")
def pad(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 4, 6)
    mode = d.of("constant", "constant", "reflect", "edge", "wrap")
    axes = d.some(range(len(shape)), 1)
    most = [{"reflect": shape[axis] - 1, "wrap": shape[axis]}.get(mode, 3) for axis in axes]
    before, after = ([d.int(0, n) for n in most] for _ in range(2))
    if mode == "constant":
        for i, axis in enumerate(axes):
            if shape[axis] > 2 and d.flag():
                before[i] = -1
    kind = d.of(*KINDS) if mode == "constant" else d.of("float32", "int32", "int64")
    constants = {"p": ints(*before, *after), "a": ints(*(axis - d.of(0, len(shape)) for axis in axes))}
    inputs = {"x": d.input(shape, kind)}
    fill = ""
    if mode == "constant" and d.flag():
        fill = "v"
        if d.flag():
            constants["v"] = number(d.int(0, 1), kind)
        else:
            inputs["v"] = d.input([], kind, 0, 3)
    return Instance(f'y = {op}<mode="{mode}">(x, p, {fill}, a)', inputs, constants)


@family("CenterCropPad")
def center_crop_pad(d: Draw, op: str) -> Instance:
    shape = d.shape(1, 4, 7)
    axes = d.some(range(len(shape)), 1)
    named = [axis - d.of(0, len(shape)) for axis in axes]
    sizes = ints(*(d.int(1, 9) for _ in axes))
    return Instance(f"y = {op}<axes={named}>(x, s)", {"x": d.input(shape)}, {"s": sizes})


@family("Trilu")
def trilu(d: Draw, op: str) -> Instance:
    shape = d.shape(2)
    x = d.input(shape, d.of("float32", "int64", "bool"), -9, 9)
    if d.flag():
        return Instance(f"y = {op}<upper={d.int(0, 1)}>(x)", {"x": x})
    return Instance(f"y = {op}<upper={d.int(0, 1)}>(x, k)", {"x": x}, {"k": np.asarray(d.int(-6, 6))})


@family("OneHot")
def one_hot(d: Draw, op: str) -> Instance:
    shape, depth = d.shape(1, 3), d.int(1, 6)
    axis = d.axis(len(shape) + 1)
    i = d.input(shape, d.of("int64", "int32"), -depth - 1, depth)
    kind = d.of("float32", "int64") if i.dtype == np.int64 else "float32"
    constants = {"d": np.asarray(depth, i.dtype), "v": d.array([2], kind, -9, 9)}
    return Instance(f"y = {op}<axis={axis}>(i, d, v)", {"i": i}, constants)


@family("EyeLike")
def eye_like(d: Draw, op: str) -> Instance:
    kind = f", dtype={d.of(1, 6, 7)}" if d.flag() else ""
    return Instance(f"y = {op}<k={d.int(-3, 3)}{kind}>(x)", {"x": d.input([d.int(1, 5), d.int(1, 5)])})


@family("Range")
def ranges(d: Draw, op: str) -> Instance:
    kind = d.of("float32", "int64", "int32")
    step = d.of(1, 2, 3, -1, -2)
    start = d.int(-9, 9)
    limit = start + step * d.int(1, 5) - d.of(0, 1 if step > 0 else -1) * (abs(step) > 1)
    constants = {"a": number(start, kind), "b": number(limit, kind), "c": number(step, kind)}
    return Instance(f"r = {op}(a, b, c) y = Add(x, r)", {"x": d.input([], kind, -5, 5)}, constants)


@family("ConstantOfShape", "Constant")
def constants(d: Draw, op: str) -> Instance:
    kind = d.of("float32", "int32", "int64")
    shape = d.shape(0, 3)
    x = {"x": d.input([], kind, -9, 9)}
    value = d.array([1] if op == "ConstantOfShape" else shape, kind, -9, 9)
    if op == "Constant":
        return Instance(f"c = {op}() y = Add(x, c)", x, attributes={"value": from_array(value)})
    return Instance(f"c = {op}(s) y = Add(x, c)", x, {"s": ints(*shape)}, attributes={"value": from_array(value)})


@family("Shape", "Size")
def sizes(d: Draw, op: str) -> Instance:
    shape = d.shape(1)
    attributes = {}
    if op == "Shape":
        first = d.int(0, len(shape) - 1)
        attributes = {"start": d.of(first, first - len(shape)), "end": d.int(first + 1, len(shape) + 2)}
    return Instance(f"y = {op}(x)", {"x": d.input(shape)}, attributes=attributes)
