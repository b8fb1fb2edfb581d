from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from colorgan.color.lab import lab_to_rgb
from colorgan.colorize import upsample
from colorgan.colorize.guided_filter import EDGE, RADIUS, apply_linear_model, fit_linear_model, fit_linear_model_at
from colorgan.images.lightness import Lightness


def step(height: int, width: int, left: float = 20.0, right: float = 80.0) -> Tensor:
    """An L with an edge in its middle."""
    L = torch.full((height, width), left)
    L[:, width // 2 :] = right
    return L


def bleeding(height: int, width: int) -> Tensor:
    """Red on the left and blue on the right, with a slope of several cells between, as a coarse answer has it."""
    hard = torch.stack([step(height, width, 40.0, -10.0), step(height, width, 30.0, -40.0)])
    return F.interpolate(F.avg_pool2d(hard[None], 4, ceil_mode=True), (height, width), mode="bilinear")[0]


def test_colors_end_at_the_edge_of_a_larger_photo() -> None:
    L, ab, large = step(32, 36), bleeding(32, 36), step(320, 360)
    plain = F.interpolate(ab[None], large.shape, mode="bilinear")[0]
    led = apply_linear_model(large, fit_linear_model(L, ab))
    beside = slice(180, 190)  # a cell of the answer is 40 of these pixels
    strayed = [float((ab[0, 150, beside] + 10).mean()) for ab in (plain, led)]
    assert strayed[1] < 0.7 * strayed[0]
    assert float(plain[0, 150, 179] - plain[0, 150, 180]) < 2
    assert float(led[0, 150, 179] - led[0, 150, 180]) > 20


def test_lines_are_those_of_the_paper_window_by_window() -> None:
    random = np.random.default_rng(4)
    L, ab = random.uniform(20, 90, (15, 18)), random.normal(0, 20, (2, 15, 18))

    def windows(values: np.ndarray) -> np.ndarray:
        side = (2 * RADIUS + 1, 2 * RADIUS + 1)
        return np.lib.stride_tricks.sliding_window_view(np.pad(values, RADIUS, mode="edge"), side)

    def mean(values: np.ndarray) -> np.ndarray:
        return windows(values).mean((-2, -1))

    variance = mean(L**2) - mean(L) ** 2
    slopes = [(mean(L * of) - mean(L) * mean(of)) / (variance + EDGE) for of in ab]
    offsets = [mean(of) - slope * mean(L) for of, slope in zip(ab, slopes, strict=True)]
    found = fit_linear_model(torch.tensor(L, dtype=torch.float32), torch.tensor(ab, dtype=torch.float32))
    assert np.abs(found.numpy() - [mean(each) for each in (*slopes, *offsets)]).max() < 1e-3


def test_a_line_holds_at_the_middle_of_its_cell() -> None:
    fitted = torch.zeros(4, 2, 2)
    fitted[2] = torch.tensor([[0.0, 8.0], [0.0, 8.0]])
    found = apply_linear_model(torch.zeros(4, 4), fitted)[0, 0]
    assert found.tolist() == [0.0, 2.0, 6.0, 8.0]  # places at 1/8, 3/8, 5/8 and 7/8, of which cells have 1/4 and 3/4


def test_colors_that_are_a_line_of_lightness_stay() -> None:
    L = torch.rand(40, 40, generator=torch.Generator().manual_seed(0)) * 100
    ab = torch.stack([0.4 * L - 20, 10 - 0.2 * L])
    assert float((apply_linear_model(L, fit_linear_model(L, ab)) - ab).abs().max()) < 2


@pytest.mark.parametrize("L", [0.0, 37.5, 100.0])
def test_where_lightness_is_even_one_color_stays_itself(L: float) -> None:
    ab = torch.tensor([12.0, -34.0]).view(2, 1, 1).expand(2, 20, 30)
    found = apply_linear_model(torch.full((60, 90), L), fit_linear_model(torch.full((20, 30), L), ab))
    assert torch.allclose(found, ab[:, :1, :1].expand(2, 60, 90), atol=1e-3)


def test_grain_gives_no_color_of_its_own() -> None:
    random = torch.Generator().manual_seed(3)
    ab = torch.tensor([20.0, 20.0]).view(2, 1, 1).expand(2, 32, 32)
    L = 50 + 3 * torch.randn(32, 32, generator=random)
    grain = 50 + 8 * torch.randn(320, 320, generator=random)
    assert float((apply_linear_model(grain, fit_linear_model(L, ab)) - 20).abs().max()) < 0.1


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3), (RADIUS, 2 * RADIUS + 2)])
def test_any_shape_has_lines(shape: tuple[int, int]) -> None:
    random = torch.Generator().manual_seed(1)
    fitted = fit_linear_model(torch.rand(shape, generator=random) * 100, torch.randn(2, *shape, generator=random) * 30)
    assert fitted.shape == (4, *shape)
    assert bool(fitted.isfinite().all())


@pytest.mark.parametrize("saturation", [0.5, 1.0])
def test_the_picture_has_the_colors_of_the_lines(saturation: float) -> None:
    random = torch.Generator().manual_seed(2)
    L, ab = 30 + 40 * torch.rand(24, 32, generator=random), torch.randn(2, 24, 32, generator=random) * 8
    large = 30 + 40 * torch.rand(72, 96, generator=random)
    rgb = upsample.render(Lightness.from_plane(large.numpy()), ab, saturation, guide=L)
    wanted = apply_linear_model(large, fit_linear_model(L, ab)) * saturation
    expected = lab_to_rgb(torch.cat([large[None], wanted])[None])[0].movedim(0, -1) * 255
    assert np.abs(rgb - expected.numpy()).max() < 1.0


def test_a_guided_picture_has_the_same_bits_in_strips_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    L, ab, large = step(24, 32), bleeding(24, 32), Lightness.from_plane(step(97, 61).numpy())
    whole = upsample.render(large, ab, guide=L)
    monkeypatch.setattr(upsample, "_STRIP_PIXELS", 130)
    monkeypatch.setattr(upsample, "_PIXELS_PER_THREAD", 1000)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert np.array_equal(upsample.render(large, ab, guide=L), whole)


@pytest.mark.parametrize(
    "size", [(64, 70), (26, 200), (20, 30)], ids=["large", "one window high", "smaller than a window"]
)
def test_at_some_places_lines_are_those_of_the_whole_picture(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(1)
    height, width = size
    L, ab = 100 * torch.rand(size, generator=generator), 20 * torch.randn(2, *size, generator=generator)
    rows = torch.tensor([0.0, -0.4, height - 0.6, height / 2 + 0.3, 12.5])
    columns = torch.tensor([0.0, width - 0.7, width - 1.0, width / 3, -0.4])
    whole = F.grid_sample(
        fit_linear_model(L, ab)[None],
        torch.stack([(columns + 0.5) * 2 / width - 1, (rows + 0.5) * 2 / height - 1], -1)[None, None],
        padding_mode="border",
        align_corners=False,
    )[0, :, 0]
    torch.testing.assert_close(fit_linear_model_at(L, ab, rows, columns), whole, rtol=1e-4, atol=1e-3)
