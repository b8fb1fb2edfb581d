"""Confidence intervals of a set's metrics: bootstrap over the photos (Efron 1979; percentile method).

A metric of a set is a weighted mean, sum(value * weight) / sum(weight): the plain mean if all weights are 1, a
ratio of sums otherwise. Photos are resampled with replacement; the same seed and number of photos give the same draws,
so that two models over the same photos are compared draw by draw.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
LEVEL = 0.95
_MOST_DRAWS = 1 << 20  # indices that are held at once: 8 MB, however many photos there are

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A metric of a set with its 95% confidence interval.

    Attributes:
        value: the metric of all photos; NaN if there is nothing to measure.
        low: the interval's lower end; NaN if fewer than two photos count.
        high: its upper end, likewise.
        photos: the number of photos that count.
    """

    value: float
    low: float
    high: float
    photos: int

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference is significant: the interval is on one side of zero."""
        return self.low > 0.0 or self.high < 0.0


def interval(values: Values, weights: Values | None = None, *, seed: int = 0) -> Interval:
    """Return the weighted mean of photos' values and its interval.

    Args:
        values: (N,), one per photo; those that are NaN or of weight 0 do not count.
        weights: (N,), 0 up; None for equal weights.
        seed: the seed of the draws.
    """
    weights = np.ones_like(values) if weights is None else weights
    counted = _counted(values, weights)
    return _bootstrap([(values[counted], weights[counted])], seed)


def paired_difference(
    first: Values, second: Values, weights: tuple[Values, Values] | None = None, *, seed: int = 0
) -> Interval:
    """Return the difference of two models' metrics over the same photos, first minus second, and its interval.

    Args:
        first: (N,), one model's values.
        second: (N,), the other's, in the same order.
        weights: of the first and of the second, (N,) each; None for equal weights.
        seed: the seed of the draws; each draw takes the same photos for both.
    """
    of_first, of_second = weights or (np.ones_like(first), np.ones_like(second))
    counted = _counted(first, of_first) & _counted(second, of_second)
    pairs = [(first[counted], of_first[counted]), (second[counted], of_second[counted])]
    return _bootstrap(pairs, seed)


def _counted(values: Values, weights: Values) -> NDArray[np.bool_]:
    return np.isfinite(values) & (weights > 0)


def _bootstrap(terms: list[tuple[Values, Values]], seed: int) -> Interval:
    """Return the first term's weighted mean, minus the second's if there is one, and its interval."""
    photos = len(terms[0][0])
    if not photos:
        return Interval(np.nan, np.nan, np.nan, 0)
    value = float(_metric(terms, np.arange(photos)))
    if photos == 1:
        return Interval(value, np.nan, np.nan, 1)
    drawn = np.concatenate([_metric(terms, draws) for draws in _draws(photos, seed)])
    low, high = np.quantile(drawn, [0.5 * (1 - LEVEL), 0.5 * (1 + LEVEL)])
    return Interval(value, float(low), float(high), photos)


def _metric(terms: list[tuple[Values, Values]], photos: NDArray[np.int64]) -> Values:
    """Return the metric over chosen photos, (..., N) -> (...)."""
    means = [(values * weights)[photos].sum(-1) / weights[photos].sum(-1) for values, weights in terms]
    return np.asarray(means[0] - means[1] if len(means) == 2 else means[0])


def _draws(photos: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield the photos of each resample, (R, N) at a time, `RESAMPLES` in all."""
    random = np.random.default_rng(seed)
    at_once = max(1, _MOST_DRAWS // photos)
    for start in range(0, RESAMPLES, at_once):
        yield random.integers(photos, size=(min(at_once, RESAMPLES - start), photos))
