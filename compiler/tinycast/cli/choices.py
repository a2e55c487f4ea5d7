"""Options that become CompileOptions, for the commands that compile a model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from tinycast.cli.common import PATH, shape_option, state_options
from tinycast.cli.parameters import parse_size
from tinycast.pipeline import CompileOptions
from tinycast.schedule.goal import Optimize
from tinycast.target.regions import read_regions

Command = Callable[..., None]


def network_options(function: Command) -> Command:
    """Add --io, --shape, --stateful and --state; the function gets them as `options`."""

    @click.option(
        "--io",
        type=click.Choice(["quantized", "float"]),
        default="quantized",
        show_default=True,
        help="Type of the inputs and outputs of a quantized model.",
    )
    @shape_option
    @state_options
    @functools.wraps(function)
    def wrapped(
        *arguments: Any,
        io: str,
        shapes: tuple[tuple[str, tuple[int, ...]], ...],
        stateful: bool,
        states: tuple[tuple[str, str], ...],
        **others: Any,
    ) -> None:
        options = CompileOptions(float_io=io == "float", shapes=dict(shapes), stateful=stateful, states=dict(states))
        function(*arguments, options=options, **others)

    return wrapped


def memory_options(function: Command) -> Command:
    """Add --optimize, --ram and --memory to the `options` of `network_options`, which stands above."""

    @click.option(
        "--optimize",
        type=click.Choice([o.value for o in Optimize]),
        default=Optimize.TIME.value,
        show_default=True,
        help="What to have little of. `ram` takes at most about a tenth more time.",
    )
    @click.option(
        "--ram",
        "ram_bytes",
        type=parse_size,
        metavar="SIZE",
        help="RAM there is: 64K or 64KiB is 65536 bytes, 64KB 64000.",
    )
    @click.option(
        "--memory",
        type=PATH,
        metavar="FILE",
        help="TOML file with the chip's [[regions]] of memory, to place buffers and weights in.",
    )
    @functools.wraps(function)
    def wrapped(
        *arguments: Any,
        options: CompileOptions,
        optimize: str,
        ram_bytes: int | None,
        memory: Path | None,
        **others: Any,
    ) -> None:
        regions = read_regions(memory) if memory else ()
        options = replace(options, optimize=Optimize(optimize), ram_bytes=ram_bytes, regions=regions)
        function(*arguments, options=options, **others)

    return wrapped


def tuning_option(function: Command) -> Command:
    """Add --tuning to the `options` of `network_options`, which stands above."""

    @click.option(
        "--tuning", type=PATH, metavar="FILE", help="Schedules that `tinycast tune` measured: they go before the usual."
    )
    @functools.wraps(function)
    def wrapped(*arguments: Any, options: CompileOptions, tuning: Path | None, **others: Any) -> None:
        function(*arguments, options=replace(options, tuning=tuning), **others)

    return wrapped
