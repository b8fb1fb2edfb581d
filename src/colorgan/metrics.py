"""Every figure, once: per photo, batched, on the device that the photos are on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from colorgan.color.bins import nearest_bin, prior
from colorgan.color.lab import lab_to_rgb

AUC_THRESHOLDS = 151  # 0, 1, ..., 150 Lab units: Zhang et al. 2016, section 3.1


def psnr(rgb: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio over the three channels.

    Args:
        rgb: (B, 3, H, W), sRGB, 0..1.
        truth: the same.

    Returns:
        (B,), decibels; infinite where the two are equal.
    """
    return -10.0 * (rgb - truth).square().flatten(1).mean(1).log10()


def colorfulness(rgb: Tensor) -> Tensor:
    """Colorfulness, signed opponents (Hasler and Suesstrunk 2003, equation for M3).

    Args:
        rgb: (B, 3, H, W), sRGB, 0..1.

    Returns:
        (B,), 0 for grey, about 110 at the most colourful photos (the paper's scale of 0..255).
    """
    red, green, blue = (255.0 * rgb).flatten(2).unbind(1)
    red_green, yellow_blue = red - green, 0.5 * (red + green) - blue
    spread = (red_green.var(1, correction=0) + yellow_blue.var(1, correction=0)).sqrt()
    centre = (red_green.mean(1).square() + yellow_blue.mean(1).square()).sqrt()
    return spread + 0.3 * centre


def ab_l1(ab: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference of a and b: (B, 2, H, W) twice -> (B,), Lab units."""
    return (ab - truth).abs().flatten(1).mean(1)


def auc_scores(ab: Tensor, truth: Tensor) -> Tensor:
    """Score each pixel by the share of the thresholds 0, 1, ..., 150 that its ab distance does not exceed.

    The mean of these scores over pixels is the area under the cumulative error curve (Zhang et al. 2016,
    section 3.1), which is why no threshold needs to be looped over.

    Args:
        ab: (B, 2, H, W), Lab units.
        truth: the same.

    Returns:
        (B, H, W), 0..1.
    """
    distance = (ab - truth).square().sum(1).sqrt()
    return (AUC_THRESHOLDS - distance.ceil()).clamp(min=0.0) / AUC_THRESHOLDS


def rarity_weights(truth: Tensor) -> Tensor:
    """The weight of each pixel in rebalanced figures: 1 / prior of its true bin, (B, 2, H, W) -> (B, H, W)."""
    return (1.0 / prior()).to(truth.device)[nearest_bin(truth)]


@dataclass(frozen=True)
class Figures:
    """The figures of a set of photos.

    Attributes:
        photos: how many.
        ab_l1: mean absolute ab difference, Lab units.
        psnr: mean over photos, decibels, on sRGB.
        colorfulness: mean over photos of the predicted ones.
        colorfulness_truth: mean over photos of the true ones.
        auc: area under the cumulative ab error curve, percent.
        auc_rebalanced: the same with pixels weighted by 1 / prior, percent.
    """

    photos: int
    ab_l1: float
    psnr: float
    colorfulness: float
    colorfulness_truth: float
    auc: float
    auc_rebalanced: float


class FigureSums:
    """Gathers figures batch by batch; its memory does not grow with the photos."""

    def __init__(self) -> None:
        self.photos = 0
        self._sums: dict[str, Tensor] = {}

    def add(self, L: Tensor, ab: Tensor, truth: Tensor) -> None:
        """Take in a batch.

        Args:
            L: (B, 1, H, W), 0..100.
            ab: predicted, (B, 2, H, W), Lab units.
            truth: true, (B, 2, H, W), Lab units.
        """
        rgb, true_rgb = lab_to_rgb(torch.cat([L, ab], 1)), lab_to_rgb(torch.cat([L, truth], 1))
        scores, weights = auc_scores(ab, truth), rarity_weights(truth)
        batch = {
            "ab_l1": ab_l1(ab, truth),
            "psnr": psnr(rgb, true_rgb).clamp(max=100.0),  # an exact photo would make the mean infinite
            "colorfulness": colorfulness(rgb),
            "colorfulness_truth": colorfulness(true_rgb),
            "auc": scores.mean((1, 2)),
            "weighted_scores": (scores * weights).sum((1, 2)),
            "weights": weights.sum((1, 2)),
        }
        for name, values in batch.items():
            # Python's numbers are double: sums of a million photos keep their digits.
            total = values.detach().double().sum().cpu() if values.device.type != "mps" else values.sum().cpu().double()
            self._sums[name] = self._sums.get(name, torch.zeros((), dtype=torch.float64)) + total
        self.photos += len(L)

    def figures(self) -> Figures:
        """Compute the figures of all photos taken in, of which there must be one."""
        sums = {name: float(total) for name, total in self._sums.items()}
        means = {name: total / self.photos for name, total in sums.items()}
        return Figures(
            photos=self.photos,
            ab_l1=means["ab_l1"],
            psnr=means["psnr"],
            colorfulness=means["colorfulness"],
            colorfulness_truth=means["colorfulness_truth"],
            auc=100.0 * means["auc"],
            auc_rebalanced=100.0 * sums["weighted_scores"] / sums["weights"],
        )
