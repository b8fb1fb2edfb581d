"""Runs a training task: opens the set, builds network, stage and loop, trains, and installs the result."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from colorgan import __version__
from colorgan.addresses import is_address, whole_address
from colorgan.callbacks import Callbacks, NullCallbacks, StopCheck
from colorgan.data.photoset import PhotoSet
from colorgan.data.plan import EpochPlan
from colorgan.devices import describe_device, has_fast_bf16, resolve_device
from colorgan.distributed import ProcessGroup, process_group, restarts
from colorgan.errors import Interrupted, OutputError, UsageError
from colorgan.files import check_writable
from colorgan.metrics.registry import MetricValues
from colorgan.models.info import ModelInfo
from colorgan.models.loading import NETWORKS, build_network, save_model
from colorgan.models.registry import cache_folder, install_model, writing
from colorgan.networks.generator import Generator
from colorgan.training.checkpoint import checkpoints
from colorgan.training.loop import BEST, Loop, SaveWeights
from colorgan.training.monitoring.tensorboard import check_tensorboard
from colorgan.training.monitoring.verdict import Verdict
from colorgan.training.options import SCRATCH, SMALLEST_SIDE_PX, Options, RunOptions
from colorgan.training.run_folder import FOLDERS, describe_run, hold_run, open_run, read_run
from colorgan.training.stages.base import Stage
from colorgan.training.task import StageContext, TrainingTask

OWN_PHOTOS = "the terms of the photos it was trained on"


@dataclass(frozen=True)
class TrainingResult:
    """The result of a finished run.

    Attributes:
        weights: the file of the best weights.
        name: their name in the cache; empty if it could not be written, or in a process other than the primary one.
        best_epoch: the epoch after which they were taken.
        metrics: their metrics on the set's validation photos.
        ended: why the run ended: epochs, time or patience.
        verdict: the verdict on the run; None in a process other than the primary one.
    """

    weights: Path
    name: str
    best_epoch: int
    metrics: MetricValues
    ended: str
    verdict: Verdict | None


def _resumed_network(folder: Path, device: torch.device) -> tuple[Generator, dict[str, Any]]:
    """Build the network of the run in a folder, for its checkpoint; return it and the model's entry in `run.json`."""
    run = read_run(folder)
    assert run is not None
    model = run["model"]
    return build_network(model["network"], model["options"]).to(device), model


def _initial_network(
    task: TrainingTask[Options], options: Options, photos: PhotoSet, device: torch.device, check: StopCheck
) -> tuple[Generator, dict[str, Any]]:
    """Load the network that a new run starts from; return it and the model's entry for `run.json`."""
    generator, info = task.load(options, device, check.downloaded)
    if generator.network not in NETWORKS:
        advice = "Start from another model; this one can only be used and compared."
        raise UsageError("a network that can be trained", f"{options.start} is of {generator.network}", advice)
    trained_on, terms = f"{len(photos.train)} photos of one's own (set {photos.identity[:12]})", OWN_PHOTOS
    if info:
        trained_on = f"{info.trained_on}; then {trained_on}"
        terms = f"{info.license}; and {OWN_PHOTOS}"  # old spelling
    return generator, {
        "network": generator.network,
        "options": generator.options,
        "started_from": options.start,
        "trained_on": trained_on,
        "licence": terms,  # old spelling
        "temperature": info.temperature if info else 1.0,
        "edges": info.edges if info else False,
    }


def _info(task: TrainingTask[Options], stage: Stage, options: Options, model: Mapping[str, Any]) -> ModelInfo:
    return ModelInfo(
        name=task.result,
        network=model["network"],
        options=model["options"],
        stage=stage.name,
        license=model["licence"],  # old spelling
        made_by=f"colorgan {__version__}",
        trained_on=model["trained_on"],
        figures={},
        render_size=options.size,
        temperature=model["temperature"],
        edges=model.get("edges", False),
    )


