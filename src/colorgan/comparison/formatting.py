"""Metrics as people read them: numbers, intervals, and what a difference between two rows comes to, in words."""

from __future__ import annotations

from colorgan.comparison.results import FEWEST_TO_JUDGE
from colorgan.metrics.bootstrap import Interval
from colorgan.metrics.registry import METRICS, Metric

PERCEPTUAL = {"fid": "FID", "kid": "KID", "kid_std": "KID, deviation", "lpips": "LPIPS"}  # labels of `Row.perceptual`


def photos_in_words(count: int) -> str:
    """How many photos there are."""
    return "1 photo" if count == 1 else f"{count} photos"


def number(value: float, metric: Metric) -> str:
    """A value of a metric as it is printed, without its unit."""
    return "-" if value != value else f"{value:.{metric.decimals}f}"


def bounds(interval: Interval, metric: Metric) -> str:
    """An interval as it is printed: [low, high], or nothing where it is not known."""
    return "" if interval.low != interval.low else f"[{number(interval.low, metric)}, {number(interval.high, metric)}]"


def amount(difference: float, metric: Metric) -> str:
    """A difference in a metric as it is printed, with its unit."""
    unit = "points" if metric.unit == "%" else metric.unit
    return f"{number(difference, metric)} {unit}".rstrip()


def is_significant(interval: Interval) -> bool:
    """Whether a difference is more than chance: its interval excludes zero, and is of enough photos to say so."""
    return interval.excludes_zero and interval.photos >= FEWEST_TO_JUDGE


def difference_in_words(name: str, first: str, second: str, interval: Interval) -> str:
    """Say which of two rows has more of a metric, whether that is better, and by how much."""
    metric = METRICS[name]
    if not is_significant(interval):
        photos = photos_in_words(interval.photos)
        return f"no difference in {metric.label} between {first} and {second} can be told from {photos}"
    if interval.value < 0:  # said of the row that has more; or that is better, where one is
        first, second = second, first
        interval = Interval(-interval.value, -interval.high, -interval.low, interval.photos)
    by = f"{amount(interval.value, metric)} {bounds(interval, metric)}"
    if metric.better == "neither":
        return f"{first} has more {metric.label} than {second} by {by}"
    if metric.better == "lower":
        first, second = second, first
    return f"{first} is better than {second} in {metric.label} by {by}"
