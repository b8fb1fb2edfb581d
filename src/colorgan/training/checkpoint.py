"""Checkpoints: written atomically, without pickle, and resumed from exactly.

A checkpoint is a folder of `tensors.safetensors` (networks, optimizers, random states) and `state.json` (numbers,
and a SHA-256 over both, by which a damaged checkpoint is detected).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.optim import Optimizer

from colorgan.errors import CheckpointError, TrainingError
from colorgan.files import atomic_write, sync_folder
from colorgan.training.stages.base import Stage

FORMAT = 1
KEPT = 2
_NAME = re.compile(r"epoch-(\d+)(?:-batch-(\d+))?")
_TENSORS, _STATE = "tensors.safetensors", "state.json"
_STEPS = "step"  # an optimizer's count of a parameter's updates; its other entries have the parameter's shape


@dataclass(frozen=True)
class Position:
    """How far a run has progressed.

    Attributes:
        epoch: epochs begun, 1 for the first.
        batch: batches of this epoch that are done.
        step: optimizer steps of the whole run.
        seen_photos: photos of the whole run, each as often as it was seen.
        elapsed_s: seconds of training, over all sittings.
        validated: whether this epoch is done, its validation included, so that the next one begins.
    """

    epoch: int = 1
    batch: int = 0
    step: int = 0
    seen_photos: int = 0
    elapsed_s: float = 0.0
    validated: bool = False

    @property
    def name(self) -> str:
        """The name of the checkpoint's folder: the epoch, and the batch if the epoch is not done."""
        return f"epoch-{self.epoch:03d}" if self.validated else f"epoch-{self.epoch:03d}-batch-{self.batch:07d}"


def _order(folder: Path) -> tuple[int, float]:
    match = _NAME.fullmatch(folder.name)
    assert match, folder
    return int(match[1]), int(match[2]) if match[2] else float("inf")


def checkpoints(folder: Path) -> list[Path]:
    """Return the folders of the run's checkpoints, oldest first."""
    if not os.path.isdir(folder):
        return []
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name)), key=_order)


