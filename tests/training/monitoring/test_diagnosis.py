import json
import math
from typing import Any

import pytest

from colorgan.errors import TrainingError
from colorgan.training.monitoring.diagnosis import NAN, Objective, diagnose, divergence, epochs_of, is_dead

SMOOTHED = Objective("bce", 0.9)
SATURATED, BLIND, COLLAPSED = (
    "the discriminator is saturated",
    "the discriminator learns nothing",
    "the generator has collapsed",
)


def history(**columns: list[Any]) -> list[dict[str, Any]]:
    """Return a log with an epoch and a validation line for each epoch, from 1, given each figure's values."""
    lines: list[dict[str, Any]] = []
    for index in range(len(next(iter(columns.values())))):
        row = {name: values[index] for name, values in columns.items() if values[index] is not None}
        validation = {name: row.pop(name) for name in list(row) if name.startswith("ab_")}
        lines.append({"kind": "epoch", "step": index + 1, "epoch": index + 1} | row)
        lines.append({"kind": "validation", "step": index + 1, "epoch": index + 1, "ab_l1": 9.0} | validation)
    return lines


def healthy(epochs: int) -> dict[str, list[Any]]:
    return {
        "d_loss": [0.62 + 0.01 * (i % 2) for i in range(epochs)],
        "d_accuracy_real": [0.71] * epochs,
        "d_accuracy_fake": [0.66] * epochs,
        "g_adversarial": [0.9 + 0.05 * (i % 3) for i in range(epochs)],
        "ab_spread": [8.0] * epochs,
        "ab_spread_truth": [13.7] * epochs,
    }


def named(lines: list[dict[str, Any]], objective: Objective = SMOOTHED) -> list[tuple[str, int, int]]:
    return [(trouble.name, trouble.since, trouble.epoch) for trouble in diagnose(lines, objective)]


@pytest.mark.parametrize(
    ("objective", "floor", "blind"),
    [
        (Objective("bce", 1.0), 0.0, math.log(2)),
        (Objective("bce", 0.9), 0.16254, 0.68814),
        (Objective("hinge", 1.0), 0.0, 1.0),
        (Objective("lsgan", 1.0), 0.0, 0.25),
        (Objective("lsgan", 0.9), 0.0, 0.2025),
        (Objective("relativistic"), 0.0, math.log(2)),
    ],
)
def test_each_loss_has_its_floor_and_its_loss_of_one_who_cannot_tell(
    objective: Objective, floor: float, blind: float
) -> None:
    assert objective.floor == pytest.approx(floor, abs=1e-5)
    assert objective.blind == pytest.approx(blind, abs=1e-5)
    assert objective.share(objective.floor) == 0.0
    assert objective.share(objective.blind) == 1.0


def test_the_published_run_is_named_saturated_within_two_epochs_of_its_start_and_once() -> None:
    # The report's table: epoch 1, then 0.162 to 0.165 from epoch 3 to 39; its GAN term is known for two epochs.
    wavering = [0.165 - 0.001 * (epoch % 4) for epoch in range(3, 40)]
    lines = history(d_loss=[0.22, 0.19, *wavering], g_adversarial=[5.66, *[None] * 37, 13.7])
    assert named(lines) == [(SATURATED, 3, 4)]
    (trouble,) = diagnose(lines[: 2 * 4], SMOOTHED)
    assert "0.1625" in trouble.found
    assert "`recipe=balanced`" in trouble.advice
    ends = diagnose(history(d_loss=[0.163, 0.163], g_adversarial=[5.66, 13.7]), SMOOTHED)
    assert "from 5.66 to 13.7" in ends[0].found


def test_a_healthy_history_gives_no_word() -> None:
    assert named(history(**healthy(50))) == []
    assert named([]) == []


def test_one_epoch_may_be_chance() -> None:
    assert named(history(d_loss=[0.5, 0.163, 0.5, 0.163, 0.5])) == []


def test_a_trouble_is_named_again_when_it_comes_back_and_not_while_it_wavers() -> None:
    gone = [0.163] * 3 + [0.5] * 3 + [0.163] * 3
    assert named(history(d_loss=gone)) == [(SATURATED, 1, 2), (SATURATED, 7, 8)]
    wavering = [0.163, 0.163, 0.5, 0.163, 0.163, 0.5, 0.163, 0.163]
    assert named(history(d_loss=wavering)) == [(SATURATED, 1, 2)]


def test_a_low_loss_of_one_that_errs_is_no_saturation() -> None:
    columns = {"d_loss": [0.02] * 4, "d_accuracy_real": [0.98] * 4}
    hinge = Objective("hinge")
    assert named(history(**columns, d_accuracy_fake=[0.9] * 4), hinge) == []
    assert named(history(**columns, d_accuracy_fake=[0.99] * 4), hinge) == [(SATURATED, 1, 2)]


def test_what_a_gradient_penalty_adds_to_the_loss_hides_no_saturation() -> None:
    columns = {"d_loss": [0.4] * 3, "d_real": [0.01] * 3, "d_fake": [0.01] * 3}
    assert named(history(**columns), Objective("bce")) == [(SATURATED, 1, 2)]


