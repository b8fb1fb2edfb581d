"""Axes of drawings: linear scales and their ticks."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """A linear scale from values to positions in a drawing.

    Attributes:
        low: the least value.
        high: the greatest value, above the least.
        start: position of the least.
        end: position of the greatest.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the position of a value, rounded to 0.1."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return round values from low to high, 1, 2, 2.5 or 5 times a power of ten apart, in at most `most` steps."""
    least_step = (high - low) / most
    power = 10.0 ** math.floor(math.log10(least_step))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10, 20) if factor * power >= least_step)
    return [index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
