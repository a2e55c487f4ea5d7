"""tinycast compile"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from tinycast.cli.choices import memory_options, network_options, tuning_option
from tinycast.cli.common import PATH, Output, force_option, model_argument, output_options, target_option
from tinycast.cli.parameters import parse_size
from tinycast.cli.quantize import METHODS, SCHEMES
from tinycast.compress.quantize import Calibration, QuantizeOptions
from tinycast.errors import UsageError
from tinycast.package import FORMATS, check_output_folder, choose_format, write_artifact
from tinycast.pipeline import CompileOptions, compile_file
from tinycast.report.tables import compiled_lines
from tinycast.target.load import load_target


@click.command("compile")
@model_argument
@target_option
@click.option("-o", "--output-folder", "folder", type=PATH, required=True, help="Folder for the generated files.")
@click.option("--name", default="", help="Prefix of the generated functions; the file's stem by default.")
@click.option("--format", "format_name", type=click.Choice(list(FORMATS)), help="c by default; wasm for WebAssembly.")
@click.option("--quantize", "scheme", type=click.Choice(list(SCHEMES)), help="Quantize the model first.")
@click.option("--calibration", type=PATH, help="Samples (.npz) to quantize with.")
@click.option("--method", type=click.Choice(METHODS), help="How the range of a quantized activation is chosen.")
@network_options
@memory_options
@tuning_option
@click.option("--io-layout", type=click.Choice(["onnx", "nhwc"]), default="onnx", help="Order of images at the API.")
@click.option(
    "--weights",
    type=click.Choice(["inside", "separate"]),
    default="inside",
    help="Of WebAssembly: in the .wasm, or in a file that browsers keep although the code changes.",
)
@click.option("--flash", type=parse_size, metavar="SIZE", help="Flash there is, in the same units.")
@force_option
@output_options
def command(
    model: Path,
    target: str,
    folder: Path,
    name: str,
    format_name: str | None,
    scheme: str | None,
    calibration: Path | None,
    method: str | None,
    options: CompileOptions,
    io_layout: str,
    weights: str,
    flash: int | None,
    force: bool,
    output: Output,
) -> None:
    """Compile MODEL for a target: C sources, or a WebAssembly module with its loader.

    The folder is written whole or not at all. With --force a folder that tinycast wrote is replaced.
    """
    if (scheme is None) != (calibration is None) or (method is not None and scheme is None):
        raise UsageError(
            "--quantize and --calibration go together",
            where="command line",
            fix="give both, or neither and no --method",
        )
    quantize = QuantizeOptions(activations=SCHEMES[scheme or "int8"])
    if method is not None:
        quantize = replace(quantize, calibration=Calibration(method))
    format_name = choose_format(format_name, load_target(target))
    check_output_folder(folder, force=force)
    options = replace(
        options,
        name=name,
        format=format_name,
        channels_last_io=io_layout == "nhwc",
        separate_weights=weights == "separate",
        flash_bytes=flash,
        calibration=calibration,
        quantize=quantize,
    )
    with output.progress() as tell:
        tell(f"compiling for {target}", 0, 1)
        artifact = compile_file(model, target, options, lambda done, total: tell("quantizing", done, total))
    write_artifact(artifact, folder, force=force)
    manifest = artifact.manifest
    keys = ("name", "target", "arena_bytes", "lower_bound_bytes", "weights_bytes", "macs", "notes")
    data = {
        **{key: manifest[key] for key in keys},
        "folder": str(folder),
        "segments": manifest["memory"]["segments"],
        "regions": manifest["memory"]["regions"],
        "files": [{"path": path, "bytes": len(content)} for path, content in artifact.files.items()],
    }
    output.show(data, *compiled_lines(data))
