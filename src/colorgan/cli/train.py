"""`colorgan train`: stage 2, the adversarial one."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from colorgan.cli.completion import complete_model
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
    DropLastOption,
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
from colorgan.training.options import TrainOptions, from_recipe

DEFAULTS = TrainOptions()
LOSSES, DISCRIMINATOR = "Losses", "Discriminator"
_SHOWN = ("d_loss", "g_loss", "g_adversarial", "g_l1")


class RecipeName(str, Enum):
    """The keys of `TrainOptions.recipes`."""

    report = "report"
    balanced = "balanced"


class AdversarialName(str, Enum):
    """The adversarial losses of `training/adversarial.py`."""

    bce = "bce"
    hinge = "hinge"
    lsgan = "lsgan"
    relativistic = "relativistic"


class PerceptualName(str, Enum):
    """The networks whose features the perceptual term compares."""

    vgg19 = "vgg19"
    encoder = "encoder"


class DiscriminatorNorm(str, Enum):
    """The norms of `networks/patchgan.py`."""

    batch = "batch"
    instance = "instance"
    spectral = "spectral"


class GeneratorNorm(str, Enum):
    """What the generator's batch norms do."""

    train = "train"
    frozen = "frozen"


def _weight(name: str, of: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        f"--lambda-{name}", min=0, help=f"Weight of {of}; 0 leaves it out.", rich_help_panel=LOSSES
    )
    return option


