"""The table of metrics, their measurement photo by photo, and their means over a set.

Names, tables, files, pages and logs are made from the table: a further metric is one function and one row here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import torch
from torch import Tensor

from colorgan.color.lab import lab_to_rgb
from colorgan.metrics.auc import auc_scores, rarity_weights
from colorgan.metrics.bleeding import color_bleeding
from colorgan.metrics.bootstrap import Values
from colorgan.metrics.colorfulness import colorfulness, gray_chroma, out_of_gamut
from colorgan.metrics.fidelity import ab_l1, ciede2000, local_moments, psnr, ssim

V = TypeVar("V")
MOST_PSNR = 100.0  # decibels: an exact photo would make a set's mean infinite


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """A batch of photos in predicted or true colors, with cached values that several metrics need.

    Attributes:
        L: (B, 1, H, W), 0..100.
        ab: (B, 2, H, W), Lab units; predicted ones as the network gave them. Colors that sRGB lacks are clipped by
            channel for metrics on RGB, as the literature's code does, and stay as they are for those on Lab.
    """

    L: Tensor
    ab: Tensor

    @cached_property
    def lab(self) -> Tensor:
        """L and ab together, (B, 3, H, W)."""
        return torch.cat([self.L, self.ab], 1)

    @cached_property
    def rgb(self) -> Tensor:
        """The photos in sRGB, (B, 3, H, W), 0..1, clipped."""
        return lab_to_rgb(self.lab)

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        """The `local_moments` of `rgb`, for SSIM: two of (B, 3, H', W')."""
        return local_moments(self.rgb)

    @cached_property
    def rarity(self) -> Tensor:
        """The weight of each pixel in rebalanced metrics, (B, H, W)."""
        return rarity_weights(self.ab)

    @cached_property
    def colorfulness(self) -> tuple[Tensor, Tensor]:
        """Both kinds of colorfulness, cf_hs and cf, (B,) each."""
        return colorfulness(self.rgb)


@dataclass(frozen=True, eq=False)
class MetricResult:
    """A metric of each photo of a batch.

    Attributes:
        value: (B,); NaN if a photo has nothing to measure it on.
        weight: (B,): how much each photo counts in the set's value, which is sum(value * weight) / sum(weight). All 1
            if that is the mean; the denominators if the set's value is a ratio of sums.
    """

    value: Tensor
    weight: Tensor


def _auc_rebalanced(predicted: ImageBatch, truth: ImageBatch) -> MetricResult:
    weight = truth.rarity.sum((1, 2))
    return MetricResult((auc_scores(predicted.ab, truth.ab) * truth.rarity).sum((1, 2)) / weight * 100.0, weight)


def _color_bleeding(predicted: ImageBatch, truth: ImageBatch) -> MetricResult:
    share, contrast = color_bleeding(predicted.L, predicted.ab, truth.ab)
    return MetricResult(100.0 * share, contrast)


def _colorfulness_error(predicted: ImageBatch, truth: ImageBatch, which: int) -> Tensor:
    return (predicted.colorfulness[which] - truth.colorfulness[which]).abs()


@dataclass(frozen=True)
class Metric:
    """A metric's names, direction and computation; docs/evaluation.md defines each.

    Attributes:
        name: its name in code, files and options.
        label: its name in tables.
        unit: "" if it has none.
        better: higher, lower, or neither if the aim is the truth's own value, which is then measured too.
        decimals: the number of decimals worth printing.
        compute: measures it on predicted and true photos; returns values (B,) alone if the set's value is their mean.
        defined_for_ground_truth: whether it can be measured on the true photos by themselves.
        is_ratio: whether the set's value is a ratio of sums.
        former_names: its names in older files.
    """

    name: str
    label: str
    unit: str
    better: Literal["higher", "lower", "neither"]
    decimals: int
    compute: Callable[[ImageBatch, ImageBatch], Tensor | MetricResult]
    defined_for_ground_truth: bool = False
    is_ratio: bool = False
    former_names: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The label with its unit."""
        return f"{self.label}, {self.unit}" if self.unit else self.label

    def measure(self, predicted: ImageBatch, truth: ImageBatch) -> MetricResult:
        """Measure each photo of a batch."""
        found = self.compute(predicted, truth)
        return found if isinstance(found, MetricResult) else MetricResult(found, torch.ones_like(found))


