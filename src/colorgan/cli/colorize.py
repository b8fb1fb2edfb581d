"""`colorgan colorize`: photos and folders into color."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from colorgan.batch.options import BatchOptions
from colorgan.batch.planner import count_photos
from colorgan.batch.run import RESUME_ADVICE, colorize_files
from colorgan.cli.colorize_output import JsonReporter, PlainReporter, Reporter, ReportingCallbacks, Total
from colorgan.cli.console import Console
from colorgan.cli.interrupts import leave_at_once, watch_signals
from colorgan.cli.options import (
    DeviceOption,
    JsonOption,
    ModelOption,
    OverwriteOption,
    QuietOption,
    RenderSizeOption,
    SeedOption,
    WorkersOption,
    given_name,
)
from colorgan.cli.streaming import STREAM, Request, colorize_stream
from colorgan.cli.streams import InterruptibleReader
from colorgan.colorize.options import DEFAULT_MODEL, ColorizeOptions
from colorgan.errors import ColorganError, Interrupted, UsageError
from colorgan.files import is_address
from colorgan.images.discovery import read_paths
from colorgan.options import COLORS, FILES, RUNNING
from colorgan.signals import SignalWatch

RESULTS = "Results"


class FormatName(str, Enum):
    """What results can be written as."""

    keep = "keep"
    jpg = "jpg"
    png = "png"
    webp = "webp"
    tiff = "tiff"


class BitDepth(str, Enum):
    """Bits a channel of results."""

    eight = "8"
    sixteen = "16"


class FitName(str, Enum):
    """How the network sees a photo."""

    shape = "shape"
    square = "square"


class PrecisionName(str, Enum):
    """What the network computes in."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


