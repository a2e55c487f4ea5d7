"""The digits example: the committed files are what train.py promises, and the demo runs as `make demo` runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from sklearn.datasets import load_digits

DIGITS = Path(__file__).resolve().parent.parent / "examples" / "digits"


def test_float_model_is_small_and_accurate() -> None:
    images, labels = np.load(DIGITS / "heldout.npz")["image"], np.load(DIGITS / "labels.npz")["label"]
    session = onnxruntime.InferenceSession(str(DIGITS / "digits.onnx"))
    (model_input,) = session.get_inputs()
    classes = [session.run(["logits"], {"image": image[None]})[0].argmax() for image in images]
    assert (model_input.name, model_input.shape) == ("image", [1, 1, 8, 8])
    assert (DIGITS / "digits.onnx").stat().st_size <= 100_000
    assert np.mean(np.array(classes) == labels) >= 0.975


def test_images_are_real_and_calibration_shares_none_with_the_held_out() -> None:
    data = load_digits()
    known = {
        image.astype(np.float32).tobytes(): label for image, label in zip(data.images / 16, data.target, strict=True)
    }
    held_out, calibration = (np.load(DIGITS / f"{name}.npz")["image"] for name in ("heldout", "calibration"))
    labels = np.load(DIGITS / "labels.npz")["label"]
    assert held_out.shape == (360, 1, 8, 8)
    assert calibration.shape == (100, 1, 8, 8)
    assert [known[image.tobytes()] for image in held_out] == labels.tolist()
    held_out_images = {image.tobytes() for image in held_out}
    assert all(image.tobytes() in known and image.tobytes() not in held_out_images for image in calibration)


def test_demo_gives_the_same_bytes_on_every_target(tmp_path: Path) -> None:
    command = [sys.executable, str(DIGITS / "demo.py"), "--output", str(tmp_path / "demo")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every target gave the same bytes: yes." in done.stdout
    labels = np.load(DIGITS / "labels.npz")["label"]
    for target in ("host", "wasm32", "cortex-m4"):
        logits = np.load(tmp_path / "demo" / f"{target}.npz")["logits"].reshape(len(labels), -1)
        assert np.mean(logits.argmax(1) == labels) >= 0.975, target
