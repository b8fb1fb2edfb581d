"""The public functions for training from Python: `finetune` and `train`."""

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
    """Train a model on a set, supervised by the photos' true colors; the same call again resumes a stopped run.

    Args:
        data: the set that `prepare` wrote: its folder, or the address of a copy, such as s3://bucket/data.
        run: the run folder: log, report, samples, weights, checkpoints.
        options: the options of the run.
        overwrite: start afresh if the folder holds a run.
        callbacks: receive the progress, and decide when to stop.

    Returns:
        The path of the best weights, their metrics, and the verdict on the run.

    Raises:
        SetError: `data` holds no complete set.
        StorageError: the object store of a remote set refuses access, or does not answer.
        WeightsError: the weights to start from are missing or damaged.
        UsageError: the options are invalid, or the folder holds another run or other files.
        OutputError: the run folder cannot be written.
        CheckpointError: the run's checkpoints or its log cannot be read.
        TrainingError: the loss or the weights became NaN or infinite.
        Interrupted: `callbacks.should_stop` asked for it; once there are steps, a checkpoint was saved.
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
    """Train a model further, against a discriminator that learns to distinguish its colors from true ones.

    Args:
        data: the set that `prepare` wrote.
        run: the run folder.
        options: the options of the run; `TrainOptions.from_recipe({"recipe": "balanced"})` has those of a recipe.
        overwrite: start afresh if the folder holds a run.
        callbacks: receive the progress, and decide when to stop.

    Returns:
        The path of the best weights, their metrics, and the verdict on the run.

    Raises:
        ColorganError: as for `finetune`.
    """
    return launch(TRAIN, Path(data), Path(run), options, callbacks or Callbacks(), overwrite)
