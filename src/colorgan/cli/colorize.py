"""`colorgan colorize`: photos and folders into colour."""

from __future__ import annotations

import itertools
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from colorgan.cli.console import Console
from colorgan.cli.options import FILES, DeviceOption, QuietOption
from colorgan.colorize.rendering import Rendering
from colorgan.errors import EXIT_SOME_FAILED, Interrupted, UsageError
from colorgan.media.files import Job, plan_outputs
from colorgan.media.formats import PHOTO_SUFFIXES
from colorgan.signals import SignalWatch

if TYPE_CHECKING:
    from colorgan.colorize.batch import Outcome
    from colorgan.colorize.colorizer import Colorizer

COLOURS = "Colours"
DEFAULT_MODEL = "compact"
_OWN_MODELS = ("finetuned", "gan")
HOW_TO_GO_ON = "Every result so far is whole; the same command again goes on with the rest."


def colorize(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", help="Photos, and folders of photos.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for the results, or a file where INPUT is one photo.",
            show_default="NAME-color.EXT beside each photo",
            rich_help_panel=FILES,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Colour again what has a result already.", rich_help_panel=FILES)
    ] = False,
    quality: Annotated[
        int, typer.Option("--quality", min=1, max=100, help="Quality of JPEG and WebP results.", rich_help_panel=FILES)
    ] = 95,
    model: Annotated[
        str,
        typer.Option("--model", envvar="COLORGAN_MODEL", help="Name or path of the weights.", rich_help_panel=COLOURS),
    ] = DEFAULT_MODEL,
    render_size: Annotated[
        int | None,
        typer.Option(
            "--render-size",
            help="Short side at which the network sees a photo, 16 to 4096 pixels.",
            show_default="the model's own",
            rich_help_panel=COLOURS,
        ),
    ] = None,
    saturation: Annotated[
        float,
        typer.Option(
            "--saturation", help="Factor on the colours, 0 to 4; 0 is grey, 1 as predicted.", rich_help_panel=COLOURS
        ),
    ] = 1.0,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature",
            help="0.01 to 100: lower is more vivid, higher is calmer.",
            show_default="the model's own",
            rich_help_panel=COLOURS,
        ),
    ] = None,
    device: DeviceOption = "auto",
    quiet: QuietOption = False,
) -> None:
    """Turn black-and-white photos into colour ones, at their full resolution."""
    console = Console(quiet)
    rendering = Rendering(saturation, temperature, render_size)
    jobs = _jobs(inputs, output)
    with SignalWatch() as watch:
        try:
            check = partial(watch.check, HOW_TO_GO_ON)
            colorizer = _load(console, model, device, check)
            from colorgan.colorize.batch import colorize_all

            outcomes = colorize_all(colorizer, jobs, rendering, check=check, quality=quality, overwrite=overwrite)
            counts = _report(console, outcomes, inputs, output)
        except KeyboardInterrupt:  # the second one: the photo under way was dropped
            raise Interrupted(signal.SIGINT, HOW_TO_GO_ON) from None
    if counts["failed"]:
        raise typer.Exit(EXIT_SOME_FAILED)


def _jobs(inputs: list[Path], output: Path | None) -> Iterator[Job]:
    """The photos to colour, of which there is at least one."""
    jobs = plan_outputs(inputs, output)
    first = next(jobs, None)
    if first is None:
        where = ", ".join(map(_shown, inputs))
        advice = f"Photos are told by their suffix: {' '.join(PHOTO_SUFFIXES)}."
        raise UsageError("photos to colour", f"none in {where}", advice)
    return itertools.chain([first], jobs)


def _load(console: Console, model: str, device: str, check: Callable[[], None]) -> Colorizer:
    console.note(f"Loading {model} ...")
    from colorgan.colorize.colorizer import Colorizer
    from colorgan.devices import describe_device
    from colorgan.weights import models_at_hand

    with console.fetching(model, check) as progress:
        colorizer = Colorizer.load(model, device=device, progress=progress)
    console.note(f"Computing on {describe_device(colorizer.device)}.")
    own = [name for name in models_at_hand() if name in _OWN_MODELS]
    if own and model == DEFAULT_MODEL:
        console.note(f"A model of your own is at hand: --model {own[-1]}")
    return colorizer


def _report(console: Console, outcomes: Iterable[Outcome], inputs: list[Path], output: Path | None) -> Counter[str]:
    """Print what becomes of each photo while it happens, and the sums, also where the work ends early."""
    counts: Counter[str] = Counter()
    try:
        with console.bar("{task.completed} of {task.total} photos", BarColumn(), _Rate(), TimeRemainingColumn()) as bar:
            # Counting a large tree takes a while, which nobody should wait for who sees no bar.
            total = None if bar.disable else sum(1 for _ in plan_outputs(inputs, output))
            task = bar.add_task("", total=total)
            for outcome in outcomes:
                counts[outcome.status] += 1
                _print_words(console, outcome)
                bar.advance(task)
    finally:
        sums = ", ".join(f"{counts[status]} {status}" for status in ("written", "skipped", "failed"))
        console.result(f"{sums}. Results: {_shown(output) if output else 'beside the photos, as NAME-color'}")
    if counts["skipped"]:
        console.note("Skipped were those with a result already; --overwrite colours them again.")
    return counts


def _print_words(console: Console, outcome: Outcome) -> None:
    name, words = _shown(outcome.job.source), "; ".join(outcome.words)
    if outcome.status == "failed":
        console.warn(f"failed: {name}: {words}")
    elif words:
        console.note(f"{name}: {words}")


def _shown(path: Path) -> str:
    """A path as text that any terminal takes, also where its name is not UTF-8."""
    return os.fsencode(path).decode(errors="replace")


class _Rate(ProgressColumn):
    """Photos per second."""

    def render(self, task: Task) -> Text:
        """Show the speed, once there is one."""
        return Text(f"{task.speed:.1f}/s" if task.speed else "")
