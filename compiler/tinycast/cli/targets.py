"""tinycast targets"""

from __future__ import annotations

import click

from tinycast.cli.common import Output, output_options
from tinycast.execute.select import drivers_of
from tinycast.package import FORMATS
from tinycast.report.tables import targets_table
from tinycast.target.load import all_targets


@click.command("targets")
@output_options
def command(output: Output) -> None:
    """List the targets, what runs their code, and the formats that `compile` writes for them."""
    targets = [
        {
            "name": target.name,
            "description": target.description,
            "platform": target.platform.value,
            "formats": [name for name, entry in FORMATS.items() if target.platform in entry.platforms],
            "drivers": [{"name": driver.name, "installed": driver.available()} for driver in drivers_of(target)],
        }
        for target in all_targets()
    ]
    output.show({"targets": targets}, targets_table(targets))
