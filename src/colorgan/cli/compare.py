"""`colorgan compare`: models side by side on the same photos."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TimeRemainingColumn
from rich.progress import Progress as Bar

from colorgan.callbacks import Callbacks, StopCheck
from colorgan.cli.console import Console, DownloadBar
from colorgan.cli.interrupts import watch_signals
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
    app: Annotated[bool, Option("Try photos in the browser, on this machine alone (the extra app).", _APP)] = False,
    port: Annotated[
        int | None,
        Option(
            "Number of the port where the app listens.",
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

    Photos without color of their own get pictures and no metrics.
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
    from colorgan.cli.compare_output import print_json, print_words

    (print_json if json_lines else print_words)(console, comparison, output)
    if comparison.failures:
        raise typer.Exit(EXIT_SOME_FAILED)


def _serve(console: Console, inputs: list[Path] | None, options: CompareOptions, port: int | None) -> NoReturn:
    """Run the app until a signal comes."""
    if inputs:
        raise UsageError("--app without photos", f"{inputs[0]}", "Give photos to the app in the browser.")
    check_app()
    _check_models(console, options)
    told = AppOptions(options.models, options.device, options.size)
    console.note("Starting the app; Ctrl-C ends it.")
    serve(told, port, lambda address: console.result(f"App: {address}"))


def _check_models(console: Console, options: CompareOptions) -> None:
    """Load the models once, so that one that cannot be had is an error here, and one to be fetched shows a bar."""
    console.note("Loading the models ...")
    with watch_signals(STOPPED) as watch:
        with watch.exiting_at_once():  # torch takes seconds to load
            from colorgan.comparison.models import load_models

        with _Callbacks(console, watch) as callbacks:
            load_models(options, callbacks, StopCheck(callbacks, STOPPED))
        watch.check(STOPPED)


def _compare(
    console: Console, inputs: list[Path], output: Path, options: CompareOptions, watch: SignalWatch
) -> Comparison:
    """Compare under a progress bar."""
    console.note("Loading the models ...")
    with watch.exiting_at_once():  # torch takes seconds to load, and nothing is written yet
        from colorgan.comparison.compare import compare as compare_models

    with _Callbacks(console, watch) as callbacks:
        return compare_models(inputs, output, options, callbacks=callbacks)


class _Callbacks(Callbacks):
    """Draws bars and looks for signals; to be used as a context manager."""

    def __init__(self, console: Console, watch: SignalWatch) -> None:
        self._console, self._watch = console, watch
        self._download, self._stack = DownloadBar(console), ExitStack()
        self._bar: Bar | None = None
        self._task = TaskID(0)

    def __enter__(self) -> _Callbacks:
        """No bar is there yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bars away."""
        self._download.close()
        self._stack.close()

    def on_progress(self, done: int, total: int) -> None:
        """Move the bar."""
        self._download.close()
        if self._bar is None:
            columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = self._stack.enter_context(self._console.bar(*columns))
            self._task = self._bar.add_task("Comparing", total=total)
        self._bar.update(self._task, completed=done, total=total)

    def on_warning(self, text: str) -> None:
        """Print it."""
        self._console.warn(text)

    def on_download(self, name: str, received_bytes: int, total_bytes: int | None) -> None:
        """Show a bar for the file."""
        self._download.show(name, received_bytes, total_bytes)

    def should_stop(self) -> int | None:
        """The signal that came, or None."""
        return self._watch.received
