"""From options to a finished run, for every way of training: set, network, stage and loop put together."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from colorgan import __version__
from colorgan.data.photoset import PhotoSet
from colorgan.data.plan import EpochPlan
from colorgan.devices import describe_device, has_fast_bf16
from colorgan.errors import CheckpointError, Interrupted, OutputError, UsageError
from colorgan.files import check_writable
from colorgan.metrics import MetricValues
from colorgan.models.download import Progress
from colorgan.models.loading import NETWORKS, ModelInfo, build_network, cache_folder, install_model, save_model
from colorgan.models.registry import writing
from colorgan.networks.generator import Generator
from colorgan.training.checkpoint import checkpoints
from colorgan.training.loop import BEST, Loop, SaveWeights
from colorgan.training.monitoring.tensorboard import check_tensorboard
from colorgan.training.monitoring.verdict import Verdict
from colorgan.training.options import SCRATCH, SMALLEST_SIDE_PX, Options, RunOptions, recorded_options
from colorgan.training.ranks import ProcessGroup, joined, restarted
from colorgan.training.run_folder import FOLDERS, describe_run, hold_run, open_run, read_run
from colorgan.training.stages.base import Stage
from colorgan.training.task import StageContext, TrainingTask
from colorgan.training.watcher import Silent, Watcher

OWN_PHOTOS = "the terms of the photos it was trained on"


@dataclass(frozen=True)
class RunResult:
    """What a finished run leaves.

    Attributes:
        weights: the best weights.
        figures: theirs, on the set's validation photos.
        is_named: whether they are also in the cache, under a name.
        verdict: how the run went; None in a process that does not lead.
    """

    weights: Path
    figures: MetricValues
    is_named: bool = True
    verdict: Verdict | None = None


def resumable_options(task: TrainingTask[Options], folder: Path, given: Mapping[str, Any]) -> Options:
    """The options of the run in a folder, with those that were given over them.

    Args:
        task: how that run trains.
        folder: the run folder.
        given: options by name.

    Raises:
        UsageError: there is no run, or one of another command.
        CheckpointError: its description is damaged.
    """
    run = read_run(folder)
    if run is None:
        raise UsageError(f"a run to go on with in {folder}", "none", "Leave `resume` out to start one.")
    if run["command"] != task.command:
        found = f"one of `colorgan {run['command']}`"
        raise UsageError(
            f"a run of `colorgan {task.command}` in {folder}", found, "Give that command, or another `run`."
        )
    try:
        recorded = recorded_options(run["options"], (option.name for option in fields(task.options)))
        return task.options(**(recorded | dict(given)))
    except TypeError as error:
        raise CheckpointError(
            f"the options of a {task.command} run in {folder}", str(error), "Name another `run`."
        ) from error


def _rebuilt(folder: Path, device: torch.device) -> tuple[Generator, dict[str, Any]]:
    """The network of a run that goes on, for its checkpoint, and what `run.json` says of the model."""
    run = read_run(folder)
    assert run is not None
    model = run["model"]
    return build_network(model["network"], model["options"]).to(device), model


def _started(
    task: TrainingTask[Options], options: Options, photos: PhotoSet, device: torch.device, fetching: Progress
) -> tuple[Generator, dict[str, Any]]:
    """The network that a new run starts from, and what `run.json` is to say of the model."""
    generator, info = task.load(options, device, fetching)
    if generator.network not in NETWORKS:
        advice = "Its weights can be used and compared; start from another model."
        raise UsageError("a network that is trained here", f"{options.start} is of {generator.network}", advice)
    trained_on, licence = f"{len(photos.train)} photos of one's own (set {photos.identity[:12]})", OWN_PHOTOS
    if info:
        trained_on, licence = f"{info.trained_on}; then {trained_on}", f"{info.licence}; and {OWN_PHOTOS}"
    return generator, {
        "network": generator.network,
        "options": generator.options,
        "started_from": options.start,
        "trained_on": trained_on,
        "licence": licence,
        "temperature": info.temperature if info else 1.0,
        "edges": info.edges if info else False,
    }


def _info(task: TrainingTask[Options], options: Options, model: Mapping[str, Any]) -> ModelInfo:
    return ModelInfo(
        name=task.result,
        network=model["network"],
        options=model["options"],
        stage=task.stage,
        licence=model["licence"],
        made_by=f"colorgan {__version__}",
        trained_on=model["trained_on"],
        figures={},
        render_size=options.size,
        temperature=model["temperature"],
        edges=model.get("edges", False),
    )


def _check(data: Path, photos: PhotoSet, options: RunOptions) -> None:
    if not len(photos.val):
        raise UsageError(f"validation photos in {data}", "none", "Prepare the set with a larger `val_fraction`.")
    if options.size_min and not SMALLEST_SIDE_PX <= options.size_min <= options.size:
        expected = f"a `size_min` of {SMALLEST_SIDE_PX} up to the `size`, {options.size}"
        raise UsageError(expected, str(options.size_min), "Give 0 for squares of one size.", parameter="size_min")


def _check_shares(plan: EpochPlan) -> None:
    """Refuse batches of which a process would get another number of photos than the others, or none."""
    drawn = len(plan.order)
    if plan.ranks > 1 and (plan.batch_size % plan.ranks or drawn < plan.batch_size):
        raise UsageError(
            f"a `batch_size` that {plan.ranks} processes can share, of at most {drawn} photos",
            str(plan.batch_size),
            f"Give a multiple of {plan.ranks}; it counts the photos of all processes together.",
            parameter="batch_size",
        )


def _warn_of_small_photos(photos: PhotoSet, size: int, watcher: Watcher) -> None:
    """Say that most squares will be blurred, since a square is at most its photo's short side, enlarged to `size`."""
    short_sides = np.minimum(photos.train.index["height"], photos.train.index["width"])
    smaller = int((short_sides < size).sum())
    if 2 * smaller > len(short_sides):
        advice = f"Prepare larger ones, or give a `size` of up to {int(np.median(short_sides))}."
        watcher.warned(f"{smaller} of {len(short_sides)} photos are smaller than `size={size}` and enlarged. {advice}")


