from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from colorgan.images import lightness
from colorgan.images.lightness import L_OF_GRAY8, L_OF_GRAY16, Lightness


def waves(height: int, width: int) -> NDArray[np.float32]:
    """Smooth L, 5..95."""
    across, down = np.meshgrid(np.linspace(0, 9, width), np.linspace(0, 7, height))
    return (50 + 25 * np.sin(across) + 20 * np.cos(down)).astype(np.float32)


def test_a_plane_of_lightness_comes_back() -> None:
    L = waves(40, 60)
    held = Lightness.from_plane(L)
    assert held.shape == (40, 60)
    assert np.abs(held.rows(slice(0, 40)) - L).max() < 1e-3
    assert np.array_equal(held.rows(slice(7, 9)), held.rows(slice(0, 40))[7:9])


@pytest.mark.parametrize("size", [(10, 16), (60, 90), (40, 60), (1, 1), (100, 7)])
@pytest.mark.parametrize("strip_pixels", [1, 150, 10**6])
def test_a_reduced_photo_is_antialiased(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], strip_pixels: int
) -> None:
    monkeypatch.setattr(lightness, "STRIP_PIXELS", strip_pixels)
    L = waves(40, 60)
    wanted = F.interpolate(torch.from_numpy(L)[None, None], size, mode="bilinear", align_corners=False, antialias=True)
    found = Lightness.from_plane(L).reduced(*size, Image.Resampling.BILINEAR)
    assert np.abs(found - wanted[0, 0].numpy()).max() < 0.01


@pytest.mark.parametrize(("dtype", "table"), [(np.uint8, L_OF_GRAY8), (np.uint16, L_OF_GRAY16)])
def test_gray_samples_are_averaged_as_a_program_reduces_pictures(dtype: type, table: NDArray[np.float32]) -> None:
    white = np.iinfo(dtype).max
    board = np.indices((32, 32)).sum(axis=0) % 2 * white
    small = Lightness(board.astype(dtype), table).reduced(2, 2)
    assert small == pytest.approx(table[white // 2 + 1], abs=0.5)


def test_the_reduced_photo_of_one_row_and_one_column_keeps_its_ends() -> None:
    ramp = np.linspace(0, 255, 5000).astype(np.uint8)[None]
    for samples in (ramp, np.ascontiguousarray(ramp.T)):
        height, width = samples.shape
        small = Lightness(samples, L_OF_GRAY8).reduced(max(1, height // 100), max(1, width // 100)).ravel()
        assert small[0] < 2
        assert small[-1] > 98
        assert np.all(np.diff(small) > 0)
