"""Classical models of scikit-learn and LightGBM against ONNX Runtime: equal labels, scores within 1e-5."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn_models import MODELS, NAMES, Array, data, inputs
from tinycast.artifact import Artifact
from tinycast.emit.literals import string_literal
from tinycast.execute.host import HostDriver
from tinycast.execute.select import driver_for
from tinycast.model import load, simplify
from tinycast.pipeline import build, compile_model
from tinycast.target.load import load_target

pytest.importorskip("skl2onnx")
pytest.importorskip("onnxmltools")
pytest.importorskip("lightgbm")

TOLERANCE = 1e-5  # of the largest score
SMALL = ("forest", "boosting_of_two", "hist_boosting", "svc_probabilities", "logistic_regression", "perceptron")


@cache
def model(name: str) -> onnx.ModelProto:
    return MODELS[name]()


def compiled(name: str, target: str, folder: Path) -> Artifact:
    path = folder / "model.onnx"
    path.write_bytes(model(name).SerializeToString())
    loaded = load(path)
    simplify(loaded)
    return build(compile_model(loaded, load_target(target), "classical", "0" * 64), "c" if target == "host" else None)


def expected(name: str, rows: Array) -> dict[str, Array]:
    """ONNX Runtime's outputs, one row after the other: names as numbers, maps as tensors."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model(name).SerializeToString(), options)
    found: dict[str, list[Array]] = {}
    for row in rows:
        for output, value in zip(session.get_outputs(), session.run(None, {"X": row[np.newaxis]}), strict=True):
            array = np.asarray(list(value[0].values()), np.float32) if isinstance(value, list) else np.asarray(value)
            if array.dtype.kind in "OU":
                array = np.asarray([NAMES.tolist().index(text) for text in array.reshape(-1)])
            found.setdefault(output.name, []).append(array.reshape(-1))
    return {output: np.stack(arrays) for output, arrays in found.items()}


def assert_close(outputs: dict[str, Array], wanted: dict[str, Array]) -> None:
    assert outputs.keys() == wanted.keys()
    for output, y in wanted.items():
        actual = outputs[output].reshape(y.shape)
        if y.dtype.kind in "iu":
            assert np.array_equal(actual, y), output
        else:
            assert np.abs(actual - y).max() <= TOLERANCE * np.abs(y).max(), output


@pytest.mark.parametrize("name", MODELS)
def test_host_agrees_with_onnx_runtime(name: str, tmp_path: Path) -> None:
    rows = inputs(name, 40)
    artifact = compiled(name, "host", tmp_path)
    driver = HostDriver(load_target("host"), sanitize=True)
    outputs = driver.run(artifact.files, artifact.manifest, {"X": rows}).outputs
    assert_close(outputs, expected(name, rows))


@pytest.mark.parametrize("target", ["wasm32", "cortex-m4"])
@pytest.mark.parametrize("name", SMALL)
def test_targets_agree_with_onnx_runtime(name: str, target: str, tmp_path: Path) -> None:
    rows = inputs(name, 8)
    artifact = compiled(name, target, tmp_path)
    outputs = driver_for(load_target(target)).run(artifact.files, artifact.manifest, {"X": rows}).outputs
    assert_close(outputs, expected(name, rows))


def test_names_of_classes_are_in_manifest_notes_and_header(tmp_path: Path) -> None:
    artifact = compiled("forest", "cortex-m4", tmp_path)
    label, scores = artifact.manifest["outputs"]
    assert label["classes"] == scores["classes"] == NAMES.tolist()
    assert (label["dtype"], label["shape"], scores["shape"]) == ("int64", [1], [1, 3])
    notes = " ".join(artifact.manifest["notes"])
    assert "output_label is the number of a class" in notes
    assert ", ".join(NAMES) in notes
    header = artifact.files["include/classical.h"].decode()
    assert '#define CLASSICAL_OUTPUT_0_CLASSES \\\n    {"barbera", "grignolino", "nebbiolo"}\n' in header


def test_numbers_of_classes_are_named_for_scores_only(tmp_path: Path) -> None:
    label, scores = compiled("extra_trees", "host", tmp_path).manifest["outputs"]
    assert "classes" not in label
    assert scores["classes"] == ["0", "1", "2"]


def test_text_in_c_is_plain() -> None:
    assert string_literal('a b"\\?é') == '"a\\040b\\042\\134\\077\\303\\251"'


def test_infinite_and_missing_features(tmp_path: Path) -> None:
    """Trees compare like ONNX Runtime's whatever the float is."""
    rows = data()[0][:24].copy()
    rows[:, 0] = np.resize(np.asarray([np.inf, -np.inf, np.nan, -0.0, 0.0, 1e-42], np.float32), len(rows))
    rows[::2, 6] = np.nan
    artifact = compiled("forest", "host", tmp_path)
    outputs = HostDriver(load_target("host")).run(artifact.files, artifact.manifest, {"X": rows}).outputs
    assert_close(outputs, expected("forest", rows))


def test_bench_reports_a_forest(tmp_path: Path) -> None:
    """Flash grows by the tables, instructions by what a walk down the trees takes."""
    artifact = compiled("forest", "cortex-m4", tmp_path)
    measured = driver_for(load_target("cortex-m4")).run(artifact.files, artifact.manifest, {"X": data()[0][:1]})
    assert measured.instructions is not None
    assert measured.sizes is not None
    assert 100 < measured.instructions < 4000
    assert artifact.manifest["weights_bytes"] < measured.sizes.flash_bytes < artifact.manifest["weights_bytes"] + 2048
