"""What a way of training is, as `launch` needs it: how its network is found and its stage made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

import torch

from colorgan.data.photoset import PhotoSet
from colorgan.models.download import Progress
from colorgan.models.loading import ModelInfo
from colorgan.networks.generator import Generator
from colorgan.training.options import Options
from colorgan.training.ranks import ProcessGroup
from colorgan.training.stages.base import Stage


@dataclass(frozen=True)
class StageContext:
    """What a stage is made of.

    Attributes:
        generator: on its device, in the memory format that it is to train in.
        temperature: divides its logits, from the model that it came from.
        photos: the set.
        device: where to compute.
        bf16: compute under bfloat16 autocast.
        going_on: a checkpoint will be read into the stage, so that what it starts from does not matter.
        ranks: the processes that train together.
        fetching: told of a download.
    """

    generator: Generator
    temperature: float
    photos: PhotoSet
    device: torch.device
    bf16: bool
    going_on: bool
    ranks: ProcessGroup
    fetching: Progress


@dataclass(frozen=True)
class TrainingTask(Generic[Options]):
    """A way of training, as `launch` needs it.

    Attributes:
        command: the subcommand, which `run.json` names.
        stage: the stage's name, which weights name.
        result: the name of the result in the cache.
        options: the class of its options.
        load: the generator to start from, and what its file says of it, or None for fresh weights.
        make_stage: the stage.
        save_beside: told where weights were written, to write what belongs beside them.
    """

    command: str
    stage: str
    result: str
    options: type[Options]
    load: Callable[[Options, torch.device, Progress], tuple[Generator, ModelInfo | None]]
    make_stage: Callable[[Options, StageContext], Stage]
    save_beside: Callable[[Stage, Path, ModelInfo], None] | None = None