_TABLE = (
    Metric("auc", "AuC", "%", "higher", 2, lambda p, t: 100.0 * auc_scores(p.ab, t.ab).mean((1, 2))),
    Metric("auc_rebalanced", "rebalanced AuC", "%", "higher", 2, _auc_rebalanced, is_ratio=True),
    Metric("psnr", "PSNR", "dB", "higher", 2, lambda p, t: psnr(p.rgb, t.rgb).clamp(max=MOST_PSNR)),
    Metric("ssim", "SSIM", "", "higher", 3, lambda p, t: ssim(p.rgb, t.rgb, t.moments)),
    Metric("ciede2000", "CIEDE2000", "", "lower", 2, lambda p, t: ciede2000(p.lab, t.lab).mean((1, 2))),
    Metric("ab_l1", "ab L1", "Lab units", "lower", 2, lambda p, t: ab_l1(p.ab, t.ab)),
    Metric("cf_hs", "colorfulness", "", "neither", 1, lambda p, t: p.colorfulness[0], True),
    Metric("cf_hs_error", "colorfulness error", "", "lower", 1, lambda p, t: _colorfulness_error(p, t, 0)),
    Metric("cf", "colorfulness (abs.)", "", "neither", 1, lambda p, t: p.colorfulness[1], True),
    Metric("cf_error", "colorfulness (abs.) error", "", "lower", 1, lambda p, t: _colorfulness_error(p, t, 1)),
    Metric("out_of_gamut", "out of gamut", "%", "lower", 2, lambda p, t: 100.0 * out_of_gamut(p.lab), True),
    Metric(
        "gray_chroma",
        "chroma on gray",
        "Lab units",
        "lower",
        2,
        lambda p, t: MetricResult(*gray_chroma(p.ab, t.ab)),
        defined_for_ground_truth=True,
        is_ratio=True,
        former_names=("grey_chroma",),  # old spelling
    ),
    Metric(
        "color_bleeding",
        "color bleeding",
        "%",
        "lower",
        1,
        _color_bleeding,
        defined_for_ground_truth=True,
        is_ratio=True,
        former_names=("spill",),
    ),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _TABLE}
METRICS_VERSION = 1  # of the definitions: results of different versions are not compared
_CURRENT_NAMES = {former: metric.name for metric in _TABLE for former in metric.former_names}


def with_current_names(found: Mapping[str, V]) -> dict[str, V]:
    """Return values by metric, with former names replaced by the current ones."""
    return {_CURRENT_NAMES.get(name, name): value for name, value in found.items()}


@torch.no_grad()
def measure(predicted: ImageBatch, truth: ImageBatch, names: Iterable[str] = METRICS) -> dict[str, MetricResult]:
    """Measure a batch of predictions against the same photos in their true colors, in the metrics of these names."""
    return {name: METRICS[name].measure(predicted, truth) for name in names}


@dataclass(frozen=True)
class MetricValues:
    """The metrics of a set of photos.

    Attributes:
        photos: the number of photos.
        values: by name in `METRICS`, and as `NAME_truth` the true photos' own value of the metrics that aim at it.
    """

    photos: int
    values: Mapping[str, float]

    def __getitem__(self, name: str) -> float:
        """Return the value of a metric; NaN if no photo had anything to measure it on."""
        return self.values.get(name, math.nan)

    def known(self) -> dict[str, float]:
        """Return the metrics that are not NaN, by name, and the number of photos, as files hold them."""
        return {"photos": self.photos} | {name: each for name, each in self.values.items() if not math.isnan(each)}

    @classmethod
    def from_known(cls, known: Mapping[str, float]) -> MetricValues:
        """Restore from what `known` of this version or an earlier one returned."""
        values = with_current_names(known)
        return cls(int(values.pop("photos")), values)


class MetricAccumulator:
    """The metrics of photos, collected batch by batch."""

    def __init__(self) -> None:
        self.photos = 0
        self._batches: list[dict[str, Tensor]] = []  # by name, (2, B): values and weights

    def add(self, L: Tensor, ab: Tensor, truth: Tensor) -> None:
        """Add a batch: L (B, 1, H, W), 0..100, and predicted and true ab, (B, 2, H, W), Lab units."""
        true = ImageBatch(L, truth)
        aimed_at = [metric.name for metric in METRICS.values() if metric.better == "neither"]
        measured = measure(ImageBatch(L, ab), true)
        measured |= {f"{name}_truth": result for name, result in measure(true, true, aimed_at).items()}
        # One transfer for all.
        stacked = torch.stack([torch.stack([m.value, m.weight]) for m in measured.values()]).cpu().double()
        self._batches.append(dict(zip(measured, stacked, strict=True)))
        self.photos += len(L)

    def by_photo(self, name: str) -> tuple[Values, Values]:
        """Return the value and the weight of each photo added, by a name in `MetricValues`."""
        values, weights = torch.cat([batch[name] for batch in self._batches], dim=1).numpy()
        return values, weights

    def means(self) -> MetricValues:
        """Return the metrics of all photos added, of which there must be one."""
        means = {}
        for name in self._batches[0]:
            values, weights = self.by_photo(name)
            counted = weights > 0  # a value without weight is NaN
            means[name] = float((values * weights)[counted].sum() / weights.sum()) if counted.any() else math.nan
        return MetricValues(self.photos, means)
