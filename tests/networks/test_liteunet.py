import pytest
import torch
from small_networks import small_liteunet
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from colorgan.models.loading import build_network
from colorgan.networks.lite_encoder import LITE_SHAPES
from colorgan.networks.liteunet import LiteUNet
from colorgan.training.stages.base import OptimizerOptions
from colorgan.training.stages.supervised import FinetuneStage, l1


@pytest.fixture
def tiny() -> LiteUNet:
    """A tiny network whose norms are not identities."""
    torch.manual_seed(0)
    network = small_liteunet()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.05, 0.2)
    return network.eval()


@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (1, 500), (500, 1), (7, 13), (32, 32), (33, 64), (63, 65), (128, 96)]
)
def test_any_size_comes_out_at_its_own_size(tiny: LiteUNet, height: int, width: int) -> None:
    with torch.no_grad():
        prediction = tiny(torch.rand(2, 1, height, width) * 100)
    assert prediction.ab.shape == (2, 2, height, width)
    assert prediction.logits is not None
    assert prediction.logits.shape == (2, 313, -(-height // 4), -(-width // 4))
    assert torch.isfinite(prediction.ab).all()


def test_the_usual_one_is_as_small_as_it_is_said_to_be() -> None:
    network = LiteUNet().eval()
    assert sum(parameter.numel() for parameter in network.parameters()) <= 8_000_000
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(torch.zeros(1, 1, 256, 256))
    assert counter.get_total_flops() <= 12e9
    assert sum(2 * tensor.numel() for tensor in network.state_dict().values()) <= 16_000_000


@pytest.mark.parametrize("name", LITE_SHAPES)
def test_each_published_encoder_has_a_network_that_its_file_can_describe(name: str) -> None:
    channels, repeats = LITE_SHAPES[name]
    with torch.device("meta"):
        network = build_network("liteunet", {"encoder_channels": list(channels), "encoder_repeats": list(repeats)})
        again = build_network("liteunet", network.options)
    assert {key: value.shape for key, value in again.state_dict().items()} == {
        key: value.shape for key, value in network.state_dict().items()
    }


def test_its_options_build_it_again(tiny: LiteUNet) -> None:
    again = build_network("liteunet", tiny.options)
    again.load_state_dict(tiny.state_dict())
    L = torch.rand(1, 1, 64, 64) * 100
    assert torch.equal(again.eval()(L).ab, tiny(L).ab)


def test_every_pixel_sees_the_whole_photo(tiny: LiteUNet) -> None:
    # Farther apart than any stack of convolutions reaches: only the gate at the floor tells one corner of the other.
    L = (torch.rand(1, 1, 1024, 64) * 100).requires_grad_()
    tiny(L).logits[0, :, 0, 0].square().sum().backward()
    assert L.grad is not None
    assert L.grad[0, 0, -32:].abs().sum() > 0


def test_a_low_temperature_makes_it_more_decided(tiny: LiteUNet) -> None:
    with torch.no_grad():
        for parameter in tiny.head.bins.parameters():
            parameter.mul_(20)
        L = torch.rand(1, 1, 64, 64) * 100
        assert tiny(L, 0.2).ab.norm(dim=1).mean() > tiny(L, 1.0).ab.norm(dim=1).mean()


@pytest.mark.parametrize("fixed", [True, False])
def test_a_training_step_moves_the_statistics_of_the_decoder_and_of_an_encoder_from_nothing(
    tiny: LiteUNet, fixed: bool
) -> None:
    tiny.encoder.statistics_fixed = fixed
    before = {name: value.clone() for name, value in tiny.named_buffers() if name.endswith(("mean", "var"))}
    stage = FinetuneStage(tiny, l1, OptimizerOptions(lr=1e-3))
    stage.step(torch.rand(2, 1, 64, 64) * 100, torch.zeros(2, 2, 64, 64))
    moved = {name for name, value in tiny.named_buffers() if name in before and not torch.equal(value, before[name])}
    assert moved == {name for name in before if not (fixed and name.startswith("encoder."))}


def test_a_frozen_part_is_left_alone_and_the_rest_learns(tiny: LiteUNet) -> None:
    tiny.encoder.freeze(3)
    before = {name: value.detach().clone() for name, value in tiny.named_parameters()}
    stage = FinetuneStage(tiny, l1, OptimizerOptions(lr=1e-2, weight_decay=0.1))
    random = torch.Generator().manual_seed(0)
    for _ in range(2):
        stage.step(torch.rand(2, 1, 64, 64, generator=random) * 100, 30 * torch.randn(2, 2, 64, 64, generator=random))
    moved = {name for name, value in tiny.named_parameters() if not torch.equal(value, before[name])}
    frozen = ("encoder.stem.", "encoder.blocks.0.", "encoder.blocks.1.", "encoder.blocks.2.")
    assert moved == {name for name in before if not name.startswith(frozen)}


@pytest.mark.parametrize("change", [{"channels": (8, 6)}, {"blocks": (1, 1, 1, 1)}])
def test_three_levels_are_asked_for(change: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="three levels"):
        small_liteunet(**change)
