"""The operators: one family a file, listed here."""

from __future__ import annotations

from tinycast.ops import (
    bit_cast,
    conv,
    conv_transpose,
    dense,
    einsum,
    elementwise,
    extrema,
    fill,
    fourier,
    gather,
    grid,
    integer_products,
    logic,
    normalize,
    pad,
    pool,
    quantize,
    rearrange,
    recurrent,
    reduce,
    resize,
    scatter,
    shape,
    softmax,
    unary,
)
from tinycast.ops.node import Importer

FAMILIES = (
    conv,
    conv_transpose,
    dense,
    einsum,
    fourier,
    integer_products,
    elementwise,
    logic,
    bit_cast,
    unary,
    pool,
    reduce,
    extrema,
    normalize,
    softmax,
    shape,
    rearrange,
    pad,
    fill,
    resize,
    gather,
    scatter,
    recurrent,
    grid,
    quantize,
)

IMPORTERS: dict[str, Importer] = {name: make for family in FAMILIES for name, make in family.IMPORTERS.items()}
