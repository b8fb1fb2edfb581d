"""Validation: the metrics of a generator on the held-out photos, and the epoch's sample sheet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from colorgan.callbacks import Callbacks
from colorgan.data.dataset import validation_batches
from colorgan.data.photoset import Split
from colorgan.metrics.registry import MetricAccumulator, MetricValues
from colorgan.networks.generator import Generator
from colorgan.training.monitoring.sample_sheets import SHEET_PHOTOS, write_sheet
from colorgan.training.monitoring.verdict import JUDGED, PhotoFigures
from colorgan.training.options import FinetuneOptions, RunOptions
from colorgan.training.stages.hints import VALIDATION_HINTS, draw_hints


@dataclass(frozen=True)
class Validation:
    """The results of one validation.

    Attributes:
        figures: the metrics over all photos.
        spread: the `color_spread` of the predicted photos, `ab_spread`, and of the true ones, `ab_spread_truth`.
        photos: the metrics of each photo that a verdict needs.
    """

    figures: MetricValues
    spread: dict[str, float]
    photos: PhotoFigures


def color_spread(means: Tensor) -> float:
    """Return how far photos' mean colors are apart: root mean square distance from their common mean.

    A collapsed generator gives different photos the same colors: its spread is near 0, that of the truth is not.

    Args:
        means: mean ab of each photo, (B, 2), Lab units.

    Returns:
        Lab units.
    """
    return float((means - means.mean(0)).square().sum(1).mean().sqrt())


@torch.inference_mode()
def validate(
    generator: Generator,
    temperature: float,
    photos: Split,
    options: RunOptions,
    sheet: Path,
    epoch: int,
    callbacks: Callbacks,
) -> Validation | None:
    """Measure a generator, in evaluation mode, on held-out photos, and write a sample sheet of the first.

    `options` set the number and the size of the photos. `callbacks` can stop it between batches.

    Returns:
        The results, or None if it was stopped.
    """
    device = next(generator.parameters()).device
    metrics = MetricAccumulator()
    means: list[Tensor] = []  # of predicted and true ab, (B, 2, 2) each
    batches = validation_batches(photos, batch_size=options.batch_size, size=options.size, limit=options.val_photos)
    for index, batch in enumerate(batches):
        if callbacks.should_stop() is not None:
            return None
        L, truth = batch.to_lab(device)
        ab = generator(L, temperature, _validation_hints(truth, options)).ab
        metrics.add(L, ab, truth)
        means.append(torch.stack([ab.mean((2, 3)), truth.mean((2, 3))], 1))
        if index == 0:
            count = min(SHEET_PHOTOS, len(L))
            write_sheet(sheet, epoch, L[:count], ab[:count], truth[:count])
    predicted, true = torch.cat(means).unbind(1)
    spread = {"ab_spread": color_spread(predicted), "ab_spread_truth": color_spread(true)}
    return Validation(metrics.means(), spread, {name: metrics.by_photo(name) for name in JUDGED})


def _validation_hints(truth: Tensor, options: RunOptions) -> Tensor | None:
    """Draw hints, the same at each validation, if the run trains the hint branch; else return None."""
    if not (isinstance(options, FinetuneOptions) and options.hint_branch):
        return None
    counts = torch.full((len(truth),), VALIDATION_HINTS)
    return draw_hints(truth, counts, torch.Generator().manual_seed(options.seed))
