"""Each quantized layer, fed ONNX Runtime's own input tensors, is at most one step from ONNX Runtime's output."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from layerwise import layer_differences
from nets import INT8, Net, net
from tinycast.ir.types import Array
from tinycast.model import load, sample_at, simplify
from tinycast.program.lower import to_integers

SAMPLES = 24


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nets")


def enough_samples(subject: Net) -> dict[str, Array]:
    """The network's first inputs, filled up with random ones where it has too few."""
    samples = subject.first(SAMPLES)
    random = np.random.default_rng(5)
    for name, array in samples.items():
        missing = (SAMPLES - len(array), *array.shape[1:])
        if missing[0]:
            assert array.dtype == np.int8
            noise = random.integers(-128, 127, missing, np.int8, endpoint=True)
            samples[name] = np.concatenate([array, noise])
    return samples


@pytest.mark.parametrize("name", INT8)
def test_layers_differ_at_most_one_step(name: str, folder: Path) -> None:
    subject = net(name, folder)
    samples = enough_samples(subject)
    model = load(subject.path)
    simplify(model)
    program = to_integers(model, "net")
    worst: dict[str, int] = {}
    operators: dict[str, str] = {}
    for index in range(SAMPLES):
        for layer in layer_differences(model, program, sample_at(samples, index, model)):
            worst[layer.name] = max(worst.get(layer.name, 0), layer.steps)
            operators[layer.name] = layer.operators
    print(f"{name}: {len(worst)} layers, {sum(worst.values())} of them one step off in some element")
    compared = [word for text in operators.values() for word in text.split("+")]
    for kind in ("Conv", "Gemm", "Softmax"):
        assert compared.count(kind) == sum(node.op_type == kind for node in model.graph)
    assert set(compared) & {"Conv", "Gemm"}
    assert max(worst.values()) <= 1, {name: steps for name, steps in worst.items() if steps > 1}
