"""The results of a comparison: the data model of `results.json`, of the report, and of Python callers.

`results.json` is `Comparison` as JSON, field by field (null for unknown numbers), with `format`, its version:

    protocol     what the metrics depend on, besides the models; results can be combined only if it is the same
    photos       the photos with true colors, in the order of every row's `values`
    rows         gray and original (the baselines), then each model, then rows of earlier results
    differences  of each two models, and of each model from gray in accuracy and from the original in
                 colorfulness, each also as a sentence
    examples     photos with a picture of each row, paths relative to the folder of the results; also of
                 photos without true colors
    failures     photos that could not be read or colored, with the reason
    left_out     numbers of photos without true colors, by reason: they have examples and no metrics
    published    published rows, if they were measured on these photos by the same protocol
    answer       the conclusion, in a sentence or two
    notes        caveats on the metrics, as sentences

`results.csv` has one line per photo and row, with a column for each metric. `results_io.py` writes both.
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
FEW_PHOTOS = 30  # with fewer, bootstrap intervals are too narrow
FEWEST_TO_JUDGE = 10  # with fewer photos no difference is called significant, whatever its interval
CHROMA_STEP, CHROMA_BINS = 2.0, 60  # of the histograms: 0..2, 2..4, ... Lab units, the last one open
# The fields of a protocol that must agree; the others change a metric by no more than its last digit.
_DECISIVE = ("metrics_version", "size_px", "resize", "crop", "color", "prior", "photos", "photo_set")


@dataclass(frozen=True)
class Protocol:
    """What the metrics depend on, besides the models.

    Attributes:
        metrics_version: of the metrics' definitions.
        size_px: side of the square; photos are resized to it on the short side, and the center is cropped.
        resize: the filter of resizing.
        crop: where the square is.
        color: how pixels are interpreted.
        precision: of the networks' computation.
        photos: number of photos with true colors.
        photo_set: SHA-256 over those photos' files, independent of names and order.
        prior: SHA-256 of the bins' prior, by which rebalanced metrics are weighted.
        seed: of the bootstrap.
        resamples: of the bootstrap.
        level: of the confidence intervals.
        device: of the networks.
        versions: of colorgan and its libraries, by name.
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
        """Format the protocol as one line, which is shown under tables."""
        programs = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        side, count = self.size_px, "1 photo" if self.photos == 1 else f"{self.photos} photos"
        return (
            f"{count} (set {self.photo_set[:12]}), short side {side} px ({self.resize}), "
            f"{self.crop} {side} x {side}, {self.color}; networks in {self.precision} on {self.device}; prior "
            f"{self.prior[:12]}; metrics version {self.metrics_version}; {100 * self.level:g}% intervals from "
            f"{self.resamples} bootstrap resamples, seed {self.seed}; {programs}"
        )

    def conflict(self, other: Protocol) -> str | None:
        """Return why metrics of another protocol cannot be compared with these, or None if they can."""
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
    """Return the digest by which a protocol identifies a set of photos."""
    digests = "\n".join(sorted(photo.sha256 for photo in photos))
    return hashlib.sha256(digests.encode()).hexdigest()


@dataclass(frozen=True)
class Row:
    """A baseline or a model, and all its metrics.

    Attributes:
        name: unique in a comparison.
        kind: baseline, model, or previous (a model of earlier results).
        model: metadata from the model's file; empty for a baseline.
        metrics: of the set, with intervals, by the names of `METRICS`. The original has only those that are
            defined for the ground truth itself (`Metric.defined_for_ground_truth`).
        values: by metric, of each photo, in the order of `Comparison.photos`; NaN if not defined for a photo.
        weights: by metric that is a ratio of sums, of each photo; a metric without an entry is a plain mean.
        chroma: histogram of the pixels' chroma, as shares: `CHROMA_BINS` bins of `CHROMA_STEP` Lab units.
        network_s: seconds that the network took, all photos together.
        perceptual: fid, kid, kid_std and lpips of the set, if requested.
        ece: the expected calibration error, points; NaN if the model has no confidence.
        reliability: for each tenth of confidence, the share of all pixels, their mean confidence, and the share of them
            whose true color was within 10 ab units; empty if the model has no confidence.
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
        """Return a metric of each photo, (N,)."""
        return np.asarray(self.values[metric], np.float64)

    def weights_of(self, metric: str) -> Values:
        """Return the weight of each photo in a metric, (N,)."""
        return np.asarray(self.weights.get(metric, [1.0] * len(self.values[metric])), np.float64)


@dataclass(frozen=True)
class Difference:
    """The difference between two rows in a metric, over the same photos.

    Attributes:
        metric: a name of `METRICS`.
        first: a row's name.
        second: the other row's name.
        interval: of first minus second, paired by photo.
        significant: whether the interval excludes zero, and is of enough photos.
        words: the difference as a sentence.
    """

    metric: str
    first: str
    second: str
    interval: Interval
    significant: bool
    words: str

    @property
    def better(self) -> str | None:
        """The row that is significantly better, or None."""
        towards = METRICS[self.metric].better
        if not self.significant or towards == "neither":
            return None
        return self.first if (self.interval.value > 0) == (towards == "higher") else self.second


@dataclass(frozen=True)
class Example:
    """A photo that was written out in the colors of every row.

    Attributes:
        photo: its name.
        source: the folder, archive or file that it came from.
        why: best, worst, between, or the reason why it has no true colors (gray, toned).
        pictures: by row, paths relative to the folder of the results, with forward slashes.
        sheet: path of the contact sheet of all pictures, likewise.
        metrics: by row and metric; empty without true colors.
    """

    photo: str
    source: str
    why: str
    pictures: dict[str, str]
    sheet: str
    metrics: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Failure:
    """A photo that is not in the metrics since it could not be read or colored, and why."""

    photo: str
    source: str
    reason: str


@dataclass(frozen=True)
class PublishedRow:
    """A row of a published table, measured on the same photos by the same protocol.

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
    """All results of a comparison; the fields are described at the head of this module."""

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
        """Return the row of that name."""
        return next(row for row in self.rows if row.name == name)

    @property
    def models(self) -> list[Row]:
        """The rows of models, earlier ones included."""
        return [row for row in self.rows if row.kind != "baseline"]
