import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from colorgan.networks.compact import Compact

TINY = {"channels": (4, 6, 8), "blocks": (0, 1, 1), "decoder_blocks": (1,)}


@pytest.fixture
def tiny() -> Compact:
    torch.manual_seed(0)
    return Compact(**TINY).eval()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 500), (500, 1), (7, 13), (16, 16), (33, 64)])
def test_any_size_comes_out_at_its_own_size(tiny: Compact, height: int, width: int) -> None:
    with torch.no_grad():
        prediction = tiny(torch.rand(2, 1, height, width) * 100)
    assert prediction.ab.shape == (2, 2, height, width)
    assert prediction.logits is not None
    assert prediction.logits.shape == (2, 313, -(-height // 4), -(-width // 4))
    assert torch.isfinite(prediction.ab).all()


def test_it_is_as_small_as_it_is_said_to_be() -> None:
    network = Compact().eval()
    assert sum(p.numel() for p in network.parameters()) <= 8_000_000
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(torch.zeros(1, 1, 256, 256))
    assert counter.get_total_flops() <= 10e9
    half_bytes = sum(2 * tensor.numel() for tensor in network.state_dict().values())
    assert half_bytes <= 16_000_000


def test_its_options_build_it_again(tiny: Compact) -> None:
    again = Compact(**tiny.options)
    again.load_state_dict(tiny.state_dict())
    L = torch.rand(1, 1, 24, 24) * 100
    assert torch.equal(again.eval()(L).ab, tiny(L).ab)


def test_every_pixel_sees_the_whole_photo(tiny: Compact) -> None:
    L = (torch.rand(1, 1, 256, 256) * 100).requires_grad_()
    tiny(L).ab[0, :, 0, 0].sum().backward()
    assert L.grad is not None
    assert L.grad[0, 0, -32:, -32:].abs().sum() > 0


def test_levels_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="levels do not match"):
        Compact(channels=(4, 6, 8), blocks=(1, 1), decoder_blocks=(1,))


def test_a_low_temperature_makes_it_more_decided(tiny: Compact) -> None:
    with torch.no_grad():
        for parameter in tiny.head[-1].parameters():
            parameter.mul_(20)
        L = torch.rand(1, 1, 32, 32) * 100
        assert tiny(L, 0.2).ab.norm(dim=1).mean() > tiny(L, 1.0).ab.norm(dim=1).mean()
