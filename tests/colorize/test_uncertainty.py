import math

import torch

from colorgan.color.bins import BINS
from colorgan.colorize.uncertainty import confidence


def test_knowing_nothing_is_zero_and_one_certain_bin_is_one():
    logits = torch.zeros(1, BINS, 1, 2)
    logits[0, 7, 0, 1] = 60.0
    assert torch.allclose(confidence(logits), torch.tensor([[[0.0, 1.0]]]), atol=1e-6)


def test_two_bins_alike_lie_where_the_formula_says():
    logits = torch.full((1, BINS, 1, 1), -80.0)
    logits[0, 3:5] = 0.0
    assert math.isclose(confidence(logits).item(), 1 - math.log(2) / math.log(BINS), abs_tol=1e-6)


def test_it_keeps_each_photos_place_in_the_batch():
    logits = torch.randn(3, BINS, 4, 5, generator=torch.Generator().manual_seed(0)) * 3
    together = confidence(logits)
    assert together.shape == (3, 4, 5)
    assert torch.allclose(together[1:2], confidence(logits[1:2]), atol=1e-6)