def colorize(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT",
            parser=given_name,
            help="Photos, folders, or their addresses (s3://bucket/photos); - reads one photo from standard input.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            parser=given_name,
            metavar="PATH",
            help="Folder or address for the results, or a file where INPUT is one photo; - is standard output.",
            show_default="NAME-color.EXT beside each photo",
            rich_help_panel=FILES,
        ),
    ] = None,
    from_file: Annotated[
        Path | None,
        typer.Option(
            "--from-file",
            metavar="LIST",
            help="File with the paths of photos, one a line or with NUL between; - is standard input.",
            show_default="none",
            rich_help_panel=FILES,
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.", rich_help_panel=FILES)
    ] = False,
    all_pages: Annotated[
        bool,
        typer.Option("--all-pages", help="Every page of a TIFF, each into a file of its own.", rich_help_panel=FILES),
    ] = False,
    skip_color: Annotated[
        bool,
        typer.Option("--skip-color", help="Leave out, and count, what is in color already.", rich_help_panel=FILES),
    ] = False,
    max_megapixels: Annotated[
        float,
        typer.Option(
            "--max-megapixels",
            min=0.001,
            help="Megapixels of the largest photo that is accepted.",
            rich_help_panel=FILES,
        ),
    ] = 500.0,
    model: ModelOption = DEFAULT_MODEL,
    render_size: RenderSizeOption = None,
    fit: Annotated[
        FitName,
        typer.Option(
            "--fit",
            help="The network sees a photo in its own shape, or squeezed into a square as ECCV16's demo does it.",
            rich_help_panel=COLORS,
        ),
    ] = FitName.shape,
    saturation: Annotated[
        float,
        typer.Option(
            "--saturation", help="Factor on the colors, 0 to 4; 0 is gray, 1 as predicted.", rich_help_panel=COLORS
        ),
    ] = 1.0,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature",
            help="0.01 to 100: lower is bolder and surer, higher is softer and browner.",
            show_default="the model's own",
            rich_help_panel=COLORS,
        ),
    ] = None,
    edges: Annotated[
        bool | None,
        typer.Option(
            "--edges/--no-edges",
            help="Let colors end where the photo has edges, however coarse the network's answer is.",
            show_default="the model's own",
            rich_help_panel=COLORS,
        ),
    ] = None,
    confidence: Annotated[
        bool,
        typer.Option(
            "--confidence",
            help="Also write NAME-confidence.png, white where the network was sure of its colors.",
            rich_help_panel=RESULTS,
        ),
    ] = False,
    variants: Annotated[
        int,
        typer.Option(
            "--variants",
            min=1,
            max=16,
            help="Number of plausible colorings of each photo; further ones are written as NAME-variant-2 and so on.",
            rich_help_panel=RESULTS,
        ),
    ] = 1,
    format_name: Annotated[
        FormatName,
        typer.Option(
            "--format", help="File format of the results; keep is that of each photo.", rich_help_panel=RESULTS
        ),
    ] = FormatName.keep,
    quality: Annotated[
        int,
        typer.Option("--quality", min=1, max=100, help="Quality of JPEG and WebP results.", rich_help_panel=RESULTS),
    ] = 95,
    strip_metadata: Annotated[
        bool,
        typer.Option("--strip-metadata", help="Drop EXIF data and the like from the results.", rich_help_panel=RESULTS),
    ] = False,
    mark: Annotated[
        bool,
        typer.Option(
            "--mark/--no-mark",
            help="Say in the results, as IPTC's standard has it, that a trained model colored them, and which.",
            rich_help_panel=RESULTS,
        ),
    ] = True,
    bit_depth: Annotated[
        BitDepth,
        typer.Option(
            "--bit-depth",
            help="Bits a channel; 16 in TIFFs, with the extra tiff.",
            rich_help_panel=RESULTS,
        ),
    ] = BitDepth.eight,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    precision: Annotated[
        PrecisionName,
        typer.Option(
            "--precision",
            help="What the network computes in; auto takes half precision where the hardware has it.",
            rich_help_panel=RUNNING,
        ),
    ] = PrecisionName.auto,
    workers: WorkersOption = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            min=1,
            max=1024,
            help="Photos of like shape that are computed together.",
            show_default="what the device likes",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    shard: Annotated[
        str,
        typer.Option(
            "--shard",
            metavar="N/COUNT",
            help="The part of the photos that this process takes, such as 3/16; /16 takes N from JOB_COMPLETION_INDEX.",
            show_default="all, or the Slurm array's",
            rich_help_panel=RUNNING,
        ),
    ] = "",
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Turn black-and-white photos into color ones, at their full resolution.

    The same command again does what is left, and nothing twice: a journal in the output folder says what was made of
    which photo with which settings.
    """
    if not inputs and not from_file:
        raise UsageError("photos to color", "no INPUT and no --from-file", "Name photos or folders of them.")
    request = Request(
        inputs=inputs or [],
        output=output,
        from_file=from_file,
        options=ColorizeOptions(
            saturation,
            temperature,
            render_size,
            fit.value,
            confidence,
            variants,
            seed,
            edges,
            max_megapixels,
            format_name.value,
            quality,
            keep_metadata=not strip_metadata,
            mark=mark,
            bit_depth=16 if bit_depth is BitDepth.sixteen else 8,
        ),
        batch=BatchOptions(
            overwrite, dry_run, all_pages, skip_color, workers, batch_size, device, precision.value, shard
        ),
        model=model,
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
    """Color photos as was asked for, print what becomes of them, and give the exit code."""
    console = Console(request.quiet)
    reporter: Reporter = JsonReporter(console) if request.json_lines else PlainReporter(console)
    listed = None
    is_far = any(map(is_address, request.inputs))
    paths = [Path(path) for path in request.inputs]
    count = None if request.from_file or is_far else partial(count_photos, paths, request.output_path)
    callbacks = ReportingCallbacks(
        console,
        reporter,
        watch,
        inputs=request.inputs_in_words,
        model=request.model,
        dry_run=request.batch.dry_run,
        count=count,
    )
    try:
        if request.is_stream:
            # Nothing is half done when a pipe breaks off, and reading it may wait for ever.
            with watch.leaving():
                return colorize_stream(request, console, reporter)
        if request.from_file:
            listed = _read_list(request.from_file, partial(watch.check, RESUME_ADVICE))
        with callbacks:
            summary = colorize_files(
                request.inputs,
                request.output,
                request.options,
                batch=request.batch,
                model=request.model,
                listed=listed,
                callbacks=callbacks,
            )
    except ColorganError as error:
        reporter.stopped(error)
        if callbacks.counts:
            reporter.summary(callbacks.counts, Total(request.where, error.exit_code))
        raise
    total = Total(request.where, summary.exit_code, summary.dry_run, summary.left_out_folders)
    reporter.summary(summary.counts, total)
    return summary.exit_code


def _read_list(path: Path, check: Callable[[], None]) -> Iterator[str]:
    """The paths in a list, read while they are asked for; it is opened now, so that a wrong name costs no time."""
    if path == STREAM:
        return read_paths(InterruptibleReader(sys.stdin.buffer, check))
    try:
        # Of a pipe without a writer, opening it would wait for one, and hear no signal.
        opened = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)), "rb")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError("a list of photos", f"{path}: {reason}", "Check the name after --from-file.") from error
    return _read_and_close(opened, check)


def _read_and_close(file: BinaryIO, check: Callable[[], None]) -> Iterator[str]:
    with file:
        yield from read_paths(InterruptibleReader(file, check))