def _prepare_encoder(generator: Generator, options: RunOptions) -> None:
    """Freeze the encoder's first blocks as asked for; fix its batch norm statistics unless it starts untrained.

    Raises:
        UsageError: the network has no pretrained encoder, or fewer blocks.
    """
    encoder = generator.pretrained_encoder()
    if encoder is None:
        if options.encoder_lr or options.freeze_encoder:
            advice = "Leave `encoder_lr` and `freeze_encoder` out."
            raise UsageError("a network with a pretrained encoder", f"{generator.network} has none", advice)
        return
    encoder.statistics_fixed = options.start != SCRATCH or bool(getattr(options, "encoder", ""))
    if options.freeze_encoder > len(encoder.blocks):
        expected = f"a `freeze_encoder` of at most {len(encoder.blocks)} blocks"
        raise UsageError(expected, str(options.freeze_encoder), "Give fewer.", parameter="freeze_encoder")
    encoder.freeze(options.freeze_encoder)


def _compile(stage: Stage) -> None:
    """Compile the networks, after a trial of torch.compile.

    Raises:
        UsageError: torch.compile does not work here.
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
    callbacks: Callbacks,
    overwrite: bool = False,
) -> TrainingResult:
    """Run a task on a set, from the start or from the last checkpoint of the run in the folder.

    The other arguments and the errors are as for `verbs.finetune`.
    """
    if options.tensorboard:
        check_tensorboard(folder)
    check = StopCheck(callbacks, "Repeat the call to start over.")
    photos = _open_set(data, options, check)
    device = _own_device(options.device)
    with process_group(device, check) as group:
        _check_options(data, photos, options)
        check = replace(check, callbacks=callbacks if group.is_primary else NullCallbacks(callbacks))
        torch.manual_seed(options.seed)
        with hold_run(folder, callbacks.on_warning) if group.is_primary else nullcontext():
            resuming = group.broadcast(
                group.is_primary and _open(task, folder, options, photos, group, overwrite and not restarts())
            )
            loop = _loop(task, photos, folder, options, check, resuming, group, device)
            if group.is_primary:
                _check_outputs(task, folder, callbacks)
            return _run(task, loop, folder)


def _check_options(data: Path, photos: PhotoSet, options: RunOptions) -> None:
    """Check that the set has validation photos and that `size_min` is valid.

    Raises:
        UsageError: one of them is not so.
    """
    if not len(photos.val):
        raise UsageError(f"validation photos in {data}", "none", "Prepare the set with a larger `val_fraction`.")
    if options.size_min and not SMALLEST_SIDE_PX <= options.size_min <= options.size:
        expected = f"a `size_min` of {SMALLEST_SIDE_PX} up to the `size`, {options.size}"
        raise UsageError(expected, str(options.size_min), "Give 0 for squares of one size.", parameter="size_min")


def check_shares(plan: EpochPlan) -> None:
    """Raise UsageError if the processes cannot share each batch equally, or an epoch holds less than one batch."""
    drawn = len(plan.order)
    if plan.ranks > 1 and (plan.batch_size % plan.ranks or drawn < plan.batch_size):
        expected = f"a `batch_size` that {plan.ranks} processes can share, of at most {drawn} photos"
        advice = f"Give a multiple of {plan.ranks}; it counts the photos of all processes together."
        raise UsageError(expected, str(plan.batch_size), advice, parameter="batch_size")


def _warn_of_small_photos(photos: PhotoSet, size: int, callbacks: Callbacks) -> None:
    """Warn if most photos are smaller than `size`: their crops are enlarged to it, and so are blurred."""
    short_sides = np.minimum(photos.train.index["height"], photos.train.index["width"])
    smaller = int((short_sides < size).sum())
    if 2 * smaller > len(short_sides):
        advice = f"Prepare larger ones, or give a `size` of up to {int(np.median(short_sides))}."
        found = f"{smaller} of {len(short_sides)} photos are smaller than `size={size}` and enlarged."
        callbacks.on_warning(f"{found} {advice}")


def _open_set(data: Path, options: RunOptions, check: StopCheck) -> PhotoSet:
    if not is_address(address := data.as_posix()):
        return PhotoSet.open(data)
    limit_bytes = int(options.data_cache_gb * 1e9)
    processes = ProcessGroup.from_environment().local_size
    return PhotoSet.open_remote(whole_address(address), cache_folder() / "sets", limit_bytes, processes, check)


def _own_device(name: str) -> torch.device:
    """Resolve a device name; each of several processes on a machine gets its own GPU, by local rank."""
    device, group = resolve_device(name), ProcessGroup.from_environment()
    if device.type == "cuda" and group.size > 1:
        device = resolve_device(f"cuda:{group.local_rank}")
        torch.cuda.set_device(device)
    return device


def _loop(
    task: TrainingTask[Options],
    photos: PhotoSet,
    folder: Path,
    options: Options,
    check: StopCheck,
    resuming: bool,
    group: ProcessGroup,
    device: torch.device,
) -> Loop:
    """Build network, stage and loop, and write `run.json` for a new run."""
    check()
    resumed = _resumed_network(folder, device) if resuming else None
    generator, model = resumed or _initial_network(task, options, photos, device, check)
    _prepare_encoder(generator, options)
    bf16 = options.precision == "bf16" or (options.precision == "auto" and has_fast_bf16(device))
    if bf16:
        # Channels last is what the bfloat16 convolutions compute in; anything else is reordered for each of them.
        generator = generator.to(memory_format=torch.channels_last)
    temperature = model.setdefault("temperature", 1.0)
    stage = task.make_stage(
        options, StageContext(generator, temperature, photos, device, bf16, resuming, group, check.downloaded)
    )
    if options.compile:
        _compile(stage)
    save_weights = _saver(task, stage, folder, _info(task, stage, options, model))
    loop = Loop(stage, photos, folder, options, device, save_weights, check.callbacks, group)
    check_shares(loop.plan)
    if group.is_primary and not resuming:
        _warn_of_small_photos(photos, options.size, check.callbacks)
        read_by = _read_by(photos, group)
        describe_run(folder, task.command, asdict(options), photos.identity, describe_device(device), model, read_by)
    return loop


def _read_by(photos: PhotoSet, group: ProcessGroup) -> int:
    """Return how many processes read their own shards, which determines the photos' order; 0 for a local set."""
    return group.size if photos.is_remote else 0


