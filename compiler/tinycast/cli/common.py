"""What the commands share: options, and how they write results and progress."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tinycast.cli.parameters import parse_shape, parse_state
from tinycast.errors import TinycastError

Function = TypeVar("Function", bound=Callable[..., Any])
PATH: click.Path = click.Path(path_type=Path)
_WIDTH_OF_A_FILE = 160  # columns, where stdout is no terminal


@dataclass(frozen=True)
class Output:
    """Results go to stdout (with --json one object and nothing else), all the rest to stderr."""

    as_json: bool
    verbose: bool

    def show(self, data: Mapping[str, Any], *renderables: RenderableType) -> None:
        """Write the result: `data` with --json, else `renderables`."""
        if self.as_json:
            print(json.dumps(data, indent=2))
            return
        console = Console(width=None if sys.stdout.isatty() else _WIDTH_OF_A_FILE, highlight=False, markup=False)
        for renderable in renderables:
            console.print(renderable)

    def fail(self, error: TinycastError, data: Mapping[str, Any], *renderables: RenderableType) -> NoReturn:
        """Write the result of a check that failed, and end the command with the error's exit code."""
        self.show({**data, "error": error_data(error)}, *renderables)
        print(f"error: {error}", file=sys.stderr)
        raise click.exceptions.Exit(error.exit_code)

    @contextmanager
    def progress(self) -> Iterator[Callable[[str, int, int], None]]:
        """Yield a function that takes (what is being done, steps done, steps in all).

        Where stderr is a terminal it is shown as a bar; with -v each thing that is done gets a line.
        """
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task("")
            told = ""

            def tell(what: str, done: int, total: int) -> None:
                nonlocal told
                if self.verbose and what != told:
                    bar.console.print(what, markup=False, highlight=False, soft_wrap=True)
                told = what
                bar.update(task, description=what, completed=done, total=total)

            yield tell


def error_data(error: TinycastError) -> dict[str, Any]:
    """An error as --json shows it."""
    return {"what": error.what, "where": error.where, "fix": error.fix, "exit_code": error.exit_code}


def output_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add --json, -v and --debug; the function gets `output`."""

    @click.option("--json", "as_json", is_flag=True, help="Write one JSON object to stdout, all else to stderr.")
    @click.option("-v", "--verbose", is_flag=True, help="Say what is being done, on stderr.")
    @click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
    @functools.wraps(function)
    def wrapped(*arguments: Any, as_json: bool, verbose: bool, **options: Any) -> None:
        function(*arguments, output=Output(as_json, verbose), **options)

    return wrapped


def model_argument(function: Function) -> Function:
    return click.argument("model", type=PATH)(function)


def target_option(function: Function) -> Function:
    return click.option("--target", required=True, help="What to compile for: see `tinycast targets`.")(function)


def shape_option(function: Function) -> Function:
    return click.option(
        "--shape",
        "shapes",
        type=parse_shape,
        metavar="NAME=SIZES",
        multiple=True,
        help="Shape of an input with open dimensions, like image=1,3,96,96. May be repeated.",
    )(function)


def state_options(function: Function) -> Function:
    """Add --stateful and --state; the function gets `stateful` and `states`, pairs of names."""
    function = click.option(
        "--state",
        "states",
        type=parse_state,
        metavar="INPUT=OUTPUT",
        multiple=True,
        help="INPUT takes what OUTPUT was in the run before, zeros at first; neither is shown. May be repeated.",
    )(function)
    return click.option(
        "--stateful", is_flag=True, help="Recurrent layers keep their state from one run to the next, until reset."
    )(function)


def force_option(function: Function) -> Function:
    return click.option("--force", is_flag=True, help="Overwrite what is there.")(function)
