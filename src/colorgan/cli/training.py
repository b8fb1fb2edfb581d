"""What the subcommands that train share: their options, each declared once, the bar, and who prints."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from colorgan.cli.console import Console
from colorgan.cli.options import FILES, RUNNING
from colorgan.training.options import RunOptions

if TYPE_CHECKING:
    from colorgan.metrics import Figures
    from colorgan.training.checkpoint import Position
    from colorgan.training.launch import Options, RunResult, Way

RECIPE, LENGTH, AUGMENTATION = "Recipe", "Length", "Augmentation"


class ScheduleName(str, Enum):
    """How the rate goes."""

    constant = "constant"
    cosine = "cosine"


class PrecisionName(str, Enum):
    """What the network computes in."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


DataOption = Annotated[Path, typer.Option("--data", help="The set that prepare wrote.", rich_help_panel=FILES)]
RunOption = Annotated[
    Path, typer.Option("--run", help="The run folder: log, samples, weights, checkpoints.", rich_help_panel=FILES)
]
ResumeOption = Annotated[
    bool,
    typer.Option("--resume", help="Go on with the run's own options where none is given.", rich_help_panel=FILES),
]
OverwriteRunOption = Annotated[
    bool,
    typer.Option("--overwrite", help="Remove the run in the run folder and start afresh.", rich_help_panel=FILES),
]
RebalanceOption = Annotated[
    float,
    typer.Option(
        "--rebalance",
        min=0,
        max=1,
        help="Strength of the rebalancing of the cross-entropy over the bins: 0 none, 1 full.",
        rich_help_panel=RECIPE,
    ),
]
LrOption = Annotated[
    float, typer.Option("--lr", min=1e-9, max=1, help="Adam's rate for the generator.", rich_help_panel=RECIPE)
]
WeightDecayOption = Annotated[
    float,
    typer.Option(
        "--weight-decay", min=0, max=1, help="Decoupled weight decay; 0 is plain Adam.", rich_help_panel=RECIPE
    ),
]
ClipNormOption = Annotated[
    float,
    typer.Option(
        "--clip-norm",
        min=0,
        help="Cut the norm of the generator's gradient to this; 0 leaves it.",
        rich_help_panel=RECIPE,
    ),
]
EmaOption = Annotated[
    float,
    typer.Option(
        "--ema", min=0, max=0.99999, help="Decay of the averaged weights; 0 for none.", rich_help_panel=RECIPE
    ),
]
ScheduleOption = Annotated[
    ScheduleName, typer.Option("--schedule", help="How the rate goes over the run.", rich_help_panel=RECIPE)
]
WarmupOption = Annotated[
    float,
    typer.Option(
        "--warmup", min=0, max=0.5, help="Share of the run in which the rate climbs from 0.", rich_help_panel=RECIPE
    ),
]
EpochsOption = Annotated[
    int, typer.Option("--epochs", min=1, help="Passes over the training photos, at most.", rich_help_panel=LENGTH)
]
MaxMinutesOption = Annotated[
    float,
    typer.Option("--max-minutes", min=0, help="Minutes of training, at most; 0 for no limit.", rich_help_panel=LENGTH),
]
PatienceOption = Annotated[
    int,
    typer.Option(
        "--patience",
        min=0,
        help="End after so many epochs without better validation figures; 0 goes on.",
        rich_help_panel=LENGTH,
    ),
]
BatchSizeOption = Annotated[
    int,
    typer.Option("--batch-size", min=1, help="Photos in a step, over all processes.", rich_help_panel=LENGTH),
]
SizeOption = Annotated[
    int, typer.Option("--size", min=16, max=1024, help="Side of the training squares, pixels.", rich_help_panel=LENGTH)
]
ValPhotosOption = Annotated[
    int, typer.Option("--val-photos", min=1, help="Validation photos, at most.", rich_help_panel=LENGTH)
]
LogEveryOption = Annotated[
    int, typer.Option("--log-every", min=1, help="Steps between lines of metrics.jsonl.", rich_help_panel=LENGTH)
]
CheckpointEveryOption = Annotated[
    int,
    typer.Option(
        "--checkpoint-every",
        min=0,
        help="Keep the checkpoint of every so many epochs for good.",
        rich_help_panel=LENGTH,
    ),
]
SaveMinutesOption = Annotated[
    float,
    typer.Option(
        "--save-minutes", min=0.01, help="Minutes between checkpoints inside an epoch.", rich_help_panel=LENGTH
    ),
]
FlipOption = Annotated[
    bool, typer.Option("--flip/--no-flip", help="Mirror half of the photos.", rich_help_panel=AUGMENTATION)
]
CropMinOption = Annotated[
    float,
    typer.Option(
        "--crop-min",
        min=0.1,
        max=1,
        help="Smallest share of the short side that a crop takes.",
        rich_help_panel=AUGMENTATION,
    ),
]
BrightnessOption = Annotated[
    float,
    typer.Option(
        "--brightness", min=0, max=50, help="The most that L is shifted by, 0..50.", rich_help_panel=AUGMENTATION
    ),
]
ContrastOption = Annotated[
    float,
    typer.Option(
        "--contrast", min=0, max=0.9, help="The most that L's contrast changes, share.", rich_help_panel=AUGMENTATION
    ),
]
AgedOption = Annotated[
    float,
    typer.Option(
        "--aged",
        min=0,
        max=1,
        help="Share of photos whose L is made to look old: faded, grainy, stained, seen by early film.",
        rich_help_panel=AUGMENTATION,
    ),
]
PrecisionOption = Annotated[
    PrecisionName,
    typer.Option(
        "--precision", help="auto takes bf16 where the device computes it in hardware.", rich_help_panel=RUNNING
    ),
]
CompileOption = Annotated[
    bool,
    typer.Option("--compile", help="Compile the networks first: minutes once, faster steps.", rich_help_panel=RUNNING),
]
TensorboardOption = Annotated[
    bool,
    typer.Option(
        "--tensorboard", help="Also write TensorBoard events (the extra tensorboard).", rich_help_panel=RUNNING
    ),
]
WorkersOption = Annotated[
    int,
    typer.Option(
        "--workers", min=0, help="Processes that decode photos; 0 for none of their own.", rich_help_panel=RUNNING
    ),
]


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
        self._loss = ""

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
        text = f"epoch {position.epoch}, batch {position.batch} of {batches}  {self._loss}  {rate}"
        self.bar.update(self.task, completed=share, description=text)

    def logged(self, terms: dict[str, float]) -> None:
        """Remember the loss for the bar."""
        self._loss = "  ".join(f"{name} {terms[name]:.4g}" for name in self.shown or terms)

    def validated(self, epoch: int, figures: Figures) -> None:
        """Print a validation's figures."""
        when = f"epoch {epoch}" if epoch else "before training"
        self.console.note(
            f"{when}: ab L1 {figures.ab_l1:.2f}, PSNR {figures.psnr:.2f} dB, "
            f"AuC {figures.auc:.2f}, rebalanced {figures.auc_rebalanced:.2f}, "
            f"colorfulness {figures.cf_hs:.1f} (true {figures.cf_hs_truth:.1f}) "
            f"on {figures.photos} photos"
        )

    def warned(self, text: str) -> None:
        """Print a warning."""
        self.console.warn(text)

    def judged(self, lines: Sequence[str]) -> None:
        """Print how the run went."""
        for line in lines:
            self.console.note(line)