def _prepare_encoder(generator: Generator, options: RunOptions) -> None:
    """Freeze what is not to learn; let an encoder that starts from nothing take its own statistics.

    Raises:
        UsageError: the network has no such encoder.
    """
    encoder = generator.pretrained_encoder()
    if encoder is None:
        if options.encoder_lr or options.freeze_encoder:
            found = f"{generator.network} has none"
            raise UsageError(
                "a network with a pretrained encoder", found, "Leave `encoder_lr` and `freeze_encoder` out."
            )
        return
    encoder.statistics_fixed = options.start != SCRATCH or bool(getattr(options, "encoder", ""))
    if options.freeze_encoder > len(encoder.blocks):
        expected = f"a `freeze_encoder` of at most {len(encoder.blocks)} blocks"
        raise UsageError(expected, str(options.freeze_encoder), "Give fewer.", parameter="freeze_encoder")
    encoder.freeze(options.freeze_encoder)


def _use_bf16(precision: str, device: torch.device) -> bool:
    return precision == "bf16" or (precision == "auto" and has_fast_bf16(device))


def _compile(stage: Stage) -> None:
    """Have the networks compiled, once it is known that this can be done here.

    Raises:
        UsageError: it cannot.
    """
    try:
        torch.compile(lambda x: x + 1)(torch.ones(1, device=next(stage.networks["generator"].parameters()).device))
    except Exception as error:
        found = str(error).splitlines()[0]
        raise UsageError("torch.compile to work here", found, "Leave `compile` out.", parameter="compile") from error
    for network in stage.networks.values():
        network.compile()


def launch(
    task: TrainingTask[Options],
    data: Path,
    folder: Path,
    options: Options,
    watcher: Watcher,
    advice: str,
    overwrite: bool = False,
) -> RunResult:
    """Train a generator on a set, from the start or from where the run in the folder stopped.

    Args:
        task: the way of training.
        data: the set.
        folder: the run folder.
        options: what decides the run.
        watcher: told how it goes.
        advice: how to go on, said when a signal stops the run.
        overwrite: start afresh where the folder holds a run.

    Returns:
        The best weights and their figures; the weights are also in the cache.

    Raises:
        SetError: no whole set there.
        WeightsError: weights to start from are not at hand or damaged.
        UsageError: the folder holds another run or another training is at work in it, a loss that the network cannot
            have, or no TensorBoard for its events.
        CheckpointError: the run's checkpoints or its log cannot be read.
        TrainingError: the loss stopped being a number.
        Interrupted: a signal came; a checkpoint was saved.
    """
    if options.tensorboard:
        check_tensorboard(folder)
    photos = PhotoSet.open(data)
    with joined(options.device) as (ranks, device):
        _check(data, photos, options)
        told = watcher if ranks.leader else Silent()
        torch.manual_seed(options.seed)
        with hold_run(folder, told.warned) if ranks.leader else nullcontext():
            going_on = ranks.from_leader(
                ranks.leader and _open(task, folder, options, photos, overwrite and not restarted())
            )
            loop = _loop(task, photos, folder, options, told, going_on, ranks, device)
            if ranks.leader:
                _check_places(task, folder, told)
            return _run(task, loop, folder, advice, told)


