"""Fourier transforms of small lengths: products with constant matrices."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinycast.ir.types import Value
from tinycast.ops.dense import FullyConnected
from tinycast.ops.elementwise import Binary, BinaryFunction
from tinycast.ops.gather import Gather
from tinycast.ops.node import Node
from tinycast.ops.shape import Reshape, Transpose, perm_back


def transform_matrix(
    given: int, length: int, *, is_complex: bool, inverse: bool, onesided: bool
) -> npt.NDArray[np.float64]:
    """The matrix (outputs, parts out, `given`, parts in) of the transform of `length` points; parts: real, imaginary.

    Input elements behind `length` are left out, those that are missing count as zeros. One-sided: the transform
    gives half of the spectrum; the inverse takes half of one and gives real numbers (one part).
    """
    outputs = length // 2 + 1 if onesided and not inverse else length
    inputs = min(given, length // 2 + 1 if onesided and inverse else length)
    angle = 2 * np.pi * np.outer(np.arange(outputs), np.arange(inputs)) / length * (1 if inverse else -1)
    turn = np.exp(1j * angle) / (length if inverse else 1)
    if onesided and inverse:  # the other half of the spectrum mirrors this one
        turn *= np.where((np.arange(inputs) == 0) | (2 * np.arange(inputs) == length), 1, 2)
    full = np.zeros((outputs, 2, given, 2))
    full[:, 0, :inputs, 0] = full[:, 1, :inputs, 1] = turn.real
    full[:, 0, :inputs, 1], full[:, 1, :inputs, 0] = -turn.imag, turn.imag
    parts_out = 1 if onesided and inverse else 2
    return full[:, :parts_out, :, : 2 if is_complex else 1]


def transformed(node: Node, x: Value, axis: int, length: int, *, inverse: bool, onesided: bool) -> Value:
    """The transform of x along `axis`; the last axis of x is real, or real and imaginary."""
    build, rank = node.build, len(x.shape)
    given, parts = x.shape[axis], x.shape[-1]
    matrix = transform_matrix(given, length, is_complex=parts == 2, inverse=inverse, onesided=onesided)
    outputs, parts_out = matrix.shape[:2]
    perm = (*(a for a in range(rank - 1) if a != axis), axis, rank - 1)
    if perm != tuple(range(rank)):
        x = build.call(Transpose(perm), [x])
    outer = x.shape[:-2]
    rows = build.call(Reshape((int(np.prod(outer)), given * parts)), [x])
    weight = build.constant(matrix.reshape(outputs * parts_out, given * parts).astype(np.float32), "transform")
    bias = build.constant(np.zeros(outputs * parts_out, np.float32), "bias")
    y = build.call(FullyConnected(), [rows, weight, bias])
    y = build.call(Reshape((*outer, outputs, parts_out)), [y])
    return build.call(Transpose(perm_back(perm)), [y]) if perm != tuple(range(rank)) else y


def import_dft(node: Node) -> Value:
    x, length = node.input(0), node.constant(1)
    axis_in = node.constant(2)
    default = 1 if node.opset < 20 else -2
    axis = node.axis(default, len(x.shape)) if axis_in is None else int(axis_in.reshape(-1)[0]) % len(x.shape)
    inverse, onesided = bool(node.int("inverse", 0)), bool(node.int("onesided", 0))
    whole = 2 * (x.shape[axis] - 1) if inverse and onesided else x.shape[axis]
    points = whole if length is None else int(length.reshape(-1)[0])
    return transformed(node, x, axis, points, inverse=inverse, onesided=onesided)


def import_stft(node: Node) -> Value:
    """The transform of each frame, times the window."""
    x, window, build = node.input(0), node.optional(2), node.build
    step, length_in = int(node.required(1)[0]), node.constant(3)
    if window is None and length_in is None:
        node.reject("neither a window nor a frame length is given")
    length = int(length_in.reshape(-1)[0]) if length_in is not None else node.input(2).size
    if len(x.shape) == 2:
        x = build.call(Reshape((*x.shape, 1)), [x])
    frames = (x.shape[1] - length) // step + 1
    places = np.arange(frames)[:, None] * step + np.arange(length)
    y = build.call(Gather(1), [x, build.constant(places.astype(np.int32), "places")])
    if window is not None:
        y = build.call(Binary(BinaryFunction.MUL), [y, build.call(Reshape((length, 1)), [window])])
    onesided = bool(node.int("onesided", 1)) and x.shape[-1] == 1
    return transformed(node, y, 2, length, inverse=False, onesided=onesided)


IMPORTERS = {"DFT": import_dft, "STFT": import_stft}