def _open(
    task: TrainingTask[Options],
    folder: Path,
    options: Options,
    photos: PhotoSet,
    group: ProcessGroup,
    overwrite: bool,
) -> bool:
    """Check the run folder; return whether it holds this run with a checkpoint to resume from."""
    is_known = open_run(folder, task.command, asdict(options), photos.identity, overwrite, _read_by(photos, group))
    return is_known and bool(checkpoints(folder / "checkpoints"))


def _weights(folder: Path, name: str) -> Path:
    return folder / "weights" / f"{name}.safetensors"


def _saver(task: TrainingTask[Options], stage: Stage, folder: Path, info: ModelInfo) -> SaveWeights:
    def save_weights(name: str, trained: Generator, figures: MetricValues) -> None:
        measured = replace(info, figures={key: float(value) for key, value in figures.known().items()})
        save_model(_weights(folder, name), trained, measured)
        if task.save_beside and name == BEST:
            task.save_beside(stage, folder / "weights", measured)

    return save_weights


def _run(task: TrainingTask[Options], loop: Loop, folder: Path) -> TrainingResult:
    """Train, and install the best weights in the cache, even if interrupted."""
    best = _weights(folder, BEST)
    try:
        metrics = loop.run()
    except Interrupted:
        if os.path.exists(best) and loop.group.is_primary:
            _install(task, best, loop.callbacks)
        raise
    is_named = loop.group.is_primary and _install(task, best, loop.callbacks)
    loop.group.barrier()
    name = task.result if is_named else ""
    return TrainingResult(best, name, loop.best["epoch"], metrics, loop.ended(), loop.verdict)


def _check_outputs(task: TrainingTask[Options], folder: Path, callbacks: Callbacks) -> None:
    """Check before the first step that run folder and cache can be written; warn if only the cache cannot.

    Raises:
        OutputError: the run folder cannot be written.
    """
    for path in (folder / name for name in FOLDERS if os.path.exists(folder / name)):
        with writing(path):
            check_writable(path)
    try:
        with writing(cache_folder()):
            check_writable(cache_folder())
    except OutputError as error:
        callbacks.on_warning(
            f"The weights will be in {_weights(folder, BEST)} only, and not in the cache as `{task.result}`, which "
            f"cannot be written: {error.found}."
        )


def _install(task: TrainingTask[Options], best: Path, callbacks: Callbacks) -> bool:
    """Install weights in the cache; return False, with a warning, if it cannot be written."""
    try:
        install_model(task.result, best)
    except OutputError as error:
        callbacks.on_warning(
            f"The weights are in {best}, and not in the cache as `{task.result}`, which could not be written: "
            f"{error.found}."
        )
        return False
    return True
