"""Metrics as people read them: numbers, intervals, and what a difference between two rows comes to, in words."""

from __future__ import annotations

from colorgan.metrics import METRICS, Metric
from colorgan.metrics.bootstrap import Interval

PERCEPTUAL = {"fid": "FID", "kid": "KID", "kid_std": "KID, deviation", "lpips": "LPIPS"}  # labels of `Row.perceptual`


def number(value: float, metric: Metric) -> str:
    """A value of a metric as it is printed, without its unit."""
    return "-" if value != value else f"{value:.{metric.decimals}f}"


def bounds(interval: Interval, metric: Metric) -> str:
    """An interval as it is printed: [low, high], or nothing where it is not known."""
    return "" if interval.low != interval.low else f"[{number(interval.low, metric)}, {number(interval.high, metric)}]"


def difference_in_words(name: str, first: str, second: str, interval: Interval) -> str:
    """Say which of two rows has more of a metric, whether that is better, and by how much.

    Args:
        name: of the metric.
        first: a row's name.
        second: the other's.
        interval: of first less second.
    """
    metric = METRICS[name]
    if not interval.excludes_zero:
        photos = "1 photo" if interval.photos == 1 else f"{interval.photos} photos"
        return f"no difference in {metric.label} between {first} and {second} can be told from {photos}"
    if interval.value < 0:  # said of the row that has more; or that is better, where one is
        first, second = second, first
        interval = Interval(-interval.value, -interval.high, -interval.low, interval.photos)
    unit = metric.unit if metric.unit in ("", "%") else f" {metric.unit}"
    unit = " points" if unit == "%" else unit
    by = f"{number(interval.value, metric)}{unit} {bounds(interval, metric)}"
    if metric.better == "neither":
        return f"{first} is more colorful than {second} by {by}{_by_absolute_values(name)}"
    if metric.better == "lower":
        first, second = second, first
    return f"{first} is better than {second} in {metric.label} by {by}"


def _by_absolute_values(name: str) -> str:
    return " by absolute values" if name == "cf" else ""
