"""Measure random forests on an emulated Cortex-M4 beside emlearn and m2cgen; writes trees.md (`make bench-trees`).

    pip install emlearn m2cgen skl2onnx scikit-learn
    python benchmarks/trees.py [--output benchmarks/trees.md]

All compile the same forests, which are trained here on features that are whole numbers: emlearn takes 16-bit integers
only. Instructions are exact, of the first row, from the call of the model to its return; flash is that of a linked
program that does nothing else, start-up code included.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from tinycast.errors import TinycastError
from tinycast.execute.qemu import QemuDriver
from tinycast.execute.types import Measurement
from tinycast.pipeline import CompileOptions, compile_file
from tinycast.target.load import load_target
from tree_peers import emlearn_model, m2cgen_model

ROOT = Path(__file__).resolve().parent.parent
DRIVER = QemuDriver(load_target("cortex-m4"))
FOREST = {"n_estimators": 100, "max_depth": 8, "random_state": 0}


@dataclass(frozen=True)
class Forest:
    """A trained model and the rows it was trained on."""

    name: str
    estimator: Any
    rows: Any

    @property
    def splits(self) -> int:
        return sum(int((tree.tree_.children_left >= 0).sum()) for tree in np.ravel(self.estimator.estimators_))


def forests() -> Iterator[Forest]:
    digits, digit = load_digits(return_X_y=True)
    yield Forest("digits, 10 classes", RandomForestClassifier(**FOREST).fit(digits, digit), digits)
    cancer, kind = load_breast_cancer(return_X_y=True)
    cancer = np.round(cancer / np.abs(cancer).max(0) * 10_000)
    yield Forest("cancer, 2 classes", RandomForestClassifier(**FOREST).fit(cancer, kind), cancer)
    diabetes, progress = load_diabetes(return_X_y=True)
    diabetes = np.round(diabetes / np.abs(diabetes).max(0) * 10_000)
    boosted = GradientBoostingRegressor(n_estimators=100, max_depth=3, random_state=0).fit(diabetes, progress)
    yield Forest("diabetes, boosted", boosted, diabetes)


def own(forest: Forest) -> Measurement:
    from skl2onnx import to_onnx

    rows = forest.rows.astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "forest.onnx"
        path.write_bytes(to_onnx(forest.estimator, rows[:1]).SerializeToString())
        artifact = compile_file(path, "cortex-m4", CompileOptions())
    (port,) = artifact.manifest["inputs"]
    return DRIVER.run(artifact.files, artifact.manifest, {port["name"]: rows[:1]})


def peer(make: Callable[[Any, int], Any]) -> Callable[[Forest], Measurement]:
    def measure(forest: Forest) -> Measurement:
        files, manifest = make(forest.estimator, forest.rows.shape[1])
        rows = forest.rows[:1].astype(manifest["inputs"][0]["dtype"])
        return DRIVER.run(files, manifest, {"x": rows})

    return measure


TOOLS: dict[str, Callable[[Forest], Measurement]] = {
    "tinycast": own,
    "emlearn, loadable": peer(lambda estimator, features: emlearn_model(estimator, features, "loadable")),
    "emlearn, inline": peer(lambda estimator, features: emlearn_model(estimator, features, "inline")),
    "m2cgen": peer(m2cgen_model),
}


def lines() -> Iterator[str]:
    for forest in forests():
        for tool, measure in TOOLS.items():
            try:
                measured = measure(forest)
            except (TinycastError, NotImplementedError, ValueError) as error:
                print(f"{forest.name}, {tool}: {error}", file=sys.stderr)
                figures = "- | - | -"
            else:
                assert measured.sizes is not None
                assert measured.instructions is not None
                flash = measured.sizes.flash_bytes
                figures = f"{measured.instructions:,} | {flash:,} | {flash / forest.splits:.1f}"
            yield f"| {forest.name} | {forest.splits:,} | {tool} | {figures} |"


def page() -> Iterator[str]:
    yield "# Forests on a Cortex-M4\n"
    yield "Written by `make bench-trees` (benchmarks/trees.py, which also says how it is measured). 100 trees, of depth"
    yield "8 at most (boosted: 3). tinycast and m2cgen take floats and give scikit-learn's probabilities of all"
    yield "classes. emlearn takes integers and gives the class that most trees prefer: its trees keep no probabilities,"
    yield "and the class is not always scikit-learn's."
    yield '"-": the tool does not take the model, or writes more C than gcc compiles in five minutes.\n'
    yield "| forest | splits | by | instructions | flash, bytes | flash a split |"
    yield "|---|---|---|---|---|---|"
    yield from lines()


def main() -> int:
    parser = argparse.ArgumentParser(description="measure forests")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "trees.md")
    arguments = parser.parse_args()
    text = []
    for line in page():
        print(line, flush=True)
        text.append(line)
    arguments.output.write_text("\n".join(text) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
