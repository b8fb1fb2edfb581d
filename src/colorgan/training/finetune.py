"""Stage 1 from options to a finished run: set, network, stage and loop put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from colorgan import __version__
from colorgan.data.dataset import Augment
from colorgan.data.photoset import PhotoSet
from colorgan.devices import describe_device, has_fast_bf16, resolve_device
from colorgan.download import Progress
from colorgan.errors import CheckpointError, Interrupted, UsageError
from colorgan.metrics import Figures
from colorgan.networks.generator import Generator
from colorgan.training.checkpoint import checkpoints
from colorgan.training.loop import Loop, LoopOptions, Watcher
from colorgan.training.losses import make_loss
from colorgan.training.options import SCRATCH, FinetuneOptions
from colorgan.training.run import describe_run, open_run, read_run
from colorgan.training.stages import FinetuneStage, OptimizerOptions
from colorgan.weights import ModelInfo, build_network, load_model, remember, save_model

OWN_PHOTOS = "the terms of the photos it was trained on"


@dataclass(frozen=True)
class RunResult:
    """What a finished run leaves.

    Attributes:
        weights: the best weights.
        figures: theirs, on the set's validation photos.
    """

    weights: Path
    figures: Figures


def _start_model(options: FinetuneOptions, device: torch.device, fetching: Progress) -> tuple[Generator, ModelInfo]:
    if options.start == SCRATCH:
        generator = build_network(options.network, {}).to(device)
        return generator, _info(generator, options, "nothing", OWN_PHOTOS)
    model = load_model(options.start, device, fetching)
    return model.generator, model.info


def _info(generator: Generator, options: FinetuneOptions, trained_on: str, licence: str) -> ModelInfo:
    return ModelInfo(
        name="finetuned",
        network=generator.network,
        options=generator.options,
        stage=FinetuneStage.name,
        licence=licence,
        made_by=f"colorgan {__version__}",
        trained_on=trained_on,
        figures={},
        render_size=options.size,
        temperature=1.0,
    )


def _use_bf16(precision: str, device: torch.device) -> bool:
    return precision == "bf16" or (precision == "auto" and has_fast_bf16(device))


def _loop_options(options: FinetuneOptions) -> LoopOptions:
    return LoopOptions(
        epochs=options.epochs,
        max_minutes=options.max_minutes,
        batch_size=options.batch_size,
        size=options.size,
        schedule=options.schedule,
        warmup=options.warmup,
        augment=Augment(options.flip, options.crop_min, options.brightness, options.contrast, options.aged),
        workers=options.workers,
        seed=options.seed,
        log_every=options.log_every,
        checkpoint_every=options.checkpoint_every,
        save_minutes=options.save_minutes,
        val_photos=options.val_photos,
    )


def resumable_options(folder: Path, given: Mapping[str, Any]) -> FinetuneOptions:
    """The options of the run in a folder, with those that were given over them.

    Args:
        folder: the run folder.
        given: options by name.

    Raises:
        UsageError: there is no run.
        CheckpointError: its description is damaged.
    """
    run = read_run(folder)
    if run is None:
        raise UsageError(f"a run to go on with in {folder}", "none", "Leave --resume out to start one.")
    try:
        return FinetuneOptions(**(run["options"] | dict(given)))
    except TypeError as error:
        raise CheckpointError(
            f"the options of a finetune run in {folder}", str(error), "Name another --run."
        ) from error


def _prepare_generator(
    folder: Path, options: FinetuneOptions, photos: PhotoSet, device: torch.device, going_on: bool, fetching: Progress
) -> tuple[Generator, ModelInfo]:
    """The network to train: rebuilt for its checkpoint where the run goes on, else with the weights it starts from."""
    if going_on:
        run = read_run(folder)
        assert run is not None
        model = run["model"]
        generator = build_network(model["network"], model["options"]).to(device)
        return generator, _info(generator, options, model["trained_on"], model["licence"])
    generator, info = _start_model(options, device, fetching)
    trained_on, licence = f"{len(photos.train)} photos of one's own (set {photos.identity[:12]})", OWN_PHOTOS
    if options.start != SCRATCH:
        trained_on, licence = f"{info.trained_on}; then {trained_on}", f"{info.licence}; and {OWN_PHOTOS}"
    model = {
        "network": generator.network,
        "options": generator.options,
        "started_from": options.start,
        "trained_on": trained_on,
        "licence": licence,
    }
    describe_run(folder, FinetuneStage.name, asdict(options), photos.identity, describe_device(device), model)
    return generator, _info(generator, options, trained_on, licence)


def finetune(
    data: Path, folder: Path, options: FinetuneOptions, watcher: Watcher, advice: str, overwrite: bool = False
) -> RunResult:
    """Train a generator on a set, from the start or from where the run in the folder stopped.

    Args:
        data: the set.
        folder: the run folder.
        options: what decides the run.
        watcher: told how it goes.
        advice: how to go on, said when a signal stops the run.
        overwrite: start afresh where the folder holds a run.

    Returns:
        The best weights and their figures; the weights are also in the cache as `finetuned`.

    Raises:
        SetError: no whole set there.
        WeightsError: the model to start from is not at hand or damaged.
        UsageError: the folder holds another run, or a loss that the network cannot have.
        CheckpointError: the run's checkpoints cannot be read.
        TrainingError: the loss stopped being a number.
        Interrupted: a signal came; a checkpoint was saved.
    """
    photos = PhotoSet.open(data)
    if not len(photos.val):
        raise UsageError(f"validation photos in {data}", "none", "Prepare the set with a larger --val-fraction.")
    device = resolve_device(options.device)
    torch.manual_seed(options.seed)
    known = open_run(folder, FinetuneStage.name, asdict(options), photos.identity, overwrite)
    # A run that was stopped before its first checkpoint begins again, from the weights that it starts from.
    going_on = known and bool(checkpoints(folder / "checkpoints"))
    generator, info = _prepare_generator(folder, options, photos, device, going_on, watcher.fetching)
    bf16 = _use_bf16(options.precision, device)
    if bf16:
        # Channels last is what the bfloat16 convolutions compute in; anything else is reordered for each of them.
        generator = generator.to(memory_format=torch.channels_last)
    stage = FinetuneStage(
        generator,
        make_loss(options.loss, photos.prior, options.rebalance),
        OptimizerOptions(
            lr=options.lr,
            weight_decay=options.weight_decay,
            clip_norm=options.clip_norm,
            ema=options.ema,
            bf16=bf16,
        ),
    )

    def save_weights(path: Path, trained: Generator, figures: Figures) -> None:
        numbers = {name: float(value) for name, value in figures.known().items()}
        save_model(path, trained, replace(info, figures=numbers))

    loop = Loop(stage, photos, folder, _loop_options(options), device, save_weights, watcher)
    best = folder / "weights" / "best.safetensors"
    try:
        figures = loop.run(advice)
    except Interrupted:
        if best.exists():
            remember("finetuned", best)
        raise
    remember("finetuned", best)
    return RunResult(best, figures)
