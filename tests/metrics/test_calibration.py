import math

import pytest
import torch

from colorgan.metrics.calibration import Reliability


def photo(came_true: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return predicted and true colors of 10 x 10 pixels, of which a number agrees; the others are 11 units apart."""
    truth = torch.zeros(2, 100)
    truth[0, round(100 * came_true) :] = 11.0
    return torch.zeros(2, 10, 10), truth.view(2, 10, 10)


def test_who_is_right_as_often_as_it_says_has_no_error() -> None:
    reliability = Reliability()
    for sure in (0.25, 0.75):
        reliability.add(torch.full((5, 5), sure), *photo(sure))
    assert reliability.error() == pytest.approx(0.0, abs=1e-6)
    assert [part for part in reliability.bins() if part[0]] == [[0.5, 0.25, 0.25], [0.5, 0.75, 0.75]]


def test_who_is_surer_than_it_may_be_has_the_difference_as_its_error_in_percent() -> None:
    reliability = Reliability()
    reliability.add(torch.full((5, 5), 0.9), *photo(0.6))
    assert reliability.error() == pytest.approx(30.0, abs=1e-4)


def test_errors_of_bins_do_not_make_up_for_each_other() -> None:
    reliability = Reliability()
    reliability.add(torch.full((5, 5), 0.85), *photo(0.65))
    reliability.add(torch.full((5, 5), 0.25), *photo(0.45))
    assert reliability.error() == pytest.approx(20.0, abs=1e-4)


def test_ten_units_are_within() -> None:
    reliability = Reliability()
    truth = torch.stack([torch.full((4, 4), 6.0), torch.full((4, 4), 8.0)])
    reliability.add(torch.ones(2, 2), torch.zeros(2, 4, 4), truth)
    assert reliability.bins()[9] == [1.0, 1.0, 1.0]


def test_without_pixels_nothing_is_said() -> None:
    assert Reliability().bins() == []
    assert math.isnan(Reliability().error())
