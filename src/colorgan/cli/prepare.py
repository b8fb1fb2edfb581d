"""`colorgan prepare`: from photos to a set that `finetune` trains on."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

from colorgan.cli.console import Console
from colorgan.cli.options import FILES, RUNNING, QuietOption, SeedOption
from colorgan.errors import Interrupted, UsageError

CHOICE = "Choice of photos"


def prepare(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...", help="Folders of photos, .tar files (also a tar of class tars), .zip files."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The set's folder.", rich_help_panel=FILES)] = Path(
        "data"
    ),
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
    ] = 256,
    min_side: Annotated[
        int,
        typer.Option(
            "--min-side", min=8, help="Pixels: photos with a shorter side are left out.", rich_help_panel=CHOICE
        ),
    ] = 64,
    min_chroma: Annotated[
        float,
        typer.Option(
            "--min-chroma",
            min=0.0,
            help="Lab units: photos whose mean chroma is below are grey and left out; 0 keeps grey and tinted ones.",
            rich_help_panel=CHOICE,
        ),
    ] = 2.0,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="N|NAMES",
            help="Class folders to keep: a number, chosen by the seed, or names with commas between. Default: all.",
            rich_help_panel=CHOICE,
        ),
    ] = None,
    per_class: Annotated[
        int | None,
        typer.Option(
            "--per-class", min=1, help="Photos to keep of each class at most. Default: all.", rich_help_panel=CHOICE
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
    ] = 0.05,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=1,
            max=256,
            help="Threads that read and reduce photos. Default: one per core.",
            rich_help_panel=RUNNING,
        ),
    ] = None,
    seed: SeedOption = 0,
    quiet: QuietOption = False,
) -> None:
    """Turn photos into a set for training: reduced, screened, split, in shards.

    Grey, tinted, tiny, unreadable and duplicate photos are left out; the set's manifest.jsonl says which and why.
    """
    console = Console(quiet)
    chosen = _parse_classes(classes)
    signal.signal(signal.SIGTERM, _stop)
    try:
        with console.bar("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
            task = bar.add_task("Looking for photos", total=None)
            from colorgan.data.prepare import PrepareOptions
            from colorgan.data.prepare import prepare as prepare_set

            options = PrepareOptions(
                size=size,
                classes=chosen,
                per_class=per_class,
                val_fraction=val_fraction,
                min_chroma=min_chroma,
                min_side=min_side,
                workers=workers or os.cpu_count() or 1,
                seed=seed,
                overwrite=overwrite,
            )
            report = prepare_set(
                sources,
                output,
                options,
                lambda done, total: bar.update(task, completed=done, total=total, description="Preparing photos"),
            )
    except KeyboardInterrupt as error:
        raise Interrupted(signal.SIGINT, "Nothing was written; the same command starts anew.") from error
    console.result(f"kept: {report.kept['train']} for training, {report.kept['val']} for validation")
    for reason, count in report.left_out.items():
        console.result(f"left out, {reason}: {count}")
    if report.ignored:
        console.result(f"no photos: {report.ignored} other files, links or devices")
    console.note(f"The set is in {output}; its manifest.jsonl says what became of each photo.")
    console.note(f"Next: colorgan finetune --data {output}")


def _stop(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number, "Nothing was written; the same command starts anew.")


def _parse_classes(text: str | None) -> int | tuple[str, ...] | None:
    if text is None:
        return None
    if text.strip().isdecimal():
        return int(text)
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    if not names:
        raise UsageError("--classes", f"{text!r} names none", "Give a number, or names with commas between.")
    return names
