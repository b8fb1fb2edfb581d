"""The command `colorgan colorize`: its parameters, and the run with its reports."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from colorgan.batch.loading import RESUME_ADVICE
from colorgan.batch.options import BatchOptions
from colorgan.batch.run import Summary, colorize_files
from colorgan.callbacks import PhotoStatus, StopCheck
from colorgan.cli.callbacks import leave_at_once, watch_signals
from colorgan.cli.colorize_output import JsonReporter, PlainReporter, Reporter
from colorgan.cli.colorize_progress import ReportingCallbacks
from colorgan.cli.console import Console
from colorgan.cli.options import Given, Json, Quiet, command, given_name
from colorgan.cli.streaming import STREAM, Request, colorize_stream
from colorgan.cli.streams import InterruptibleReader, ReaderGoneError
from colorgan.colorize.options import DEFAULT_MODEL, ColorizeOptions
from colorgan.errors import ColorganError, Interrupted, UsageError, reason_of
from colorgan.images.discovery import read_paths
from colorgan.options import COLORS, FILES, RUNNING, Option
from colorgan.signals import SignalWatch


@command(ColorizeOptions, BatchOptions, first="output model saturation format overwrite dry_run")
def colorize(
    given: Given,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            help="Photos, folders, or their addresses (s3://bucket/photos); - reads one photo from standard input.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        Option(
            "Folder or address for the results, or a file if INPUT is one photo; - is standard output.",
            FILES,
            flags="--output -o",
            metavar="PATH",
            unset="NAME-color.EXT beside each photo",
            parse=given_name,
        ),
    ] = None,
    from_file: Annotated[
        Path | None,
        Option(
            "File with the paths of photos, one per line or separated by NUL; - is standard input.",
            FILES,
            metavar="LIST",
            unset="none",
        ),
    ] = None,
    model: Annotated[
        str,
        Option(
            "The weights: compact, compact-gan, eccv16, siggraph17, finetuned, gan, or the path of a file.",
            COLORS,
            variable="COLORGAN_MODEL",
            metavar="NAME|PATH",
            completes="model",
        ),
    ] = DEFAULT_MODEL,
    ray: Annotated[
        str,
        Option(
            "Color on a Ray cluster: `auto` uses the running one or starts one here, an address that one.",
            RUNNING,
            metavar="auto|ADDRESS",
            unset="color in this process",
        ),
    ] = "",
    json_lines: Json = False,
    quiet: Quiet = False,
) -> None:
    """Turn black-and-white photos into color ones, at their full resolution.

    The same command again does what is left, and nothing twice: a journal in the output folder says what was made of
    which photo with which settings.
    """
    if not inputs and not from_file:
        raise UsageError("photos to color", "no INPUT and no --from-file", "Name photos or folders of them.")
    request = Request(
        inputs=[given_name(text) for text in inputs or []],
        output=output,
        from_file=from_file,
        options=ColorizeOptions(**given[ColorizeOptions]),
        batch=BatchOptions(**given[BatchOptions]),
        model=model,
        ray=ray,
        json_lines=json_lines,
        quiet=quiet,
    )
    with watch_signals(RESUME_ADVICE) as watch:
        try:
            code = _colorize(request, watch)
        except Interrupted as error:
            if error.leaves_thread:
                leave_at_once(error)
            raise
    if code:
        raise typer.Exit(code)


def _colorize(request: Request, watch: SignalWatch) -> int:
    """Color the requested photos, report their outcomes, and return the exit code."""
    console = Console(request.quiet)
    reporter: Reporter = JsonReporter(console) if request.json_lines else PlainReporter(console)
    listed = None
    callbacks = ReportingCallbacks(console, watch, reporter, request)
    try:
        if request.is_stream:
            # Nothing is half done when a pipe breaks off, and reading it may wait for ever.
            with watch.exiting_at_once():
                return colorize_stream(request, callbacks)
        if request.from_file:
            listed = _read_list(request.from_file, StopCheck(callbacks, RESUME_ADVICE))
        with callbacks:
            summary = colorize_files(
                request.inputs,
                request.output,
                request.options,
                batch=request.batch,
                model=request.model,
                listed=listed,
                ray=request.ray,
                callbacks=callbacks,
            )
    except ColorganError as error:
        reporter.stopped(error)
        if callbacks.counts and not isinstance(error, ReaderGoneError):
            reporter.summary(Summary(callbacks.counts), request.where, error.exit_code)
        raise
    reporter.summary(summary, request.where, summary.exit_code)
    if console.is_terminal and summary.counts.get(PhotoStatus.written) and request.may_have_page:
        console.note("To compare before and after in a browser, add --page.")
    return summary.exit_code


def _read_list(path: Path, check: Callable[[], None]) -> Iterator[str]:
    """Open a list of paths at once, so that a wrong name is reported early, and return an iterator that reads them."""
    if path == STREAM:
        return read_paths(InterruptibleReader(sys.stdin.buffer, check).read1)
    try:
        # Nonblocking: opening a pipe that has no writer would wait for one, deaf to signals.
        opened = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)), "rb")
    except OSError as error:
        raise UsageError(
            "a list of photos", f"{path}: {reason_of(error)}", "Check the name after --from-file."
        ) from error
    return _read_and_close(opened, check)


def _read_and_close(file: BinaryIO, check: Callable[[], None]) -> Iterator[str]:
    with file:
        yield from read_paths(InterruptibleReader(file, check).read1)
