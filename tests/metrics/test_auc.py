import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from colorgan.color.bins import bin_centers, nearest_bin, prior
from colorgan.metrics.auc import auc_scores, rarity_weights


def test_a_score_is_the_share_of_thresholds_met() -> None:
    truth = torch.randint(-50, 50, (1, 2, 8, 8), generator=torch.Generator().manual_seed(1)).float()
    ab = truth + torch.rand(1, 2, 8, 8, generator=torch.Generator().manual_seed(0)) * 200
    ab[0, :, 0, 0] = truth[0, :, 0, 0]
    ab[0, :, 0, 1] = truth[0, :, 0, 1] + torch.tensor([3.0, 4.0])
    distance = ((ab - truth) ** 2).sum(1).sqrt()
    expected = torch.stack([(distance <= t).float() for t in range(151)]).mean(0)
    assert torch.allclose(auc_scores(ab, truth), expected)


def test_a_weight_is_one_over_the_prior_of_the_bin() -> None:
    centers = bin_centers().T.reshape(1, 2, 1, -1)
    assert torch.equal(rarity_weights(centers).flatten(), 1 / prior())


@given(st.floats(-127, 127), st.floats(-127, 127))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_bins_are_those_of_whole_units_with_the_first_of_equals(a: float, b: float) -> None:
    whole = np.round([np.float32(a), np.float32(b)])
    squared = ((bin_centers().double().numpy() - whole) ** 2).sum(1)
    first = int(np.flatnonzero(squared == squared.min())[0])
    assert float(rarity_weights(torch.tensor([a, b]).view(1, 2, 1, 1))) == float(1 / prior()[first])


def test_away_from_the_borders_between_bins_whole_units_change_nothing() -> None:
    ab = 30 * torch.randn(1, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    inside = ((ab % 10 - 5).abs() > 1).all(1)
    same = rarity_weights(ab) == (1 / prior())[nearest_bin(ab)]
    assert bool(same[inside & (ab.norm(dim=1) < 40)].all())


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("axis", [0, 1])
def test_colors_beyond_the_table_take_the_weight_of_its_border(side: int, axis: int) -> None:
    far, border = torch.zeros(1, 2, 1, 1), torch.zeros(1, 2, 1, 1)
    far[0, axis], border[0, axis] = side * 500.0, side * 127.0
    assert float(rarity_weights(far)) == pytest.approx(float(rarity_weights(border)))
