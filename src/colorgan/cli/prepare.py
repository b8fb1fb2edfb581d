"""`colorgan prepare`: from photos to a set that `finetune` trains on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

from colorgan.callbacks import Callbacks
from colorgan.cli.console import Console
from colorgan.cli.interrupts import watch_signals
from colorgan.cli.options import Given, Quiet, command, given_path
from colorgan.data.options import RESTART_ADVICE, PrepareOptions
from colorgan.options import FILES, Option
from colorgan.signals import SignalWatch

if TYPE_CHECKING:
    from colorgan.data.prepare import PrepareReport


@command(PrepareOptions, first="output size classes val_fraction min_chroma overwrite")
def prepare(
    given: Given,
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE",
            parser=given_path,
            help="Folders of photos, .tar files (also a tar of class tars), .zip files.",
        ),
    ],
    output: Annotated[Path, Option("The set's folder.", FILES, flags="--output -o")] = Path("data"),
    quiet: Quiet = False,
) -> None:
    """Turn photos into a set for training: reduced, screened, split, in shards.

    Gray, toned, tiny, unreadable and duplicate photos are left out; the set's manifest.jsonl says which and why.
    """
    options = PrepareOptions(**given[PrepareOptions])
    console = Console(quiet)
    console.note(f"Preparing a set in {output} ...")
    with watch_signals(RESTART_ADVICE) as watch:
        report = _prepare(console, sources, output, options, watch)
    console.result(f"kept: {report.kept['train']} for training, {report.kept['val']} for validation")
    for reason, count in report.left_out.items():
        console.result(f"left out, {reason}: {count}")
    if report.ignored:
        console.result(f"no photos, and so not counted: {report.ignored} other files, links or devices")
    console.note(f"The set is in {output}; its manifest.jsonl says what became of each photo.")
    console.note(f"Next: colorgan finetune --data {shlex.quote(str(output))}")


def _prepare(
    console: Console, sources: list[Path], output: Path, options: PrepareOptions, watch: SignalWatch
) -> PrepareReport:
    """Write the set under a progress bar."""
    with console.bar("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as bar:
        task = bar.add_task("Looking for photos", total=None)
        with watch.exiting_at_once():  # torch takes seconds to load, and nothing is written yet
            from colorgan.data.prepare import prepare as prepare_set

        class Bar(Callbacks):
            def on_progress(self, done: int, total: int) -> None:
                bar.update(task, completed=done, total=total, description="Preparing photos")

            def should_stop(self) -> int | None:
                return watch.received

        return prepare_set(sources, output, options, callbacks=Bar())