def given_options(ctx: typer.Context, kind: type[RunOptions]) -> dict[str, Any]:
    """The training options that stand on the command line or in the environment, without the defaults."""
    names = [field.name for field in fields(kind)]
    sources = {name: ctx.get_parameter_source(name) for name in names}
    return {name: _plain(ctx.params[name]) for name, source in sources.items() if source and source.name != "DEFAULT"}


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else str(value) if isinstance(value, Path) else value


def run_with_bar(
    way: Way[Options], data: Path, run: Path, options: Options, quiet: bool, overwrite: bool, shown: Sequence[str] = ()
) -> None:
    """Train under a bar, and say where the result is.

    Args:
        way: of training.
        data: the set.
        run: the run folder.
        options: what decides the run.
        quiet: no progress and no notes.
        overwrite: start afresh.
        shown: the terms of the loss that the bar shows.
    """
    from colorgan.training.launch import launch

    leads = os.environ.get("RANK", "0") == "0"  # of several processes, which torchrun numbers, one prints
    console = Console(quiet or not leads)
    columns = (BarColumn(), TextColumn("{task.percentage:>3.0f}%  {task.description}"), TimeRemainingColumn())
    advice = (
        f"The run is saved. Go on with: colorgan {way.command} --resume --data {_quoted(data)} --run {_quoted(run)}"
    )
    with console.bar(*columns) as bar:
        result = launch(way, data, run, options, TrainingBar(console, bar, shown), advice, overwrite)
    if leads:
        _print_result(console, way.result, run, result)


def _print_result(console: Console, name: str, run: Path, result: RunResult) -> None:
    console.note(f"The run is in {run}, with its report.html; its best weights are also in the cache as `{name}`.")
    console.result(str(result.weights))
    console.note(f"Use them: colorgan colorize PHOTOS -o out --model {_quoted(result.weights)}")


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
