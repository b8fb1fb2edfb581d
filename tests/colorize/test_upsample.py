from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from colorgan.color.lab import rgb_to_lab
from colorgan.colorize import upsample
from colorgan.images.lightness import L_OF_GRAY16, Lightness, Samples


def lightness_of_levels(levels: torch.Tensor, white: int = 255) -> torch.Tensor:
    """L of (H, W) gray levels."""
    return rgb_to_lab((levels / white).expand(3, *levels.shape))[0]


def render(L: NDArray[np.float32], ab: torch.Tensor, saturation: float = 1.0, **options: Any) -> Samples:
    return upsample.render(Lightness.from_plane(L), ab, saturation, **options)


def noise(height: int, width: int, spread: float, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, height, width, generator=torch.Generator().manual_seed(seed)) * spread


def test_every_gray_level_comes_out_as_it_went_in() -> None:
    levels = torch.arange(256.0).view(16, 16)
    rgb = render(lightness_of_levels(levels).numpy(), torch.zeros(2, 4, 4))
    assert np.array_equal(rgb, np.repeat(levels.numpy()[..., None], 3, axis=2))


def test_sixteen_bit_gray_comes_out_as_the_nearest_level_and_neutral() -> None:
    codes = torch.arange(65536.0).view(256, 256)
    rgb = render(lightness_of_levels(codes, 65535).numpy(), torch.zeros(2, 1, 1)).astype(int)
    assert np.array_equal(rgb[..., 0], rgb[..., 1])
    assert np.array_equal(rgb[..., 0], rgb[..., 2])
    assert np.abs(rgb[..., 0] - codes.numpy() / 257).max() < 0.55


def test_sixteen_bit_gray_comes_out_as_it_went_in_where_sixteen_bits_are_asked_for() -> None:
    codes = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    rgb = upsample.render(Lightness(codes, L_OF_GRAY16), torch.zeros(2, 1, 1), bit_depth=16)
    assert rgb.dtype == np.uint16
    assert np.abs(rgb.astype(int) - codes[..., None]).max() <= 1


def test_both_depths_give_the_same_colors() -> None:
    L = lightness_of_levels(torch.arange(256.0).view(16, 16)).numpy()
    deep, flat = render(L, noise(4, 4, 30), bit_depth=16), render(L, noise(4, 4, 30))
    assert np.abs(deep / 257 - flat).max() < 0.55


def test_clipping_leaves_colors_that_srgb_has_as_they_are_and_moves_the_others() -> None:
    L = np.full((64, 64), 60.0, np.float32)
    pale, strong = torch.tensor([10.0, 10.0]).view(2, 1, 1), torch.tensor([0.0, -110.0]).view(2, 1, 1)
    assert np.array_equal(render(L, pale, is_clipped=True), render(L, pale))
    assert not np.array_equal(render(L, strong, is_clipped=True), render(L, strong))


@pytest.mark.parametrize("bit_depth", [8, 16])
def test_threads_share_the_strips_and_change_nothing(monkeypatch: pytest.MonkeyPatch, bit_depth: int) -> None:
    L = (torch.rand(90, 70, generator=torch.Generator().manual_seed(1)) * 100).numpy()
    one = render(L, noise(13, 17, 60), bit_depth=bit_depth)
    monkeypatch.setattr(upsample, "_STRIP_PIXELS", 300)
    monkeypatch.setattr(upsample, "_PIXELS_PER_THREAD", 1000)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert np.array_equal(render(L, noise(13, 17, 60), bit_depth=bit_depth), one)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("bit_depth", [8, 16])
def test_a_gpu_gives_the_same_picture_but_for_rounding(bit_depth: int) -> None:
    L = (torch.rand(300, 200, generator=torch.Generator().manual_seed(1)) * 100).numpy()
    found = render(L, noise(13, 17, 60), bit_depth=bit_depth, device=torch.device("cuda")).astype(int)
    difference = np.abs(found - render(L, noise(13, 17, 60), bit_depth=bit_depth))
    assert difference.max() <= (1 if bit_depth == 8 else 16)


def test_no_saturation_is_gray() -> None:
    L = lightness_of_levels(torch.arange(256.0).view(16, 16)).numpy()
    assert np.array_equal(render(L, noise(4, 4, 50), 0.0), render(L, torch.zeros(2, 4, 4)))


@pytest.mark.parametrize("shape", [(97, 61), (5, 300), (300, 5), (1, 1)])
@pytest.mark.parametrize("strip_pixels", [1, 130, 1000])
def test_strips_give_the_same_bits_as_the_whole(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], strip_pixels: int
) -> None:
    L = (torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 100).numpy()
    ab = noise(13, 17, 60)
    monkeypatch.setattr(upsample, "_STRIP_PIXELS", 10**9)
    whole = render(L, ab)
    monkeypatch.setattr(upsample, "_STRIP_PIXELS", strip_pixels)
    assert np.array_equal(render(L, ab), whole)


@pytest.mark.parametrize("size", [(64, 48), (61, 47), (200, 7), (13, 17), (13, 90)])
def test_colors_go_up_bilinearly_with_the_corners_half_a_pixel_in(size: tuple[int, int]) -> None:
    ab = noise(13, 17, 30)
    wanted = F.interpolate(ab[None], size, mode="bilinear", align_corners=False, antialias=True)[0]
    wide = upsample.resize_width(ab, *size)
    between = upsample.RowInterpolator(wide.shape[1], size[0], wide.device)
    found = between.interpolate_rows(wide, slice(0, size[0]), torch.empty(2, *size), torch.empty(2, *size))
    assert torch.allclose(found, wanted, atol=1e-3)


def test_colors_stand_where_the_network_saw_them() -> None:
    L = np.full((256, 256), 60.0, np.float32)
    ab = torch.zeros(2, 16, 16)
    ab[0, :, 8:], ab[1, 8:] = 30.0, 30.0
    lab = rgb_to_lab(torch.from_numpy(render(L, ab)).movedim(-1, 0) / 255)
    columns, rows = lab[1].mean(dim=0), lab[2].mean(dim=1)
    assert columns[127] < 15 < columns[128]
    assert rows[127] < 15 < rows[128]


@pytest.mark.parametrize("shape", [(3, 3), (1, 40), (40, 1), (1, 1)])
def test_a_photo_smaller_than_the_networks_view_gets_its_colors_averaged(shape: tuple[int, int]) -> None:
    L = np.full(shape, 60.0, np.float32)
    rgb = render(L, torch.full((2, 32, 32), 20.0))
    lab = rgb_to_lab(torch.from_numpy(rgb).movedim(-1, 0) / 255)
    assert rgb.shape == (*shape, 3)
    assert lab[1:].sub(20).abs().max() < 0.7


def test_a_large_photo_that_several_threads_color_leaves_torch_its_threads_and_has_the_same_bits() -> None:
    L, ab = np.full((1100, 1000), 50, np.float32), noise(4, 4, 30.0)
    before = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(render(L, ab))
            with ThreadPoolExecutor(1) as pool:
                assert (torch.get_num_threads(), pool.submit(torch.get_num_threads).result()) == (count, count)
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(*results)
