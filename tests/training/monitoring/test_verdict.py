import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from colorgan.training.monitoring.diagnosis import Objective
from colorgan.training.monitoring.verdict import JUDGED, judge, read_photo_figures, write_photo_figures, write_verdict

BCE = Objective("bce")
PHOTOS = 40
Photos = dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]


def photos(**shifts: float) -> Photos:
    """Return metrics of made-up photos: the same for each model except for those that are shifted."""
    random = np.random.default_rng(0)
    made = {}
    for name in JUDGED:
        values, weights = random.normal(60.0, 9.0, PHOTOS), random.uniform(0.5, 2.0, PHOTOS)
        noise = np.random.default_rng(1).normal(0.0, 0.5, PHOTOS) if name in shifts else 0.0
        made[name] = values + shifts.get(name, 0.0) + noise, weights
    return made


def log(scores: list[float], accuracies: list[float]) -> list[dict[str, Any]]:
    """Return the log of a run with these sums of AuC by epoch, from 0, and these accuracies of D, from 1."""
    lines: list[dict[str, Any]] = [
        {"kind": "validation", "step": epoch, "epoch": epoch, "auc": 88.0, "auc_rebalanced": score - 88.0}
        for epoch, score in enumerate(scores)
    ]
    for epoch, accuracy in enumerate(accuracies, start=1):
        loss = 0.01 if accuracy > 0.98 else 0.6
        terms = {"d_loss": loss, "d_accuracy_real": accuracy - 0.01, "d_accuracy_fake": accuracy + 0.01}
        lines.append({"kind": "epoch", "step": epoch, "epoch": epoch} | terms)
    return lines


LOG = log([148.0, 149.0, 151.0, 150.5, 150.0], [0.6, 0.7, 0.8, 0.75])


@pytest.mark.parametrize(
    ("shifts", "outcome", "words"),
    [
        ({"auc_rebalanced": 1.5, "cf_hs_error": -3.0}, "helped", ["better in rebalanced AuC (+1.", "error (-"]),
        ({"auc": -1.5}, "harmed", ["did harm", "worse in AuC (-1."]),
        ({"auc_rebalanced": 1.5, "ab_l1": 2.0}, "traded", ["better in rebalanced AuC", "worse in ab L1 (+"]),
        ({}, "no difference", ["no difference that 40 photos can show"]),
    ],
)
def test_whether_it_helped_is_said_by_the_figures_whose_interval_excludes_no_difference(
    shifts: dict[str, float], outcome: str, words: list[str]
) -> None:
    verdict = judge(photos(), photos(**shifts), LOG, BCE, best_epoch=2)
    assert verdict.outcome == outcome
    assert all(word in verdict.lines[0] for word in words), verdict.lines[0]
    for name, shift in shifts.items():
        assert verdict.differences[name].value == pytest.approx(shift, abs=0.4)
        assert verdict.differences[name].low < verdict.differences[name].value < verdict.differences[name].high


def test_a_difference_that_chance_explains_is_not_claimed() -> None:
    kept = photos()
    kept["auc"] = kept["auc"][0] + np.random.default_rng(2).normal(0.0, 5.0, PHOTOS), kept["auc"][1]
    assert judge(photos(), kept, LOG, BCE, best_epoch=2).outcome == "no difference"


def test_under_ten_photos_nothing_is_called_better() -> None:
    few, better = (
        {name: (values[:9], weights[:9]) for name, (values, weights) in made.items()}
        for made in (photos(), photos(auc=20.0))
    )
    verdict = judge(few, better, LOG, BCE, best_epoch=2)
    assert verdict.outcome == "unknown"
    assert "cannot be judged from 9 validation photos: prepare a set with 10 or more" in verdict.lines[0]


def test_a_difference_too_small_to_print_is_none() -> None:
    kept = photos()
    kept["auc"] = kept["auc"][0] + 0.001, kept["auc"][1]
    assert judge(photos(), kept, LOG, BCE, best_epoch=2).outcome == "no difference"


def test_whether_the_discriminator_lived_is_its_epochs_without_trouble_and_its_later_accuracy() -> None:
    verdict = judge(photos(), photos(), log([148.0] * 5, [0.6, 0.7, 0.8, 0.996]), BCE, best_epoch=1)
    assert verdict.alive_share == 0.75
    assert verdict.lines[1] == (
        "The discriminator was alive in 3 of 4 epochs (75%); over the second half it was right about 80% to 100% "
        "of the patches."
    )


