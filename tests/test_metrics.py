import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from colorgan.color.bins import bin_centers, prior
from colorgan.color.lab import rgb_to_lab
from colorgan.metrics import FigureSums, auc_scores, colorfulness, psnr


def photos(count: int = 3, size: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_psnr_agrees_with_scikit_image() -> None:
    a, b = photos(seed=0), photos(seed=1)
    expected = [peak_signal_noise_ratio(x.numpy(), y.numpy(), data_range=1) for x, y in zip(a, b, strict=True)]
    assert psnr(a, b).tolist() == pytest.approx(expected, rel=1e-4)


def test_colorfulness_is_the_papers_formula_and_zero_for_grey() -> None:
    rgb = photos(1)
    r, g, b = (255 * rgb[0]).double().numpy()
    rg, yb = r - g, (r + g) / 2 - b
    expected = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    assert float(colorfulness(rgb)) == pytest.approx(expected, rel=1e-4)
    assert float(colorfulness(rgb[:, :1].expand(1, 3, 16, 16))) == pytest.approx(0, abs=1e-4)


def test_auc_is_the_mean_share_of_thresholds_met() -> None:
    truth = torch.zeros(1, 2, 8, 8)
    ab = torch.rand(1, 2, 8, 8, generator=torch.Generator().manual_seed(0)) * 200
    ab[0, :, 0, 0], ab[0, :, 0, 1] = 0.0, torch.tensor([3.0, 4.0])
    distance = (ab**2).sum(1).sqrt()
    expected = torch.stack([(distance <= t).float() for t in range(151)]).mean(0)
    assert torch.allclose(auc_scores(ab, truth), expected)


def figures_of(ab: torch.Tensor, truth: torch.Tensor, batch: int) -> dict[str, float]:
    sums = FigureSums()
    for start in range(0, len(ab), batch):
        part = slice(start, start + batch)
        sums.add(torch.full_like(ab[part, :1], 50.0), ab[part], truth[part])
    return vars(sums.figures())


def test_batches_of_any_size_give_the_same_figures() -> None:
    ab, truth = (20 * torch.randn(5, 2, 8, 8, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    assert figures_of(ab, truth, 5) == pytest.approx(figures_of(ab, truth, 2), rel=1e-5)


def test_the_truth_scores_full_marks_and_grey_scores_less() -> None:
    truth = rgb_to_lab(photos())[:, 1:]
    best = figures_of(truth, truth, 3)
    assert best["auc"] == best["auc_rebalanced"] == pytest.approx(100)
    assert best["ab_l1"] == 0
    assert best["psnr"] == 100
    grey = figures_of(torch.zeros_like(truth), truth, 3)
    assert grey["auc"] < 90
    assert grey["colorfulness"] == pytest.approx(0, abs=0.1)


def test_rebalancing_weighs_a_rare_colours_errors_by_its_rarity() -> None:
    rare, common = 0, int(prior().argmax())
    truth = torch.stack([bin_centers()[common], bin_centers()[rare]], 1).reshape(1, 2, 1, 2)
    wrong_rare = truth.clone()
    wrong_rare[..., 1] += 50.0
    weights = 1 / prior()[[common, rare]]
    score = (151 - 71) / 151  # 50 in both a and b is 70.7
    expected = 100 * (weights[0] + weights[1] * score) / weights.sum()
    assert figures_of(wrong_rare, truth, 1)["auc_rebalanced"] == pytest.approx(float(expected), rel=1e-3)
