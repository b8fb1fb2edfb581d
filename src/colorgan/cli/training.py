"""`colorgan finetune` and `colorgan train`: stage 1, and stage 2, each under a bar."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column

from colorgan.cli.console import Console
from colorgan.cli.options import Given, Quiet, command
from colorgan.options import FILES, Option
from colorgan.training.options import FinetuneOptions, TrainOptions, from_recipe

if TYPE_CHECKING:
    from colorgan.metrics import MetricValues
    from colorgan.training.checkpoint import Position
    from colorgan.training.launch import RunResult
    from colorgan.training.options import Options
    from colorgan.training.task import TrainingTask

_BAR_WIDTH = 16  # characters: at 80 columns time left, epoch, speed and a loss stand beside it
_SHOWN = ("d_loss", "g_loss", "g_adversarial", "g_l1")  # terms of the loss for which the bar of `train` has room
Set = Annotated[Path, Option("The set that prepare wrote.", FILES, metavar="PATH")]
Run = Annotated[Path, Option("The run folder: log, samples, weights, checkpoints.", FILES, metavar="PATH")]
Resume = Annotated[bool, Option("Go on with the run's own options where none is given.", FILES)]
Overwrite = Annotated[bool, Option("Remove the run in the run folder and start afresh.", FILES)]


@command(FinetuneOptions, first="data start loss max_minutes run resume")
def finetune(
    given: Given,
    data: Set = Path("data"),
    run: Run = Path("runs/finetune"),
    resume: Resume = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Stage 1: train a model on your own photos, supervised by their true colors.

    The same command again goes on where it was stopped. The defaults start from the bundled model.
    """
    options = from_recipe(FinetuneOptions, given[FinetuneOptions])
    console = _console(data, run, quiet)
    from colorgan.training.finetune_task import FINETUNE
    from colorgan.training.launch import resumable_options

    if resume:
        options = resumable_options(FINETUNE, run, given[FinetuneOptions])
    _run_with_bar(console, FINETUNE, data, run, options, overwrite)


