"""`colorgan prepare`: from photos to a set that `finetune` trains on."""

from __future__ import annotations

import os
import shlex
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

from colorgan.cli.console import Console
from colorgan.cli.interrupts import watch_signals
from colorgan.cli.options import QuietOption, SeedOption, given_path
from colorgan.data.options import PrepareOptions
from colorgan.errors import UsageError
from colorgan.options import FILES, RUNNING
from colorgan.signals import SignalWatch

if TYPE_CHECKING:
    from colorgan.data.prepare import PrepareReport

DEFAULTS = PrepareOptions()
CHOICE = "Choice of photos"
_STOPPED = "Nothing was written; the same command starts anew."


class EncodingName(str, Enum):
    """How a set's photos are encoded."""

    jpeg = "jpeg"
    webp = "webp"


def prepare(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE",
            parser=given_path,
            help="Folders of photos, .tar files (also a tar of class tars), .zip files.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", parser=given_path, metavar="PATH", help="The set's folder.", rich_help_panel=FILES
        ),
    ] = Path("data"),
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a set, once the new one is whole.", rich_help_panel=FILES)
    ] = False,
    size: Annotated[
        int,
        typer.Option(
            "--size",
            min=8,
            max=4096,
            help="Pixels: the short side that larger photos are reduced to.",
            rich_help_panel=CHOICE,
        ),
    ] = DEFAULTS.size,
    min_side: Annotated[
        int,
        typer.Option(
            "--min-side", min=8, help="Pixels: photos with a shorter side are left out.", rich_help_panel=CHOICE
        ),
    ] = DEFAULTS.min_side,
    min_chroma: Annotated[
        float,
        typer.Option(
            "--min-chroma",
            min=0.0,
            help="Lab units: photos whose mean chroma is below are grey and left out; 0 keeps grey and tinted ones.",
            rich_help_panel=CHOICE,
        ),
    ] = DEFAULTS.min_chroma,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="N|NAMES",
            help="Class folders to keep: a number, chosen by the seed, or names with commas between.",
            show_default="all",
            rich_help_panel=CHOICE,
        ),
    ] = None,
    per_class: Annotated[
        int | None,
        typer.Option(
            "--per-class",
            min=1,
            help="Photos to keep of each class, at most.",
            show_default="all",
            rich_help_panel=CHOICE,
        ),
    ] = None,
    val_fraction: Annotated[
        float,
        typer.Option(
            "--val-fraction",
            min=0.0,
            max=0.9,
            help="Share of the photos to hold back for validation.",
            rich_help_panel=CHOICE,
        ),
    ] = DEFAULTS.val_fraction,
    encoding: Annotated[
        EncodingName,
        typer.Option(
            "--encoding",
            help="How photos are stored: jpeg (quality 95), or webp (quality 65) in a third of the bytes.",
            rich_help_panel=FILES,
        ),
    ] = EncodingName(DEFAULTS.encoding),
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            max=256,
            help="Threads that read and reduce photos.",
            show_default="one per core",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    seed: SeedOption = DEFAULTS.seed,
    quiet: QuietOption = False,
) -> None:
    """Turn photos into a set for training: reduced, screened, split, in shards.

    Grey, tinted, tiny, unreadable and duplicate photos are left out; the set's manifest.jsonl says which and why.
    """
    console = Console(quiet)
    options = PrepareOptions(
        size=size,
        classes=_parse_classes(classes),
        per_class=per_class,
        val_fraction=val_fraction,
        min_chroma=min_chroma,
        min_side=min_side,
        encoding=encoding.value,
        workers=workers or os.cpu_count() or 1,
        seed=seed,
        overwrite=overwrite,
    )
    console.note(f"Preparing a set in {output} ...")
    with watch_signals(_STOPPED) as watch:
        report = _prepare(console, sources, output, options, watch)
    console.result(f"kept: {report.kept['train']} for training, {report.kept['val']} for validation")
    for reason, count in report.left_out.items():
        console.result(f"left out, {reason}: {count}")
    if report.ignored:
        console.result(f"no photos, and so not counted: {report.ignored} other files, links or devices")
    console.note(f"The set is in {output}; its manifest.jsonl says what became of each photo.")
    console.note(f"Next: colorgan finetune --data {shlex.quote(str(output))} --from compact --loss bins")


def _prepare(
    console: Console, sources: list[Path], output: Path, options: PrepareOptions, watch: SignalWatch
) -> PrepareReport:
    """Write the set under a progress bar."""
    with console.bar("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("Looking for photos", total=None)
        with watch.leaving():  # torch takes seconds to load, and nothing is written yet
            from colorgan.data.prepare import prepare as prepare_set

        def progress(done: int, total: int | None) -> None:
            watch.check(_STOPPED)
            if total is not None:
                bar.update(task, completed=done, total=total, description="Preparing photos")

        return prepare_set(sources, output, options, progress)


def _parse_classes(text: str | None) -> int | tuple[str, ...] | None:
    if text is None:
        return None
    if text.strip().isdecimal():
        return int(text)
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    if not names:
        raise UsageError("--classes", f"{text!r} names none", "Give a number, or names with commas between.")
    return names
