import math

import pytest
import torch
from torch import nn

from colorgan.training.stages.gan_losses import (
    ADVERSARIAL,
    Perceptual,
    Relativistic,
    Unpaired,
    gradient_penalties,
    oversaturation,
)


def logits(*values: float) -> torch.Tensor:
    return torch.tensor(values).reshape(1, 1, 1, -1).requires_grad_()


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_being_right_costs_the_discriminator_less_and_being_fooled_pleases_the_generator(name: str) -> None:
    losses = ADVERSARIAL[name]
    middle = losses.threshold if isinstance(losses, Unpaired) else 0.0
    low, high = torch.full((2, 1, 3, 3), middle - 0.4), torch.full((2, 1, 3, 3), middle + 0.4)
    right, wrong = losses.discriminator_loss(high, low, 1.0), losses.discriminator_loss(low, high, 1.0)
    assert right.loss < wrong.loss
    assert all(float(share) == 1.0 for share in right.accuracies.values())
    assert all(float(share) == 0.0 for share in wrong.accuracies.values())
    assert losses.generator_loss(high, low) < losses.generator_loss(low, high)


def test_the_cross_entropy_of_a_perfect_discriminator_is_the_floor_that_smoothing_leaves() -> None:
    bce = ADVERSARIAL["bce"]
    sure, nine = torch.full((1, 1, 4, 4), -40.0), torch.logit(torch.full((1, 1, 4, 4), 0.9))
    assert float(bce.discriminator_loss(nine, sure, 0.9).loss) == pytest.approx(0.1625, abs=1e-4)
    assert float(bce.discriminator_loss(-sure, sure, 1.0).loss) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "of_real", "of_fake", "fooling"),
    [
        ("bce", -math.log(sigmoid(2.0)), -math.log(1 - sigmoid(0.5)), -math.log(sigmoid(0.5))),
        ("hinge", 0.0, 1.5, -0.5),
        ("lsgan", 1.0, 0.25, 0.25),
    ],
)
def test_the_unpaired_losses_are_those_of_their_papers(
    name: str, of_real: float, of_fake: float, fooling: float
) -> None:
    losses = ADVERSARIAL[name]
    learned_from = losses.discriminator_loss(logits(2.0), logits(0.5), 1.0)
    assert float(learned_from.parts["d_real"]) == pytest.approx(of_real, abs=1e-6)
    assert float(learned_from.parts["d_fake"]) == pytest.approx(of_fake, abs=1e-6)
    assert float(learned_from.loss.detach()) == pytest.approx(0.5 * (of_real + of_fake), abs=1e-6)
    assert float(losses.generator_loss(logits(0.5), None).detach()) == pytest.approx(fooling, abs=1e-6)


def test_relativistic_losses_and_gradients_are_those_of_the_differences_by_hand() -> None:
    losses = Relativistic()
    real, fake = logits(2.0, -1.0, 0.5), logits(0.5, 1.0, 0.5)  # the true patch is 1.5 above, 2 below, and level
    learned_from = losses.discriminator_loss(real, fake, 1.0)
    expected = (math.log1p(math.exp(-1.5)) + math.log1p(math.exp(2.0)) + math.log(2)) / 3
    assert float(learned_from.loss.detach()) == pytest.approx(expected, rel=1e-6)
    assert float(learned_from.parts["d_pairs"]) == pytest.approx(expected, rel=1e-6)
    assert float(learned_from.accuracies["d_accuracy"]) == pytest.approx(1 / 3)
    learned_from.loss.backward()
    slopes = [sigmoid(-1.5) / 3, sigmoid(2.0) / 3, 0.5 / 3]
    assert real.grad is not None
    assert fake.grad is not None
    assert real.grad.flatten().tolist() == pytest.approx([-slope for slope in slopes], rel=1e-6)
    assert fake.grad.flatten().tolist() == pytest.approx(slopes, rel=1e-6)

    fake = logits(0.5, 1.0, 0.5)
    loss = losses.generator_loss(fake, real.detach())
    expected = (math.log1p(math.exp(1.5)) + math.log1p(math.exp(-2.0)) + math.log(2)) / 3
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-6)
    loss.backward()
    assert fake.grad is not None
    assert fake.grad.flatten().tolist() == pytest.approx([-sigmoid(1.5) / 3, -sigmoid(-2.0) / 3, -0.5 / 3], rel=1e-6)


