import torch
from small_networks import small_liteunet

from colorgan.color.bins import prior
from colorgan.networks.liteunet import LiteUNet
from colorgan.training.stages.base import OptimizerOptions
from colorgan.training.stages.hints import HintStage, draw_counts, draw_hints, recoloring_loss
from colorgan.training.stages.supervised import make_loss


def tiny() -> LiteUNet:
    torch.manual_seed(0)
    return small_liteunet(hint_heads=2)


def test_only_the_branch_learns_and_it_learns_to_follow_hints() -> None:
    network = tiny()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    stage = HintStage(network, make_loss("bins", prior(), 0.25), OptimizerOptions(lr=1e-2))
    random = torch.Generator().manual_seed(0)
    L = torch.rand(4, 1, 40, 48, generator=random) * 100  # of no multiple of 32
    ab = (30 * torch.randn(4, 2, 1, 1, generator=random)).expand(4, 2, 40, 48)
    errors = [float(stage.step(L, ab)["log_error"]) for _ in range(30)]
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]) != name.startswith("hints."), name
    assert errors[-1] < errors[0] - 0.3


def test_hints_are_true_colors_in_patches_of_the_number_asked_for() -> None:
    random = torch.Generator().manual_seed(0)
    ab = (20 * torch.randn(3, 2, 1, 1, generator=random)).expand(3, 2, 64, 80)
    hints = draw_hints(ab, torch.tensor([0, 1, 20]), random)
    assert hints.shape == (3, 3, 64, 80)
    assert not hints[0].any()
    where = hints[:, 2].bool()
    assert 1 <= where[1].sum() <= 81 < where[2].sum()
    torch.testing.assert_close(hints[2, :2, where[2]], ab[2, :, where[2]])


def test_few_hints_are_drawn_as_often_as_many() -> None:
    counts = draw_counts(4000, torch.Generator().manual_seed(0))
    assert counts.min() == 1
    assert 600 < int((counts == 1).sum()) < 900
    assert 600 < int((counts >= 20).sum()) < 900


def test_a_foreign_color_is_to_be_taken_by_its_own_thing_and_by_nothing_else() -> None:
    truth = torch.zeros(1, 2, 8, 8)
    truth[..., 4:] = 30.0  # another thing
    hints = torch.zeros(1, 3, 32, 32)
    hints[0, :, 12:16, 8:12] = torch.tensor([40.0, -20.0, 1.0])[:, None, None]
    before = torch.zeros_like(truth)
    asked, all_over = before.clone(), before + torch.tensor([40.0, -20.0])[:, None, None]
    asked[..., :4] = all_over[..., :4]
    losses = [float(recoloring_loss(ab, before, truth, hints)) for ab in (asked, before, all_over)]
    assert losses[0] < 0.01
    assert losses[1] > 0.9
    assert losses[2] > 0.9
