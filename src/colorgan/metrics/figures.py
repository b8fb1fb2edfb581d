"""The table of figures, their measurement photo by photo, and their means over a set."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from colorgan.color.lab import lab_to_rgb
from colorgan.metrics.auc import auc_scores, rarity_weights
from colorgan.metrics.colour import colorfulness, grey_chroma, out_of_gamut
from colorgan.metrics.fidelity import ab_l1, ciede2000, local_moments, psnr, ssim
from colorgan.metrics.spill import spill

MOST_PSNR = 100.0  # decibels: an exact photo would make a set's mean infinite


@dataclass(frozen=True)
class Figure:
    """What a figure is called and which way it points; its definition is in docs/evaluation.md.

    Attributes:
        name: in code, files and options.
        label: in tables.
        unit: "" where it has none.
        better: higher, lower, or neither: where more may be better or worse.
        decimals: that are worth printing.
    """

    name: str
    label: str
    unit: str
    better: Literal["higher", "lower", "neither"]
    decimals: int


_ROWS: tuple[tuple[str, str, str, Literal["higher", "lower", "neither"], int], ...] = (
    ("auc", "AuC", "%", "higher", 2),
    ("auc_rebalanced", "rebalanced AuC", "%", "higher", 2),
    ("psnr", "PSNR", "dB", "higher", 2),
    ("ssim", "SSIM", "", "higher", 3),
    ("ciede2000", "CIEDE2000", "", "lower", 2),
    ("ab_l1", "ab L1", "Lab units", "lower", 2),
    ("cf_hs", "colorfulness", "", "neither", 1),
    ("cf_hs_error", "colorfulness error", "", "lower", 1),
    ("cf", "colorfulness (absolute)", "", "neither", 1),
    ("cf_error", "colorfulness (absolute) error", "", "lower", 1),
    ("out_of_gamut", "out of gamut", "%", "lower", 2),
    ("grey_chroma", "chroma on grey", "Lab units", "lower", 2),
    ("spill", "chroma spill", "%", "lower", 1),
)
FIGURES: dict[str, Figure] = {row[0]: Figure(*row) for row in _ROWS}


@dataclass(frozen=True, eq=False)
class Truth:
    """True photos, and what is worth computing once however many models are measured on them.

    Attributes:
        L: (B, 1, H, W), 0..100.
        ab: (B, 2, H, W), Lab units.
    """

    L: Tensor
    ab: Tensor

    @cached_property
    def lab(self) -> Tensor:
        """(B, 3, H, W)."""
        return torch.cat([self.L, self.ab], 1)

    @cached_property
    def rgb(self) -> Tensor:
        """(B, 3, H, W), 0..1."""
        return lab_to_rgb(self.lab)

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        """What SSIM needs of the truth."""
        return local_moments(self.rgb)

    @cached_property
    def rarity(self) -> Tensor:
        """(B, H, W)."""
        return rarity_weights(self.ab)

    @cached_property
    def colorfulness(self) -> tuple[Tensor, Tensor]:
        """cf_hs and cf, (B,) each."""
        return colorfulness(self.rgb)


@dataclass(frozen=True, eq=False)
class Measured:
    """A figure of each photo of a batch.

    Attributes:
        value: (B,); NaN where a photo has nothing to measure it on.
        weight: (B,): how much each photo counts in the set's figure, which is sum(value * weight) / sum(weight). All 1
            where that is the mean; the denominators where the set's figure is a ratio of sums.
    """

    value: Tensor
    weight: Tensor


@torch.no_grad()
def measure(ab: Tensor, truth: Truth) -> dict[str, Measured]:
    """Take every figure of a batch of predictions.

    Args:
        ab: predicted, (B, 2, H, W), Lab units, as the network gave them. Colours that sRGB lacks are clipped by channel
            for the figures on RGB, as the literature's code does, and stay as they are for those on Lab.
        truth: the photos.

    Returns:
        By the names of `FIGURES`.
    """
    lab = torch.cat([truth.L, ab], 1)
    rgb = lab_to_rgb(lab)
    cf_hs, cf = colorfulness(rgb)
    true_cf_hs, true_cf = truth.colorfulness
    scores = auc_scores(ab, truth.ab)
    rarity = truth.rarity.sum((1, 2))
    means = {
        "auc": 100.0 * scores.mean((1, 2)),
        "psnr": psnr(rgb, truth.rgb).clamp(max=MOST_PSNR),
        "ssim": ssim(rgb, truth.rgb, truth.moments),
        "ciede2000": ciede2000(lab, truth.lab).mean((1, 2)),
        "ab_l1": ab_l1(ab, truth.ab),
        "cf_hs": cf_hs,
        "cf_hs_error": (cf_hs - true_cf_hs).abs(),
        "cf": cf,
        "cf_error": (cf - true_cf).abs(),
        "out_of_gamut": 100.0 * out_of_gamut(lab),
    }
    spilled, contrast = spill(truth.L, ab, truth.ab)
    ratios = {
        "auc_rebalanced": (100.0 * (scores * truth.rarity).sum((1, 2)) / rarity, rarity),
        "grey_chroma": grey_chroma(ab, truth.ab),
        "spill": (100.0 * spilled, contrast),
    }
    measured = {name: Measured(value, torch.ones_like(value)) for name, value in means.items()}
    measured |= {name: Measured(value, weight) for name, (value, weight) in ratios.items()}
    return {name: measured[name] for name in FIGURES}


@dataclass(frozen=True)
class Figures:
    """The figures of a set of photos: one for each row of `FIGURES`, and the truth's own colorfulness.

    NaN where no photo had anything to measure a figure on.
    """

    photos: int
    ab_l1: float
    psnr: float
    auc: float
    auc_rebalanced: float
    ssim: float = math.nan
    ciede2000: float = math.nan
    cf_hs: float = math.nan
    cf_hs_truth: float = math.nan
    cf_hs_error: float = math.nan
    cf: float = math.nan
    cf_truth: float = math.nan
    cf_error: float = math.nan
    out_of_gamut: float = math.nan
    grey_chroma: float = math.nan
    spill: float = math.nan

    def known(self) -> dict[str, float]:
        """Those that are numbers, by name."""
        return {name: value for name, value in asdict(self).items() if not math.isnan(value)}


class FigureSums:
    """Gathers figures batch by batch; its memory does not grow with the photos."""

    def __init__(self) -> None:
        self.photos = 0
        self._sums: dict[str, tuple[float, float]] = {}

    def add(self, L: Tensor, ab: Tensor, truth: Tensor) -> None:
        """Take in a batch.

        Args:
            L: (B, 1, H, W), 0..100.
            ab: predicted, (B, 2, H, W), Lab units.
            truth: true, (B, 2, H, W), Lab units.
        """
        true = Truth(L, truth)
        measured = measure(ab, true)
        for name, value in zip(("cf_hs_truth", "cf_truth"), true.colorfulness, strict=True):
            measured[name] = Measured(value, torch.ones_like(value))
        # One transfer for all; Python's numbers are double, so that sums of a million photos keep their digits.
        stacked = torch.stack([torch.stack([m.value, m.weight]) for m in measured.values()]).cpu().double()
        for name, (value, weight) in zip(measured, stacked, strict=True):
            total, weights = self._sums.get(name, (0.0, 0.0))
            counted = weight > 0  # a value without weight is NaN
            self._sums[name] = (total + float((value * weight)[counted].sum()), weights + float(weight.sum()))
        self.photos += len(L)

    def figures(self) -> Figures:
        """Compute the figures of all photos taken in, of which there must be one."""
        names = {field.name for field in fields(Figures)} - {"photos"}
        ratios = {name: total / weight if weight else math.nan for name, (total, weight) in self._sums.items()}
        return Figures(photos=self.photos, **{name: ratios[name] for name in names})
