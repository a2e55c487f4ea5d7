"""Models with a page of `--format web`, and a picture to give them."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper
from playwright.sync_api import FilePayload, Page
from tinycast.artifact import Artifact
from tinycast.pipeline import CompileOptions, compile_file

Port = tuple[str, int, list[int]]


def page_of(
    folder: Path,
    nodes: list[NodeProto],
    inputs: list[Port],
    outputs: list[Port],
    constants: Mapping[str, np.ndarray] | None = None,
    **options: Any,
) -> Artifact:
    """The package of a model with a page."""
    takes, gives = ([helper.make_tensor_value_info(*port) for port in ports] for ports in (inputs, outputs))
    tensors = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(nodes, "g", takes, gives, tensors)
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return compile_file(path, "wasm32-scalar", CompileOptions(name="tried", format="web", **options))


def doubling(folder: Path, dtype: int, shape: list[int], name: str = "y") -> Artifact:
    nodes = [helper.make_node("Add", ["x", "x"], [name])]
    return page_of(folder, nodes, [("x", dtype, shape)], [(name, dtype, shape)])


def deep(folder: Path) -> Artifact:
    """80 layers with names longer than a phone is wide."""
    weights = np.random.default_rng(3).standard_normal((8, 8)).astype(np.float32)
    names = ["x", *(f"value_{index}" for index in range(79)), "serving_default_output:0/" + 60 * "z"]
    nodes = [
        helper.make_node("Gemm", [a, "w"], [b], name=f"/encoder/layers.{index}/attention/{40 * 'x'}/Gemm")
        for index, (a, b) in enumerate(pairwise(names))
    ]
    takes, gives = ([(name, TensorProto.FLOAT, [1, 8])] for name in (names[0], names[-1]))
    return page_of(folder, nodes, takes, gives, {"w": weights})


def red_above_white(page: Page) -> FilePayload:
    """A picture made by the browser's own encoder."""
    data = page.evaluate(
        """() => {
          const canvas = Object.assign(document.createElement("canvas"), { width: 200, height: 200 });
          const context = canvas.getContext("2d");
          context.fillStyle = "#f00";
          context.fillRect(0, 0, 200, 100);
          context.fillStyle = "#fff";
          context.fillRect(0, 100, 200, 100);
          return canvas.toDataURL().split(",")[1];
        }"""
    )
    return {"name": "red.png", "mimeType": "image/png", "buffer": b64decode(data)}
