"""The table of figures, their measurement photo by photo, and their means over a set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from colorgan.color.lab import lab_to_rgb
from colorgan.metrics.auc import auc_scores, rarity_weights
from colorgan.metrics.bleeding import spill
from colorgan.metrics.colorfulness import colorfulness, grey_chroma, out_of_gamut
from colorgan.metrics.fidelity import ab_l1, ciede2000, local_moments, psnr, ssim

MOST_PSNR = 100.0  # decibels: an exact photo would make a set's mean infinite


@dataclass(frozen=True, eq=False)
class Pictures:
    """A batch of photos in some colors, and what several figures want to know of them, computed once.

    Attributes:
        L: (B, 1, H, W), 0..100.
        ab: (B, 2, H, W), Lab units; predicted ones as the network gave them. Colors that sRGB lacks are clipped by
            channel for the figures on RGB, as the literature's code does, and stay as they are for those on Lab.
    """

    L: Tensor
    ab: Tensor

    @cached_property
    def lab(self) -> Tensor:
        """(B, 3, H, W)."""
        return torch.cat([self.L, self.ab], 1)

    @cached_property
    def rgb(self) -> Tensor:
        """(B, 3, H, W), sRGB, 0..1."""
        return lab_to_rgb(self.lab)

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        """Two of (B, 3, H', W'), for SSIM."""
        return local_moments(self.rgb)

    @cached_property
    def rarity(self) -> Tensor:
        """(B, H, W), for rebalanced figures."""
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


Of = Callable[[Pictures, Pictures], Measured]


def _mean(of: Callable[[Pictures, Pictures], Tensor]) -> Of:
    """A figure whose set's figure is the mean over photos, from a function that gives (B,)."""

    def measured(predicted: Pictures, truth: Pictures) -> Measured:
        value = of(predicted, truth)
        return Measured(value, torch.ones_like(value))

    return measured


def _auc_rebalanced(predicted: Pictures, truth: Pictures) -> Measured:
    weight = truth.rarity.sum((1, 2))
    return Measured((auc_scores(predicted.ab, truth.ab) * truth.rarity).sum((1, 2)) / weight * 100.0, weight)


def _spill(predicted: Pictures, truth: Pictures) -> Measured:
    share, contrast = spill(predicted.L, predicted.ab, truth.ab)
    return Measured(100.0 * share, contrast)


Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True)
class Figure:
    """What a figure is called and which way it points; its definition is in docs/evaluation.md.

    Attributes:
        name: in code, files and options.
        label: in tables.
        unit: "" where it has none.
        better: higher, lower, or neither: where more may be better or worse.
        decimals: that are worth printing.
        of: measures it on predicted and true photos.
        of_truth: whether it says something of the truth beside itself.
        is_ratio: whether the set's figure is a ratio of sums.
    """

    name: str
    label: str
    unit: str
    better: Better
    decimals: int
    of: Of
    of_truth: bool = False
    is_ratio: bool = False


_TABLE = (
    Figure("auc", "AuC", "%", "higher", 2, _mean(lambda p, t: 100.0 * auc_scores(p.ab, t.ab).mean((1, 2)))),
    Figure("auc_rebalanced", "rebalanced AuC", "%", "higher", 2, _auc_rebalanced, is_ratio=True),
    Figure("psnr", "PSNR", "dB", "higher", 2, _mean(lambda p, t: psnr(p.rgb, t.rgb).clamp(max=MOST_PSNR))),
    Figure("ssim", "SSIM", "", "higher", 3, _mean(lambda p, t: ssim(p.rgb, t.rgb, t.moments))),
    Figure("ciede2000", "CIEDE2000", "", "lower", 2, _mean(lambda p, t: ciede2000(p.lab, t.lab).mean((1, 2)))),
    Figure("ab_l1", "ab L1", "Lab units", "lower", 2, _mean(lambda p, t: ab_l1(p.ab, t.ab))),
    Figure("cf_hs", "colorfulness", "", "neither", 1, _mean(lambda p, t: p.colorfulness[0]), of_truth=True),
    Figure("cf_hs_error", "colorfulness error", "", "lower", 1, _mean(lambda p, t: _colorfulness_error(p, t, 0))),
    Figure("cf", "colorfulness (abs.)", "", "neither", 1, _mean(lambda p, t: p.colorfulness[1]), of_truth=True),
    Figure("cf_error", "colorfulness (abs.) error", "", "lower", 1, _mean(lambda p, t: _colorfulness_error(p, t, 1))),
    Figure(
        "out_of_gamut", "out of gamut", "%", "lower", 2, _mean(lambda p, t: 100.0 * out_of_gamut(p.lab)), of_truth=True
    ),
    Figure(
        "grey_chroma",
        "chroma on gray",
        "Lab units",
        "lower",
        2,
        lambda p, t: Measured(*grey_chroma(p.ab, t.ab)),
        of_truth=True,
        is_ratio=True,
    ),
    Figure("spill", "chroma spill", "%", "lower", 1, _spill, of_truth=True, is_ratio=True),
)
FIGURES: dict[str, Figure] = {figure.name: figure for figure in _TABLE}
FIGURES_VERSION = 1  # of the definitions: results of another version are not put beside these


def _colorfulness_error(predicted: Pictures, truth: Pictures, which: int) -> Tensor:
    return (predicted.colorfulness[which] - truth.colorfulness[which]).abs()


@torch.no_grad()
def measure(predicted: Pictures, truth: Pictures, names: Iterable[str] = FIGURES) -> dict[str, Measured]:
    """Take figures of a batch of predictions.

    Args:
        predicted: the photos as predicted.
        truth: the same photos in their true colors.
        names: of `FIGURES`; all of them.

    Returns:
        By name.
    """
    return {name: FIGURES[name].of(predicted, truth) for name in names}


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

    def add(self, L: Tensor, ab: Tensor, truth: Tensor) -> dict[str, Measured]:
        """Take in a batch.

        Args:
            L: (B, 1, H, W), 0..100.
            ab: predicted, (B, 2, H, W), Lab units.
            truth: true, (B, 2, H, W), Lab units.

        Returns:
            The figures of its photos, and the truth's own colorfulness, by name.
        """
        true = Pictures(L, truth)
        measured = measure(Pictures(L, ab), true)
        for name, value in zip(("cf_hs_truth", "cf_truth"), true.colorfulness, strict=True):
            measured[name] = Measured(value, torch.ones_like(value))
        # One transfer for all; Python's numbers are double, so that sums of a million photos keep their digits.
        stacked = torch.stack([torch.stack([m.value, m.weight]) for m in measured.values()]).cpu().double()
        for name, (value, weight) in zip(measured, stacked, strict=True):
            total, weights = self._sums.get(name, (0.0, 0.0))
            counted = weight > 0  # a value without weight is NaN
            self._sums[name] = (total + float((value * weight)[counted].sum()), weights + float(weight.sum()))
        self.photos += len(L)
        return measured

    def figures(self) -> Figures:
        """Compute the figures of all photos taken in, of which there must be one."""
        names = {field.name for field in fields(Figures)} - {"photos"}
        ratios = {name: total / weight if weight else math.nan for name, (total, weight) in self._sums.items()}
        return Figures(photos=self.photos, **{name: ratios[name] for name in names})
