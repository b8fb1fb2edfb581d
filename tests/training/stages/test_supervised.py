import pytest
import torch
from small_networks import Plain

from colorgan.color.bins import BINS, nearest_bin, prior
from colorgan.networks.generator import Prediction
from colorgan.training.stages.base import OptimizerOptions
from colorgan.training.stages.supervised import PRIOR_FLOOR, BinsLoss, FinetuneStage, make_loss

COMMON, RARE = (0.0, 0.0), (70.0, 60.0)
GOLDEN_MSE = (799.4014, 781.832)


def flat(ab: tuple[float, float]) -> torch.Tensor:
    return torch.tensor(ab).reshape(1, 2, 1, 1).expand(1, 2, 8, 8).contiguous()


def gradient_size(ab: tuple[float, float], rebalance: float) -> float:
    logits = torch.zeros(1, BINS, 2, 2, requires_grad=True)
    BinsLoss(prior(), rebalance)(Prediction(torch.zeros(1, 2, 8, 8), logits), flat(ab)).backward()
    assert logits.grad is not None
    return float(logits.grad.norm())


def test_rebalancing_reaches_the_gradients_in_the_ratio_of_the_priors() -> None:
    assert gradient_size(RARE, 0.0) == pytest.approx(gradient_size(COMMON, 0.0), rel=0.5)
    floored = prior().clamp(min=PRIOR_FLOOR)
    common, rare = (floored[nearest_bin(flat(ab))[0, 0, 0]] for ab in (COMMON, RARE))
    for strength in (0.25, 0.5, 1.0):
        plain = gradient_size(RARE, 0.0) / gradient_size(COMMON, 0.0)
        balanced = gradient_size(RARE, strength) / gradient_size(COMMON, strength)
        assert balanced / plain == pytest.approx(float(common / rare) ** strength, rel=1e-3)


def test_the_mean_weight_under_the_prior_is_one() -> None:
    shares = prior()
    assert (BinsLoss(shares, 0.5).weights * shares).sum() == pytest.approx(1.0, abs=1e-3)


def test_the_right_bins_cost_less_than_the_wrong_ones() -> None:
    loss = BinsLoss(prior(), 0.25)
    truth = flat((20.0, 30.0))
    costs = []
    for ab in ((20.0, 30.0), (30.0, 30.0), (-60.0, 60.0)):
        logits = torch.zeros(1, BINS, 2, 2)
        logits.scatter_(1, nearest_bin(flat(ab))[:, None, :2, :2], 8.0)
        costs.append(float(loss(Prediction(truth, logits), truth)))
    assert costs == sorted(costs)


def test_a_network_without_bins_is_told_so() -> None:
    with pytest.raises(ValueError, match="no bins"):
        BinsLoss(prior(), 0.25)(Prediction(flat(RARE), None), flat(RARE))


@pytest.mark.parametrize(("name", "expected"), [("mse", 16.0), ("l1", 4.0), ("huber", 8.0)])
def test_the_plain_losses_are_in_lab_units(name: str, expected: float) -> None:
    prediction = Prediction(flat((4.0, -4.0)), None)
    assert float(make_loss(name, prior(), 0.0)(prediction, flat((0.0, 0.0)))) == pytest.approx(expected)


def test_the_reports_first_stage_is_adam_on_the_mean_squared_error() -> None:
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        made.append(Plain().train())
    ours, plain = made
    stage = FinetuneStage(ours, make_loss("mse", prior(), 0.0), OptimizerOptions(lr=1e-4))
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-4)
    random = torch.Generator().manual_seed(0)
    for golden in GOLDEN_MSE:
        L, ab = 100 * torch.rand(4, 1, 32, 32, generator=random), 25 * torch.randn(4, 2, 32, 32, generator=random)
        loss = (plain(L).ab - ab).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert float(stage.step(L, ab)["loss"]) == pytest.approx(float(loss.detach()), rel=1e-6)
        assert float(loss.detach()) == pytest.approx(golden, rel=1e-4)
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(value, plain.state_dict()[name], rtol=1.3e-6, atol=1e-6, msg=name)
