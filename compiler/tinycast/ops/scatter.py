"""Writing elements at positions that are computed at run time, running sums, and sorting: kernels in C."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from tinycast.ir.graph import Builder, Routine, TensorType
from tinycast.ir.sizes import kept_sizes
from tinycast.ir.types import Array, DType, Sizes, Value
from tinycast.ops.gather import positions
from tinycast.ops.node import Node

_UPDATES = {
    "none": "{place} = {update};",
    "add": "{place} = ({type})({place} + {update});",
    "mul": "{place} = ({type})({place} * {update});",
    "max": "{place} = {place} > {update} ? {place} : {update};",
    "min": "{place} = {place} < {update} ? {place} : {update};",
}
_NUMPY = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def _update(reduction: str, place: str, update: str, dtype: DType) -> str:
    return _UPDATES[reduction].format(place=place, update=update, type=dtype.c_name)


def _copy(count: int) -> str:
    return f"for (int32_t i = 0; i < {count}; ++i) {{\n    output_0[i] = input_0[i];\n}}\n"


def _clamp(variable: str, length: int) -> str:
    """C that counts a negative index from the end and keeps it inside of the axis."""
    return (
        f"if ({variable} < 0) {{\n    {variable} += {length};\n}}\n"
        f"{variable} = {variable} < 0 ? 0 : {variable} > {length - 1} ? {length - 1} : {variable};\n"
    )


def indented(text: str, depth: int) -> str:
    """The lines of C, `depth` levels further in."""
    return "".join("    " * depth + line + "\n" for line in text.splitlines())


def _apply(y: Array, places: tuple[Array, ...], updates: Array, reduction: str) -> None:
    if reduction == "none":
        y[places] = updates
    else:
        _NUMPY[reduction].at(y, places, updates)


@dataclass(frozen=True)
class ScatterElements(Routine):
    """A copy of x where y[i with indices[i] in the place of `axis`] is updates[i]. Inputs: x, indices, updates."""

    axis: int
    reduction: str

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].shape, inputs[0].dtype),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        x, indices, updates = arrays
        places: list[Array] = list(np.indices(indices.shape))
        places[self.axis] = positions(indices, x.shape[self.axis])
        y = x.copy()
        _apply(y, tuple(places), updates, self.reduction)
        return (y,)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        x, indices, _ = (kind.shape for kind in inputs)
        steps = ["int32_t place = 0;", *(["int32_t rest = i;"] if len(x) > 1 else [])]
        for a in reversed(range(len(x))):
            if a == self.axis:
                steps.append(f"place += index * {prod(x[a + 1 :])};")
            else:
                step = f"rest % {indices[a]}" if a > 0 else "rest"
                steps.append(f"place += {step} * {prod(x[a + 1 :])};")
            if a > 0:
                steps.append(f"rest /= {indices[a]};")
        write = _update(self.reduction, "output_0[place]", "input_2[i]", inputs[0].dtype)
        inner = "int32_t index = (int32_t)input_1[i];\n" + _clamp("index", x[self.axis]) + "\n".join([*steps, write])
        return _copy(prod(x)) + f"for (int32_t i = 0; i < {prod(indices)}; ++i) {{\n{indented(inner, 1)}}}\n"


@dataclass(frozen=True)
class ScatterND(Routine):
    """A copy of x in which y[indices[i, :]] takes updates[i]. Inputs: x, indices, updates."""

    reduction: str

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].shape, inputs[0].dtype),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        x, indices, updates = arrays
        depth = indices.shape[-1]
        places = tuple(positions(indices[..., d], x.shape[d]).reshape(-1) for d in range(depth))
        y = x.copy()
        _apply(y, places, updates.reshape((-1, *x.shape[depth:])), self.reduction)
        return (y,)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        x, indices, _ = (kind.shape for kind in inputs)
        depth = indices[-1]
        run = prod(x[depth:])
        inner = "int32_t place = 0;\nint32_t index;\n"
        for d in range(depth):
            inner += f"index = (int32_t)input_1[i * {depth} + {d}];\n" + _clamp("index", x[d])
            inner += f"place += index * {prod(x[d + 1 :])};\n"
        write = _update(self.reduction, "output_0[place + j]", f"input_2[i * {run} + j]", inputs[0].dtype)
        inner += f"for (int32_t j = 0; j < {run}; ++j) {{\n    {write}\n}}\n"
        return _copy(prod(x)) + f"for (int32_t i = 0; i < {prod(indices[:-1])}; ++i) {{\n{indented(inner, 1)}}}\n"


@dataclass(frozen=True)
class Cumulate(Routine):
    """Running sums (or products) along `axis`; `exclusive` leaves out the element itself."""

    axis: int
    product: bool
    exclusive: bool
    reverse: bool

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        return (TensorType(inputs[0].shape, inputs[0].dtype),)

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        x = np.flip(arrays[0], self.axis) if self.reverse else arrays[0]
        if self.exclusive:
            first = np.full_like(np.take(x, [0], self.axis), 1 if self.product else 0)
            x = np.concatenate([first, np.take(x, range(x.shape[self.axis] - 1), self.axis)], self.axis)
        y = (np.cumprod if self.product else np.cumsum)(x, self.axis, dtype=x.dtype)
        return (np.flip(y, self.axis) if self.reverse else y,)

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        shape, dtype = inputs[0].shape, inputs[0].dtype
        outer, length, inner = prod(shape[: self.axis]), shape[self.axis], prod(shape[self.axis + 1 :])
        step = f"{length - 1} - k" if self.reverse else "k"
        add = f"total = ({dtype.c_name})(total {'*' if self.product else '+'} input_0[place]);"
        store = "output_0[place] = total;"
        first, second = (store, add) if self.exclusive else (add, store)
        return f"""
