"""One pass over the photos: each is read once, colored by every model, and measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from colorgan.callbacks import StopCheck
from colorgan.color.lab import rgb_to_lab
from colorgan.comparison.crops import Crop, failure, read_crops
from colorgan.comparison.examples import Chosen
from colorgan.comparison.models import ComparedModel
from colorgan.comparison.perceptual import Perceptual
from colorgan.comparison.results import CHROMA_BINS, CHROMA_STEP, GRAY, ORIGINAL, Failure, PhotoName
from colorgan.data.sources import Entry
from colorgan.errors import PhotoError
from colorgan.metrics.calibration import Reliability
from colorgan.metrics.registry import METRICS, ImageBatch, MetricResult, measure

_GROUND_TRUTH_METRICS = tuple(name for name, metric in METRICS.items() if metric.defined_for_ground_truth)


@dataclass
class RowMetrics:
    """The metrics of a row of the table, for each photo measured so far.

    Attributes:
        values: by metric, one per photo.
        weights: by metric that is a ratio of sums, one per photo.
        chroma: (CHROMA_BINS,), histogram of the chroma of all pixels.
        reliability: confidence against what came true.
    """

    values: dict[str, list[float]] = field(default_factory=dict)
    weights: dict[str, list[float]] = field(default_factory=dict)
    chroma: Tensor = field(default_factory=lambda: torch.zeros(CHROMA_BINS, dtype=torch.int64))
    reliability: Reliability = field(default_factory=Reliability)

    def add(self, measured: Mapping[str, MetricResult], ab: Tensor) -> None:
        """Add the metrics and the colors, (B, 2, S, S), of a batch."""
        for name, result in measured.items():
            self.values.setdefault(name, []).extend(result.value.tolist())
            if METRICS[name].is_ratio:
                self.weights.setdefault(name, []).extend(result.weight.tolist())
        chroma = torch.hypot(ab[:, 0], ab[:, 1]).flatten()
        cells = (chroma / CHROMA_STEP).long().clamp(max=CHROMA_BINS - 1)
        self.chroma += torch.bincount(cells, minlength=CHROMA_BINS).cpu()

    def chroma_shares(self) -> list[float]:
        """Return the share of all pixels in each bin of chroma."""
        shares: list[float] = (self.chroma.double() / max(1, int(self.chroma.sum()))).tolist()
        return shares


class Accumulator:
    """Measures the baselines and the models on photos with true colors.

    Args:
        names: of the models; each has a row, as have the baselines.
        device: on which the metrics are computed.
        perceptual: is given the photos too.
    """

    def __init__(self, names: Sequence[str], device: torch.device, perceptual: Perceptual | None = None) -> None:
        self.rows = {name: RowMetrics() for name in (GRAY, ORIGINAL, *names)}
        self._device = device
        self._perceptual = perceptual

    def add(self, lab: Tensor, predicted: Mapping[str, Tensor]) -> None:
        """Measure a batch: the true Lab, (B, 3, S, S), and ab by each model, (B, 2, S, S), Lab units."""
        # One photo at a time on a CPU: the planes of one fit its cache, those of eight do not.
        at_once = 1 if self._device.type == "cpu" else len(lab)
        for start in range(0, len(lab), at_once):
            part = slice(start, start + at_once)
            self._measure(lab[part].to(self._device), {name: ab[part] for name, ab in predicted.items()})

    def _measure(self, lab: Tensor, predicted: Mapping[str, Tensor]) -> None:
        truth = ImageBatch(lab[:, :1].contiguous(), lab[:, 1:].contiguous())
        self.rows[ORIGINAL].add(measure(truth, truth, _GROUND_TRUTH_METRICS), truth.ab)
        colored = {GRAY: torch.zeros_like(truth.ab)} | {name: ab.to(self._device) for name, ab in predicted.items()}
        for name, ab in colored.items():
            self.rows[name].add(measure(ImageBatch(truth.L, ab), truth), ab)
        if self._perceptual:
            self._perceptual.add(truth.L, colored | {ORIGINAL: truth.ab})


_BATCH = 8  # crops


@dataclass
class PhotoLog:
    """Which photos have been measured so far, and which not, with the reason.

    Attributes:
        photos: those measured.
        entries: those measured, in their sources.
        colorless: photos without true colors, and why.
        failures: photos that could not be read or colored.
        enlarged: number of measured photos that were smaller than the square.
        copies: number of photos left out, as their pixels equal those of a photo before.
    """

    photos: list[PhotoName] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    colorless: list[Chosen] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    enlarged: int = 0
    copies: int = 0


def photo_name(crop: Crop) -> PhotoName:
    """Identify a photo for the results."""
    return PhotoName(crop.entry.name, crop.entry.source.label, crop.sha256)


def measure_all(
    entries: Sequence[Entry], models: Sequence[ComparedModel], accumulator: Accumulator, size_px: int, check: StopCheck
) -> PhotoLog:
    """Color every photo with true colors by every model; metrics are accumulated in the order of the returned `photos`.

    `check` is called between photos; its callbacks get the progress.
    """
    log = PhotoLog()
    for batch in batches_of(read_crops(entries, size_px, check, check.callbacks.on_progress), log):
        _measure_batch(batch, models, accumulator, log)
    return log


def batches_of(read: Iterator[Crop | Failure], log: PhotoLog) -> Iterator[list[Crop]]:
    """Yield batches of photos with true colors, without copies; the others are recorded in the log."""
    batch: list[Crop] = []
    known: set[bytes] = set()
    for crop in read:
        if isinstance(crop, Failure):
            log.failures.append(crop)
        elif crop.colorless:
            log.colorless.append(Chosen(crop.entry, crop.colorless))
        elif crop.pixel_digest in known:
            log.copies += 1
        else:
            known.add(crop.pixel_digest)
            batch.append(crop)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _measure_batch(
    batch: Sequence[Crop], models: Sequence[ComparedModel], accumulator: Accumulator, log: PhotoLog
) -> None:
    rgb = torch.from_numpy(np.stack([crop.rgb for crop in batch]))
    lab = rgb_to_lab(rgb.permute(0, 3, 1, 2).float() / 255)
    predicted = {model.name: model.predict(lab[:, :1]) for model in models}
    measured: list[int] = []
    colors: dict[str, list[Tensor]] = {name: [] for name in predicted}
    for number, crop in enumerate(batch):
        found = {name: part[number] for name, part in predicted.items()}
        errors = [each for each in found.values() if isinstance(each, PhotoError)]
        if errors:
            log.failures.append(failure(crop.entry, str(errors[0])))
            continue
        measured.append(number)
        log.photos.append(photo_name(crop))
        log.entries.append(crop.entry)
        log.enlarged += crop.enlarged
        for name, each in found.items():
            assert not isinstance(each, PhotoError)
            ab, confidence = each
            colors[name].append(ab)
            if confidence is not None:
                accumulator.rows[name].reliability.add(confidence, ab, lab[number, 1:])
    if measured:
        accumulator.add(lab[measured], {name: torch.stack(part) for name, part in colors.items()})
