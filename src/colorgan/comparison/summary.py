"""Aggregate the metrics of photos: rows with confidence intervals, differences between rows, and notes on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import combinations
from types import MappingProxyType

import numpy as np

from colorgan.comparison.evaluate import Accumulator, RowMetrics
from colorgan.comparison.formatting import difference_in_words, is_significant, number, photos_in_words
from colorgan.comparison.models import ComparedModel
from colorgan.comparison.results import FEW_PHOTOS, FEWEST_TO_JUDGE, GRAY, ORIGINAL, Difference, PhotoName, Row
from colorgan.metrics.bootstrap import interval, paired_difference
from colorgan.metrics.registry import METRICS

_HEAVY = 0.1  # a photo with at least this share of a metric's weight is named in a note
# Models are compared with gray in accuracy, and with the original in colorfulness, of which neither more nor less is
# better.
_ACCURACY_METRICS = [
    name for name, metric in METRICS.items() if metric.better != "neither" and not metric.defined_for_ground_truth
]
_COLORFULNESS_METRICS = [name for name, metric in METRICS.items() if metric.better == "neither"]


def rows_of(
    accumulator: Accumulator,
    models: Sequence[ComparedModel],
    seed: int,
    perceptual: Mapping[str, dict[str, float]] = MappingProxyType({}),
) -> list[Row]:
    """Return the rows of baselines and models with the set's metrics; `perceptual` has those of `Perceptual` by row."""
    by_name = {model.name: model for model in models}
    return [
        _row(name, measured, by_name.get(name), perceptual.get(name, {}), seed)
        for name, measured in accumulator.rows.items()
    ]


def _row(name: str, measured: RowMetrics, model: ComparedModel | None, perceptual: dict[str, float], seed: int) -> Row:
    weights = measured.weights
    metrics = {
        metric: interval(np.asarray(values), np.asarray(weights[metric]) if metric in weights else None, seed=seed)
        for metric, values in measured.values.items()
    }
    return Row(
        name=name,
        kind="model" if model else "baseline",
        model=asdict(model.colorizer.info) if model else {},
        metrics=metrics,
        values=measured.values,
        weights=weights,
        chroma=measured.chroma_shares(),
        network_s=model.network_s if model else 0.0,
        perceptual=perceptual,
        ece=measured.reliability.error(),
        reliability=measured.reliability.bins(),
    )


def differences_of(rows: Sequence[Row], seed: int) -> Iterator[Difference]:
    """Yield the differences of each two models in every metric, and of each model from gray and from the original."""
    baselines = {row.name: row for row in rows if row.kind == "baseline"}
    models = [row for row in rows if row.kind != "baseline"]
    for first, second in combinations(models, 2):
        yield from _differences(first, second, tuple(METRICS), seed)
    for model in models:
        yield from _differences(model, baselines[GRAY], _ACCURACY_METRICS, seed)
        yield from _differences(model, baselines[ORIGINAL], _COLORFULNESS_METRICS, seed)


def _differences(first: Row, second: Row, metrics: Sequence[str], seed: int) -> Iterator[Difference]:
    for name in metrics:
        if name not in first.values or name not in second.values:  # no photo had true colors
            continue
        weights = first.weights_of(name), second.weights_of(name)
        found = paired_difference(first.values_of(name), second.values_of(name), weights, seed=seed)
        words = difference_in_words(name, first.name, second.name, found)
        yield Difference(name, first.name, second.name, found, is_significant(found), words)


def notes_on_photos(photos: int, enlarged: int) -> list[str]:
    """Return notes on metrics of too few photos, or of enlarged ones."""
    notes = []
    if not photos:
        notes.append("No photo has true colors to compare with: there are no metrics.")
    elif FEWEST_TO_JUDGE <= photos < FEW_PHOTOS:
        notes.append(f"With {photos} photos the intervals are too narrow: use {FEW_PHOTOS} or more.")
    if enlarged:
        are, were = ("is", "was") if enlarged == 1 else ("are", "were")
        notes.append(f"{photos_in_words(enlarged)} {are} smaller than the measured square, and {were} enlarged.")
    return notes


def notes_on_copies(copies: int) -> list[str]:
    """Return a note on the number of copies that were left out, if any."""
    are = "is a copy" if copies == 1 else "are copies"
    return [f"{photos_in_words(copies)} {are} of another, pixel by pixel, and counted once."] if copies else []


def notes_on_weights(rows: Sequence[Row], photos: Sequence[PhotoName]) -> list[str]:
    """Return notes on single photos that dominate a metric which is a ratio of sums over all pixels."""
    (gray,) = (row for row in rows if row.name == GRAY)
    notes = []
    for name in gray.weights if len(photos) >= FEW_PHOTOS else ():
        weights = np.nan_to_num(gray.weights_of(name))
        heaviest, total = int(weights.argmax()), weights.sum()
        if total and weights[heaviest] / total >= _HEAVY:
            share = f"{100 * weights[heaviest] / total:.0f}% of the weight of {METRICS[name].label}"
            others = ", ".join(_without(heaviest, name, row) for row in rows if name in row.weights)
            notes.append(f"{photos[heaviest].name} alone has {share}. Without it: {others}.")
    return notes


def _without(photo: int, metric: str, row: Row) -> str:
    values, weights = (np.delete(part, photo) for part in (row.values_of(metric), row.weights_of(metric)))
    return f"{row.name} {number(interval(values, weights).value, METRICS[metric])}"
