"""The task of `finetune`, stage 1: supervised training."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch

from colorgan.errors import UsageError
from colorgan.models.info import ModelInfo
from colorgan.models.loading import build_network, load_encoder, load_model
from colorgan.networks.generator import Generator
from colorgan.networks.liteunet import LiteUNet
from colorgan.training.options import SCRATCH, FinetuneOptions
from colorgan.training.stages.base import OptimizerOptions
from colorgan.training.stages.hints import HINT_HEADS, HintStage
from colorgan.training.stages.supervised import FinetuneStage, make_loss
from colorgan.training.task import Downloaded, StageContext, TrainingTask


def _load(options: FinetuneOptions, device: torch.device, downloaded: Downloaded) -> tuple[Generator, ModelInfo | None]:
    if options.start == SCRATCH and options.hint_branch:
        advice = "Start from a trained model, or leave `hint_branch` out."
        raise UsageError("a trained model for `hint_branch`", f"`start={SCRATCH}`", advice)
    if options.encoder:
        return _on_encoder(options, device)
    if options.start == SCRATCH:
        fresh = build_network(options.network, {})
        if options.freeze_encoder and fresh.pretrained_encoder() is not None:
            advice = "Give the `encoder` to take them from, or leave `freeze_encoder` out."
            expected = f"pretrained blocks for `freeze_encoder` with `start={SCRATCH}`"
            raise UsageError(expected, "random ones", advice, parameter="freeze_encoder")
        return fresh.to(device), None
    model = load_model(options.start, device, partial(downloaded, options.start))
    return _with_hints(model.generator) if options.hint_branch else model.generator, model.info


def _with_hints(generator: Generator) -> Generator:
    """Return the network with a branch for hints, which is added untrained if it has none.

    Raises:
        UsageError: networks of this kind cannot have one.
    """
    if not isinstance(generator, LiteUNet):
        advice = f"Start from a model whose network is {LiteUNet.network}, or leave `hint_branch` out."
        raise UsageError("a network that can take hints", generator.network, advice)
    return generator if generator.takes_hints else generator.with_hints(HINT_HEADS)


def _on_encoder(options: FinetuneOptions, device: torch.device) -> tuple[Generator, ModelInfo | None]:
    """Build a fresh network on a published encoder; return it and the metadata of the encoder's file."""
    if options.start != SCRATCH or options.network != LiteUNet.network:
        found = f"`start={options.start}`, `network={options.network}`"
        expected = f"`encoder` with `start={SCRATCH}` and `network={LiteUNet.network}`"
        raise UsageError(expected, found, "Leave it out.", parameter="encoder")
    encoder, info = load_encoder(Path(options.encoder))
    network = LiteUNet(**encoder.shape)
    network.encoder.load_state_dict(encoder.state_dict())
    return network.to(device), info


def check_bins(generator: Generator, wanted: str) -> None:
    """Check that a network predicts color bins, whose cross-entropy the option `wanted` asks for.

    Raises:
        UsageError: it predicts none.
    """
    was_training = generator.training
    generator.eval()  # in training mode, batch norm rejects a single value and updates its statistics
    with torch.no_grad():
        logits = generator(torch.zeros(1, 1, 16, 16, device=next(generator.parameters()).device)).logits
    generator.train(was_training)
    if logits is None:
        found = f"{generator.network} has none"
        raise UsageError(f"a network with bins for `{wanted}`", found, f"Leave `{wanted}` out.")


def _make_stage(options: FinetuneOptions, context: StageContext) -> FinetuneStage:
    if options.loss == "bins":
        check_bins(context.generator, "loss=bins")
    optimizer = OptimizerOptions.of(options, context.bf16)
    loss = make_loss("bins" if options.hint_branch else options.loss, context.photos.prior, options.rebalance)
    if options.hint_branch:
        assert isinstance(context.generator, LiteUNet)
        return HintStage(context.generator, loss, optimizer, context.temperature, context.group)
    return FinetuneStage(context.generator, loss, optimizer, context.temperature, context.group)


FINETUNE = TrainingTask(
    command="finetune",
    result="finetuned",
    options=FinetuneOptions,
    load=_load,
    make_stage=_make_stage,
)
