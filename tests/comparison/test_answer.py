from __future__ import annotations

from typing import Literal

import numpy as np

from colorgan.comparison.answer import answer, notes_on_gray, pairs_in_words
from colorgan.comparison.results import GRAY, ORIGINAL, Difference, Row
from colorgan.comparison.summary import differences_of
from colorgan.metrics.bootstrap import interval
from colorgan.metrics.registry import METRICS

PHOTOS = 40
# By metric: each photo's value is this, and a little more or less.
COMPACT = {"auc": 88.0, "auc_rebalanced": 62.0, "ciede2000": 11.0, "psnr": 22.0}
TRADED = {"auc": 87.0, "auc_rebalanced": 62.0, "ciede2000": 12.0, "psnr": 24.0, "cf_hs_error": 5.0}
ALL_GRAY = {"auc": 86.0, "auc_rebalanced": 55.0, "ciede2000": 12.0, "psnr": 24.0}


def row(name: str, kind: Literal["baseline", "model"], means: dict[str, float], photos: int, shift: int) -> Row:
    values = {
        metric: [mean + 0.1 * ((7 * number + shift) % 5 - 2) for number in range(photos)]
        for metric, mean in means.items()
    }
    metrics = {name: interval(np.array(of_photos)) for name, of_photos in values.items()}
    return Row(name, kind, {}, metrics, values, {}, [])


def compared(photos: int = PHOTOS, **models: dict[str, float]) -> tuple[list[Row], list[Difference]]:
    rows = [row(GRAY, "baseline", ALL_GRAY, photos, 0), row(ORIGINAL, "baseline", {}, photos, 0)]
    rows += [row(name, "model", means, photos, shift) for shift, (name, means) in enumerate(models.items(), 1)]
    return rows, list(differences_of(rows, 0))


def test_the_answer_names_the_best_of_each_metric_and_those_that_tie() -> None:
    rows, differences = compared(compact=COMPACT, traded=TRADED)
    assert answer(rows, differences, PHOTOS) == (
        "On these 40 photos: compact is best in AuC and CIEDE2000 (certain); "
        "traded is best in colorfulness error (certain); in rebalanced AuC compact ties with traded."
    )
    assert pairs_in_words(rows, differences, PHOTOS) == [
        "compact is better than traded in AuC by 1.00 points, CIEDE2000 by 1.00."
    ]


def test_of_three_models_each_tie_is_said_once() -> None:
    alike = {"auc": 88.0, "auc_rebalanced": 62.0, "ciede2000": 11.0, "cf_hs_error": 5.0}
    rows, differences = compared(a=alike, b=alike | {"auc_rebalanced": 50.0}, c=alike | {"ciede2000": 14.0})
    assert answer(rows, differences, PHOTOS) == (
        "On these 40 photos: in rebalanced AuC a ties with c; in CIEDE2000 a ties with b; "
        "in AuC and colorfulness error a ties with b and c."
    )


def test_one_model_is_put_beside_gray() -> None:
    rows, differences = compared(traded=TRADED)
    assert answer(rows, differences, PHOTOS) == (
        "On these 40 photos: traded is better than leaving them gray in AuC and rebalanced AuC (certain); "
        "in CIEDE2000 neither is certainly better."
    )
    assert pairs_in_words(rows, differences, PHOTOS) == []


def test_where_leaving_photos_gray_would_be_better_it_says_so() -> None:
    rows, differences = compared(compact=COMPACT, traded=TRADED)
    assert notes_on_gray(rows, differences) == [
        "Leaving the photos gray would be better than compact in PSNR (certain)."
    ]


def test_of_nine_photos_nothing_is_called_better() -> None:
    rows, differences = compared(9, compact=COMPACT, traded=TRADED)
    assert answer(rows, differences, 9) == "9 photos are too few to call a model better: use 30 or more."
    assert not any(each.significant or each.better for each in differences)
    assert pairs_in_words(rows, differences, 9) == notes_on_gray(rows, differences) == []
    assert answer(*compared(10, compact=COMPACT, traded=TRADED), 10).startswith("On these 10 photos: compact is best")


def test_more_of_what_is_neither_better_nor_worse_makes_no_model_better() -> None:
    _, differences = compared(compact={"cf_hs": 30.0}, traded={"cf_hs": 20.0})
    (found,) = [each for each in differences if each.metric == "cf_hs"]
    assert (found.significant, found.better) == (True, None)
    assert METRICS["cf_hs"].better == "neither"
