"""Train the digits network and write what the demo needs beside this file.

Data: the 1,797 scanned 8x8 digits of scikit-learn (`sklearn.datasets.load_digits`; UCI "Optical Recognition of
Handwritten Digits", E. Alpaydin and C. Kaynak). Pixels 0..16 become floats 0..1. Files written:

    digits.onnx       float32, input "image" 1x1x8x8, output "logits" 1x10
    calibration.npz   "image" (100, 1, 8, 8): training images for quantization
    heldout.npz       "image" (360, 1, 8, 8): images that training and calibration never see
    labels.npz        "label" (360,): the digit in each held-out image

Run it with `pip install -e '.[train]'` and `python examples/digits/train.py`. The split and the seed are fixed, so one
machine gives the same model twice; another processor may round differently in the last bits.
"""

from __future__ import annotations

import argparse
import zipfile
from io import BytesIO
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxscript import optimizer
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

SEED = 0
HELD_OUT_IMAGES = 360
CALIBRATION_IMAGES = 100
EPOCHS = 80
BATCH_IMAGES = 32
MAXIMUM_MODEL_BYTES = 100_000
REQUIRED_ACCURACY = 0.975
Images = NDArray[np.float32]
Labels = NDArray[np.int64]


def convolution(inputs: int, outputs: int, *, depthwise: bool = False, size: int = 3) -> nn.Sequential:
    """A convolution that keeps height and width, then BatchNorm, which the export folds into it."""
    groups = inputs if depthwise else 1
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups, bias=False), nn.BatchNorm2d(outputs)
    )


class SeparableResidual(nn.Module):
    """Depthwise 3x3, pointwise 1x1, and the input added before the last ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = convolution(channels, channels, depthwise=True)
        self.pointwise = convolution(channels, channels, size=1)

    def forward(self, features: Tensor) -> Tensor:
        return torch.relu(features + self.pointwise(torch.relu(self.depthwise(features))))


class DigitsNetwork(nn.Module):
    """(N, 1, 8, 8) pixels in 0..1 -> (N, 10) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            convolution(1, 16),
            nn.ReLU(),
            convolution(16, 16, depthwise=True),
            nn.ReLU(),
            convolution(16, 32, size=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            SeparableResidual(32),
            convolution(32, 64),
            nn.ReLU(),
            nn.AvgPool2d(4),
            nn.Flatten(),
            nn.Linear(64, 10),
        )

    def forward(self, image: Tensor) -> Tensor:
        return cast(Tensor, self.layers(image))


def load_split() -> tuple[Images, Images, Labels, Labels]:
    """Return training images, held-out images, training labels, held-out labels."""
    digits = load_digits()
    images = (digits.images[:, None] / 16).astype(np.float32)
    split = train_test_split(
        images, digits.target, test_size=HELD_OUT_IMAGES, stratify=digits.target, random_state=SEED
    )
    return cast(tuple[Images, Images, Labels, Labels], tuple(split))


def shift_and_scale(images: Tensor) -> Tensor:
    """Move each image by up to one pixel and change its contrast a little."""
    padded = nn.functional.pad(images, (1, 1, 1, 1))
    rows, columns = torch.randint(3, (2, len(images))).tolist()
    moved = [padded[i, :, r : r + 8, c : c + 8] for i, (r, c) in enumerate(zip(rows, columns, strict=True))]
    return (torch.stack(moved) * (0.85 + 0.3 * torch.rand(len(images), 1, 1, 1))).clamp(0, 1)


def train(images: Tensor, labels: Tensor) -> DigitsNetwork:
    """Train for a fixed number of epochs; nothing is chosen by looking at the held-out images."""
    network = DigitsNetwork()
    optimizer_state = torch.optim.AdamW(network.parameters(), lr=4e-3, weight_decay=1e-2)
    batches = len(images) // BATCH_IMAGES
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer_state, max_lr=4e-3, total_steps=EPOCHS * batches)
    for _ in range(EPOCHS):
        order = torch.randperm(len(images))[: batches * BATCH_IMAGES]
        for chosen in order.reshape(batches, BATCH_IMAGES):
            logits = network(shift_and_scale(images[chosen]))
            loss = nn.functional.cross_entropy(logits, labels[chosen], label_smoothing=0.05)
            optimizer_state.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer_state.step()
            schedule.step()
    return network.eval()


def export(network: DigitsNetwork, path: Path) -> None:
    """Write ONNX without the exporter's traces of where it ran."""
    example = torch.zeros(1, 1, 8, 8)
    program = torch.onnx.export(
        network,
        (example,),
        dynamo=True,
        input_names=["image"],
        output_names=["logits"],
        opset_version=18,
        verbose=False,
    )
    assert program is not None
    model = optimizer.optimize(program.model_proto)
    for item in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, model.graph):
        del item.metadata_props[:]
        item.doc_string = ""
    del model.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def save_npz(path: Path, **arrays: NDArray[np.generic]) -> None:
    """As `numpy.savez_compressed`, but with a fixed time stamp, so that the same arrays give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            buffer = BytesIO()
            np.save(buffer, array)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the digits network.")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="folder for the files")
    folder: Path = parser.parse_args().output
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)

    images, held_out, labels, held_out_labels = load_split()
    network = train(torch.from_numpy(images), torch.from_numpy(labels))
    with torch.no_grad():
        accuracy = float((network(torch.from_numpy(held_out)).argmax(1).numpy() == held_out_labels).mean())
    print(f"accuracy on {len(held_out)} held-out images: {accuracy:.2%}")

    folder.mkdir(parents=True, exist_ok=True)
    export(network, folder / "digits.onnx")
    save_npz(folder / "calibration.npz", image=images[:CALIBRATION_IMAGES])
    save_npz(folder / "heldout.npz", image=held_out)
    save_npz(folder / "labels.npz", label=held_out_labels)
    model_bytes = (folder / "digits.onnx").stat().st_size
    print(f"digits.onnx: {model_bytes} bytes")
    if accuracy < REQUIRED_ACCURACY or model_bytes > MAXIMUM_MODEL_BYTES:
        raise SystemExit(f"needs at least {REQUIRED_ACCURACY:.1%} and at most {MAXIMUM_MODEL_BYTES} bytes")


if __name__ == "__main__":
    main()
