"""`colorgan finetune`: stage 1."""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from colorgan.cli.console import Console
from colorgan.cli.options import FILES, RUNNING, DeviceOption, QuietOption, SeedOption
from colorgan.training.options import FinetuneOptions

if TYPE_CHECKING:
    from colorgan.metrics import Figures
    from colorgan.training.checkpoint import Position

DEFAULTS = FinetuneOptions()
RECIPE, LENGTH, AUGMENTATION = "Recipe", "Length", "Augmentation"


class LossName(str, Enum):
    """The losses of `training/losses.py`."""

    mse = "mse"
    l1 = "l1"
    huber = "huber"
    bins = "bins"


class ScheduleName(str, Enum):
    """How the rate goes."""

    constant = "constant"
    cosine = "cosine"


class PrecisionName(str, Enum):
    """What the network computes in."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


class NetworkName(str, Enum):
    """The networks that can be built with fresh weights."""

    compact = "compact"
    eccv16 = "eccv16"


class TrainingBar:
    """Draws a run's progress, and prints a line per validation.

    Args:
        console: where to print.
        bar: drawn into while entered.
    """

    def __init__(self, console: Console, bar: Progress) -> None:
        self.console, self.bar = console, bar
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
        self._loss = "  ".join(f"{name} {value:.4g}" for name, value in terms.items())

    def validated(self, epoch: int, figures: Figures) -> None:
        """Print a validation's figures."""
        self.console.note(
            f"epoch {epoch}: ab L1 {figures.ab_l1:.2f}, PSNR {figures.psnr:.2f} dB, "
            f"AuC {figures.auc:.2f}, rebalanced {figures.auc_rebalanced:.2f}, "
            f"colorfulness {figures.cf_hs:.1f} (true {figures.cf_hs_truth:.1f}) "
            f"on {figures.photos} photos"
        )

    def warned(self, text: str) -> None:
        """Print a warning."""
        self.console.warn(text)


