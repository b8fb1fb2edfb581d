"""Format metrics for people: numbers, intervals, and differences between two rows as sentences."""

from __future__ import annotations

from colorgan.comparison.results import FEWEST_TO_JUDGE
from colorgan.metrics.bootstrap import Interval
from colorgan.metrics.registry import METRICS, Metric

PERCEPTUAL = {"fid": "FID", "kid": "KID", "kid_std": "KID, deviation", "lpips": "LPIPS"}  # labels of `Row.perceptual`


def photos_in_words(count: int) -> str:
    """Format a number of photos."""
    return "1 photo" if count == 1 else f"{count} photos"


def number(value: float, metric: Metric) -> str:
    """Format a metric's value, without its unit; NaN is "-"."""
    return "-" if value != value else f"{value:.{metric.decimals}f}"


def bounds(interval: Interval, metric: Metric) -> str:
    """Format an interval as [low, high]; empty if unknown."""
    return "" if interval.low != interval.low else f"[{number(interval.low, metric)}, {number(interval.high, metric)}]"


def amount(difference: float, metric: Metric) -> str:
    """Format a difference in a metric, with its unit."""
    unit = "points" if metric.unit == "%" else metric.unit
    return f"{number(difference, metric)} {unit}".rstrip()


def is_significant(interval: Interval) -> bool:
    """Whether a difference is significant: its interval excludes zero, and is of `FEWEST_TO_JUDGE` photos or more."""
    return interval.excludes_zero and interval.photos >= FEWEST_TO_JUDGE


def difference_in_words(name: str, first: str, second: str, interval: Interval) -> str:
    """Describe the difference of two rows in a metric: which is better, or has more, and by how much."""
    metric = METRICS[name]
    if not is_significant(interval):
        photos = photos_in_words(interval.photos)
        return f"no certain difference in {metric.label} between {first} and {second} on {photos}"
    if interval.value < 0:  # the row with more comes first
        first, second = second, first
        interval = Interval(-interval.value, -interval.high, -interval.low, interval.photos)
    by = f"{amount(interval.value, metric)} {bounds(interval, metric)}"
    if metric.better == "neither":
        return f"{first} has more {metric.label} than {second} by {by}"
    if metric.better == "lower":
        first, second = second, first
    return f"{first} is better than {second} in {metric.label} by {by}"
