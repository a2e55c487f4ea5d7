"""tinycast compress"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from tinycast.cli.common import PATH, Output, force_option, model_argument, output_options, shape_option
from tinycast.cli.files import check_output_file
from tinycast.compress.prune import PruneOptions, parse_prune, prune_channels, prune_weights
from tinycast.errors import UsageError
from tinycast.model import load, load_samples, save, simplify
from tinycast.model.widen import widen_floats
from tinycast.report.tables import pruned_table


@click.command("compress")
@model_argument
@click.option("-o", "--output-file", "destination", type=PATH, required=True, help="The smaller model (.onnx).")
@click.option(
    "--prune",
    "specification",
    required=True,
    help="0.5 (half of all weights become zero), layer:0.5 (half in each layer), 2:4 (two of four stay), or "
    "channels:0.3 (whole channels are removed).",
)
@click.option("--calibration", type=PATH, help="Samples (.npz) to refit what stays with; a hundred do.")
@click.option("--no-reconstruct", is_flag=True, help="Prune by magnitude and refit nothing; needs no samples.")
@shape_option
@force_option
@output_options
def command(
    model: Path,
    destination: Path,
    specification: str,
    calibration: Path | None,
    no_reconstruct: bool,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    force: bool,
    output: Output,
) -> None:
    """Prune the float MODEL. Each layer is refitted, so that the samples give what they gave before."""
    check_output_file(destination, force=force)
    options = dataclasses.replace(parse_prune(specification), reconstruct=not no_reconstruct)
    if calibration is None and options.reconstruct:
        raise UsageError(
            "what stays is refitted on samples, and there are none",
            where="command line",
            fix="give --calibration X.npz, or --no-reconstruct",
        )
    onnx_model = load(model, dict(shapes))
    widen_floats(onnx_model)
    simplify(onnx_model)
    samples = {} if calibration is None else load_samples(calibration, onnx_model)
    with output.progress() as tell:
        if isinstance(options, PruneOptions):
            pruned = prune_weights(onnx_model, samples, options, lambda done, total: tell("pruning", done, total))
        else:
            pruned = prune_channels(onnx_model, samples, options, lambda done, total: tell("pruning", done, total))
    save(pruned.model, destination)
    report = pruned.report
    data = {
        "model": str(destination),
        "layers": [dataclasses.asdict(layer) for layer in report.layers],
        "kept_whole": list(report.kept_whole),
        "parameters_before": report.parameters_before,
        "parameters_after": report.parameters_after,
        "zeros_after": report.zeros_after,
        "bytes_before": model.stat().st_size,
        "bytes_after": destination.stat().st_size,
    }
    output.show(data, *pruned_table(data))
