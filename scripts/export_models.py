"""Export the networks of export_nets.py to ONNX, by each exporter that their framework has.

usage: export_models.py FOLDER     (in an environment with torch, onnx, onnxscript and keras)
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"  # read when keras is imported

import onnx
import torch
from export_nets import NETS, Net, keras_net
from torch import Tensor, nn

_STEPS = 40  # of training: batch statistics, and weights that differ from their initial values
_SEED = 7
_LEGACY_OPSETS = (13, 14, 15, 16, 17, 18, 19, 20)
_DYNAMO_OPSETS = (18, 19, 20)
_LIMIT_BYTES = 60_000


def main(folder: Path) -> None:
    """Write all models into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    for index, (name, net) in enumerate(NETS.items()):
        module = _trained(net)
        for dynamo, opsets in ((False, _LEGACY_OPSETS), (True, _DYNAMO_OPSETS)):
            opset = opsets[index % len(opsets)]
            path = folder / f"{name}_{'dynamo' if dynamo else 'torchscript'}_{opset}.onnx"
            _export(module, _inputs(net, net.shape), path, dynamo, opset)
    torch.manual_seed(_SEED)
    keras = keras_net()
    keras.compile("adam", "categorical_crossentropy")
    keras.fit(torch.randn(16, 16, 16, 3), torch.eye(6).repeat(3, 1)[:16], batch_size=1, epochs=8, verbose=0)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "keras.onnx"
        keras.export(str(path), format="onnx", verbose=False)
        _write(onnx.load(path), folder / "keras_net.onnx")


def _inputs(net: Net, shape: tuple[int, ...]) -> Tensor:
    return torch.randint(net.tokens, shape) if net.tokens else torch.randn(shape)


def _trained(net: Net) -> nn.Module:
    """The network after a few steps towards a random function of its input: classes that differ by the input."""
    torch.manual_seed(_SEED)
    module = net.make().train()
    optimizer = torch.optim.Adam(module.parameters(), 5e-3)
    x = _inputs(net, (16, *net.shape[1:]))
    with torch.no_grad():
        wanted = torch.tanh(torch.randn_like(module(x)))
    for _ in range(_STEPS):
        optimizer.zero_grad()
        nn.functional.mse_loss(module(x), wanted).backward()
        optimizer.step()
    return module.eval()


def _export(module: nn.Module, example: Tensor, path: Path, dynamo: bool, opset: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        raw = Path(temporary) / "model.onnx"
        names = {"input_names": ["x"], "output_names": ["y"]}
        torch.onnx.export(
            module,
            (example,),
            str(raw),
            dynamo=dynamo,
            opset_version=opset,
            verbose=False,
            external_data=False,
            **names,
        )
        _write(onnx.load(raw), path)


def _write(model: onnx.ModelProto, path: Path) -> None:
    """Without notes on where things come from, which the exporters write at length."""
    del model.metadata_props[:]
    for graph in (model.graph, *model.functions):
        graph.doc_string = ""
        del graph.value_info[:], graph.metadata_props[:]
        for node in graph.node:
            node.doc_string = ""
            del node.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
    size = path.stat().st_size
    print(f"{path.name}: opset {model.opset_import[0].version}, {len(model.graph.node)} nodes, {size} bytes")
    if size > _LIMIT_BYTES:
        raise SystemExit(f"{path.name} is larger than {_LIMIT_BYTES} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
