"""The command `tinycast`: finds the command named, and turns every error into a message and an exit code."""

from __future__ import annotations

import importlib
import json
import signal
import sys
from collections.abc import Sequence
from types import FrameType

import click

import tinycast
from tinycast.cli.common import error_data
from tinycast.errors import InternalError, TinycastError, UsageError

COMMANDS = {
    "inspect": "Operators, MACs and bytes of a model, and what is unsupported.",
    "quantize": "Quantize a float model to 8 bits with calibration samples.",
    "compress": "Prune weights or whole channels of a float model.",
    "compile": "Compile a model for a target.",
    "tune": "Measure schedules of a model's layers on an emulated core, for compile --tuning.",
    "run": "Run a compiled model on samples, here or on an emulated core.",
    "verify": "Check that targets give the same bytes, close to ONNX Runtime's.",
    "bench": "Instructions, RAM and flash of a model on a target, by layer.",
    "serve": "Show the page of a model compiled with --format web.",
    "targets": "List the targets.",
    "ops": "List the ONNX operators that can be compiled.",
}
_INTERRUPTED = 128 + signal.SIGINT
_TERMINATED = 128 + signal.SIGTERM


class Commands(click.Group):
    """Loads a command's module when it is called: most need TVM or ONNX Runtime, which take seconds to load."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"tinycast.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(tinycast.__version__, prog_name="tinycast")
def cli() -> None:
    """Cast an ONNX model into plain C for a microcontroller, or into one WebAssembly file for a browser.

    Exit codes: 0 done; 1 the model cannot be compiled or does not fit; 2 bad usage or unreadable input;
    3 verification failed; 4 a tool is missing; 70 a bug in tinycast.
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code. With `--debug` exceptions pass through."""
    try:
        code = cli.main(list(arguments), prog_name="tinycast", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, click.Abort):
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    except click.ClickException as error:
        error.show()
        usage = UsageError(error.format_message(), where="command line", fix="see --help")
        _tell_json(arguments, usage)
        return error.exit_code
    except Exception as error:
        if "--debug" in arguments:
            raise
        known = _bug(error) if isinstance(error, InternalError) or not isinstance(error, TinycastError) else error
        print(f"error: {known}", file=sys.stderr)
        _tell_json(arguments, known)
        return known.exit_code


def main() -> None:
    """Entry point of the program."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(sys.argv[1:]))


def _bug(error: Exception) -> InternalError:
    """What a user needs of a bug: its first line. The rest is for those who look into it."""
    text = error.what if isinstance(error, InternalError) else f"a bug in tinycast: {type(error).__name__}: {error}"
    where = error.where if isinstance(error, InternalError) else ""
    fix = "report this bug of tinycast, with the model and the traceback that --debug shows"
    return InternalError(text.strip().partition("\n")[0], where=where, fix=fix)


def _tell_json(arguments: Sequence[str], error: TinycastError) -> None:
    if "--json" in arguments:
        print(json.dumps({"error": error_data(error)}, indent=2))


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(_TERMINATED)


if __name__ == "__main__":
    main()
