"""The `colorgan` executable: dispatches to the subcommands, and turns errors into messages and exit codes."""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import shlex
import sys
import warnings
from collections import UserDict
from typing import Annotated, Any, NoReturn

import typer
import typer.core
import typer.main

from colorgan.cli.options import Command, WithoutTypes, with_options
from colorgan.cli.streams import ReaderGoneError, Results, checked_results, open_missing_streams
from colorgan.errors import EXIT_SIGINT, ColorganError, OutputError, UsageError, limit_reached

# The subcommands in the order of the help, each a function of that name, with the example at the end of its help,
# which the tests run.
_EXAMPLES = {
    "colorize": "colorgan colorize photos -o out",
    "prepare": "colorgan prepare photos -o data",
    "finetune": "colorgan finetune --data data --max-minutes 60",
    "train": ("colorgan train --data data --from compact --recipe balanced --lambda-perceptual 0 --max-minutes 60"),
    "compare": "colorgan compare photos -o comparison",
}
_MODULES = {"finetune": "training", "train": "training"}  # the module of any other subcommand has its name
_TEXTS: dict[str, Any] = {"rich_markup_mode": "markdown", "pretty_exceptions_enable": False}


class _Commands(UserDict[str, Any]):
    """The subcommands by name, each imported on first access, so that `colorize` does not import the other four."""

    def __getitem__(self, name: str) -> Any:
        if self.data[name] is None:
            function = getattr(importlib.import_module(f"colorgan.cli.{_MODULES.get(name, name)}"), name)
            alone = typer.Typer(add_completion=False, **_TEXTS)
            alone.command(name, cls=Command, epilog=f"Example: {_EXAMPLES[name]}")(with_options(function))
            self.data[name] = typer.main.get_command(alone)
        return self.data[name]


class _Group(WithoutTypes, typer.core.TyperGroup):
    """Typer's group with lazily imported commands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands(dict.fromkeys(_EXAMPLES))

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names without importing the commands."""
        return list(self.commands)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command; if a photo or folder is given in its place, raise UsageError that says how to color it."""
        if args[0] not in self.commands and not ctx.resilient_parsing:
            from colorgan.images.discovery import has_photo_suffix

            names = (" ".join(args[:end]) for end in range(1, len(args) + 1))
            name = next((name for name in names if os.path.exists(name)), "")
            if name or has_photo_suffix(args[0]):
                advice = f"Color it: colorgan colorize {shlex.quote(name or args[0])}"
                raise UsageError("a command", f"a photo or a folder, {name or args[0]}", advice)
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="colorgan",
    cls=_Group,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    **_TEXTS,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from colorgan.cli.console import Console
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
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print versions, device and places, as a bug report needs.",
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")] = False,
) -> None:
    """Turn black-and-white photographs into color ones, and train the models that do it."""


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *others: Any, **more: Any
) -> None:
    """Print a DiskWarning as a message of the command, and any other warning with its category."""
    from colorgan.cli.console import Console
    from colorgan.files import DiskWarning

    Console().warn(str(message) if issubclass(category, DiskWarning) else f"{category.__name__}: {message}")


def main() -> NoReturn:
    """Run the command line and exit with the documented code."""
    gc.set_threshold(10_000)  # torch's import makes so many objects that garbage collection took a tenth of its time
    atexit.register(_skip_final_collection)
    # Read once, when torch is imported. Threads that spin while waiting occupy cores that other programs need: beside
    # such programs the networks ran at a fifth of their speed.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "_COLORGAN_COMPLETE" in os.environ:
        os.environ["COLUMNS"] = "1000"  # rich wraps a long help, and fish would offer its second line as an option
    warnings.filterwarnings("ignore", module="PIL")  # about odd files, for which the commands have their own messages
    warnings.showwarning = _show_warning
    open_missing_streams()
    with checked_results() as results:
        code = _run(results)
    sys.exit(code)


def _skip_final_collection() -> None:
    """Skip the garbage collection at exit, which takes as long as coloring ten photos."""
    if "triton" not in sys.modules:  # its objects print errors at exit unless they are collected
        gc.freeze()


def _check_folder() -> None:
    """Check that the current folder exists: without it torch ends the process with an obscure error.

    Raises:
        OutputError: it was removed.
    """
    try:
        os.getcwd()  # noqa: PTH109 (Path.cwd calls it)
    except FileNotFoundError as error:
        found = "the current folder was removed"
        raise OutputError("a folder to work in", found, "Change to another one: cd PATH.") from error


def _run(results: Results) -> int:
    """Run the command line, print its error if it has one, and return the exit code."""
    from colorgan.cli.console import print_bug, print_error

    try:
        _check_folder()
        try:
            app(prog_name="colorgan")
        except SystemExit as end:
            results.flush()
            return end.code if isinstance(end.code, int) else int(end.code is not None)
    except ReaderGoneError:
        return 0
    except ColorganError as error:
        print_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_SIGINT
    except Exception as error:
        if limit := limit_reached(error):
            print_error(limit)
            return limit.exit_code
        return print_bug(error, debug="--debug" in sys.argv[1:2])
    return 0