def _given(ctx: typer.Context) -> dict[str, Any]:
    """The training options that stand on the command line or in the environment, without the defaults."""
    names = [field.name for field in fields(FinetuneOptions)]
    sources = {name: ctx.get_parameter_source(name) for name in names}
    return {name: _plain(ctx.params[name]) for name, source in sources.items() if source and source.name != "DEFAULT"}


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def finetune(
    ctx: typer.Context,
    data: Annotated[Path, typer.Option("--data", help="The set that prepare wrote.", rich_help_panel=FILES)] = Path(
        "data"
    ),
    run: Annotated[
        Path, typer.Option("--run", help="The run folder: log, samples, weights, checkpoints.", rich_help_panel=FILES)
    ] = Path("runs/finetune"),
    start: Annotated[
        str,
        typer.Option("--from", help="The model to start from: a name, a path, or scratch.", rich_help_panel=FILES),
    ] = DEFAULTS.start,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the run's own options where none is given.", rich_help_panel=FILES),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Remove the run in the run folder and start afresh.", rich_help_panel=FILES),
    ] = False,
    network: Annotated[
        NetworkName, typer.Option(help="The network that --from scratch builds.", rich_help_panel=RECIPE)
    ] = NetworkName(DEFAULTS.network),
    loss: Annotated[
        LossName,
        typer.Option(
            help="mse, l1 and huber compare ab; bins is the class-rebalanced cross-entropy over the 313 bins.",
            rich_help_panel=RECIPE,
        ),
    ] = LossName(DEFAULTS.loss),
    rebalance: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Strength of the bins loss's rebalancing: 0 none, 1 full.", rich_help_panel=RECIPE
        ),
    ] = DEFAULTS.rebalance,
    lr: Annotated[float, typer.Option(min=1e-9, max=1, help="Adam's rate.", rich_help_panel=RECIPE)] = DEFAULTS.lr,
    weight_decay: Annotated[
        float, typer.Option(min=0, max=1, help="Decoupled weight decay; 0 is plain Adam.", rich_help_panel=RECIPE)
    ] = DEFAULTS.weight_decay,
    clip_norm: Annotated[
        float, typer.Option(min=0, help="Cut the gradient's norm to this; 0 leaves it.", rich_help_panel=RECIPE)
    ] = DEFAULTS.clip_norm,
    ema: Annotated[
        float,
        typer.Option(min=0, max=0.99999, help="Decay of the averaged weights; 0 for none.", rich_help_panel=RECIPE),
    ] = DEFAULTS.ema,
    schedule: Annotated[
        ScheduleName, typer.Option(help="How the rate goes over the run.", rich_help_panel=RECIPE)
    ] = ScheduleName(DEFAULTS.schedule),
    warmup: Annotated[
        float,
        typer.Option(min=0, max=0.5, help="Share of the run in which the rate climbs from 0.", rich_help_panel=RECIPE),
    ] = DEFAULTS.warmup,
    epochs: Annotated[
        int, typer.Option(min=1, help="Passes over the training photos, at most.", rich_help_panel=LENGTH)
    ] = DEFAULTS.epochs,
    max_minutes: Annotated[
        float, typer.Option(min=0, help="Minutes of training, at most; 0 for no limit.", rich_help_panel=LENGTH)
    ] = DEFAULTS.max_minutes,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Photos in a step.", rich_help_panel=LENGTH)
    ] = DEFAULTS.batch_size,
    size: Annotated[
        int, typer.Option(min=16, max=1024, help="Side of the training squares, pixels.", rich_help_panel=LENGTH)
    ] = DEFAULTS.size,
    val_photos: Annotated[
        int, typer.Option(min=1, help="Validation photos, at most.", rich_help_panel=LENGTH)
    ] = DEFAULTS.val_photos,
    log_every: Annotated[
        int, typer.Option(min=1, help="Steps between lines of metrics.jsonl.", rich_help_panel=LENGTH)
    ] = DEFAULTS.log_every,
    checkpoint_every: Annotated[
        int,
        typer.Option(min=0, help="Keep the checkpoint of every so many epochs for good.", rich_help_panel=LENGTH),
    ] = DEFAULTS.checkpoint_every,
    save_minutes: Annotated[
        float, typer.Option(min=0.01, help="Minutes between checkpoints inside an epoch.", rich_help_panel=LENGTH)
    ] = DEFAULTS.save_minutes,
    flip: Annotated[
        bool, typer.Option("--flip/--no-flip", help="Mirror half of the photos.", rich_help_panel=AUGMENTATION)
    ] = DEFAULTS.flip,
    crop_min: Annotated[
        float,
        typer.Option(
            min=0.1, max=1, help="Smallest share of the short side that a crop takes.", rich_help_panel=AUGMENTATION
        ),
    ] = DEFAULTS.crop_min,
    brightness: Annotated[
        float,
        typer.Option(min=0, max=50, help="The most that L is shifted by, 0..50.", rich_help_panel=AUGMENTATION),
    ] = DEFAULTS.brightness,
    contrast: Annotated[
        float,
        typer.Option(min=0, max=0.9, help="The most that L's contrast changes, share.", rich_help_panel=AUGMENTATION),
    ] = DEFAULTS.contrast,
    aged: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Share of photos whose L is made to look old: faded, grainy, stained, seen by early film.",
            rich_help_panel=AUGMENTATION,
        ),
    ] = DEFAULTS.aged,
    precision: Annotated[
        PrecisionName,
        typer.Option(help="auto takes bf16 where the device computes it in hardware.", rich_help_panel=RUNNING),
    ] = PrecisionName(DEFAULTS.precision),
    device: DeviceOption = DEFAULTS.device,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that decode photos; 0 for none of their own.", rich_help_panel=RUNNING)
    ] = DEFAULTS.workers,
    seed: SeedOption = DEFAULTS.seed,
    quiet: QuietOption = False,
) -> None:
    """Stage 1: train a model on your own photos, supervised by their true colours.

    The same command again goes on where it was stopped. The defaults are the published recipe: every layer, mean
    squared error on ab, Adam.
    """
    from colorgan.training.finetune import finetune as train
    from colorgan.training.finetune import resumable_options

    console = Console(quiet)
    given = _given(ctx)
    options = resumable_options(run, given) if resume else FinetuneOptions(**given)
    columns = (BarColumn(), TextColumn("{task.percentage:>3.0f}%  {task.description}"), TimeRemainingColumn())
    advice = f"The run is saved. Go on with: colorgan finetune --resume --data {_quoted(data)} --run {_quoted(run)}"
    with console.bar(*columns) as bar:
        result = train(data, run, options, TrainingBar(console, bar), advice, overwrite)
    console.note(f"The run is in {run}; its best weights are also in the cache as `finetuned`.")
    console.result(str(result.weights))
    console.note(f"Use them: colorgan colorize PHOTOS -o out --model {_quoted(result.weights)}")


def _quoted(path: Path) -> str:
    import shlex

    return shlex.quote(str(path))
