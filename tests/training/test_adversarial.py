import pytest
import torch
from torch import nn

from colorgan.training.adversarial import ADVERSARIAL, Perceptual, gradient_penalty, oversaturation


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_being_right_costs_the_discriminator_less_and_being_fooled_pleases_the_generator(name: str) -> None:
    losses = ADVERSARIAL[name]
    low, high = torch.full((2, 1, 3, 3), losses.boundary - 0.4), torch.full((2, 1, 3, 3), losses.boundary + 0.4)
    assert losses.real(high, 1.0) < losses.real(low, 1.0)
    assert losses.fake(low) < losses.fake(high)
    assert losses.fool(high) < losses.fool(low)


def test_the_cross_entropy_of_a_perfect_discriminator_is_the_floor_that_smoothing_leaves() -> None:
    bce = ADVERSARIAL["bce"]
    sure, nine = torch.full((1, 1, 4, 4), -40.0), torch.logit(torch.full((1, 1, 4, 4), 0.9))
    assert float(0.5 * (bce.real(nine, 0.9) + bce.fake(sure))) == pytest.approx(0.1625, abs=1e-4)
    assert float(0.5 * (bce.real(-sure, 1.0) + bce.fake(sure))) == pytest.approx(0.0, abs=1e-6)


def test_the_gradient_penalty_of_a_slope_is_its_square_per_patch() -> None:
    ab = torch.randn(2, 2, 8, 8, requires_grad=True)
    logits = 0.5 * ab.sum(1, keepdim=True)  # each patch sees one pixel: two gradients of 0.5
    assert float(gradient_penalty(logits, ab, scale=1.0).detach()) == pytest.approx(0.5 * 2 * 0.25)


def test_the_saturation_term_counts_excess_alone_and_most_on_grey() -> None:
    def flat(chroma: float) -> torch.Tensor:
        return torch.tensor([chroma, 0.0]).reshape(1, 2, 1, 1).expand(1, 2, 4, 4)

    assert float(oversaturation(flat(20.0), flat(40.0))) == 0.0
    on_grey, on_colour = oversaturation(flat(20.0), flat(0.0)), oversaturation(flat(60.0), flat(40.0))
    assert float(on_grey) == pytest.approx(20.0, rel=1e-3)
    assert float(on_colour) == pytest.approx(20.0 / 5.0, rel=1e-3)


def test_the_saturation_term_has_a_finite_gradient_at_grey() -> None:
    ab = torch.zeros(1, 2, 4, 4, requires_grad=True)
    oversaturation(ab, torch.zeros(1, 2, 4, 4)).backward()
    assert ab.grad is not None
    assert bool(torch.isfinite(ab.grad).all())


def test_the_perceptual_term_is_nothing_for_the_truth_and_keeps_no_graph_of_it() -> None:
    seen: list[bool] = []

    class Features(nn.Module):
        def forward(self, rgb: torch.Tensor) -> torch.Tensor:
            seen.append(rgb.requires_grad)
            return rgb.mean(1, keepdim=True)

    term = Perceptual(Features())
    L, truth = torch.full((1, 1, 8, 8), 50.0), torch.full((1, 2, 8, 8), 10.0)
    assert float(term(L, truth, truth)) == 0.0
    ab = torch.zeros(1, 2, 8, 8, requires_grad=True)
    term(L, ab, truth).backward()
    assert seen[-2:] == [False, True]
    assert ab.grad is not None
    assert float(ab.grad.abs().sum()) > 0
