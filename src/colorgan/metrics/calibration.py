"""Calibration: whether predictions are right as often as their confidence says (Guo et al. 2017, section 2)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

BINS = 10  # of confidence, of equal width
WITHIN = 10.0  # Lab units: confidence is the probability that ab is within this of the truth


class Reliability:
    """Statistics of pixels by a network's confidence in them; their memory does not grow with the photos."""

    def __init__(self) -> None:
        self._sums = torch.zeros(3, BINS, dtype=torch.float64)  # pixels, their confidence, and how many were right

    def add(self, confidence: Tensor, ab: Tensor, truth: Tensor) -> None:
        """Add a photo: confidence (h, w), 0..1, and predicted and true ab, (2, H, W), Lab units."""
        sure = F.interpolate(confidence[None, None], ab.shape[-2:], mode="bilinear", align_corners=False).flatten()
        came_true = ((ab - truth).norm(dim=0) <= WITHIN).flatten()
        place = (sure * BINS).long().clamp(0, BINS - 1)
        for row, weights in zip(self._sums, (torch.ones_like(sure), sure, came_true), strict=True):
            row += torch.bincount(place, weights.double(), minlength=BINS)

    def bins(self) -> list[list[float]]:
        """Return for each bin the share of all pixels, their mean confidence, and the share of them that were right.

        Empty without pixels; the last two are 0 for a bin without any.
        """
        pixels, sure, came_true = self._sums
        if not pixels.sum():
            return []
        of_bins = torch.stack([pixels / pixels.sum(), sure / pixels.clamp(min=1), came_true / pixels.clamp(min=1)], 1)
        found: list[list[float]] = of_bins.tolist()
        return found

    def error(self) -> float:
        """Return the expected calibration error (ECE), percent: how far confidence is from accuracy."""
        pixels, sure, came_true = self._sums
        return float(100.0 * (sure - came_true).abs().sum() / pixels.sum())
