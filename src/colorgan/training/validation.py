"""Validation: the figures of a generator on the photos held back, and the epoch's sample sheet."""

from __future__ import annotations

from pathlib import Path

import torch

from colorgan.data.dataset import validation_batches
from colorgan.data.photoset import Split
from colorgan.metrics import Figures, FigureSums
from colorgan.networks.generator import Generator
from colorgan.signals import SignalWatch
from colorgan.training.monitor import SHEET_PHOTOS, write_sheet
from colorgan.training.options import RunOptions


@torch.inference_mode()
def validate(
    generator: Generator,
    temperature: float,
    photos: Split,
    options: RunOptions,
    sheet: Path,
    signals: SignalWatch,
) -> Figures | None:
    """Measure a generator, and draw the first photos.

    Args:
        generator: in evaluation mode, on its device.
        temperature: divides its logits.
        photos: held back from training.
        options: how many of them, and at which size.
        sheet: a JPEG to be.
        signals: asked between batches.

    Returns:
        The figures, or None where a signal came.
    """
    device = next(generator.parameters()).device
    sums = FigureSums()
    batches = validation_batches(photos, batch_size=options.batch_size, size=options.size, limit=options.val_photos)
    for index, batch in enumerate(batches):
        if signals.received is not None:
            return None
        L, truth = batch.to_lab(device)
        ab = generator(L, temperature).ab
        sums.add(L, ab, truth)
        if index == 0:
            count = min(SHEET_PHOTOS, len(L))
            write_sheet(sheet, L[:count], ab[:count], truth[:count])
    return sums.figures()
