"""tinycast tune"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from tinycast.cli.choices import memory_options, network_options
from tinycast.cli.common import PATH, Output, model_argument, output_options, target_option
from tinycast.pipeline import CompileOptions, compile_source, core_of, read_source, target_of
from tinycast.report.tables import tune_tables
from tinycast.schedule.tuning import Database, read_database
from tinycast.tune.executor import PROCESSES, open_executor
from tinycast.tune.measure import Measure
from tinycast.tune.policy import Policy
from tinycast.tune.run import check_writable, tune, write_database

_FILE = Path("tinycast-tuning.json")


@click.command("tune")
@model_argument
@target_option
@click.option(
    "--tuning",
    "file",
    type=PATH,
    default=_FILE,
    show_default=True,
    help="Database to write, or to add to if it exists.",
)
@click.option(
    "--measure",
    type=click.Choice([m.value for m in Measure]),
    default=Measure.INSTRUCTIONS.value,
    show_default=True,
    help="What schedules are chosen by: exact instructions, or estimated cycles where the target has rules for them.",
)
@click.option(
    "--executor",
    "executor_name",
    default=PROCESSES,
    show_default=True,
    metavar="NAME",
    help="What runs the measurements: processes, or dask://HOST:PORT, the scheduler of a Dask cluster.",
)
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Processes; one a core by default.")
@click.option("--allow-ram", is_flag=True, help="Take schedules that need more RAM too.")
@network_options
@memory_options
@output_options
def command(
    model: Path,
    target: str,
    file: Path,
    measure: str,
    executor_name: str,
    jobs: int | None,
    allow_ram: bool,
    options: CompileOptions,
    output: Output,
) -> None:
    """Measure schedules of MODEL's layers on the emulated core, and keep the best of each in a database.

    Every schedule gives the same integers; each is compared with the reference. The database is written after each
    layer, so that what was found is kept when tuning is interrupted: it goes on where it stopped. At the end the whole
    network is run with and without it.
    """
    core = target_of(target, options)
    database = read_database(file) if file.exists() else Database(file.name)
    check_writable(file)
    source = read_source(model, options)
    with output.progress() as tell, open_executor(executor_name, jobs) as executor:
        report = tune(
            lambda tuning: compile_source(source, core, options, tuning),
            core_of(core, options.optimize),
            database,
            executor,
            measure=Measure(measure),
            policy=Policy.ALLOW_RAM if allow_ram else Policy.KEEP_RAM,
            save=lambda found: write_database(found, file),
            tell=tell,
        )
    write_database(report.database, file)
    data: dict[str, Any] = {
        "name": source.name,
        "target": target,
        "measure": measure,
        "tuning": str(file),
        "kernels": [
            {
                "kernel": key,
                "title": report.titles[key],
                "usual": found.usual.cost(Measure(measure)),
                "tuned": found.best.cost(Measure(measure)),
                "choice": found.best.choice.described(),
                "measured": found.measured,
                "failures": sorted({f"{m.choice.described()}: {m.failure}" for m in found.failures}),
            }
            for key, found in sorted(report.found.items())
        ],
        "kept": report.kept,
        "dropped": [report.titles[key] for key in report.dropped],
        "before": asdict(report.before),
        "after": asdict(report.after),
    }
    output.show(data, *tune_tables(data))
