import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from colorgan.color.bins import BINS, bin_centers, decode, nearest_bin, prior, soft_targets
from colorgan.color.lab import rgb_to_lab


def photo_colors(count: int = 4000) -> torch.Tensor:
    rgb = torch.rand(1, 3, count, 1, generator=torch.Generator().manual_seed(0))
    return rgb_to_lab(rgb)[:, 1:]


def test_there_are_313_bins_on_a_grid_of_ten_units_whose_shares_sum_to_one() -> None:
    centers = bin_centers()
    assert centers.shape == (BINS, 2)
    assert len({tuple(c.tolist()) for c in centers}) == BINS
    assert (centers % 10 == 0).all()
    assert prior().sum() == pytest.approx(1, abs=1e-5)
    assert prior().min() > 2.9e-5


def test_the_nearest_bin_is_the_one_a_full_search_finds() -> None:
    ab = photo_colors()
    distances = torch.cdist(ab[0, :, :, 0].T, bin_centers())
    assert torch.equal(nearest_bin(ab)[0, :, 0], distances.argmin(1))


def grid(step: float) -> torch.Tensor:
    """A grid of ab that covers the gamut of sRGB and more: (1, 2, N, 1)."""
    axis = torch.arange(-124.5, 125.0, step)
    return torch.cartesian_prod(axis, axis).T[None, :, :, None]


def test_no_point_of_the_plane_has_a_nearer_bin_than_the_one_found() -> None:
    ab = grid(1.0)
    points = ab[0, :, :, 0].T
    found = (points - bin_centers()[nearest_bin(ab)[0, :, 0]]).norm(dim=1)
    assert (found - torch.cdist(points, bin_centers()).min(1).values).max() < 1e-4


def test_no_point_of_the_plane_has_five_nearer_bins_than_those_found() -> None:
    ab = grid(1.0)
    points = ab[0, :, :, 0].T
    bins, _ = soft_targets(ab)
    found = (points[:, None] - bin_centers()[bins[0, :, :, 0].T]).norm(dim=2)
    assert (found - torch.cdist(points, bin_centers()).topk(5, largest=False).values).max() < 1e-4


def test_soft_targets_are_the_gaussian_of_the_five_nearest_bins() -> None:
    ab = photo_colors()
    distances, expected = torch.cdist(ab[0, :, :, 0].T, bin_centers()).topk(5, largest=False)
    bins, shares = soft_targets(ab)
    gaussian = torch.exp(-(distances**2) / (2 * 5.0**2))
    assert torch.allclose(shares[0, :, :, 0].T, gaussian / gaussian.sum(1, keepdim=True), atol=1e-4)
    same = (bins[0, :, :, 0].T.sort(1).values == expected.sort(1).values).all(1)
    ties = (distances[:, 4] - distances[:, 3]).abs() < 1e-3
    assert (same | ties).float().mean() > 0.999


@settings(max_examples=100, deadline=None)
@given(st.floats(-300, 300, width=32), st.floats(-300, 300, width=32))
def test_any_ab_has_targets_that_sum_to_one(a: float, b: float) -> None:
    bins, shares = soft_targets(torch.tensor([a, b]).reshape(1, 2, 1, 1))
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert bins.unique().numel() == 5
    assert 0 <= bins.min() <= bins.max() < BINS


def test_a_certain_network_decodes_to_the_center_of_its_bin() -> None:
    logits = torch.zeros(1, BINS, 2, 2)
    logits[:, 100] = 50.0
    assert torch.allclose(decode(logits), bin_centers()[100].reshape(1, 2, 1, 1).expand(1, 2, 2, 2), atol=1e-3)


def test_a_low_temperature_goes_from_the_mean_to_the_mode() -> None:
    logits = torch.zeros(1, BINS, 1, 1)
    logits[:, 7] = 1.0
    mode = bin_centers()[7]
    distances = [(decode(logits, t).flatten() - mode).norm() for t in (1.0, 0.38, 0.05)]
    assert distances[0] > distances[1] > distances[2]
    assert distances[2] < 1e-3


def test_decoding_soft_targets_gives_roughly_the_color_back() -> None:
    ab = bin_centers()[:, :, None, None] + 2.0
    bins, shares = soft_targets(ab)
    logits = torch.full((BINS, BINS, 1, 1), -50.0).scatter(1, bins, shares.log())
    assert (decode(logits) - ab).norm(dim=1).mean() < 3.0


def test_points_far_outside_belong_to_the_bin_in_their_direction() -> None:
    far = torch.tensor([[-500.0, -500.0], [500.0, -500.0], [-500.0, 500.0], [500.0, 500.0]])
    found = bin_centers()[nearest_bin(far.T[None, :, None, :])[0, 0]]
    assert torch.equal(found.sign(), far.sign())
    assert torch.equal(found, bin_centers()[torch.cdist(far, bin_centers()).argmin(1)])


def test_bins_stand_where_their_pixels_stood() -> None:
    assert nearest_bin(torch.zeros(2, 2, 5, 1)).shape == (2, 5, 1)


def test_logits_are_decoded_as_they_are_when_no_temperature_is_given() -> None:
    logits = torch.randn(1, BINS, 2, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(decode(logits), decode(logits, 1.0))
    assert not torch.equal(decode(logits), decode(logits, 2.0))
