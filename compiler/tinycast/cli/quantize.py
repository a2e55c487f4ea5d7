"""tinycast quantize"""

from __future__ import annotations

from pathlib import Path

import click

from tinycast.cli.common import (
    PATH,
    Output,
    force_option,
    model_argument,
    output_options,
    shape_option,
    state_options,
)
from tinycast.cli.files import check_output_file
from tinycast.compress.quantize import ActivationType, Calibration, QuantizeOptions
from tinycast.model import save
from tinycast.pipeline import quantize_file

METHODS = [method.value for method in Calibration]
SCHEMES = {"int8": ActivationType.INT8, "int16x8": ActivationType.INT16}


@click.command("quantize")
@model_argument
@click.option("-o", "--output-file", "destination", type=PATH, required=True, help="The quantized model (.onnx).")
@click.option("--calibration", type=PATH, required=True, help="Samples (.npz), one array an input; a hundred do.")
@click.option(
    "--scheme",
    type=click.Choice(list(SCHEMES)),
    default="int8",
    show_default=True,
    help="Types to quantize to: weights of 8 bits, beside activations of 8 or 16.",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default=QuantizeOptions().calibration.value,
    show_default=True,
    help="How the range of an activation is chosen.",
)
@shape_option
@state_options
@force_option
@output_options
def command(
    model: Path,
    destination: Path,
    calibration: Path,
    scheme: str,
    method: str,
    shapes: tuple[tuple[str, tuple[int, ...]], ...],
    stateful: bool,
    states: tuple[tuple[str, str], ...],
    force: bool,
    output: Output,
) -> None:
    """Quantize the float MODEL: weights per output channel, activations by what they are on the samples.

    The result is a standard ONNX model (QuantizeLinear and DequantizeLinear) that ONNX Runtime runs too. With
    --stateful or --state the samples are one stream, and the states inputs and outputs of the result: compile it with
    the same option.
    """
    check_output_file(destination, force=force)
    options = QuantizeOptions(calibration=Calibration(method), activations=SCHEMES[scheme])
    with output.progress() as tell:
        quantized = quantize_file(
            model,
            calibration,
            options,
            dict(shapes),
            lambda done, total: tell("quantizing", done, total),
            states=dict(states),
            stateful=stateful,
        )
    save(quantized, destination)
    before, after = model.stat().st_size, destination.stat().st_size
    data = {"model": str(destination), "scheme": scheme, "method": method, "bytes_before": before, "bytes": after}
    output.show(data, f"{destination}: {before:,} -> {after:,} bytes")
