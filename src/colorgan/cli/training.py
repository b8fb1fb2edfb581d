"""The commands `colorgan finetune` (stage 1) and `colorgan train` (stage 2), with their progress bar."""

from __future__ import annotations

import math
import os
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column

from colorgan.addresses import is_address, shown_address, whole_address
from colorgan.callbacks import TrainingStep
from colorgan.cli.callbacks import CommandCallbacks, watch_signals
from colorgan.cli.console import Console
from colorgan.cli.options import Given, Quiet, command
from colorgan.errors import Interrupted
from colorgan.options import FILES, Option
from colorgan.signals import SignalWatch
from colorgan.training.options import FinetuneOptions
from colorgan.training.train_options import TrainOptions

if TYPE_CHECKING:
    from colorgan.training.launch import TrainingResult
    from colorgan.training.options import RunOptions

_BAR_WIDTH = 16  # characters: at 80 columns this leaves room for time left, epoch, speed and a loss
_TRAIN_LOSSES = ("d_loss", "g_loss", "g_adversarial", "g_l1")  # terms of the loss for which the bar of `train` has room
Set = Annotated[
    Path, Option("The set that prepare wrote: its folder, or the address of a copy.", FILES, metavar="PATH")
]
Run = Annotated[Path, Option("The run folder: log, samples, weights, checkpoints.", FILES, metavar="PATH")]
Resume = Annotated[bool, Option("Continue the run in the run folder with its own options, except those given.", FILES)]
Overwrite = Annotated[bool, Option("Delete the run in the run folder and start again.", FILES)]


@command(FinetuneOptions, first="data start recipe max_minutes run resume")
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
    options = FinetuneOptions.from_recipe(given[FinetuneOptions])
    resumed = given[FinetuneOptions] if resume else None
    _run_with_bar("finetune", options, (data, run), resumed, overwrite, quiet)


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
    options = TrainOptions.from_recipe(given[TrainOptions])
    resumed = given[TrainOptions] if resume else None
    _run_with_bar("train", options, (data, run), resumed, overwrite, quiet, _TRAIN_LOSSES)


class TrainingBar(CommandCallbacks):
    """Shows a run's progress with the named terms of the loss, or all, and prints a line per validation."""

    def __init__(self, console: Console, watch: SignalWatch, losses: Sequence[str] = ()) -> None:
        super().__init__(console, watch)
        self.losses = losses
        text = TextColumn("{task.description}", table_column=Column(no_wrap=True))
        share = TextColumn("{task.percentage:>3.0f}%")
        self.bar = console.bar(BarColumn(_BAR_WIDTH), share, TimeRemainingColumn(), text)
        self._task: TaskID | None = None
        self._first: TrainingStep | None = None

    def on_step(self, step: TrainingStep) -> None:
        """Update the bar."""
        if self._task is None or self._first is None:
            self.download.close()
            self.bars.enter_context(self.bar)
            self._task, self._first = self.bar.add_task("", total=1.0), step
        seconds, photos = step.elapsed_s - self._first.elapsed_s, step.seen_photos - self._first.seen_photos
        rate = f"{photos / seconds:.0f} photos/s" if seconds > 0 else ""
        names = [name for name in self.losses if name in step.losses] or step.losses
        losses = [f"{name} {step.losses[name]:.4g}" for name in names]
        parts = [f"epoch {step.epoch}, batch {step.batch} of {step.batches}", rate, *losses]
        self.bar.update(self._task, completed=step.share, description=self._fitting(parts))

    def _fitting(self, parts: Sequence[str]) -> str:
        """Join the leading parts for which the terminal has room."""
        room = self.bar.console.width - _BAR_WIDTH - len("  100%  10:00:00  ")
        text, *rest = (part for part in parts if part)
        for part in rest:
            if len(text) + 2 + len(part) > room:
                break
            text += f"  {part}"
        return text[:room]

    def on_validation(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Print a validation's metrics."""
        when = f"epoch {epoch}" if epoch else "before training"
        known = defaultdict(lambda: math.nan, metrics)
        self.console.note(
            f"{when}: ab L1 {known['ab_l1']:.2f}, PSNR {known['psnr']:.2f} dB, "
            f"AuC {known['auc']:.2f}, rebalanced {known['auc_rebalanced']:.2f}, "
            f"colorfulness {known['cf_hs']:.1f} (true {known['cf_hs_truth']:.1f}) "
            f"on {known['photos']} photos",
            is_prose=True,
        )

    def on_end(self, lines: Sequence[str]) -> None:
        """Print the lines of the verdict."""
        for line in lines:
            self.console.note(line, is_prose=True)


def _is_primary() -> bool:
    """Whether this is the one process that prints, of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


def _run_with_bar(
    verb: Literal["finetune", "train"],
    options: RunOptions,
    places: tuple[Path, Path],
    given: Mapping[str, Any] | None,
    overwrite: bool,
    quiet: bool,
    losses: Sequence[str] = (),
) -> None:
    """Train with a progress bar that shows the named terms of the loss, or all, and print where the result is.

    The places are the set and the run folder. If `given` is not None, the run is resumed with its own options, updated
    by `given`, in place of `options`.
    """
    data, run = places
    named = whole_address(data.as_posix()) if is_address(data.as_posix()) else str(data)
    console = Console(quiet or not _is_primary())
    console.note(f"Training on the set {shown_address(named)}, with the run folder {run} ...")
    resume = f"Continue with: colorgan {verb} --resume --data {shlex.quote(shown_address(named))} --run {_quoted(run)}"
    with watch_signals(resume) as watch:
        with watch.exiting_at_once():  # torch takes seconds to load, and nothing is written yet
            from colorgan.training import verbs
            from colorgan.training.run_folder import resumable_options
        if given is not None:
            options = resumable_options(verb, type(options), run, given)
        try:
            with TrainingBar(console, watch, losses) as bar:
                result = getattr(verbs, verb)(data, run, options, overwrite=overwrite, callbacks=bar)
        except Interrupted as error:
            saved = os.path.exists(run / "run.json")
            advice = f"The run is saved. {resume}" if saved else "Nothing was saved; repeat the command to start over."
            raise Interrupted(error.exit_code - 128, advice) from error
    if _is_primary():
        _print_result(console, run, options.start, result)


def _print_result(console: Console, run: Path, start: str, result: TrainingResult) -> None:
    named = f"; its best weights are also in the cache as `{result.name}`" if result.name else ""
    console.note(f"The run is in {run}, with its report.html{named}.")
    console.result(str(result.weights))
    if result.verdict and result.verdict.outcome == "harmed":
        console.note(f"Use the model it started from: colorgan colorize PHOTOS -o out --model {shlex.quote(start)}")
    else:
        console.note(f"Use these weights: colorgan colorize PHOTOS -o out --model {_quoted(result.weights)}")


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
