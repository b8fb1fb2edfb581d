"""The interface of a training command to `launch`: how it loads its network and builds its stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

import torch

from colorgan.data.photoset import PhotoSet
from colorgan.distributed import ProcessGroup
from colorgan.models.info import ModelInfo
from colorgan.networks.generator import Generator
from colorgan.training.options import Options
from colorgan.training.stages.base import Stage

Downloaded = Callable[[str, int, "int | None"], None]


@dataclass(frozen=True)
class StageContext:
    """What a task needs to build its stage.

    Attributes:
        generator: the network to train, on its device and in its training memory format.
        temperature: divides its logits; taken from the model that it came from.
        photos: the training set.
        device: the device to compute on.
        bf16: compute under bfloat16 autocast.
        resuming: whether a checkpoint will be loaded into the stage, so that its initial weights do not matter.
        group: the processes that train together.
        downloaded: called during a download with the file's name, the bytes received, and the total, None if unknown.
    """

    generator: Generator
    temperature: float
    photos: PhotoSet
    device: torch.device
    bf16: bool
    resuming: bool
    group: ProcessGroup
    downloaded: Downloaded


@dataclass(frozen=True)
class TrainingTask(Generic[Options]):
    """A training command as `launch` runs it.

    Attributes:
        command: the subcommand, recorded in `run.json`.
        result: the name of its result in the cache.
        options: the class of its options.
        load: returns the generator to start from, and its file's metadata, or None for fresh weights.
        make_stage: builds the stage.
        save_beside: called once the best weights are written, with their folder and metadata, to add files there.
    """

    command: str
    result: str
    options: type[Options]
    load: Callable[[Options, torch.device, Downloaded], tuple[Generator, ModelInfo | None]]
    make_stage: Callable[[Options, StageContext], Stage]
    save_beside: Callable[[Stage, Path, ModelInfo], None] | None = None
