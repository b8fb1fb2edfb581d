"""The task of `train`, stage 2: adversarial training."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
from torch import nn

from colorgan.errors import UsageError, WeightsError
from colorgan.models.discriminator import load_discriminator, save_discriminator
from colorgan.models.info import ModelInfo
from colorgan.models.loading import load_encoder_features, load_model, load_vgg19
from colorgan.models.registry import available_models
from colorgan.networks.generator import Generator
from colorgan.networks.patchgan import SMALLEST_PX, PatchGAN
from colorgan.training.finetune_task import check_bins
from colorgan.training.stages.adversarial import GanNetworks, GanStage
from colorgan.training.stages.base import OptimizerOptions, Stage
from colorgan.training.stages.gan_losses import Perceptual
from colorgan.training.stages.supervised import BinsLoss
from colorgan.training.task import Downloaded, StageContext, TrainingTask
from colorgan.training.train_options import TrainOptions

DISCRIMINATOR_FILE = "discriminator.safetensors"
_FINETUNED = "finetuned"


def _load(options: TrainOptions, device: torch.device, downloaded: Downloaded) -> tuple[Generator, ModelInfo | None]:
    _check_losses(options)
    for option, side in (("size", options.size), ("size_min", options.size_min or options.size)):
        if side < SMALLEST_PX:
            expected = f"a `{option}` of at least {SMALLEST_PX}"
            advice = "Give more: the discriminator has no patches below that."
            raise UsageError(expected, str(side), advice, parameter=option)
    if options.start == _FINETUNED and _FINETUNED not in available_models():
        advice = "Run colorgan finetune first, or name another start: `start=compact`, `start=eccv16`, or a path."
        raise WeightsError("a finetuned model to start from", "none in the cache", advice)
    model = load_model(options.start, device, partial(downloaded, options.start))
    return model.generator, model.info


def _check_losses(options: TrainOptions) -> None:
    if options.adversarial == "relativistic" and options.real_label not in (1.0, TrainOptions.real_label):
        advice = "Leave `real_label` out: patches are compared in pairs, without labels."
        expected = "a `real_label` of 1 with `adversarial=relativistic`"
        raise UsageError(expected, f"{options.real_label:g}", advice, parameter="real_label")
    by_encoder = options.perceptual_network == "encoder"
    if by_encoder and options.lambda_perceptual and not options.encoder:
        advice = "Give the path of a published EfficientNet-Lite .pth."
        raise UsageError("`encoder` with `perceptual_network=encoder`", "none", advice, parameter="encoder")
    if options.encoder and not by_encoder:
        advice = "Give both, or neither; to start on another encoder, use colorgan finetune."
        expected = "`perceptual_network=encoder` with `encoder`"
        raise UsageError(expected, options.perceptual_network, advice, parameter="encoder")


def _discriminator(options: TrainOptions, context: StageContext) -> PatchGAN:
    if not options.start_discriminator or context.resuming:
        return PatchGAN(options.d_norm).to(context.device)
    discriminator = load_discriminator(Path(options.start_discriminator), context.device)
    if discriminator.norm != options.d_norm:
        found = f"{options.start_discriminator} has {discriminator.norm}"
        advice = f"Give `d_norm={discriminator.norm}`."
        raise UsageError(f"a discriminator with `d_norm={options.d_norm}`", found, advice)
    return discriminator


def _perceptual(options: TrainOptions, context: StageContext) -> Perceptual | None:
    if not options.lambda_perceptual:
        return None
    features: nn.Module
    if options.perceptual_network == "encoder":
        features = load_encoder_features(Path(options.encoder), context.device)
    else:
        path = Path(options.vgg_weights) if options.vgg_weights else None
        features = load_vgg19(path, context.device, partial(context.downloaded, "VGG19"))
    if context.bf16:
        features = features.to(memory_format=torch.channels_last)
    return Perceptual(features, context.bf16)


def _make_stage(options: TrainOptions, context: StageContext) -> GanStage:
    discriminator = _discriminator(options, context)
    if context.bf16:
        discriminator = discriminator.to(memory_format=torch.channels_last)
    bins = None
    if options.lambda_bins:
        check_bins(context.generator, "lambda_bins")
        bins = BinsLoss(context.photos.prior, options.rebalance)
    betas = options.beta1, options.beta2
    return GanStage(
        GanNetworks(context.generator, discriminator, _perceptual(options, context), bins),
        options,
        OptimizerOptions.of(options, context.bf16, betas),
        OptimizerOptions(options.d_lr, betas),
        context.temperature,
        context.group,
    )


def _save_discriminator(stage: Stage, folder: Path, info: ModelInfo) -> None:
    discriminator = stage.networks["discriminator"]
    assert isinstance(discriminator, PatchGAN)
    save_discriminator(folder / DISCRIMINATOR_FILE, discriminator, info)


TRAIN = TrainingTask(
    command="train",
    result="gan",
    options=TrainOptions,
    load=_load,
    make_stage=_make_stage,
    save_beside=_save_discriminator,
)