def _stage_tensors(stage: Stage) -> dict[str, Tensor]:
    tensors = {
        f"network.{name}.{key}": value
        for name, network in stage.networks.items()
        for key, value in network.state_dict().items()
    }
    for name, optimizer in stage.optimizers.items():
        for index, values in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{name}.{index}.{key}": value for key, value in values.items()}
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors |= {f"random.cuda.{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def save_checkpoint(folder: Path, stage: Stage, position: Position, extra: Mapping[str, Any], every: int = 0) -> Path:
    """Write a checkpoint to a temporary folder, flush it to disk, rename it, and remove those no longer kept.

    Args:
        folder: the run's `checkpoints/`.
        stage: the stage to save.
        position: how far the run has progressed; it names the checkpoint.
        extra: further JSON-serializable state, which `load_checkpoint` returns.
        every: also keep each finished epoch divisible by this; 0 keeps the newest two alone.

    Raises:
        TrainingError: a tensor of the stage holds NaN or infinity; nothing is written.
    """
    tensors = _stage_tensors(stage)
    _check_finite(tensors)
    target = folder / position.name
    aside = folder / f".{position.name}.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    payload = safetensors.torch.save(tensors)
    with atomic_write(aside / _TENSORS) as file:
        file.write(payload)
    state = {"format": FORMAT, "stage": stage.name, "position": vars(position), "extra": dict(extra)}
    state["sha256"] = _digest(payload, state)
    with atomic_write(aside / _STATE) as file:
        file.write(json.dumps(state, indent=1).encode())
    if os.path.exists(target):  # the same position again, after a damaged one was skipped
        shutil.rmtree(target)
    aside.replace(target)
    sync_folder(folder)
    _drop_old(folder, every)
    return target


def _check_finite(tensors: Mapping[str, Tensor]) -> None:
    """Raise TrainingError if training has diverged, which the loss shows only when it is logged next."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            advice = "Try a lower `lr`, `clip_norm=1`, or `precision=fp32`, from the checkpoint before, which is good."
            raise TrainingError("a finite training state", f"NaN or infinity in {name}", advice)


def _digest(payload: bytes, state: Mapping[str, Any]) -> str:
    return hashlib.sha256(payload + json.dumps(state, sort_keys=True).encode()).hexdigest()


def _drop_old(folder: Path, every: int) -> None:
    for path in checkpoints(folder)[:-KEPT]:
        epoch, batch = _order(path)
        if not (every and batch == float("inf") and epoch % every == 0):
            shutil.rmtree(path)
    for stale in folder.glob(".*.tmp"):
        shutil.rmtree(stale)


def _read(path: Path, stage: Stage) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        state = json.loads((path / _STATE).read_bytes())
        payload = (path / _TENSORS).read_bytes()
        if state.pop("sha256") != _digest(payload, state):
            raise ValueError("it has changed since it was written")
        tensors = safetensors.torch.load(payload)
        if state["format"] != FORMAT or state["stage"] != stage.name:
            raise ValueError(f"it is of format {state['format']}, stage {state['stage']}")
        Position(**state["position"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        found = f"it cannot be read ({type(error).__name__}: {error})"
        advice = "Delete that folder to continue from the one before it."
        raise CheckpointError(f"a complete checkpoint in {path}", found, advice) from error
    return state, tensors


def _restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore an optimizer's state; a parameter that never had a gradient has none.

    Args:
        optimizer: restored in place.
        tensors: by parameter index and entry, such as `3.exp_avg`.

    Raises:
        ValueError: they do not fit the optimizer's parameters.
    """
    entries: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, entry = key.split(".", 1)
        entries.setdefault(int(index), {})[entry] = value
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if entries and max(entries) >= len(parameters):
        raise ValueError(f"the state of {max(entries) + 1} parameters, where there are {len(parameters)}")
    optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, state in optimizer.state.items():
        for entry in state.keys() - {_STEPS}:
            state[entry] = _laid_out_like(parameter, state[entry])


def _laid_out_like(parameter: Tensor, moment: Tensor) -> Tensor:
    """Copy an optimizer moment into the memory layout of its parameter.

    Checkpoints hold all tensors contiguous, whereas a network may be channels-last; and the fused optimizer walks over
    memory regardless of strides, so that it would pair each weight with another one's moment.
    """
    if moment.shape != parameter.shape:
        raise ValueError(f"a moment of shape {tuple(moment.shape)} for weights of {tuple(parameter.shape)}")
    return torch.empty_like(parameter, requires_grad=False, memory_format=torch.preserve_format).copy_(moment)


def _restore(stage: Stage, tensors: dict[str, Tensor]) -> None:
    for name, network in stage.networks.items():
        prefix = f"network.{name}."
        network.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    for name, optimizer in stage.optimizers.items():
        prefix = f"optimizer.{name}."
        _restore_optimizer(optimizer, {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
    torch.set_rng_state(tensors["random.cpu"])
    cuda = [tensors[f"random.cuda.{i}"] for i in range(torch.cuda.device_count()) if f"random.cuda.{i}" in tensors]
    if cuda and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(cuda)


def load_checkpoint(folder: Path, stage: Stage, warn: Callable[[str], None]) -> tuple[Position, dict[str, Any]] | None:
    """Restore the newest intact checkpoint into a stage.

    Args:
        folder: the run's `checkpoints/`.
        stage: restored in place.
        warn: called for each damaged checkpoint that is skipped.

    Returns:
        The saved position and `extra`, or None if there is no checkpoint at all.

    Raises:
        CheckpointError: there are checkpoints, but none that is intact, or one that does not fit this network.
    """
    damaged: CheckpointError | None = None
    for path in reversed(checkpoints(folder)):
        try:
            state, tensors = _read(path, stage)
        except CheckpointError as error:
            warn(f"{path} is damaged: {error.found}; falling back to the checkpoint before it.")
            damaged = error
            continue
        try:
            _restore(stage, tensors)
        except (RuntimeError, ValueError, KeyError) as error:
            found, advice = str(error).splitlines()[0], "Give the run's own options, or name another `run`."
            raise CheckpointError(f"a checkpoint of the same network in {path}", found, advice) from error
        return Position(**state["position"]), state["extra"]
    if damaged:
        raise damaged
    return None