@command(TrainOptions, first="data start recipe max_minutes run resume")
def train(
    given: Given,
    data: Set = Path("data"),
    run: Run = Path("runs/train"),
    resume: Resume = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Stage 2: train a model on, against a discriminator that learns to tell its colors from true ones.

    The same command again goes on where it was stopped. The defaults are the published recipe; --recipe balanced is
    the one to take for results.
    """
    options = from_recipe(TrainOptions, given[TrainOptions])
    console = _console(data, run, quiet)
    from colorgan.training.launch import resumable_options
    from colorgan.training.train_task import TRAIN

    if resume:
        options = resumable_options(TRAIN, run, given[TrainOptions])
    _run_with_bar(console, TRAIN, data, run, options, overwrite, _SHOWN)


class TrainingBar:
    """Draws a run's progress, and prints a line per validation.

    Args:
        console: where to print.
        bar: drawn into while entered.
        shown: the terms of the loss that the bar has room for; empty for all.
    """

    def __init__(self, console: Console, bar: Progress, shown: Sequence[str] = ()) -> None:
        self.console, self.bar, self.shown = console, bar, shown
        self.task: TaskID | None = None
        self._first: tuple[float, int] | None = None
        self._losses: list[str] = []

    def fetching(self, received: int, total: int | None) -> None:
        """Show a download, from the moment when there is one."""
        if self.task is None:
            self.console.note("Fetching published weights, once for all ...")
            self.task = self.bar.add_task("", total=1.0)
        share, whole = (received / total, f" of {total / 1e6:.0f}") if total else (None, "")
        self.bar.update(self.task, completed=share, description=f"fetching weights: {received / 1e6:.0f}{whole} MB")

    def progressed(self, position: Position, batches: int, share: float) -> None:
        """Move the bar on."""
        if self.task is None:
            self.task = self.bar.add_task("", total=1.0)
        if self._first is None:
            self._first = (position.elapsed_s, position.seen_photos)
        seconds, photos = position.elapsed_s - self._first[0], position.seen_photos - self._first[1]
        rate = f"{photos / seconds:.0f} photos/s" if seconds > 0 else ""
        parts = [f"epoch {position.epoch}, batch {position.batch} of {batches}", rate, *self._losses]
        self.bar.update(self.task, completed=share, description=self._fitting(parts))

    def _fitting(self, parts: Sequence[str]) -> str:
        """As many of the parts as there is room for, from the first on."""
        room = self.bar.console.width - _BAR_WIDTH - len("  100%  10:00:00  ")
        text, *rest = (part for part in parts if part)
        for part in rest:
            if len(text) + 2 + len(part) > room:
                break
            text += f"  {part}"
        return text[:room]

    def logged(self, terms: dict[str, float]) -> None:
        """Remember the loss for the bar."""
        shown = [name for name in self.shown if name in terms] or terms
        self._losses = [f"{name} {terms[name]:.4g}" for name in shown]

    def validated(self, epoch: int, figures: MetricValues) -> None:
        """Print a validation's figures."""
        when = f"epoch {epoch}" if epoch else "before training"
        self.console.note(
            f"{when}: ab L1 {figures['ab_l1']:.2f}, PSNR {figures['psnr']:.2f} dB, "
            f"AuC {figures['auc']:.2f}, rebalanced {figures['auc_rebalanced']:.2f}, "
            f"colorfulness {figures['cf_hs']:.1f} (true {figures['cf_hs_truth']:.1f}) "
            f"on {figures.photos} photos"
        )

    def warned(self, text: str) -> None:
        """Print a warning."""
        self.console.warn(text)

    def judged(self, lines: Sequence[str]) -> None:
        """Print how the run went."""
        for line in lines:
            self.console.note(line)


def _console(data: Path, run: Path, quiet: bool) -> Console:
    """Where a training prints; it says at once what is begun, since torch takes seconds to load.

    Args:
        data: the set.
        run: the run folder.
        quiet: no progress and no notes.
    """
    console = Console(quiet or not _leads())
    console.note(f"Training on the set {data}, with the run folder {run} ...")
    return console


def _leads() -> bool:
    """Whether this is the one process that prints, of several that torchrun numbers."""
    return os.environ.get("RANK", "0") == "0"


def _run_with_bar(
    console: Console,
    task: TrainingTask[Options],
    data: Path,
    run: Path,
    options: Options,
    overwrite: bool,
    shown: Sequence[str] = (),
) -> None:
    """Train under a bar, and say where the result is.

    Args:
        console: where to print.
        task: the way of training.
        data: the set.
        run: the run folder.
        options: what decides the run.
        overwrite: start afresh.
        shown: the terms of the loss that the bar shows; empty for all.
    """
    from colorgan.training.launch import launch

    advice = (
        f"The run is saved. Go on with: colorgan {task.command} --resume --data {_quoted(data)} --run {_quoted(run)}"
    )
    with _bar(console) as bar:
        result = launch(task, data, run, options, TrainingBar(console, bar, shown), advice, overwrite)
    if _leads():
        _print_result(console, task.result, run, options.start, result)


def _bar(console: Console) -> Progress:
    text = TextColumn("{task.description}", table_column=Column(no_wrap=True))
    return console.bar(BarColumn(_BAR_WIDTH), TextColumn("{task.percentage:>3.0f}%"), TimeRemainingColumn(), text)


def _print_result(console: Console, name: str, run: Path, start: str, result: RunResult) -> None:
    named = f"; its best weights are also in the cache as `{name}`" if result.is_named else ""
    console.note(f"The run is in {run}, with its report.html{named}.")
    console.result(str(result.weights))
    if result.verdict and result.verdict.outcome == "harmed":
        console.note(f"Use what it started from: colorgan colorize PHOTOS -o out --model {shlex.quote(start)}")
    else:
        console.note(f"Use them: colorgan colorize PHOTOS -o out --model {_quoted(result.weights)}")


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
