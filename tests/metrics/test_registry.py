import math

import pytest
import torch
from torch import Tensor

from colorgan.color.bins import bin_centers, prior
from colorgan.color.lab import rgb_to_lab
from colorgan.metrics.auc import auc_scores
from colorgan.metrics.bleeding import color_bleeding
from colorgan.metrics.colorfulness import colorfulness, gray_chroma, out_of_gamut
from colorgan.metrics.fidelity import ab_l1
from colorgan.metrics.registry import METRICS, ImageBatch, MetricAccumulator, MetricValues, measure

SIZE = 32


def blocks(count: int = 3, seed: int = 0) -> Tensor:
    """Photos of colored blocks, some gray: Lab, (count, 3, 32, 32)."""
    rgb = torch.rand(count, 3, 2, 2, generator=torch.Generator().manual_seed(seed))
    rgb[:, :, 0, 0] = 0.5
    return rgb_to_lab(rgb.repeat_interleave(SIZE // 2, 2).repeat_interleave(SIZE // 2, 3))


def figures_of(L: Tensor, ab: Tensor, truth: Tensor, batch: int = 5) -> MetricValues:
    sums = MetricAccumulator()
    for start in range(0, len(ab), batch):
        part = slice(start, start + batch)
        sums.add(L[part], ab[part], truth[part])
    return sums.means()


def split(lab: Tensor) -> tuple[Tensor, Tensor]:
    return lab[:, :1], lab[:, 1:]


def test_a_set_has_every_metric_of_the_table_and_the_truths_own_where_that_is_the_aim() -> None:
    L, truth = split(blocks())
    assert list(figures_of(L, truth, truth).values) == [*METRICS, "cf_hs_truth", "cf_truth"]


def test_files_of_earlier_versions_are_read_under_the_names_that_metrics_have_now() -> None:
    found = MetricValues.from_known({"photos": 3, "auc": 88.0, "grey_chroma": 2.5, "spill": 40.0, "cf_hs_truth": 30.0})
    assert found == MetricValues(3, {"auc": 88.0, "gray_chroma": 2.5, "color_bleeding": 40.0, "cf_hs_truth": 30.0})
    assert math.isnan(found["psnr"])


def test_every_photo_gets_every_figure_in_the_tables_order() -> None:
    L, truth = split(blocks())
    measured = measure(ImageBatch(L, 0.5 * truth), ImageBatch(L, truth))
    assert list(measured) == list(METRICS)
    assert all(m.value.shape == m.weight.shape == (3,) for m in measured.values())
    assert all(m.value.dtype == torch.float32 for m in measured.values())


def test_each_figure_points_the_way_its_row_says() -> None:
    L, truth = split(blocks())
    worse = 0.3 * truth + 25 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    good, bad = figures_of(L, 0.9 * truth, truth), figures_of(L, worse, truth)
    for name, figure in METRICS.items():
        better = good[name] - bad[name]
        if figure.better != "neither":
            assert (better > 0) == (figure.better == "higher"), name
            assert better != 0, name


def test_each_row_is_its_own_function_in_its_unit() -> None:
    L, truth = split(blocks())
    predicted, true = ImageBatch(L, 1.5 * truth + 3.0), ImageBatch(L, truth)
    measured = measure(predicted, true)
    (cf_hs, cf), (true_cf_hs, true_cf) = colorfulness(predicted.rgb), colorfulness(true.rgb)
    expected = {
        "auc": 100 * auc_scores(predicted.ab, truth).mean((1, 2)),
        "ab_l1": ab_l1(predicted.ab, truth),
        "cf_hs": cf_hs,
        "cf_hs_error": (cf_hs - true_cf_hs).abs(),
        "cf": cf,
        "cf_error": (cf - true_cf).abs(),
        "out_of_gamut": 100 * out_of_gamut(predicted.lab),
        "gray_chroma": gray_chroma(predicted.ab, truth)[0],
        "color_bleeding": 100 * color_bleeding(L, predicted.ab, truth)[0],
    }
    assert float(expected["out_of_gamut"].max()) > 0
    for name, value in expected.items():
        assert measured[name].value.tolist() == pytest.approx(value.tolist(), rel=1e-5, nan_ok=True), name
    assert {name for name, row in METRICS.items() if row.defined_for_ground_truth} == {
        "cf_hs", "cf", "out_of_gamut", "gray_chroma", "color_bleeding"
    }  # fmt: skip


def test_only_the_figures_that_are_ratios_weigh_photos() -> None:
    L, truth = split(blocks())
    measured = measure(ImageBatch(L, 0.5 * truth), ImageBatch(L, truth))
    for name, figure in METRICS.items():
        assert bool((measured[name].weight == 1).all()) != figure.is_ratio, name


def test_a_photo_counts_in_a_ratio_by_its_own_denominator() -> None:
    L, truth = split(blocks(2))
    truth[0] = 0.0  # all gray
    measured = measure(ImageBatch(L, truth + 5.0), ImageBatch(L, truth))["gray_chroma"]
    assert measured.weight.tolist() == pytest.approx([1.0, 0.25])
    both = figures_of(L, truth + 5.0, truth)["gray_chroma"]
    expected = float((measured.value * measured.weight).sum() / measured.weight.sum())
    assert both == pytest.approx(expected, rel=1e-5)


def test_a_figure_that_nothing_could_be_measured_on_is_left_out_of_the_known() -> None:
    L = torch.full((1, 1, 16, 16), 50.0)
    colorful = torch.full((1, 2, 16, 16), 30.0)
    figures = figures_of(L, colorful, colorful)
    assert math.isnan(figures["gray_chroma"])
    assert math.isnan(figures["color_bleeding"])
    assert {"gray_chroma", "color_bleeding"}.isdisjoint(figures.known())
    assert MetricValues.from_known(figures.known()).known() == figures.known()


def test_a_photo_with_nothing_to_measure_leaves_the_figure_to_the_others() -> None:
    L, truth = split(blocks(2))
    truth[0] = 30.0  # a photo without gray
    both, second = figures_of(L, truth + 5.0, truth), figures_of(L[1:], truth[1:] + 5.0, truth[1:])
    assert both["gray_chroma"] == pytest.approx(second["gray_chroma"])
    assert (both.photos, second.photos) == (2, 1)


def test_a_network_that_gives_no_numbers_is_not_hidden() -> None:
    L, truth = split(blocks(2))
    broken = truth.clone()
    broken[0, 0, 0, 0] = math.nan
    assert math.isnan(figures_of(L, broken, truth)["ab_l1"])


def test_batches_of_any_size_give_the_same_figures() -> None:
    L, truth = split(blocks(5))
    ab = 0.5 * truth + torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    one, other = (figures_of(L, ab, truth, batch).values for batch in (5, 2))
    assert one == pytest.approx(other, rel=1e-4, nan_ok=True)


def test_the_truth_scores_full_marks_and_gray_scores_less() -> None:
    L, truth = split(blocks())
    best = figures_of(L, truth, truth)
    assert (best["auc"], best["auc_rebalanced"]) == (100, pytest.approx(100))
    assert best["ab_l1"] == best["cf_hs_error"] == best["cf_error"] == best["out_of_gamut"] == 0
    assert best["ciede2000"] == pytest.approx(0, abs=1e-3)
    assert best["ssim"] == pytest.approx(1, abs=1e-4)
    assert best["psnr"] == 100
    gray = figures_of(L, torch.zeros_like(truth), truth)
    assert gray["auc"] < 90
    assert gray["cf_hs"] == pytest.approx(0, abs=0.1)
    assert gray["cf_hs_error"] == pytest.approx(best["cf_hs_truth"], abs=0.1)


def test_rebalancing_weighs_a_rare_colors_errors_by_its_rarity() -> None:
    rare, common = 0, int(prior().argmax())
    truth = torch.stack([bin_centers()[common], bin_centers()[rare]], 1).reshape(1, 2, 1, 2)
    wrong_rare = truth.clone()
    wrong_rare[..., 1] += 50.0
    weights = 1 / prior()[[common, rare]]
    score = (151 - 71) / 151  # 50 in both a and b is 70.7
    expected = 100 * (weights[0] + weights[1] * score) / weights.sum()
    figures = figures_of(torch.full((1, 1, 1, 2), 50.0), wrong_rare, truth)
    assert figures["auc_rebalanced"] == pytest.approx(float(expected), rel=1e-3)
