"""What a way of training is, as `launch` needs it: how its network is found and its stage made."""

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
    """What a stage is made of.

    Attributes:
        generator: on its device, in the memory format that it is to train in.
        temperature: divides its logits, from the model that it came from.
        photos: the set.
        device: where to compute.
        bf16: compute under bfloat16 autocast.
        going_on: a checkpoint will be read into the stage, so that what it starts from does not matter.
        group: the processes that train together.
        downloaded: told of a download: the file's name, how many bytes have come, and of how many.
    """

    generator: Generator
    temperature: float
    photos: PhotoSet
    device: torch.device
    bf16: bool
    going_on: bool
    group: ProcessGroup
    downloaded: Downloaded


@dataclass(frozen=True)
class TrainingTask(Generic[Options]):
    """A way of training, as `launch` needs it.

    Attributes:
        command: the subcommand, which `run.json` names.
        result: the name of the result in the cache.
        options: the class of its options.
        load: the generator to start from, and what its file says of it, or None for fresh weights.
        make_stage: the stage.
        save_beside: told where weights were written, to write what belongs beside them.
    """

    command: str
    result: str
    options: type[Options]
    load: Callable[[Options, torch.device, Downloaded], tuple[Generator, ModelInfo | None]]
    make_stage: Callable[[Options, StageContext], Stage]
    save_beside: Callable[[Stage, Path, ModelInfo], None] | None = None
