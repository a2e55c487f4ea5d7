"""tinycast ops"""

from __future__ import annotations

import click

from tinycast.cli.common import Output, output_options
from tinycast.ops import FAMILIES


@click.command("ops")
@output_options
def command(output: Output) -> None:
    """List the ONNX operators that can be compiled."""
    operators = [
        {"name": name, "family": family.__name__.rpartition(".")[2]} for family in FAMILIES for name in family.IMPORTERS
    ]
    operators.sort(key=lambda operator: operator["name"])
    output.show({"operators": operators}, *(operator["name"] for operator in operators))
