"""The options of each way of training, importable without torch: the command line takes its defaults from here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SCRATCH = "scratch"
SMALLEST_SIDE_PX = 16


@dataclass(frozen=True)
class RunOptions:
    """What every training run has.

    Attributes:
        start: a model's name or path.
        lr: Adam's rate for the generator.
        encoder_lr: its rate for a pretrained encoder, 0 for `lr`.
        freeze_encoder: blocks of a pretrained encoder that do not learn, with its stem; 0 lets all of it learn.
        weight_decay: decoupled; 0 is plain Adam.
        clip_norm: bound on the gradient's norm, 0 for none.
        ema: decay of the average of the weights, 0 for none.
        schedule: constant or cosine (down to 0 at the end).
        warmup: share of the run over which the rate climbs from 0.
        epochs: passes over the training photos; with `max_minutes` set, the most of them.
        max_minutes: minutes of training over all sittings, 0 for no limit.
        patience: epochs without a new best before the run ends early, 0 for no such end.
        batch_size: photos in a step, over all processes.
        size: side of the training squares, pixels.
        size_min: where above 0, each batch's side is drawn from here up to `size`.
        weights: how often the photos of a source are drawn in an epoch, by the source's name; 1 where it is not named.
        cache: none, or device to decode all photos once into the memory of the device.
        flip: mirror half of the photos.
        crop_min: the smallest share of the short side that a random crop takes.
        brightness: the most that L is shifted by.
        contrast: the most that L's contrast is changed by, as a share.
        aged: the share of photos whose L is made to look like an old print's.
        precision: auto, fp32 or bf16.
        compile: let torch.compile make the networks faster.
        tensorboard: also write TensorBoard events.
        device: auto, cpu, cuda, cuda:N or mps.
        workers: processes that decode photos, 0 for none beside the main one.
        seed: decides every random choice.
        log_every: steps between lines of the log.
        checkpoint_every: epochs between checkpoints that are kept for good, 0 for none.
        save_minutes: minutes between checkpoints inside an epoch.
        val_photos: the most photos to validate on.
        validate_every: epochs between validations; the last, and those whose checkpoints are kept, always have one.
    """

    start: str = "eccv16"
    lr: float = 1e-4
    encoder_lr: float = 0.0
    freeze_encoder: int = 0
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    ema: float = 0.0
    schedule: str = "constant"
    warmup: float = 0.0
    epochs: int = 3
    max_minutes: float = 0.0
    patience: int = 0
    batch_size: int = 16
    size: int = 256
    size_min: int = 0
    weights: Mapping[str, float] = field(default_factory=dict)
    cache: str = "none"
    flip: bool = True
    crop_min: float = 0.8
    brightness: float = 0.0
    contrast: float = 0.0
    aged: float = 0.0
    precision: str = "auto"
    compile: bool = False
    tensorboard: bool = False
    device: str = "auto"
    workers: int = 0
    seed: int = 0
    log_every: int = 20
    checkpoint_every: int = 0
    save_minutes: float = 10.0
    val_photos: int = 512
    validate_every: int = 1


@dataclass(frozen=True)
class FinetuneOptions(RunOptions):
    """What decides a supervised run; the defaults are those of the published run.

    Attributes:
        network: the network that starting from scratch builds.
        encoder: a published EfficientNet-Lite file that starting from scratch takes the encoder from, or empty.
        loss: mse, l1, huber or bins.
        rebalance: strength of the bins loss's class weights, 0..1.
        hints: train the branch that takes hints, and nothing else; `loss` plays no part then.
    """

    network: str = "liteunet"
    encoder: str = ""
    loss: str = "mse"
    rebalance: float = 0.25
    hints: bool = False


@dataclass(frozen=True)
class TrainOptions(RunOptions):
    """What decides an adversarial run; the defaults are the recipe `report`, the published run.

    Attributes:
        recipe: a key of `RECIPES`, whose values stand where nothing else was given.
        start_discriminator: a file to take the discriminator from, or empty for a fresh one.
        perceptual_network: vgg19, or encoder for the published EfficientNet-Lite in the file `encoder`.
        vgg_weights: a local file of VGG19, or empty for the published one.
        encoder: a published EfficientNet-Lite file, for its features, or empty.
        d_lr: Adam's rate for the discriminator.
        beta1: Adam's averaging of the gradient, for both networks.
        beta2: likewise, of its square.
        adversarial: bce, hinge, lsgan or relativistic.
        real_label: what the discriminator is to say of true colours, where it judges them by themselves.
        d_norm: batch, instance or spectral.
        g_norm: train, or frozen for the statistics that the generator came with.
        lambda_adversarial: weight of fooling the discriminator.
        lambda_l1: weight of the ab difference in Lab units.
        lambda_perceptual: weight of the difference of the perceptual network's features.
        lambda_saturation: weight of chroma above the true one.
        lambda_bins: weight of the cross-entropy over the bins.
        rebalance: strength of that cross-entropy's class weights, 0..1.
        r1: weight of the gradient penalty on true photos.
        r2: weight of the gradient penalty on generated photos.
        d_target_accuracy: the discriminator rests while its running accuracy is above; 1 never lets it.
        coarse_truth: it sees true colours as coarse as the generator's bins.
        d_augment: photos are moved and cut before it sees them.
        d_warmup_steps: steps at the beginning of the run in which it alone learns.
    """

    start: str = "finetuned"
    lr: float = 2e-4
    epochs: int = 50
    checkpoint_every: int = 5
    recipe: str = "report"
    start_discriminator: str = ""
    perceptual_network: str = "vgg19"
    vgg_weights: str = ""
    encoder: str = ""
    d_lr: float = 1e-4
    beta1: float = 0.5
    beta2: float = 0.999
    adversarial: str = "bce"
    real_label: float = 1.0
    d_norm: str = "batch"
    g_norm: str = "train"
    lambda_adversarial: float = 1.0
    lambda_l1: float = 10.0
    lambda_perceptual: float = 10.0
    lambda_saturation: float = 0.0
    lambda_bins: float = 0.0
    rebalance: float = 0.25
    r1: float = 0.0
    r2: float = 0.0
    d_target_accuracy: float = 1.0
    coarse_truth: bool = False
    d_augment: bool = False
    d_warmup_steps: int = 0


# What options that came later were before they were there, whatever their defaults are today: so a run goes on whose
# `run.json` is of an older version and does not name them.
BEFORE: dict[str, Any] = {
    "aged": 0.0,
    "cache": "none",
    "coarse_truth": False,
    "compile": False,
    "d_augment": False,
    "d_warmup_steps": 0,
    "encoder": "",
    "encoder_lr": 0.0,
    "freeze_encoder": 0,
    "hints": False,
    "patience": 0,
    "perceptual_network": "vgg19",
    "r2": 0.0,
    "size_min": 0,
    "tensorboard": False,
    "validate_every": 1,
    "weights": {},
}


def recorded_options(recorded: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The options of a run, with those that its version did not have yet.

    Args:
        recorded: options by name, from its `run.json`.
        names: of the options that there are today.
    """
    return {name: BEFORE[name] for name in names if name in BEFORE} | dict(recorded)


# What each sets beside the defaults, which are those of `report`; docs/training.md says what each of the two gave.
RECIPES: dict[str, dict[str, Any]] = {
    "report": {},
    "balanced": {
        "adversarial": "hinge",
        "d_norm": "spectral",
        "d_target_accuracy": 0.8,
        "ema": 0.99,
        "lambda_adversarial": 10.0,
        "lambda_saturation": 1.0,
    },
}


def train_options(given: Mapping[str, Any]) -> TrainOptions:
    """The options of an adversarial run: the recipe's, with those that were given over them.

    Args:
        given: options by name; without a recipe among them it is `report`.
    """
    return TrainOptions(**(RECIPES[given.get("recipe", TrainOptions.recipe)] | dict(given)))
