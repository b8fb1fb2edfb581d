import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from colorgan.metrics import bootstrap
from colorgan.metrics.bootstrap import interval, paired_difference


def drawn(count: int, seed: int = 0, mean: float = 10.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 2.0, count)


def test_the_interval_of_a_mean_is_as_wide_as_theory_says() -> None:
    values = drawn(400)
    found = interval(values)
    half = 1.96 * values.std() / np.sqrt(400)
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)
    assert found.photos == 400


def test_the_interval_holds_the_true_mean_in_about_95_of_100_sets() -> None:
    held = [(found := interval(drawn(40, seed))).low <= 10.0 <= found.high for seed in range(100)]
    assert 88 <= sum(held) <= 99


def test_a_ratio_of_sums_is_the_weighted_mean_and_not_the_mean_of_ratios() -> None:
    values, weights = np.array([1.0, 3.0]), np.array([9.0, 1.0])
    assert interval(values, weights).value == pytest.approx(1.2)
    rare = interval(np.array([1.0, 1.0, 1.0, 5.0]), np.array([1.0, 1.0, 1.0, 0.0]))
    assert (rare.value, rare.low, rare.high, rare.photos) == (1.0, 1.0, 1.0, 3)


def test_the_same_seed_gives_the_same_interval_whatever_is_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    values = drawn(50)
    whole = interval(values, seed=3)
    assert interval(values, seed=3) == whole
    assert interval(values, seed=4).low != whole.low
    monkeypatch.setattr(bootstrap, "_MOST_DRAWS", 700)
    assert interval(values, seed=3) == whole


def test_a_paired_difference_is_told_from_far_fewer_photos_than_two_means() -> None:
    hard = 20 * drawn(40)  # what makes one photo harder than another is the same for both models
    first, second = hard + drawn(40, 1, 1.5), hard + drawn(40, 2, 0.0)
    difference = paired_difference(first, second)
    assert difference.excludes_zero
    assert difference.value == pytest.approx(first.mean() - second.mean())
    apart = interval(first), interval(second)
    assert apart[0].low < apart[1].high  # the intervals of the two overlap all the same


def test_no_difference_is_not_told_from_none() -> None:
    assert not paired_difference(drawn(40, 1), drawn(40, 2)).excludes_zero


def test_photos_without_a_value_do_not_count() -> None:
    values = np.array([1.0, np.nan, 3.0])
    assert (interval(values).value, interval(values).photos) == (2.0, 2)
    assert paired_difference(values, np.array([1.0, 1.0, np.nan])).photos == 1
    nothing = interval(np.array([np.nan]))
    assert np.isnan(nothing.value)
    assert not nothing.excludes_zero
    assert np.isnan(interval(np.array([4.0])).low)


numbers = hnp.arrays(np.float64, st.integers(2, 30), elements=st.floats(-1e3, 1e3))


@given(numbers)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_an_interval_lies_within_the_values_and_swapping_models_turns_it_around(values: np.ndarray) -> None:
    found = interval(values)
    assert values.min() - 1e-9 <= found.low <= found.high <= values.max() + 1e-9
    other = values[::-1]
    there, back = paired_difference(values, other), paired_difference(other, values)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-9)