def train(
    ctx: typer.Context,
    data: DataOption = Path("data"),
    run: RunOption = Path("runs/train"),
    start: Annotated[
        str,
        typer.Option(
            "--from",
            autocompletion=complete_model,
            help="The model to start from: a name or a path.",
            rich_help_panel=FILES,
        ),
    ] = DEFAULTS.start,
    start_discriminator: Annotated[
        str,
        typer.Option(
            "--from-discriminator",
            help="A run's weights/discriminator.safetensors to start from.",
            show_default="a fresh one",
            rich_help_panel=FILES,
        ),
    ] = DEFAULTS.start_discriminator,
    vgg_weights: Annotated[
        str,
        typer.Option(
            "--vgg-weights",
            help="A local file of VGG19's weights.",
            show_default="fetched once",
            rich_help_panel=FILES,
        ),
    ] = DEFAULTS.vgg_weights,
    encoder: Annotated[
        str,
        typer.Option(
            "--encoder",
            metavar="PATH",
            help="A published EfficientNet-Lite .pth, for --perceptual-network encoder.",
            show_default="none",
            rich_help_panel=FILES,
        ),
    ] = DEFAULTS.encoder,
    resume: ResumeOption = False,
    overwrite: OverwriteRunOption = False,
    recipe: Annotated[
        RecipeName,
        typer.Option(
            help="report is the published run, and what the defaults shown here are; balanced keeps the discriminator "
            "from winning. Options that are given go before the recipe's.",
            rich_help_panel=RECIPE,
        ),
    ] = RecipeName(DEFAULTS.recipe),
    lr: LrOption = DEFAULTS.lr,
    d_lr: Annotated[
        float,
        typer.Option("--d-lr", min=1e-9, max=1, help="Adam's rate for the discriminator.", rich_help_panel=RECIPE),
    ] = DEFAULTS.d_lr,
    beta1: Annotated[
        float,
        typer.Option(
            "--beta1", min=0, max=0.9999, help="Decay of Adam's average of the gradient.", rich_help_panel=RECIPE
        ),
    ] = DEFAULTS.beta1,
    beta2: Annotated[
        float,
        typer.Option(
            "--beta2", min=0, max=0.99999, help="Decay of Adam's average of its square.", rich_help_panel=RECIPE
        ),
    ] = DEFAULTS.beta2,
    encoder_lr: EncoderLrOption = DEFAULTS.encoder_lr,
    freeze_encoder: FreezeEncoderOption = DEFAULTS.freeze_encoder,
    weight_decay: WeightDecayOption = DEFAULTS.weight_decay,
    clip_norm: ClipNormOption = DEFAULTS.clip_norm,
    ema: EmaOption = DEFAULTS.ema,
    schedule: ScheduleOption = ScheduleName(DEFAULTS.schedule),
    warmup: WarmupOption = DEFAULTS.warmup,
    g_norm: Annotated[
        GeneratorNorm,
        typer.Option(
            help="The generator's batch norms: train on each batch's statistics, or frozen at those it came with.",
            rich_help_panel=RECIPE,
        ),
    ] = GeneratorNorm(DEFAULTS.g_norm),
    g_twice: Annotated[
        bool,
        typer.Option(
            "--g-twice/--g-once",
            help="Run the generator anew for its own step, as the published run does: its batch norms see each batch "
            "twice.",
            rich_help_panel=RECIPE,
        ),
    ] = DEFAULTS.g_twice,
    adversarial: Annotated[
        AdversarialName,
        typer.Option(
            help="Cross-entropy, hinge, least squares, or relativistic: each generated patch beside the true one.",
            rich_help_panel=LOSSES,
        ),
    ] = AdversarialName(DEFAULTS.adversarial),
    lambda_adversarial: Annotated[
        float, _weight("adversarial", "fooling the discriminator")
    ] = DEFAULTS.lambda_adversarial,
    lambda_l1: Annotated[float, _weight("l1", "the ab difference, Lab units")] = DEFAULTS.lambda_l1,
    lambda_perceptual: Annotated[
        float, _weight("perceptual", "the difference of a frozen network's features")
    ] = DEFAULTS.lambda_perceptual,
    perceptual_network: Annotated[
        PerceptualName,
        typer.Option(
            help="That network: VGG19 (548 MB), or the EfficientNet-Lite that --encoder names.", rich_help_panel=LOSSES
        ),
    ] = PerceptualName(DEFAULTS.perceptual_network),
    lambda_saturation: Annotated[
        float, _weight("saturation", "chroma above the true one, Lab units, grey pixels most")
    ] = DEFAULTS.lambda_saturation,
    lambda_bins: Annotated[float, _weight("bins", "the cross-entropy over the 313 bins")] = DEFAULTS.lambda_bins,
    rebalance: RebalanceOption = DEFAULTS.rebalance,
    d_norm: Annotated[
        DiscriminatorNorm, typer.Option(help="The discriminator's norm.", rich_help_panel=DISCRIMINATOR)
    ] = DiscriminatorNorm(DEFAULTS.d_norm),
    real_label: Annotated[
        float,
        typer.Option(
            min=0.5,
            max=1,
            help="What it is to say of true colours; 0.9 is one-sided label smoothing. Not for relativistic.",
            rich_help_panel=DISCRIMINATOR,
        ),
    ] = DEFAULTS.real_label,
    r1: Annotated[
        float,
        typer.Option(
            "--r1",
            min=0,
            help="Weight of the gradient penalty on true photos (R1); 0 for none.",
            rich_help_panel=DISCRIMINATOR,
        ),
    ] = DEFAULTS.r1,
    r2: Annotated[
        float,
        typer.Option(
            "--r2",
            min=0,
            help="Weight of the gradient penalty on generated photos (R2); 0 for none.",
            rich_help_panel=DISCRIMINATOR,
        ),
    ] = DEFAULTS.r2,
    d_target_accuracy: Annotated[
        float,
        typer.Option(
            min=0.5,
            max=1,
            help="It rests while its running accuracy on patches is above this share; 1 never lets it.",
            rich_help_panel=DISCRIMINATOR,
        ),
    ] = DEFAULTS.d_target_accuracy,
    coarse_truth: Annotated[
        bool,
        typer.Option(
            "--coarse-truth",
            help="It sees true colours as coarse as the generator's bins, and has to judge colours, not detail.",
            rich_help_panel=DISCRIMINATOR,
        ),
    ] = DEFAULTS.coarse_truth,
    d_augment: Annotated[
        bool,
        typer.Option(
            "--d-augment",
            help="It sees photos moved and with a square cut out (DiffAugment), and learns none by heart.",
            rich_help_panel=DISCRIMINATOR,
        ),
    ] = DEFAULTS.d_augment,
    d_warmup_steps: Annotated[
        int,
        typer.Option(
            "--d-warmup-steps",
            min=0,
            help="It learns alone in the run's first steps, from a generator that stands still (NoGAN).",
            rich_help_panel=DISCRIMINATOR,
        ),
    ] = DEFAULTS.d_warmup_steps,
    epochs: EpochsOption = DEFAULTS.epochs,
    max_minutes: MaxMinutesOption = DEFAULTS.max_minutes,
    patience: PatienceOption = DEFAULTS.patience,
    batch_size: BatchSizeOption = DEFAULTS.batch_size,
    drop_last: DropLastOption = DEFAULTS.drop_last,
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
    """Stage 2: train a model on, against a discriminator that learns to tell its colours from true ones.

    The same command again goes on where it was stopped. The defaults are the published recipe; --recipe balanced is
    the one to take for results.
    """
    console = training_console(data, run, quiet)
    from colorgan.training.launch import resumable_options
    from colorgan.training.train import TRAIN

    given = given_options(ctx, TrainOptions)
    options = resumable_options(TRAIN, run, given) if resume else from_recipe(TrainOptions, given)
    run_with_bar(console, TRAIN, data, run, options, overwrite, _SHOWN)
