from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colorgan.data.dedup import MAX_DISTANCE, choose_validation, group_near_duplicates


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), max_size=12), st.lists(st.sets(st.integers(0, 63), max_size=5), max_size=12))
def test_hashes_within_the_distance_are_joined_and_only_chains_of_them(roots: list[int], flips: list[set[int]]) -> None:
    near = [root ^ sum(1 << bit for bit in bits) for root, bits in zip(roots, flips, strict=False)]
    hashes = [*roots, *near]
    groups = group_near_duplicates(np.array(hashes, np.uint64)).tolist()
    expected = list(range(len(hashes)))
    for one, first in enumerate(hashes):
        for other, second in enumerate(hashes):
            if (first ^ second).bit_count() <= MAX_DISTANCE:
                expected = [expected[one] if group == expected[other] else group for group in expected]
    assert all(
        (groups[i] == groups[j]) == (expected[i] == expected[j]) for i in range(len(hashes)) for j in range(len(hashes))
    )


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=60),
    st.floats(0, 0.9),
    st.integers(0, 5),
)
def test_groups_are_never_torn_and_both_sides_have_photos(groups: list[int], fraction: float, seed: int) -> None:
    held_back = choose_validation(np.array(groups), fraction, seed)
    for group in set(groups):
        assert len({bool(held) for held, member in zip(held_back, groups, strict=True) if member == group}) == 1
    assert not held_back.all()
    assert held_back.any() == (fraction > 0 and len(set(groups)) > 1)


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.5])
def test_single_photos_are_split_exactly_by_the_fraction(fraction: float) -> None:
    assert choose_validation(np.arange(1000), fraction, seed=0).sum() == 1000 * fraction


def test_another_seed_holds_back_other_photos() -> None:
    first, second = (choose_validation(np.arange(100), 0.2, seed) for seed in (0, 1))
    assert first.sum() == second.sum()
    assert (first != second).any()
