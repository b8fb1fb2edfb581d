from __future__ import annotations

import pytest

from colorgan.compare.results import GREY, PhotoName, Row
from colorgan.compare.summary import notes_on_weights
from colorgan.intervals import Interval


def grey_row(weights: list[float]) -> Row:
    values = [50.0] * len(weights)
    figures = {"auc_rebalanced": Interval(50.0, 49.0, 51.0, len(weights))}
    return Row(GREY, "anchor", {}, figures, {"auc_rebalanced": values}, {"auc_rebalanced": weights}, [])


def names(count: int) -> list[PhotoName]:
    return [PhotoName(f"{number}.jpg", "photos", "") for number in range(count)]


def test_a_photo_that_decides_a_figure_is_named_with_its_share() -> None:
    (note,) = notes_on_weights([grey_row([1.0] * 30 + [10.0] + [1.0] * 10)], names(41))
    assert note.startswith("30.jpg alone holds 20% of the weight of rebalanced AuC")


@pytest.mark.parametrize("weights", [[1.0] * 40, [0.0] * 40, [1.0, 9.0]])
def test_even_weights_none_and_a_handful_of_photos_are_not_worth_a_word(weights: list[float]) -> None:
    assert notes_on_weights([grey_row(weights)], names(len(weights))) == []
