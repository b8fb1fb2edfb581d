from __future__ import annotations

import numpy as np
import pytest

from colorgan.data.aging import EYE, draw_age


def ages(count: int, size: int = 32) -> list:
    return [draw_age(np.random.default_rng(seed), size) for seed in range(count)]


def test_a_film_takes_all_of_the_light_and_never_more_red_than_the_eye():
    for age in ages(50):
        assert sum(age.film) == pytest.approx(1)
        assert 0 < age.film[0] <= EYE[0]
        assert age.film[2] >= EYE[2]


def test_a_print_fades_and_never_gains_contrast():
    spreads = [age.light[0] for age in ages(50)]
    assert all(0.45 <= spread <= 1 for spread in spreads)
    assert max(spreads) - min(spreads) > 0.4


def test_a_faded_print_stays_within_black_and_white():
    for age in ages(50):
        spread, shift = age.light
        for L in (0, 100):
            assert -1e-9 <= (L - 50) * spread + 50 + shift <= 100 + 1e-9


def test_the_texture_of_a_print_differs_from_print_to_print_and_is_drawn_again_alike():
    first, second = ages(2)
    assert first.texture.shape == (32, 32)
    assert not np.array_equal(first.texture, second.texture)
    again = draw_age(np.random.default_rng(0), 32)
    assert np.array_equal(first.texture, again.texture)
    assert (first.film, first.light) == (again.film, again.light)


@pytest.mark.parametrize("size", [1, 2, 17])
def test_squares_of_any_side_age(size: int):
    for age in ages(20, size):
        assert age.texture.shape == (size, size)
        assert np.isfinite(age.texture).all()
