"""The command `colorgan prepare`: makes a set of photos for training."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from colorgan.cli.callbacks import BarCallbacks, watch_signals
from colorgan.cli.console import Console
from colorgan.cli.options import Given, Quiet, command, given_path
from colorgan.data.options import RESTART_ADVICE, PrepareOptions
from colorgan.options import FILES, Option


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

    Gray, toned, tiny, unreadable and duplicate photos are left out, as are those that colorgan colored; the set's
    manifest.jsonl says which and why.
    """
    options = PrepareOptions(**given[PrepareOptions])
    console = Console(quiet)
    console.note(f"Preparing a set in {output} ...")
    with watch_signals(RESTART_ADVICE) as watch:
        with watch.exiting_at_once():  # torch takes seconds to load, and nothing is written yet
            from colorgan.data.prepare import prepare as prepare_set

        with BarCallbacks(console, watch, "Preparing photos", "Looking for photos") as callbacks:
            report = prepare_set(sources, output, options, callbacks=callbacks)
    console.result(f"kept: {report.kept['train']} for training, {report.kept['val']} for validation")
    for reason, count in report.left_out.items():
        console.result(f"left out, {reason}: {count}")
    if report.ignored:
        console.result(f"ignored: {report.ignored} other files, links or devices")
    console.note(f"The set is in {output}; its manifest.jsonl lists the outcome of each photo.")
    console.note(f"Next: colorgan finetune --data {shlex.quote(str(output))}")
