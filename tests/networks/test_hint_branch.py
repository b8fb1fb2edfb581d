from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn

from colorgan.models.loading import load_model
from colorgan.networks import hint_branch
from colorgan.networks.hint_branch import HintBranch
from colorgan.networks.liteunet import LiteUNet


def load(name: str) -> LiteUNet:
    generator = load_model(name, torch.device("cpu")).generator
    assert isinstance(generator, LiteUNet)
    return generator.eval()


@pytest.fixture(scope="module")
def shipped() -> LiteUNet:
    return load("compact")


@pytest.fixture(scope="module")
def without(shipped: LiteUNet) -> LiteUNet:
    """The shipped weights in a network that has no branch."""
    network = LiteUNet(**{**shipped.options, "hint_heads": 0})
    own = {name: tensor for name, tensor in shipped.state_dict().items() if not name.startswith("hints.")}
    network.load_state_dict(own)
    return network.eval()


@pytest.fixture(scope="module")
def drawn(without: LiteUNet) -> LiteUNet:
    """The same with a branch whose every weight is drawn, so that each has a say."""
    torch.manual_seed(0)
    network = without.with_hints(8)
    assert network.hints is not None
    for parameter in network.hints.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network.eval()


def photos(count: int) -> Tensor:
    return torch.rand(count, 1, 50, 70, generator=torch.Generator().manual_seed(1)) * 100


def hint(color: tuple[float, float], row: int = 20, column: int = 30) -> Tensor:
    """A patch of 6 x 6 in a photo of 50 x 70, (3, 50, 70)."""
    hints = torch.zeros(3, 50, 70)
    hints[:, row : row + 6, column : column + 6] = torch.tensor([*color, 1.0])[:, None, None]
    return hints


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("which", ["shipped", "drawn"])
@torch.inference_mode()
def test_without_hints_the_shipped_network_says_what_it_said_to_the_bit(
    without: LiteUNet, which: str, half: bool, request: pytest.FixtureRequest
) -> None:
    network = request.getfixturevalue(which)
    assert network.takes_hints
    L = photos(3)
    some = torch.stack([torch.zeros(3, 50, 70), hint((40.0, 30.0)), torch.zeros(3, 50, 70)])
    with torch.autocast("cpu", torch.bfloat16) if half else nullcontext():
        before = without(L, 0.4)
        for plain in (network(L, 0.4), network(L, 0.4, torch.zeros_like(some))):
            assert torch.equal(plain.ab, before.ab)
            assert torch.equal(plain.logits, before.logits)
        mixed = network(L, 0.4, some)
    assert torch.equal(mixed.ab[[0, 2]], before.ab[[0, 2]])
    assert torch.equal(mixed.logits[[0, 2]], before.logits[[0, 2]].float())
    assert not torch.equal(mixed.ab[1], before.ab[1])


def test_a_fresh_branch_changes_nothing_and_has_no_bias(without: LiteUNet) -> None:
    fresh = without.with_hints(8).eval()
    assert fresh.hints is not None
    assert not any("bias" in name for name, _ in fresh.hints.named_parameters())
    with torch.inference_mode():
        given, plain = fresh(photos(1), 1.0, hint((40.0, 30.0))[None]), without(photos(1), 1.0)
    torch.testing.assert_close(given.ab, plain.ab)


def _branch() -> HintBranch:
    """Spreads by nearness alone, and trusts what reaches a place."""
    branch = HintBranch(2, [4], 6)
    nn.init.zeros_(branch.embed[0].weight)
    nn.init.ones_(branch.weight)
    nn.init.constant_(branch.reach, 5.0)
    return branch


@torch.no_grad()
def test_a_place_takes_the_color_of_the_nearest_of_two_that_contradict_each_other() -> None:
    hints = torch.zeros(1, 3, 64, 64)
    hints[0, :, 8:12, 8:12] = torch.tensor([60.0, 40.0, 1.0])[:, None, None]
    hints[0, :, 52:56, 52:56] = torch.tensor([-40.0, 30.0, 1.0])[:, None, None]
    _, pull = _branch()([torch.rand(1, 4, 16, 16)], torch.zeros(1, 313, 16, 16), hints)
    wanted = pull.argmax(1)[0]  # the bin that is pulled to, at each place
    assert wanted[2, 2] != wanted[13, 13]
    assert wanted[2, 2] == wanted[3, 3]
    far = pull.amax(1)[0, 2, 13] - pull.amin(1)[0, 2, 13]
    near = pull.amax(1)[0, 2, 2] - pull.amin(1)[0, 2, 2]
    assert far < 0.2 * near


@torch.no_grad()
def test_hints_in_every_pixel_are_looked_at_within_bounds() -> None:
    hints = torch.ones(1, 3, 256, 256) * torch.tensor([20.0, 10.0, 1.0])[:, None, None]
    inside, pull = _branch()([torch.rand(1, 4, 64, 64)], torch.zeros(1, 313, 64, 64), hints)
    assert inside.shape == (1, 6, 64, 64)
    assert pull.isfinite().all()


@torch.inference_mode()
def test_photos_with_few_and_with_many_hints_come_out_in_a_batch_as_alone(
    drawn: LiteUNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = hint((30.0, -10.0), 0, 0) + hint((-20.0, 40.0), 30, 50) + hint((5.0, 5.0), 40, 2)
    hints = torch.stack([many, hint((10.0, 20.0)), many.flip(-1), hint((-30.0, 0.0), 4, 60)])
    alone = [drawn(L[None], hints=of[None]).logits for L, of in zip(photos(4), hints, strict=True)]
    for most in (hint_branch._MAX_SCORES, 1):  # with about as many cells together, and each by itself
        monkeypatch.setattr(hint_branch, "_MAX_SCORES", most)
        together = drawn(photos(4), hints=hints).logits
        torch.testing.assert_close(together, torch.cat(alone), rtol=1e-4, atol=1e-3)