@pytest.mark.parametrize(
    ("objective", "loss"), [(Objective("bce"), 0.6925), (Objective("hinge"), 0.999), (Objective("lsgan"), 0.2495)]
)
@pytest.mark.parametrize(("real", "fake"), [(0.5, 0.5), (1.0, 0.02), (0.0, 1.0)])
def test_one_that_answers_the_same_to_all_learns_nothing(
    objective: Objective, loss: float, real: float, fake: float
) -> None:
    columns = {"d_loss": [loss] * 3, "d_accuracy_real": [real] * 3, "d_accuracy_fake": [fake] * 3}
    assert named(history(**columns), objective) == [(BLIND, 1, 2)]
    columns["d_accuracy_fake"] = [1.2 - real] * 3
    assert named(history(**columns), objective) == []


def test_colors_of_different_photos_alike_are_a_collapse_where_the_truth_differs() -> None:
    columns = healthy(6)
    columns["ab_spread"] = [8.0, 5.0, 2.0, 0.5, 0.4, 0.4]
    assert named(history(**columns)) == [(COLLAPSED, 3, 4)]
    columns["ab_spread_truth"] = [0.6] * 6  # photos of one color cannot show it
    assert named(history(**columns)) == []


def test_the_model_that_the_run_started_from_is_not_judged() -> None:
    start = {"kind": "validation", "step": 0, "epoch": 0, "ab_spread": 0.1, "ab_spread_truth": 13.0}
    columns = healthy(3) | {"ab_spread": [0.1, 8.0, 8.0]}
    assert named([start, *history(**columns)]) == []


@pytest.mark.parametrize("value", ["nan", "inf", math.nan])
def test_a_figure_that_is_no_number_is_named_at_once(value: Any) -> None:
    lines = history(**(healthy(2) | {"g_adversarial": [0.9, value]}))
    (trouble,) = diagnose(lines, SMOOTHED)
    assert (trouble.name, trouble.epoch) == (NAN, 2)
    assert "g_adversarial" in trouble.found
    assert "from a checkpoint before it" in trouble.advice


def test_several_troubles_at_once_are_all_named() -> None:
    columns = healthy(4) | {"d_loss": [0.163] * 4, "ab_spread": [0.1] * 4}
    columns |= {"d_accuracy_real": [1.0] * 4, "d_accuracy_fake": [1.0] * 4}
    assert named(history(**columns)) == [(SATURATED, 1, 2), (COLLAPSED, 1, 2)]


def test_a_divergence_says_what_the_error_said() -> None:
    trouble = divergence(3, TrainingError("a finite loss at step 7", "d_loss nan", "Try a lower `lr`."))
    assert str(trouble) == f"epoch 3: {NAN}. Not a finite loss at step 7: d_loss nan. Try a lower `lr`."


def test_a_discriminator_is_lifeless_while_it_is_saturated_or_blind() -> None:
    columns = healthy(3) | {"d_loss": [0.163, 0.6, 0.69]}
    columns |= {"d_accuracy_real": [1.0, 0.7, 0.5], "d_accuracy_fake": [1.0, 0.7, 0.5]}
    assert [is_dead(epoch, SMOOTHED) for epoch in epochs_of(history(**columns))] == [True, False, True]
    (start,) = epochs_of([json.loads('{"kind": "validation", "step": 0, "epoch": 0, "auc": 88.0}')])
    assert is_dead(start, SMOOTHED) is None


PAIRED = Objective("relativistic")


def test_pairs_are_saturated_when_nearly_all_are_told_apart_with_a_loss_at_its_floor() -> None:
    columns = {"d_loss": [0.5] * 4, "d_pairs": [0.01] * 4, "d_accuracy": [0.998] * 4}  # the penalties do not count
    assert named(history(**columns), PAIRED) == [(SATURATED, 1, 2)]
    assert "99.8% of the pairs" in diagnose(history(**columns), PAIRED)[0].found
    assert named(history(**columns | {"d_accuracy": [0.9] * 4}), PAIRED) == []
    assert named(history(**columns | {"d_pairs": [0.3] * 4}), PAIRED) == []


@pytest.mark.parametrize("accuracy", [0.0, 0.5])  # all pairs tied, or right by chance
def test_pairs_that_cannot_be_told_apart_are_learning_nothing(accuracy: float) -> None:
    columns = {"d_loss": [0.7] * 3, "d_pairs": [0.692] * 3, "d_accuracy": [accuracy] * 3}
    assert named(history(**columns), PAIRED) == [(BLIND, 1, 2)]
    assert named(history(**columns | {"d_accuracy": [0.6] * 3}), PAIRED) == []


def test_saturation_begins_to_count_when_the_generator_learns_too() -> None:
    columns = {"d_loss": [0.163] * 5, "d_alone": [1.0, 1.0, 0.3, 0.0, 0.0]}
    assert named(history(**columns)) == [(SATURATED, 3, 4)]
    assert is_dead(epochs_of(history(**columns))[0], SMOOTHED) is None