def _loop(
    task: TrainingTask[Options],
    photos: PhotoSet,
    folder: Path,
    options: Options,
    told: Watcher,
    going_on: bool,
    ranks: ProcessGroup,
    device: torch.device,
) -> Loop:
    """Put network, stage and loop together, and describe a new run."""
    generator, model = _rebuilt(folder, device) if going_on else _started(task, options, photos, device, told.fetching)
    _prepare_encoder(generator, options)
    bf16 = _use_bf16(options.precision, device)
    if bf16:
        # Channels last is what the bfloat16 convolutions compute in; anything else is reordered for each of them.
        generator = generator.to(memory_format=torch.channels_last)
    temperature = model.setdefault("temperature", 1.0)
    stage = task.make_stage(
        options, StageContext(generator, temperature, photos, device, bf16, going_on, ranks, told.fetching)
    )
    if options.compile:
        _compile(stage)
    save_weights = _saver(task, stage, folder, _info(task, options, model))
    loop = Loop(stage, photos, folder, options, device, save_weights, told, ranks)
    _check_shares(loop.plan)
    if ranks.leader and not going_on:
        _warn_of_small_photos(photos, options.size, told)
        describe_run(folder, task.command, asdict(options), photos.identity, describe_device(device), model)
    return loop


def _open(task: TrainingTask[Options], folder: Path, options: Options, photos: PhotoSet, overwrite: bool) -> bool:
    """Whether the run in the folder goes on; one stopped before its first checkpoint begins again."""
    known = open_run(folder, task.command, asdict(options), photos.identity, overwrite)
    return known and bool(checkpoints(folder / "checkpoints"))


def _weights(folder: Path, name: str) -> Path:
    return folder / "weights" / f"{name}.safetensors"


def _saver(task: TrainingTask[Options], stage: Stage, folder: Path, info: ModelInfo) -> SaveWeights:
    def save_weights(name: str, trained: Generator, figures: MetricValues) -> None:
        measured = replace(info, figures={key: float(value) for key, value in figures.known().items()})
        save_model(_weights(folder, name), trained, measured)
        if task.save_beside and name == BEST:
            task.save_beside(stage, folder / "weights", measured)

    return save_weights


def _run(task: TrainingTask[Options], loop: Loop, folder: Path, advice: str, told: Watcher) -> RunResult:
    """Train, and put the best weights into the cache, also where a signal ends it."""
    best = _weights(folder, BEST)
    try:
        figures = loop.run(advice)
    except Interrupted:
        if best.exists() and loop.ranks.leader:
            _remember(task, best, told)
        raise
    is_named = loop.ranks.leader and _remember(task, best, told)
    loop.ranks.wait()
    return RunResult(best, figures, is_named, loop.verdict)


def _check_places(task: TrainingTask[Options], folder: Path, told: Watcher) -> None:
    """See before the first step that what comes of the run can be written.

    Raises:
        OutputError: the run folder cannot.
    """
    for place in (folder / name for name in FOLDERS if (folder / name).exists()):
        with writing(place):
            check_writable(place)
    try:
        with writing(cache_folder()):
            check_writable(cache_folder())
    except OutputError as error:
        told.warned(
            f"The weights will be in {_weights(folder, BEST)} alone, and not in the cache as `{task.result}` "
            f"({error.expected}: {error.found})."
        )


def _remember(task: TrainingTask[Options], best: Path, told: Watcher) -> bool:
    """Put weights into the cache; where that cannot be written, they lie in the run folder all the same."""
    try:
        install_model(task.result, best)
    except OutputError as error:
        told.warned(
            f"The weights are in {best}, and not in the cache as `{task.result}` ({error.expected}: {error.found})."
        )
        return False
    return True
