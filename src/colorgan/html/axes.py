"""Stretches of numbers laid over a drawing, and the round numbers in them."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """A stretch of numbers laid over a stretch of the picture.

    Attributes:
        low: the least number.
        high: the greatest, above the least.
        start: where the least is, in the picture.
        end: where the greatest is.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a number is."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most so many round numbers (1, 2, 2.5 or 5 times a power of ten apart) in a stretch."""
    least_step = (high - low) / most
    power = 10.0 ** math.floor(math.log10(least_step))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10, 20) if factor * power >= least_step)
    return [index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]
