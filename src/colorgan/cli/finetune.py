"""`colorgan finetune`: stage 1."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from colorgan.cli.completion import complete_start
from colorgan.cli.options import FILES, DeviceOption, QuietOption, SeedOption
from colorgan.cli.training import run_with_bar, training_console
from colorgan.cli.training_options import (
    RECIPE,
    AgedOption,
    BatchSizeOption,
    BrightnessOption,
    CacheName,
    CacheOption,
    CheckpointEveryOption,
    ClipNormOption,
    CompileOption,
    ContrastOption,
    CropMinOption,
    DataOption,
    EmaOption,
    EncoderLrOption,
    EpochsOption,
    FlipOption,
    FreezeEncoderOption,
    LogEveryOption,
    LrOption,
    MaxMinutesOption,
    OverwriteRunOption,
    PatienceOption,
    PrecisionName,
    PrecisionOption,
    RebalanceOption,
    ResumeOption,
    RunOption,
    SaveMinutesOption,
    ScheduleName,
    ScheduleOption,
    SizeMinOption,
    SizeOption,
    TensorboardOption,
    ValidateEveryOption,
    ValPhotosOption,
    WarmupOption,
    WeightDecayOption,
    WeightsOption,
    WorkersOption,
    given_options,
)
from colorgan.training.options import FinetuneOptions

DEFAULTS = FinetuneOptions()


class LossName(str, Enum):
    """The losses of `training/losses.py`."""

    mse = "mse"
    l1 = "l1"
    huber = "huber"
    bins = "bins"


class NetworkName(str, Enum):
    """The networks that can be built with fresh weights."""

    liteunet = "liteunet"
    compact = "compact"
    eccv16 = "eccv16"


def finetune(
    ctx: typer.Context,
    data: DataOption = Path("data"),
    run: RunOption = Path("runs/finetune"),
    start: Annotated[
        str,
        typer.Option(
            "--from",
            autocompletion=complete_start,
            help="The model to start from: a name, a path, or scratch.",
            rich_help_panel=FILES,
        ),
    ] = DEFAULTS.start,
    resume: ResumeOption = False,
    overwrite: OverwriteRunOption = False,
    network: Annotated[
        NetworkName, typer.Option(help="The network that --from scratch builds.", rich_help_panel=RECIPE)
    ] = NetworkName(DEFAULTS.network),
    encoder: Annotated[
        str,
        typer.Option(
            "--encoder",
            metavar="PATH",
            help="A published EfficientNet-Lite .pth that --from scratch takes the encoder from.",
            show_default="none",
            rich_help_panel=RECIPE,
        ),
    ] = DEFAULTS.encoder,
    loss: Annotated[
        LossName,
        typer.Option(
            help="mse, l1 and huber compare ab; bins is the class-rebalanced cross-entropy over the 313 bins.",
            rich_help_panel=RECIPE,
        ),
    ] = LossName(DEFAULTS.loss),
    rebalance: RebalanceOption = DEFAULTS.rebalance,
    hints: Annotated[
        bool,
        typer.Option(
            "--hints",
            help="Train the branch that takes a user's hints, and leave every other weight as it is.",
            rich_help_panel=RECIPE,
        ),
    ] = DEFAULTS.hints,
    lr: LrOption = DEFAULTS.lr,
    encoder_lr: EncoderLrOption = DEFAULTS.encoder_lr,
    freeze_encoder: FreezeEncoderOption = DEFAULTS.freeze_encoder,
    weight_decay: WeightDecayOption = DEFAULTS.weight_decay,
    clip_norm: ClipNormOption = DEFAULTS.clip_norm,
    ema: EmaOption = DEFAULTS.ema,
    schedule: ScheduleOption = ScheduleName(DEFAULTS.schedule),
    warmup: WarmupOption = DEFAULTS.warmup,
    epochs: EpochsOption = DEFAULTS.epochs,
    max_minutes: MaxMinutesOption = DEFAULTS.max_minutes,
    patience: PatienceOption = DEFAULTS.patience,
    batch_size: BatchSizeOption = DEFAULTS.batch_size,
    size: SizeOption = DEFAULTS.size,
    size_min: SizeMinOption = DEFAULTS.size_min,
    weights: WeightsOption = [],  # noqa: B006
    validate_every: ValidateEveryOption = DEFAULTS.validate_every,
    val_photos: ValPhotosOption = DEFAULTS.val_photos,
    log_every: LogEveryOption = DEFAULTS.log_every,
    checkpoint_every: CheckpointEveryOption = DEFAULTS.checkpoint_every,
    save_minutes: SaveMinutesOption = DEFAULTS.save_minutes,
    flip: FlipOption = DEFAULTS.flip,
    crop_min: CropMinOption = DEFAULTS.crop_min,
    brightness: BrightnessOption = DEFAULTS.brightness,
    contrast: ContrastOption = DEFAULTS.contrast,
    aged: AgedOption = DEFAULTS.aged,
    precision: PrecisionOption = PrecisionName(DEFAULTS.precision),
    compile: CompileOption = DEFAULTS.compile,  # noqa: A002
    tensorboard: TensorboardOption = DEFAULTS.tensorboard,
    device: DeviceOption = DEFAULTS.device,
    cache: CacheOption = CacheName(DEFAULTS.cache),
    workers: WorkersOption = DEFAULTS.workers,
    seed: SeedOption = DEFAULTS.seed,
    quiet: QuietOption = False,
) -> None:
    """Stage 1: train a model on your own photos, supervised by their true colours.

    The same command again goes on where it was stopped. The defaults are the published recipe: every layer, mean
    squared error on ab, Adam.
    """
    console = training_console(data, run, quiet)
    from colorgan.training.finetune import FINETUNE
    from colorgan.training.launch import resumable_options

    given = given_options(ctx, FinetuneOptions)
    options = resumable_options(FINETUNE, run, given) if resume else FinetuneOptions(**given)
    run_with_bar(console, FINETUNE, data, run, options, overwrite)
