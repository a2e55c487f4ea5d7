"""RotaryEmbedding: pairs of elements turned by an angle a position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinycast.ir.graph import Op, Pattern, Tensor, TensorType, Tile
from tinycast.ir.quantized import IntegerForm
from tinycast.ir.types import Array, DType, Value
from tinycast.ops.elementwise import Binary, BinaryFunction
from tinycast.ops.gather import Gather
from tinycast.ops.node import Node
from tinycast.ops.shape import Pad, Reshape
from tinycast.ops.weighted_sum import weighted_sum
from tinycast.tvm_bridge import expr as te


@dataclass(frozen=True)
class Turn(Op):
    """y = x * cosine + partner * sine; float32. The tables broadcast to x; `partner` has each element's other one."""

    pattern = Pattern.ELEMENTWISE

    @property
    def title(self) -> str:
        return "RotaryEmbedding"

    def infer(self, inputs: Sequence[Value]) -> TensorType:
        return TensorType(inputs[0].shape, DType.FLOAT32)

    def reference(self, arrays: Sequence[Array]) -> Array:
        x, partner, cosine, sine = arrays
        return np.asarray(x * cosine + partner * sine, np.float32)

    def compute(self, tensors: Sequence[Tensor], out: TensorType, tile: Tile) -> Tensor:
        return te.elementwise(tensors, out.shape, lambda x, p, cosine, sine: x * cosine + p * sine, "turned")

    def permute(self, perm: tuple[int, ...], inputs: Sequence[Value]) -> Op | None:
        return self

    def integer_form(self, form: IntegerForm) -> Value | None:
        x, partner = (operand.activation for operand in form.inputs[:2])
        cosine, sine = (operand.real() for operand in form.inputs[2:])
        if x is None or partner is None or cosine is None or sine is None:
            return None
        return weighted_sum(form, [(x, cosine), (partner, sine)])


def import_rotary(node: Node) -> Value:
    """The first `rotary_embedding_dim` elements of each head are turned, the others stay."""
    x, build = node.input(0), node.build
    if x.dtype is not DType.FLOAT32:
        node.reject(f"only float32 is supported, not {x.dtype.value}", fix="cast the input to float32")
    flat = len(x.shape) == 3
    heads = node.int("num_heads", 0)
    if flat:
        if heads < 1 or x.shape[2] % heads:
            node.reject(f"{x.shape[2]} elements in {heads} heads", fix="set num_heads")
        x = build.call(Reshape((*x.shape[:2], heads, x.shape[2] // heads)), [x])
    batch, length = x.shape[0], x.shape[1 if flat else 2]
    size = x.shape[3]
    turned = node.int("rotary_embedding_dim", 0) or size
    half, index = turned // 2, np.arange(size)
    if node.int("interleaved", 0):
        partners, angles = index ^ 1, index // 2
        signs = np.where(index % 2, 1, -1)
    else:
        partners, angles = np.where(index < half, index + half, index - half), index % half
        signs = np.where(index < half, -1, 1)
    kept = index >= turned
    partners = np.where(kept, index, partners)
    tables = []
    for place in (1, 2):
        table = node.input(place)
        positions = node.optional(3)
        if positions is not None:
            table = build.call(Gather(0), [table, positions])
        spread = build.constant(angles[:turned].astype(np.int32), "angles")
        table = build.call(Gather(2), [table, spread])
        if place == 2:
            sign = build.constant(signs[:turned].astype(np.float32), "signs")
            table = build.call(Binary(BinaryFunction.MUL), [table, sign])
        if turned < size:
            table = build.call(Pad((0, 0, 0), (0, 0, size - turned), float(place == 1)), [table])
        shape = (table.shape[0], length, 1, size) if flat else (table.shape[0], 1, length, size)
        tables.append(build.call(Reshape(shape), [table]))
    if any(table.shape[0] not in (1, batch) for table in tables):
        node.reject("the tables are of another batch than the input")
    partner = build.call(Gather(3), [x, build.constant(partners.astype(np.int32), "partners")])
    y = build.call(Turn(), [x, partner, *tables])
    return build.call(Reshape(node.input(0).shape), [y]) if flat else y


IMPORTERS = {"RotaryEmbedding": import_rotary}