def test_of_a_single_epoch_nothing_is_said_of_the_discriminators_life() -> None:
    verdict = judge(photos(), photos(), log([148.0] * 2, [0.996]), BCE, best_epoch=1)
    assert verdict.alive_share is None
    assert verdict.lines[1] == (
        "A single epoch cannot show whether the discriminator was alive; in this one it was right about 100% of the "
        "patches."
    )


def test_of_a_relativistic_run_the_pairs_of_patches_are_told() -> None:
    lines = [line for line in log([148.0] * 3, []) if line["kind"] == "validation"]
    for epoch, accuracy in enumerate((0.7, 0.8), start=1):
        terms = {"d_loss": 0.9, "d_pairs": 0.5, "d_accuracy": accuracy}
        lines.append({"kind": "epoch", "step": epoch, "epoch": epoch} | terms)
    verdict = judge(photos(), photos(), lines, Objective("relativistic"), best_epoch=1)
    assert verdict.lines[1] == (
        "The discriminator was alive in 2 of 2 epochs (100%); over the second half it was right about 80% of the pairs "
        "of patches."
    )


def test_which_epoch_was_kept_is_said_with_the_reason() -> None:
    lines = judge(photos(), photos(), LOG, BCE, best_epoch=2).lines
    assert lines[2] == (
        "Epoch 2 was kept: its sum of AuC and rebalanced AuC is the highest of 4, 151.00 (the last epoch's 150.00, "
        "the start's 148.00)."
    )


def test_a_run_ends_with_one_judgment_and_an_advice_that_fits_it() -> None:
    history = log([152.0, 149.0, 148.0], [0.7, 0.7])
    judgment, _, kept = judge(photos(), photos(cf_hs_error=-3.0), history, BCE, best_epoch=1).lines
    assert "helped" in judgment
    assert kept.endswith("149.00 (the last epoch's 148.00, the start's 152.00).")  # a figure, and no second judgment
    judgment, _, _ = judge(photos(), photos(auc=-2.0), history, BCE, best_epoch=1).lines
    assert judgment.endswith(". Keep using the model that it started from.")


def test_a_supervised_run_has_no_line_about_a_discriminator() -> None:
    verdict = judge(photos(), photos(auc=2.0), log([148.0, 149.0], []), None, best_epoch=1)
    assert verdict.alive_share is None
    assert verdict.lines == (
        verdict.lines[0],
        "Epoch 1 was kept: its sum of AuC and rebalanced AuC is 149.00 (the start's 148.00).",
    )
    assert verdict.lines[0].startswith("The training helped")


def test_photos_figures_come_back_as_they_were(tmp_path: Path) -> None:
    figures = photos()
    figures["auc"][0][3] = np.nan
    write_photo_figures(tmp_path / "start.json", figures)
    read = read_photo_figures(tmp_path / "start.json")
    assert read is not None
    for name, columns in figures.items():
        for before, after in zip(columns, read[name], strict=True):
            np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("text", [None, "", "[]", '{"auc": 3}', '{"auc": {"values": ["x"], "weights": [1]}}'])
def test_without_readable_figures_of_the_start_the_rest_is_said(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "start.json").write_text(text)
    verdict = judge(read_photo_figures(tmp_path / "start.json"), photos(), LOG, BCE, best_epoch=2)
    assert verdict.outcome == "unknown"
    assert "is unknown" in verdict.lines[0]
    assert len(verdict.lines) == 3


def test_a_verdict_on_one_photo_claims_nothing_and_is_json(tmp_path: Path) -> None:
    one = {name: (values[:1], weights[:1]) for name, (values, weights) in photos().items()}
    other = {name: (values + 5, weights) for name, (values, weights) in one.items()}
    verdict = judge(one, other, LOG, BCE, best_epoch=2)
    write_verdict(tmp_path / "verdict.json", verdict)
    written = json.loads((tmp_path / "verdict.json").read_text(), parse_constant=lambda word: pytest.fail(word))
    assert written["outcome"] == "unknown"
    assert written["differences"]["auc"]["low"] is None
    assert written["lines"] == list(verdict.lines)
