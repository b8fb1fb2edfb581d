import math

import pytest

from colorgan.html.axes import ticks


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.1601, 0.1652), (-3e-5, 2e-5), (12.0, 9e6), (5.6, 13.7)])
def test_ticks_are_a_few_round_numbers_inside(low: float, high: float) -> None:
    marks = ticks(low, high, 5)
    assert 2 <= len(marks) <= 6
    slack = 1e-9 * (high - low)
    assert all(low - slack <= mark <= high + slack for mark in marks)
    mantissa = (marks[1] - marks[0]) / 10 ** math.floor(math.log10(marks[1] - marks[0]))
    assert min(abs(mantissa - round_number) for round_number in (1, 2, 2.5, 5, 10)) < 1e-6
