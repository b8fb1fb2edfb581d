from __future__ import annotations

import pytest
import torch

from colorgan.data.aging import EYE, Aged, draw_ages


def drawn(count: int, size: int = 32, seed: int = 0) -> Aged:
    return draw_ages(torch.Generator().manual_seed(seed), count, size)


def test_a_film_takes_all_of_the_light_and_never_more_red_than_the_eye():
    film = drawn(50).film
    torch.testing.assert_close(film.sum(1), torch.ones(50))
    assert ((film[:, 0] > 0) & (film[:, 0] <= EYE[0])).all()
    assert (film[:, 2] >= EYE[2]).all()


def test_a_print_fades_and_never_gains_contrast():
    spreads = drawn(50).light[:, 0]
    assert ((spreads >= 0.45) & (spreads <= 1)).all()
    assert spreads.max() - spreads.min() > 0.4


def test_a_faded_print_stays_within_black_and_white():
    spread, shift = drawn(50).light.unbind(1)
    for L in (0, 100):
        aged = (L - 50) * spread + 50 + shift
        assert aged.min() >= -1e-4
        assert aged.max() <= 100 + 1e-4


def test_the_texture_of_a_print_differs_from_print_to_print_and_is_drawn_again_alike():
    ages = drawn(2)
    assert ages.texture.shape == (2, 1, 32, 32)
    assert not torch.equal(ages.texture[0], ages.texture[1])
    again = drawn(2)
    assert all(torch.equal(getattr(ages, name), getattr(again, name)) for name in ("film", "light", "texture"))
    assert not torch.equal(drawn(2, seed=1).texture, ages.texture)


def test_grain_and_stains_are_weak_and_scratches_are_few_and_strong():
    texture = drawn(200, 64).texture
    assert 1 < texture.std() < 8
    strong = texture.abs() > 20
    assert 0 < strong.flatten(1).any(1).float().mean() < 0.9
    assert strong.float().mean() < 0.02


@pytest.mark.parametrize("size", [1, 2, 17])
def test_squares_of_any_side_age(size: int):
    texture = drawn(20, size).texture
    assert texture.shape == (20, 1, size, size)
    assert torch.isfinite(texture).all()
