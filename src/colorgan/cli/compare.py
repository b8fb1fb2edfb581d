"""The command `colorgan compare`: models on the same photos, measured or in the app."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from colorgan.callbacks import StopCheck
from colorgan.cli.callbacks import BarCallbacks, CommandCallbacks, watch_signals
from colorgan.cli.console import Console
from colorgan.cli.options import Given, Json, Quiet, command, given_path
from colorgan.comparison.app.server import STOPPED, AppOptions, check_app, serve
from colorgan.comparison.options import RESTART_ADVICE, CompareOptions
from colorgan.errors import EXIT_SOME_FAILED, UsageError
from colorgan.options import FILES, Option
from colorgan.signals import SignalWatch

if TYPE_CHECKING:
    from colorgan.comparison.results import Comparison

_APP = "The app"


@command(CompareOptions, first="output models examples previous app overwrite")
def compare(
    given: Given,
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="INPUT",
            parser=given_path,
            help="Photos, folders, .tar and .zip files; none with --app.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[Path, Option("Folder for results, sheets and pictures.", FILES, flags="--output -o")] = Path(
        "comparison"
    ),
    app: Annotated[bool, Option("Try photos in a browser on this machine (the extra app).", _APP)] = False,
    port: Annotated[
        int | None,
        Option(
            "Port on which the app listens.",
            _APP,
            minimum=1024,
            maximum=65535,
            unset="8501, or the next that is free",
        ),
    ] = None,
    json_lines: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare models on the same photos: the answer, metrics with intervals, and pictures side by side.

    Photos without true colors (gray, toned, or colored by colorgan) get no metrics; gray and toned ones get pictures.
    """
    options = CompareOptions(**given[CompareOptions])
    console = Console(quiet)
    if app:
        _serve(console, inputs, options, port)
    if not inputs:
        raise UsageError(
            "photos to compare models on", "none named", "Name photos, folders or archives, or give --app."
        )
    with watch_signals(RESTART_ADVICE) as watch:
        comparison = _compare(console, inputs, output, options, watch)
    from colorgan.cli.compare_output import print_json, print_text

    (print_json if json_lines else print_text)(console, comparison, output)
    if comparison.failures:
        raise typer.Exit(EXIT_SOME_FAILED)


def _serve(console: Console, inputs: list[Path] | None, options: CompareOptions, port: int | None) -> NoReturn:
    if inputs:
        raise UsageError("--app without photos", f"{inputs[0]}", "Leave them out, and choose photos in the browser.")
    check_app()
    _check_models(console, options)
    app_options = AppOptions(options.models, options.device, options.size)
    console.note("Starting the app; Ctrl-C stops it.")
    # A second Ctrl-C must not exit at once: the server has to be ended first.
    with SignalWatch() as watch:
        serve(app_options, port, lambda address: console.result(f"App: {address}"), CommandCallbacks(console, watch))


def _check_models(console: Console, options: CompareOptions) -> None:
    """Load the models before the app starts, so that errors and downloads are shown here."""
    console.note("Loading the models ...")
    with watch_signals(STOPPED) as watch:
        with watch.exiting_at_once():  # torch takes seconds to load
            from colorgan.comparison.models import load_models

        with BarCallbacks(console, watch, "Comparing") as callbacks:
            check = StopCheck(callbacks, STOPPED)
            load_models(options, check)
            check()


def _compare(
    console: Console, inputs: list[Path], output: Path, options: CompareOptions, watch: SignalWatch
) -> Comparison:
    console.note("Loading the models ...")
    with watch.exiting_at_once():  # torch takes seconds to load, and nothing is written yet
        from colorgan.comparison.compare import compare as compare_models

    with BarCallbacks(console, watch, "Comparing") as callbacks:
        return compare_models(inputs, output, options, callbacks=callbacks)
