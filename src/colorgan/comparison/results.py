"""What a comparison found, as `results.json` holds it and as a page or a program reads it.

`results.json` is `Comparison` as JSON, field by field (null stands where a number is not known), and its `format`:

    protocol     what the metrics depend on, beside the models; two results go together only where it is the same
    photos       the photos with true colors, in the order of every row's `values`
    rows         gray and original (the baselines), then each model, then rows of earlier results
    differences  of each two models, and of each model from the original in colorfulness, with words for people
    examples     photos with a picture of each row, paths relative to the folder of the results; also of
                 photos without true colors
    failures     photos that could not be read or colored, with the reason
    left_out     photos without true colors, by reason: they have examples and no metrics
    published    rows of the literature, where they were measured on these photos in this way
    answer       what it comes to, in words
    notes        what a reader of the metrics should know, in words

`results.csv` has one line per photo and row, with a column for each metric. `results_io.py` writes and reads both.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from colorgan.metrics.bootstrap import Interval, Values
from colorgan.metrics.registry import METRICS

GRAY, ORIGINAL = "gray", "original"
FEW_PHOTOS = 30  # below it a bootstrap's intervals come out too narrow
FEWEST_TO_JUDGE = 10  # of fewer photos nothing is called better, whatever an interval says
CHROMA_STEP, CHROMA_BINS = 2.0, 60  # of the histograms: 0..2, 2..4, ... Lab units, the last one open
# Whatever of a protocol is not here may differ without changing a metric by more than its last digit.
_DECISIVE = ("metrics_version", "size_px", "resize", "crop", "color", "prior", "photos", "photo_set")


@dataclass(frozen=True)
class Protocol:
    """What the metrics depend on, beside the models.

    Attributes:
        metrics_version: of the metrics' definitions.
        size_px: photos are reduced or enlarged to this short side, and the square in their middle is cut out.
        resize: the filter of that.
        crop: where the square is.
        color: what the pixels are taken for.
        precision: of the networks' computation.
        photos: how many have true colors.
        photo_set: SHA-256 over those photos' files, whatever they are called and in whatever order.
        prior: SHA-256 of the shares of the bins, which rebalanced metrics weigh by.
        seed: of the bootstrap.
        resamples: of the bootstrap.
        level: of the intervals.
        device: that the networks ran on.
        versions: of the programs.
    """

    metrics_version: int
    size_px: int
    resize: str
    crop: str
    color: str
    precision: str
    photos: int
    photo_set: str
    prior: str
    seed: int
    resamples: int
    level: float
    device: str
    versions: dict[str, str]

    def line(self) -> str:
        """All of it in one line, as it stands under tables."""
        programs = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        side, count = self.size_px, "1 photo" if self.photos == 1 else f"{self.photos} photos"
        return (
            f"{count} (set {self.photo_set[:12]}), short side {side} px ({self.resize}), "
            f"{self.crop} {side} x {side}, {self.color}; networks in {self.precision} on {self.device}; prior "
            f"{self.prior[:12]}; metrics version {self.metrics_version}; {100 * self.level:g}% intervals from "
            f"{self.resamples} bootstrap resamples, seed {self.seed}; {programs}"
        )

    def conflict(self, other: Protocol) -> str | None:
        """Why metrics of another protocol may not stand beside these, or None where they may."""
        for name in _DECISIVE:
            ours, theirs = getattr(self, name), getattr(other, name)
            if ours != theirs:
                return f"its {name.replace('_', ' ')} is {str(theirs)[:12]}, and here it is {str(ours)[:12]}"
        return None


@dataclass(frozen=True)
class PhotoName:
    """A photo with true colors.

    Attributes:
        name: its path inside its source.
        source: the folder, archive or file that it came from.
        sha256: of its file.
    """

    name: str
    source: str
    sha256: str


def photo_set(photos: Iterable[PhotoName]) -> str:
    """What a protocol calls a set of photos."""
    digests = "\n".join(sorted(photo.sha256 for photo in photos))
    return hashlib.sha256(digests.encode()).hexdigest()


@dataclass(frozen=True)
class Row:
    """A baseline or a model, and all its metrics.

    Attributes:
        name: unique in a comparison.
        kind: baseline, model, or previous: a model of results given with them.
        model: what the model's file says of itself; empty for an baseline.
        metrics: of the set, with intervals, by the names of `METRICS`. The original has those alone that
            say something of the truth beside itself (`Metric.defined_for_ground_truth`).
        values: of each photo, in the order of `Comparison.photos`; NaN where a photo has nothing to measure it on.
        weights: of each photo in the metrics that are ratios of sums; a metric without an entry is a plain mean.
        chroma: the share of pixels by chroma, `CHROMA_BINS` of `CHROMA_STEP` Lab units each; empty for an earlier row
            whose results have none.
        network_s: seconds that the network took, all photos together.
        perceptual: fid, kid, kid_std and lpips of the set, where they were asked for.
        ece: the expected calibration error, points; NaN where the model does not say how sure it is.
        reliability: of each tenth of confidence the share of all pixels, their mean confidence, and the share of them
            whose true color was within 10 ab units; empty likewise.
    """

    name: str
    kind: Literal["baseline", "model", "previous"]
    model: dict[str, Any]
    metrics: dict[str, Interval]
    values: dict[str, list[float]]
    weights: dict[str, list[float]]
    chroma: list[float]
    network_s: float = 0.0
    perceptual: dict[str, float] = field(default_factory=dict)
    ece: float = math.nan
    reliability: list[list[float]] = field(default_factory=list)

    def values_of(self, metric: str) -> Values:
        """A metric of each photo, (N,)."""
        return np.asarray(self.values[metric], np.float64)

    def weights_of(self, metric: str) -> Values:
        """The weight of each photo in that metric, (N,)."""
        values = self.values[metric]
        return np.asarray(self.weights[metric] if metric in self.weights else np.ones(len(values)), np.float64)


@dataclass(frozen=True)
class Difference:
    """A metric of one row less that of another, over the same photos.

    Attributes:
        metric: a name of `METRICS`.
        first: a row's name.
        second: the other's.
        interval: of first less second, paired photo by photo.
        significant: whether the interval excludes zero, and is of enough photos to say so.
        words: the same for people.
    """

    metric: str
    first: str
    second: str
    interval: Interval
    significant: bool
    words: str

    @property
    def better(self) -> str | None:
        """The row that is better, where one certainly is."""
        towards = METRICS[self.metric].better
        if not self.significant or towards == "neither":
            return None
        return self.first if (self.interval.value > 0) == (towards == "higher") else self.second


@dataclass(frozen=True)
class Example:
    """A photo that was written out in the colors of every row.

    Attributes:
        photo: its name.
        source: where it came from.
        why: best, worst, between, or the reason why it has no true colors (gray, toned).
        pictures: by row, paths from the folder of the results, with forward slashes.
        sheet: all of them side by side with their names, likewise.
        metrics: by row and name; empty without true colors.
    """

    photo: str
    source: str
    why: str
    pictures: dict[str, str]
    sheet: str
    metrics: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Failure:
    """A photo that is missing from all metrics, and why."""

    photo: str
    source: str
    reason: str


@dataclass(frozen=True)
class PublishedRow:
    """A line of a published table, measured on the same photos in the same way.

    Attributes:
        name: the method.
        source: the publication and its table.
        metrics: by the names of `METRICS`.
    """

    name: str
    source: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class Comparison:
    """All of it; see the head of this file."""

    protocol: Protocol
    photos: list[PhotoName]
    rows: list[Row]
    differences: list[Difference]
    examples: list[Example]
    failures: list[Failure]
    left_out: dict[str, int]
    published: list[PublishedRow]
    notes: list[str]
    answer: str

    def row(self, name: str) -> Row:
        """The row of that name."""
        return next(row for row in self.rows if row.name == name)

    @property
    def models(self) -> list[Row]:
        """The rows that are no baselines."""
        return [row for row in self.rows if row.kind != "baseline"]
