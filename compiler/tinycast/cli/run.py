"""tinycast run"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from tinycast.cli.common import PATH, Output, force_option, output_options
from tinycast.cli.files import check_output_file, storable, write_arrays
from tinycast.execute.inputs import AnyArray, load_inputs
from tinycast.execute.samples import is_dynamic
from tinycast.execute.select import driver_for
from tinycast.package import read_artifact
from tinycast.report.tables import run_table
from tinycast.target.load import load_target


@click.command("run")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--input", "samples", type=PATH, required=True, help="Samples (.npz), one array an input.")
@click.option("-o", "--output-file", "destination", type=PATH, help="Where to write the outputs (.npz).")
@click.option("--on", "driver_name", help="What runs it, where there is a choice: see `tinycast targets`.")
@force_option
@output_options
def command(
    folder: Path, samples: Path, destination: Path | None, driver_name: str | None, force: bool, output: Output
) -> None:
    """Build the compiled model in DIR for its target and run it on every sample.

    The samples lie on axis 0 of one array an input, named as the ONNX model names it. A quantized input takes its own
    integers, or real numbers. The outputs are written as the model gives them: integers, where it is quantized;
    float32 or bytes for types that NumPy's files lack. One whose size depends on data is written with zeros up to the
    largest sample, and NAME.dims has the real dimensions.
    """
    if destination is not None:
        check_output_file(destination, force=force)
    artifact = read_artifact(folder)
    manifest = artifact.manifest
    inputs = load_inputs(samples, manifest)
    driver = driver_for(load_target(manifest["target"]), driver_name)
    count = len(next(iter(inputs.values())))
    with output.progress() as tell:
        tell(f"running {count} samples on {driver.name}", 0, 1)
        measured = driver.run(artifact.files, manifest, inputs)
    outputs = {name: storable(array) for name, array in measured.outputs.items()}
    if destination is not None:
        write_arrays(destination, outputs)
    data = {
        "name": manifest["name"],
        "target": manifest["target"],
        "driver": driver.name,
        "samples": count,
        "outputs": [
            {
                "name": port["name"],
                "shape": list(outputs[port["name"]].shape),
                "dims": outputs[f"{port['name']}.dims"].tolist() if is_dynamic(port) else None,
                "dtype": port["dtype"],
                "scale": port["scale"],
                "zero_point": port["zero_point"],
                "minimum": _edge(outputs[port["name"]], np.min),
                "maximum": _edge(outputs[port["name"]], np.max),
            }
            for port in manifest["outputs"]
        ],
        "instructions": measured.instructions,
        "stack_bytes": measured.stack_bytes,
        "output_file": None if destination is None else str(destination),
    }
    output.show(data, *run_table(data))


def _edge(array: AnyArray, function: Callable[[AnyArray], Any]) -> Any:
    """The least or greatest element; None where there is none."""
    return function(array).item() if array.size else None
