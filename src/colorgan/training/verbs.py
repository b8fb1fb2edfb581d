"""What is promised to whoever trains from Python: the two ways of training, each as one call."""

from __future__ import annotations

import os
from pathlib import Path

from colorgan.callbacks import Callbacks
from colorgan.training.finetune_task import FINETUNE
from colorgan.training.launch import TrainingResult, launch
from colorgan.training.options import FinetuneOptions
from colorgan.training.train_options import TrainOptions
from colorgan.training.train_task import TRAIN


def finetune(
    data: str | os.PathLike[str],
    run: str | os.PathLike[str] = "runs/finetune",
    options: FinetuneOptions = FinetuneOptions(),
    *,
    overwrite: bool = False,
    callbacks: Callbacks | None = None,
) -> TrainingResult:
    """Train a model on a set, supervised by the photos' true colors; the same call again goes on where it was stopped.

    Args:
        data: the set that `prepare` wrote: its folder, or the address of a copy, such as s3://bucket/data.
        run: the run folder: log, report, samples, weights, checkpoints.
        options: what decides the run.
        overwrite: start afresh where the folder holds a run.
        callbacks: are told how it goes, and say when to stop.

    Returns:
        Where the best weights are, and how the run went.

    Raises:
        SetError: no whole set there.
        StorageError: the store of a set at an address refuses, or does not answer.
        WeightsError: weights to start from are not at hand or damaged.
        UsageError: options that cannot be, or a folder that holds another run or other things.
        OutputError: the run folder cannot be written.
        CheckpointError: the run's checkpoints or its log cannot be read.
        TrainingError: the loss stopped being a number.
        Interrupted: `callbacks.should_stop` said so; once there are steps, a checkpoint was saved.
    """
    return launch(FINETUNE, Path(data), Path(run), options, callbacks or Callbacks(), overwrite)


def train(
    data: str | os.PathLike[str],
    run: str | os.PathLike[str] = "runs/train",
    options: TrainOptions = TrainOptions(),
    *,
    overwrite: bool = False,
    callbacks: Callbacks | None = None,
) -> TrainingResult:
    """Train a model on against a discriminator that learns to tell its colors from true ones.

    Args:
        data: the set that `prepare` wrote.
        run: the run folder.
        options: what decides the run; `TrainOptions.from_recipe({"recipe": "balanced"})` has those of a recipe.
        overwrite: start afresh where the folder holds a run.
        callbacks: are told how it goes, and say when to stop.

    Returns:
        Where the best weights are, and how the run went.

    Raises:
        ColorganError: as `finetune` does.
    """
    return launch(TRAIN, Path(data), Path(run), options, callbacks or Callbacks(), overwrite)
