import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from colorgan.metrics.bleeding import color_bleeding

SIZE = 64


def square(outside: float, inside: float) -> Tensor:
    """Draw a square of one value in the middle of another: (1, 1, 64, 64)."""
    plane = torch.full((1, 1, SIZE, SIZE), float(outside))
    plane[..., 16:48, 16:48] = inside
    return plane


L = square(70, 30)
TRUTH = torch.cat([square(-20, 40), square(10, 30)], 1)


def blurred(ab: Tensor, side_px: int) -> Tensor:
    padded = F.pad(ab, [side_px // 2] * 4, mode="replicate")
    return F.avg_pool2d(padded, side_px, stride=1)


def of(ab: Tensor) -> float:
    return float(color_bleeding(L, ab, TRUTH)[0])


def test_sharp_colors_bleed_nothing_and_blurred_ones_the_more_the_wider_they_run() -> None:
    figures = [of(TRUTH), of(blurred(TRUTH, 9)), of(blurred(TRUTH, 17)), of(blurred(TRUTH, 25))]
    assert figures[0] == pytest.approx(0, abs=1e-4)
    assert figures == sorted(figures)
    assert figures[1] > 0.2
    assert figures[3] > 0.6


def test_colors_that_stop_beyond_the_edge_have_bled_wholly() -> None:
    shifted = torch.roll(TRUTH, (6, 6), dims=(2, 3))
    assert of(shifted) == pytest.approx(1, abs=0.1)
    assert of(torch.roll(TRUTH, (1, 1), dims=(2, 3))) == pytest.approx(0, abs=1e-4)  # within the near pixels


def test_wrong_colors_that_keep_to_the_edge_do_not_bleed() -> None:
    wrong = torch.cat([square(5, -8), square(0, -30)], 1)
    assert of(wrong) == pytest.approx(0, abs=1e-4)


def test_a_prediction_without_contrast_has_no_figure_and_no_weight() -> None:
    value, weight = color_bleeding(L, torch.full_like(TRUTH, 12.0), TRUTH)
    assert bool(value.isnan())
    assert weight.tolist() == [0]


def test_edges_of_lightness_without_a_change_of_true_color_do_not_count() -> None:
    assert color_bleeding(L, TRUTH, torch.full_like(TRUTH, 7.0))[1].tolist() == [0]
    assert color_bleeding(torch.full_like(L, 50.0), TRUTH, TRUTH)[1].tolist() == [0]


def test_photos_too_small_for_both_sides_have_no_figure() -> None:
    for side in range(1, 25):
        value, weight = color_bleeding(L[..., :side, :side], TRUTH[..., :side, :side], TRUTH[..., :side, :side])
        assert bool(value.isnan())
        assert weight.tolist() == [0]


def halves(width: int, edge: int, left: float, right: float, height: int = 10) -> Tensor:
    """Draw two values side by side, the second from a column on: (1, 1, H, W)."""
    plane = torch.full((1, 1, height, width), float(left))
    plane[..., edge:] = right
    return plane


def weight_of(L: Tensor, ab: Tensor) -> float:
    return float(color_bleeding(L, ab, ab)[1])


def test_an_edge_counts_with_twelve_pixels_to_both_sides_and_not_with_less() -> None:
    def counted(width: int, edge: int) -> bool:
        a = halves(width, edge, 0, 30)
        return weight_of(halves(width, edge, 70, 30), torch.cat([a, -a], 1)) > 0

    # The steepest pixels are the last on the left side and the first on the right one.
    assert (counted(64, 12), counted(64, 11)) == (True, False)
    assert (counted(64, 52), counted(64, 53)) == (True, False)
    assert (counted(25, 13), counted(24, 12), counted(10, 5)) == (True, False, False)


def test_the_least_edge_of_lightness_and_of_color_counts() -> None:
    def counted(of_L: float, of_a: float) -> bool:
        a = halves(64, 32, 0, of_a)
        return weight_of(halves(64, 32, 30, 30 + of_L), torch.cat([a, torch.zeros_like(a)], 1)) > 0

    assert (counted(8, 10), counted(7.9, 10), counted(8, 9.9)) == (True, False, False)


def test_sides_that_change_by_a_quarter_of_the_step_at_most_are_of_one_color() -> None:
    def counted(beyond: float) -> bool:
        a = halves(64, 32, 0, 15)
        a[..., 40:] = beyond
        return weight_of(halves(64, 32, 30, 70), torch.cat([a, torch.zeros_like(a)], 1)) > 0

    assert (counted(16), counted(20), counted(20.5)) == (True, True, False)


@given(st.floats(0.005, 3), st.integers(0, 10**6), st.booleans())
@settings(max_examples=30, deadline=None, derandomize=True)
def test_it_is_a_share_that_neither_strength_nor_turning_changes(factor: float, seed: int, turned: bool) -> None:
    noise = 10 * torch.randn(TRUTH.shape, generator=torch.Generator().manual_seed(seed))
    ab = blurred(TRUTH, 9) + noise
    figure = of(ab)
    assert 0 <= figure <= 1
    assert of(factor * ab) == pytest.approx(figure, abs=1e-4)
    turn = (lambda x: x.mT) if turned else (lambda x: x.flip(-1))
    assert float(color_bleeding(turn(L), turn(ab), turn(TRUTH))[0]) == pytest.approx(figure, abs=1e-4)
