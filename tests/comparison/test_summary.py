from __future__ import annotations

import pytest

from colorgan.comparison.results import GRAY, PhotoName, Row
from colorgan.comparison.summary import notes_on_copies, notes_on_photos, notes_on_weights
from colorgan.metrics.bootstrap import Interval


def row(name: str, weights: list[float], values: list[float]) -> Row:
    figures = {"auc_rebalanced": Interval(50.0, 49.0, 51.0, len(weights))}
    return Row(name, "baseline", {}, figures, {"auc_rebalanced": values}, {"auc_rebalanced": weights}, [])


def names(count: int) -> list[PhotoName]:
    return [PhotoName(f"{number}.jpg", "photos", "") for number in range(count)]


def test_a_photo_that_decides_a_figure_is_named_with_its_share_and_what_the_others_give() -> None:
    weights = [1.0] * 30 + [10.0] + [1.0, 3.0] * 5
    rows = [row(GRAY, weights, [50.0] * 41), row("good", weights, [60.0] * 30 + [10.0] + [60.0, 80.0] * 5)]
    (note,) = notes_on_weights(rows, names(41))
    # 35 photos of weight 1 have 60, and 5 of weight 3 have 80: 66 together.
    assert note == "30.jpg alone has 17% of the weight of rebalanced AuC. Without it: gray 50.00, good 66.00."


@pytest.mark.parametrize("weights", [[1.0] * 40, [0.0] * 40, [1.0, 9.0]])
def test_even_weights_none_and_a_handful_of_photos_are_not_worth_a_word(weights: list[float]) -> None:
    assert notes_on_weights([row(GRAY, weights, [50.0] * len(weights))], names(len(weights))) == []


def test_few_small_and_doubled_photos_are_said() -> None:
    assert notes_on_photos(40, 0) == notes_on_copies(0) == []
    assert notes_on_photos(0, 0) == ["No photo has true colors to compare with: there are no metrics."]
    assert notes_on_photos(9, 1) == ["1 photo is smaller than the measured square, and was enlarged."]
    assert notes_on_photos(10, 2) == [
        "With 10 photos the intervals are too narrow: use 30 or more.",
        "2 photos are smaller than the measured square, and were enlarged.",
    ]
    assert notes_on_copies(1) == ["1 photo is a copy of another, pixel by pixel, and counted once."]
