from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional as F

from colorgan.color.lab import lab_to_linear, lab_to_rgb, rgb_to_lab
from colorgan.colorize import fullres
from colorgan.media.lightness import Lightness


def lightness_of_levels(levels: torch.Tensor, white: int = 255) -> torch.Tensor:
    """L of (H, W) grey levels."""
    return rgb_to_lab((levels / white).expand(3, *levels.shape))[0]


def render(L: NDArray[np.float32], ab: torch.Tensor, saturation: float = 1.0) -> NDArray[np.uint8]:
    return fullres.render(Lightness.from_plane(L), ab, saturation)


def noise(height: int, width: int, spread: float, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, height, width, generator=torch.Generator().manual_seed(seed)) * spread


def test_every_grey_level_comes_out_as_it_went_in() -> None:
    levels = torch.arange(256.0).view(16, 16)
    rgb = render(lightness_of_levels(levels).numpy(), torch.zeros(2, 4, 4))
    assert np.array_equal(rgb, np.repeat(levels.numpy()[..., None], 3, axis=2))


def test_sixteen_bit_grey_comes_out_as_the_nearest_level_and_neutral() -> None:
    codes = torch.arange(65536.0).view(256, 256)
    rgb = render(lightness_of_levels(codes, 65535).numpy(), torch.zeros(2, 1, 1)).astype(int)
    assert np.array_equal(rgb[..., 0], rgb[..., 1])
    assert np.array_equal(rgb[..., 0], rgb[..., 2])
    assert np.abs(rgb[..., 0] - codes.numpy() / 257).max() < 0.55


def test_no_saturation_is_grey() -> None:
    L = lightness_of_levels(torch.arange(256.0).view(16, 16)).numpy()
    assert np.array_equal(render(L, noise(4, 4, 50), 0.0), render(L, torch.zeros(2, 4, 4)))


def test_colours_that_srgb_has_agree_with_the_colour_module() -> None:
    rgb = torch.rand(3, 60, 60, generator=torch.Generator().manual_seed(0))
    lab = rgb_to_lab(rgb)
    out = fullres.to_srgb(lab[0], lab[1:]).float().movedim(-1, 0)
    assert (out - rgb * 255).abs().max() < 0.6


colours = st.tuples(st.floats(0.5, 99.5, width=32), st.floats(-128, 128, width=32), st.floats(-128, 128, width=32))


@settings(max_examples=300, deadline=None)
@given(st.lists(colours, min_size=1, max_size=30))
def test_any_colour_ends_in_gamut_at_its_own_lightness_and_hue(wanted: list[tuple[float, float, float]]) -> None:
    L, a, b = torch.tensor(wanted, dtype=torch.float32).T
    factor = fullres._chroma_factor(L, a, b)
    linear = lab_to_linear(torch.stack([L, a * factor, b * factor])[..., None])
    assert linear.min() > -2e-4
    assert linear.max() < 1 + 2e-4
    found = rgb_to_lab(fullres.to_srgb(L[None], torch.stack([a, b])[:, None]).movedim(-1, 0) / 255)[:, 0]
    # What is left is the rounding to 255 levels, which moves dark colours furthest.
    assert (found[0] - L).abs().max() < 1.0
    chroma = torch.hypot(found[1], found[2])
    turned = (a * found[2] - b * found[1]).abs() / torch.hypot(a, b).clamp(min=1e-6)
    assert bool((turned < 2.0).all()), "further than rounding from the wanted hue's line"
    assert bool((chroma < torch.hypot(a, b) + 2.5).all())


def test_a_colour_at_the_edge_of_the_gamut_changes_without_a_step() -> None:
    a = torch.linspace(0, 128, 2000)[None]
    ab = torch.stack([a, a * 0.5])
    rgb = fullres.to_srgb(torch.full_like(a, 60.0), ab).int()
    assert (rgb[:, 1:] - rgb[:, :-1]).abs().max() <= 1


def test_clipping_channels_would_shift_the_hue_and_this_does_not() -> None:
    L, ab = torch.tensor([[90.0]]), torch.tensor([60.0, -60.0]).view(2, 1, 1)

    def hue(rgb: torch.Tensor) -> float:
        lab = rgb_to_lab(rgb.view(3, 1, 1))
        return float(torch.atan2(lab[2], lab[1]).rad2deg())

    assert hue(fullres.to_srgb(L, ab) / 255) == pytest.approx(-45, abs=3)
    assert abs(hue(lab_to_rgb(torch.cat([L[None], ab]))) + 45) > 10


@pytest.mark.parametrize("shape", [(97, 61), (5, 300), (300, 5), (1, 1)])
@pytest.mark.parametrize("strip_pixels", [1, 130, 1000])
def test_strips_give_the_same_bits_as_the_whole(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], strip_pixels: int
) -> None:
    L = (torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 100).numpy()
    ab = noise(13, 17, 60)
    monkeypatch.setattr(fullres, "_STRIP_PIXELS", 10**9)
    whole = render(L, ab)
    monkeypatch.setattr(fullres, "_STRIP_PIXELS", strip_pixels)
    assert np.array_equal(render(L, ab), whole)


@pytest.mark.parametrize("size", [(64, 48), (61, 47), (200, 7), (13, 17), (13, 90)])
def test_colours_go_up_bilinearly_with_the_corners_half_a_pixel_in(size: tuple[int, int]) -> None:
    ab = noise(13, 17, 30)
    wanted = F.interpolate(ab[None], size, mode="bilinear", align_corners=False, antialias=True)[0]
    found = fullres.heighten(fullres.widen(ab, *size), slice(0, size[0]), size[0])
    assert torch.allclose(found, wanted, atol=1e-3)


def test_colours_stand_where_the_network_saw_them() -> None:
    L = np.full((256, 256), 60.0, np.float32)
    ab = torch.zeros(2, 16, 16)
    ab[0, :, 8:], ab[1, 8:] = 30.0, 30.0
    lab = rgb_to_lab(torch.from_numpy(render(L, ab)).movedim(-1, 0) / 255)
    columns, rows = lab[1].mean(dim=0), lab[2].mean(dim=1)
    assert columns[127] < 15 < columns[128]
    assert rows[127] < 15 < rows[128]


@pytest.mark.parametrize("shape", [(3, 3), (1, 40), (40, 1), (1, 1)])
def test_a_photo_smaller_than_the_networks_view_gets_its_colours_averaged(shape: tuple[int, int]) -> None:
    L = np.full(shape, 60.0, np.float32)
    rgb = render(L, torch.full((2, 32, 32), 20.0))
    lab = rgb_to_lab(torch.from_numpy(rgb).movedim(-1, 0) / 255)
    assert rgb.shape == (*shape, 3)
    assert lab[1:].sub(20).abs().max() < 0.7