for (int32_t i = 0; i < {outer}; ++i) {{
    for (int32_t j = 0; j < {inner}; ++j) {{
        {dtype.c_name} total = {1 if self.product else 0};
        for (int32_t k = 0; k < {length}; ++k) {{
            const int32_t place = (i * {length} + ({step})) * {inner} + j;
            {first}
            {second}
        }}
    }}
}}
"""


@dataclass(frozen=True)
class TopK(Routine):
    """The `count` largest (or smallest) elements along `axis` in order, and where they were (int64).

    Of equal elements the first comes first. An insertion into the sorted outputs: fast for small counts.
    """

    axis: int
    count: int
    largest: bool

    def infer_all(self, inputs: Sequence[Value]) -> tuple[TensorType, ...]:
        shape = list(inputs[0].shape)
        shape[self.axis] = self.count
        return (TensorType(tuple(shape), inputs[0].dtype), TensorType(tuple(shape), DType.INT64))

    def reference_all(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        x = arrays[0]
        keys = x.astype(np.float64) if x.dtype.kind == "f" else x.astype(object)
        order = np.argsort(-keys if self.largest else keys, axis=self.axis, kind="stable")
        order = np.take(order, range(self.count), self.axis).astype(np.int64)
        return np.take_along_axis(x, order, self.axis), order

    def sizes(self, inputs: Sequence[Value], build: Builder) -> Sizes | None:
        return kept_sizes(inputs[0], [self.axis])

    def body(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> str:
        shape, dtype = inputs[0].shape, inputs[0].dtype
        outer, length, inner = prod(shape[: self.axis]), shape[self.axis], prod(shape[self.axis + 1 :])
        better = ">" if self.largest else "<"
        return f"""
for (int32_t i = 0; i < {outer}; ++i) {{
    for (int32_t j = 0; j < {inner}; ++j) {{
        const int32_t base = i * {self.count} * {inner} + j;
        for (int32_t k = 0; k < {length}; ++k) {{
            const {dtype.c_name} element = input_0[(i * {length} + k) * {inner} + j];
            int32_t place = k < {self.count} ? k : {self.count};
            while (place > 0 && element {better} output_0[base + (place - 1) * {inner}]) {{
                if (place < {self.count}) {{
                    output_0[base + place * {inner}] = output_0[base + (place - 1) * {inner}];
                    output_1[base + place * {inner}] = output_1[base + (place - 1) * {inner}];
                }}
                --place;
            }}
            if (place < {self.count}) {{
                output_0[base + place * {inner}] = element;
                output_1[base + place * {inner}] = k;
            }}
        }}
    }}
}}
"""


def import_scatter_elements(node: Node) -> Value:
    inputs = [node.input(i) for i in range(3)]
    op = ScatterElements(node.axis(0, len(inputs[0].shape)), node.text("reduction", "none"))
    return node.build.call_all(op, inputs)[0]


def import_scatter_nd(node: Node) -> Value:
    return node.build.call_all(ScatterND(node.text("reduction", "none")), [node.input(i) for i in range(3)])[0]


def import_cumulate(node: Node) -> Value:
    x = node.input(0)
    axis = int(node.required(1)[0]) % max(1, len(x.shape))
    op = Cumulate(axis, node.kind == "CumProd", bool(node.int("exclusive", 0)), bool(node.int("reverse", 0)))
    return node.build.call_all(op, [x])[0]


def import_top_k(node: Node) -> tuple[Value, ...]:
    x = node.input(0)
    op = TopK(node.axis(-1, len(x.shape)), int(node.required(1)[0]), bool(node.int("largest", 1)))
    return node.build.call_all(op, [x])


IMPORTERS = {
    "CumProd": import_cumulate,
    "CumSum": import_cumulate,
    "Scatter": import_scatter_elements,
    "ScatterElements": import_scatter_elements,
    "ScatterND": import_scatter_nd,
    "TopK": import_top_k,
}
