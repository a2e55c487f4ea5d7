"""Tune the networks that are measured, for the database that comes with the package: targets/tuned/*.json.

    python scripts/tune_shipped.py [--shared ../shared] [--jobs N] [--target T ...]

An entry is taken only if it needs fewer instructions and no more cycles, RAM, flash or stack. Entries that are there
stay: delete a file to measure anew. Goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

from tinycast.model import save
from tinycast.pipeline import CompileOptions, compile_source, read_source
from tinycast.schedule.tuning import SHIPPED, Database, read_database
from tinycast.target.load import load_target
from tinycast.tune.executor import PROCESSES, open_executor
from tinycast.tune.measure import Measure
from tinycast.tune.policy import Policy
from tinycast.tune.run import tune, write_database

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))
from mobilenet import int8_model  # noqa: E402 - a script's neighbour

TARGETS = ("rv32imc", "cortex-m0plus", "cortex-m4", "cortex-m55")
NETWORKS = ("kws", "ad", "ic")


def main() -> int:
    parser = argparse.ArgumentParser(description="write the shipped tuning database")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared", help="folder of models/")
    parser.add_argument("--jobs", type=int, help="processes")
    parser.add_argument("--target", action="append", choices=TARGETS, help="all by default; may be repeated")
    arguments = parser.parse_args()
    if not (arguments.shared / "models").is_dir():
        print(f"no measuring models in {arguments.shared}: name their folder with --shared", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder, open_executor(PROCESSES, arguments.jobs) as executor:
        mobilenet = Path(folder) / "mobilenet.onnx"
        save(int8_model(), mobilenet)
        paths = [*(arguments.shared / "models" / f"{name}_int8_qdq.onnx" for name in NETWORKS), mobilenet]
        for path in paths:
            source = read_source(path, CompileOptions())
            for name in arguments.target or TARGETS:
                core, file = load_target(name), ROOT / "targets" / "tuned" / f"{name}.json"
                database = read_database(file, SHIPPED) if file.exists() else Database(SHIPPED)
                report = tune(
                    partial(compile_source, source, core, CompileOptions()),
                    core,
                    database,
                    executor,
                    measure=Measure.INSTRUCTIONS,
                    policy=Policy.KEEP_ALL,
                    save=partial(write_database, file=file),
                    tell=lambda what, _done, _total: print(f"  {what}", flush=True),
                    base=[],
                )
                print(f"{source.name} {name}:\n  {report.before}\n  {report.after}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
