"""The figures of each photo and row, gathered batch by batch: a few numbers per photo, and no picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from colorgan.compare.perceptual import Perceptual
from colorgan.compare.results import CHROMA_BINS, CHROMA_STEP, GREY, ORIGINAL
from colorgan.metrics import FIGURES, Measured, Pictures, measure

_OF_TRUTH = tuple(name for name, figure in FIGURES.items() if figure.of_truth)


@dataclass
class Gathered:
    """What is known of a row so far.

    Attributes:
        values: by figure, one per photo.
        weights: likewise, of the figures that are ratios of sums.
        chroma: pixels by chroma, (CHROMA_BINS,).
    """

    values: dict[str, list[float]] = field(default_factory=dict)
    weights: dict[str, list[float]] = field(default_factory=dict)
    chroma: Tensor = field(default_factory=lambda: torch.zeros(CHROMA_BINS, dtype=torch.int64))

    def add(self, measured: Mapping[str, Measured], ab: Tensor) -> None:
        """Take in the figures and the colours of a batch."""
        for name, figure in measured.items():
            self.values.setdefault(name, []).extend(figure.value.tolist())
            if FIGURES[name].is_ratio:
                self.weights.setdefault(name, []).extend(figure.weight.tolist())
        chroma = torch.hypot(ab[:, 0], ab[:, 1]).flatten()
        cells = (chroma / CHROMA_STEP).long().clamp(max=CHROMA_BINS - 1)
        self.chroma += torch.bincount(cells, minlength=CHROMA_BINS).cpu()

    def chroma_shares(self) -> list[float]:
        """The share of all pixels in each bin of chroma."""
        shares: list[float] = (self.chroma.double() / max(1, int(self.chroma.sum()))).tolist()
        return shares


class Gathering:
    """Measures the anchors and the models on photos with true colours.

    Args:
        models: the rows' names beside the anchors.
        device: where the figures are computed.
        perceptual: gets the photos too.
    """

    def __init__(self, models: Sequence[str], device: torch.device, perceptual: Perceptual | None = None) -> None:
        self.rows = {name: Gathered() for name in (GREY, ORIGINAL, *models)}
        self._device = device
        self._perceptual = perceptual

    def add(self, lab: Tensor, predicted: Mapping[str, Tensor]) -> None:
        """Take in a batch.

        Args:
            lab: true, (B, 3, S, S).
            predicted: ab of each model, (B, 2, S, S), Lab units.
        """
        # One photo at a time on a CPU: the planes of one stay in its cache, and those of eight do not.
        at_once = 1 if self._device.type == "cpu" else len(lab)
        for start in range(0, len(lab), at_once):
            part = slice(start, start + at_once)
            self._measure(lab[part].to(self._device), {name: ab[part] for name, ab in predicted.items()})

    def _measure(self, lab: Tensor, predicted: Mapping[str, Tensor]) -> None:
        truth = Pictures(lab[:, :1].contiguous(), lab[:, 1:].contiguous())
        self.rows[ORIGINAL].add(measure(truth, truth, _OF_TRUTH), truth.ab)
        coloured = {GREY: torch.zeros_like(truth.ab)} | {name: ab.to(self._device) for name, ab in predicted.items()}
        for name, ab in coloured.items():
            self.rows[name].add(measure(Pictures(truth.L, ab), truth), ab)
        if self._perceptual:
            self._perceptual.add(truth.L, coloured | {ORIGINAL: truth.ab})
