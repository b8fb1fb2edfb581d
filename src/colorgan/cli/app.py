"""The `colorgan` executable: its subcommands joined, and what happens to errors."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated, NoReturn

import typer

from colorgan.cli.colorize import colorize
from colorgan.cli.compare import compare
from colorgan.cli.console import Console, print_bug, print_error
from colorgan.cli.finetune import finetune
from colorgan.cli.prepare import prepare
from colorgan.cli.train import train
from colorgan.errors import EXIT_SIGINT, ColorganError

app = typer.Typer(
    name="colorgan",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
# Each command with an example of its use, which stands at the end of its help and is run by the tests.
app.command(epilog="Example: colorgan colorize photos -o out")(colorize)
app.command(epilog="Example: colorgan prepare photos -o data")(prepare)
app.command(epilog="Example: colorgan finetune --data data --from compact --loss bins --max-minutes 60")(finetune)
app.command(
    epilog="Example: colorgan train --data data --from compact --recipe balanced --lambda-perceptual 0 --max-minutes 60"
)(train)
app.command(epilog="Example: colorgan compare photos -o comparison")(compare)


def _print_version(wanted: bool) -> None:
    if wanted:
        from colorgan.cli.version import version_lines

        console = Console()
        for line in version_lines():
            console.result(line)
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print what a bug report needs, and leave."
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")] = False,
) -> None:
    """Turn black-and-white photographs into colour ones, and train the models that do it."""


def main() -> NoReturn:
    """Run the command line and exit with the documented code."""
    # Read once, when torch is imported. A thread that spins while it waits takes its core from whoever else computes:
    # beside other programs the networks ran at a fifth of their speed.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    warnings.filterwarnings("ignore", module="PIL")  # of odd files, of which the commands have words of their own
    try:
        app(prog_name="colorgan")
    except ColorganError as error:
        print_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(EXIT_SIGINT)
    except Exception as error:
        sys.exit(print_bug(error, debug="--debug" in sys.argv[1:2]))
    sys.exit(0)
