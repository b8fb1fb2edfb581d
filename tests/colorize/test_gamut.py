from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from colorgan.color.lab import lab_to_linear, lab_to_rgb, rgb_to_lab, srgb_from_linear
from colorgan.colorize import upsample
from colorgan.colorize.gamut import (
    LINEAR_STEPS,
    Mixer,
    is_inside,
    reduce_chroma,
    scaled_ab,
    scaled_lightness,
)
from colorgan.images.lightness import Lightness


def linear_of(lab: Tensor) -> Tensor:
    """Linear sRGB, 0..1, of (3, n) Lab, within the gamut."""
    light, (a, b) = scaled_lightness(lab[0]), scaled_ab(lab[1:])
    linear = Mixer(lab.shape[1], lab.device).mix(light, a, b)
    if not is_inside(linear):
        reduce_chroma(linear, light, a, b)
    return linear / LINEAR_STEPS


def levels_of(lab: Tensor) -> Tensor:
    """Levels of 255, not rounded, (3, n)."""
    return srgb_from_linear(linear_of(lab).clamp(0, 1)) * 255


def lab_of_levels(levels: Tensor) -> Tensor:
    return rgb_to_lab(levels[..., None] / 255)[..., 0]


def test_colors_that_srgb_has_agree_with_the_color_module() -> None:
    rgb = torch.rand(3, 3600, generator=torch.Generator().manual_seed(0))
    lab = rgb_to_lab(rgb[..., None])[..., 0]
    assert torch.allclose(linear_of(lab), lab_to_linear(lab[..., None])[..., 0], rtol=2e-4, atol=1e-5)


def test_gray_is_gray_to_the_last_bit() -> None:
    L = torch.linspace(0, 100, 1001)
    red, green, blue = linear_of(torch.stack([L, L * 0, L * 0]))
    assert torch.equal(red, green)
    assert torch.equal(red, blue)


colors = st.tuples(st.floats(0.5, 99.5, width=32), st.floats(-128, 128, width=32), st.floats(-128, 128, width=32))


@settings(max_examples=200, deadline=None)
@given(st.lists(colors, min_size=1, max_size=30))
def test_any_color_ends_in_gamut_at_its_own_lightness_and_hue(wanted: list[tuple[float, float, float]]) -> None:
    lab = torch.tensor(wanted, dtype=torch.float32).T
    L, a, b = lab
    found = lab_of_levels(levels_of(lab).round())
    # What is left is the rounding to 255 levels, which moves dark colors furthest.
    assert (found[0] - L).abs().max() < 1.0
    chroma = torch.hypot(found[1], found[2])
    turned = (a * found[2] - b * found[1]).abs() / torch.hypot(a, b).clamp(min=1e-6)
    assert bool((turned < 2.0).all()), "further than rounding from the wanted hue's line"
    assert bool((chroma < torch.hypot(a, b) + 2.5).all())


def test_as_much_chroma_stays_as_srgb_has() -> None:
    lab = torch.rand(3, 20000, generator=torch.Generator().manual_seed(0)) * 100
    lab[1:] = (lab[1:] - 50) * 3
    kept = lab_of_levels(levels_of(lab))
    share = torch.hypot(kept[1], kept[2]) / torch.hypot(lab[1], lab[2]).clamp(min=1e-6)
    more = lab.clone()
    more[1:] *= share + 2.0 / torch.hypot(lab[1], lab[2])
    linear = lab_to_linear(more[..., None])[..., 0]
    still_inside = (linear.amin(0) > 1e-4) & (linear.amax(0) < 1 - 1e-4) & (share < 0.99)
    assert still_inside.float().mean() < 0.001, "2 Lab units more would have been within sRGB"


def test_a_color_at_the_edge_of_the_gamut_changes_without_a_step() -> None:
    a = torch.linspace(0, 128, 2000)
    levels = levels_of(torch.stack([torch.full_like(a, 60.0), a, a * 0.5])).round()
    assert (levels[:, 1:] - levels[:, :-1]).abs().max() <= 1


def test_clipping_channels_would_shift_the_hue_and_this_does_not() -> None:
    lab = torch.tensor([[90.0], [60.0], [-60.0]])

    def hue(levels: Tensor) -> float:
        _, a, b = lab_of_levels(levels)
        return float(torch.atan2(b, a).rad2deg())

    assert hue(levels_of(lab)) == pytest.approx(-45, abs=3)
    assert abs(hue(lab_to_rgb(lab[..., None])[..., 0] * 255) + 45) > 10


@pytest.mark.parametrize("L", [0.0, 100.0])
def test_black_and_white_stay_so_whatever_color_they_are_given(L: float) -> None:
    levels = levels_of(torch.tensor([[L, L], [50.0, -20.0], [-70.0, 90.0]]))
    assert (levels - L * 2.55).abs().max() <= 1


@pytest.mark.parametrize("red", [0, 1, 128, 254, 255])
def test_every_color_of_srgb_comes_back_as_it_was(red: int) -> None:
    rgb = np.empty((256, 256, 3), np.uint8)
    rgb[..., 0], rgb[..., 1], rgb[..., 2] = red, np.arange(256)[:, None], np.arange(256)[None]
    lab = rgb_to_lab(torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255)[0]
    assert (upsample.render(Lightness.from_plane(lab[0].numpy()), lab[1:]) == rgb).all()