def test_only_the_difference_of_a_pair_counts() -> None:
    losses = Relativistic()
    real, fake = torch.randn(2, 1, 3, 3), torch.randn(2, 1, 3, 3)
    shift = torch.randn(2, 1, 3, 3)
    assert float(losses.discriminator_loss(real + shift, fake + shift, 1.0).loss) == pytest.approx(
        float(losses.discriminator_loss(real, fake, 1.0).loss), rel=1e-5
    )
    assert float(losses.generator_loss(fake + shift, real + shift)) == pytest.approx(
        float(losses.generator_loss(fake, real)), rel=1e-5
    )
    with pytest.raises(ValueError, match="beside"):
        losses.generator_loss(fake, None)


def test_the_gradient_penalty_of_a_slope_is_its_square_per_patch() -> None:
    ab = torch.randn(2, 2, 8, 8, requires_grad=True)
    judged = 0.5 * ab.sum(1, keepdim=True)  # each patch sees one pixel: two gradients of 0.5
    (penalty,) = gradient_penalties([judged], [ab], scale=1.0)
    assert float(penalty.detach()) == pytest.approx(0.5 * 2 * 0.25)


def test_both_gradient_penalties_at_once_are_those_of_each_kind_and_teach_the_slope() -> None:
    slope = torch.tensor(0.5, requires_grad=True)
    true, predicted = (torch.randn(2, 2, 4, 4, requires_grad=True) for _ in range(2))
    judged = [slope * ab.square().sum(1, keepdim=True) for ab in (true, predicted)]  # gradient 2 x slope x ab
    penalties = gradient_penalties(judged, [true, predicted], scale=3.0)
    for penalty, ab in zip(penalties, (true, predicted), strict=True):
        by_hand = 0.5 * (3 * 2 * 0.5) ** 2 * ab.detach().square().sum() / 32
        assert float(penalty.detach()) == pytest.approx(float(by_hand), rel=1e-5)
    sum(penalties).backward()
    by_hand = 36 * 0.5 * (true.detach().square().sum() + predicted.detach().square().sum()) / 32
    assert slope.grad is not None
    assert float(slope.grad) == pytest.approx(float(by_hand), rel=1e-5)


def test_the_saturation_term_counts_excess_alone_and_most_on_gray() -> None:
    def flat(chroma: float) -> torch.Tensor:
        return torch.tensor([chroma, 0.0]).reshape(1, 2, 1, 1).expand(1, 2, 4, 4)

    assert float(oversaturation(flat(20.0), flat(40.0))) == 0.0
    on_gray, on_color = oversaturation(flat(20.0), flat(0.0)), oversaturation(flat(60.0), flat(40.0))
    assert float(on_gray) == pytest.approx(20.0, rel=1e-3)
    assert float(on_color) == pytest.approx(20.0 / 5.0, rel=1e-3)


def test_the_saturation_term_has_a_finite_gradient_at_gray() -> None:
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


def test_the_perceptual_term_counts_each_of_several_levels_alike() -> None:
    class Levels(nn.Module):
        def forward(self, rgb: torch.Tensor) -> list[torch.Tensor]:
            return [rgb, 100 * rgb.mean((2, 3), keepdim=True)]

    class Only(nn.Module):
        def __init__(self, level: int) -> None:
            super().__init__()
            self.level = level

        def forward(self, rgb: torch.Tensor) -> torch.Tensor:
            return Levels()(rgb)[self.level]

    L, truth = 100 * torch.rand(2, 1, 8, 8), 20 * torch.randn(2, 2, 8, 8)
    both, first, second = (Perceptual(features)(L, 0 * truth, truth) for features in (Levels(), Only(0), Only(1)))
    assert float(both) == pytest.approx(0.5 * float(first + second), rel=1e-6)
