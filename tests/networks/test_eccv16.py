from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from colorgan.color.bins import BINS, bin_centers
from colorgan.networks.eccv16 import ECCV16

GOLDEN = Path(__file__).parents[1] / "assets" / "eccv16_golden.safetensors"


@pytest.fixture(scope="module")
def network(standin_eccv16):
    network = ECCV16().eval()
    network.load_state_dict(standin_eccv16, strict=True)
    return network


def relative_error(found, expected):
    return ((found - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("picture", ["square", "small"])
def test_it_gives_what_the_published_architecture_gives(network, picture):
    golden = load_file(GOLDEN)
    with torch.inference_mode():
        prediction = network(golden[f"{picture}.l"])
    kept = prediction.logits[..., ::8, ::8] if picture == "square" else prediction.logits
    assert prediction.ab.shape == golden[f"{picture}.ab"].shape
    assert kept.shape == golden[f"{picture}.logits"].shape
    assert relative_error(prediction.ab, golden[f"{picture}.ab"]) < 1e-4
    assert relative_error(kept, golden[f"{picture}.logits"]) < 1e-4


def test_it_has_the_published_number_of_parameters_and_tensors(network):
    assert sum(parameter.numel() for parameter in network.parameters()) == 32_236_011
    assert len(network.state_dict()) == 82


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 75), (75, 1), (7, 13), (8, 16), (9, 17)])
def test_any_height_and_width_give_colors_of_that_size(network, height, width):
    with torch.inference_mode():
        prediction = network(torch.rand(2, 1, height, width) * 100)
    assert prediction.ab.shape == (2, 2, height, width)
    assert prediction.logits.shape == (2, BINS, -(-height // 4), -(-width // 4))
    assert prediction.ab.isfinite().all()


def test_temperature_divides_the_logits_before_they_become_colors(network):
    L = torch.linspace(0, 100, 256).reshape(1, 1, 16, 16)
    with torch.inference_mode():
        plain, decided = network(L), network(L, temperature=0.01)
    assert torch.equal(plain.logits, decided.logits)
    # At this low temperature, each color is that of the likeliest bin.
    winners = network.model_out.weight[:, :, 0, 0].T[plain.logits.argmax(1)] * 110  # (1, 4, 4, 2)
    corner = decided.ab[0, :, 0, 0]  # beyond the outermost center, where nothing is interpolated
    assert torch.allclose(corner, winners[0, 0, 0], rtol=0.02, atol=0.5)
    assert (decided.ab - plain.ab).abs().max() > 1


def test_an_untrained_network_decodes_its_bins_to_their_own_colors():
    weight = ECCV16().model_out.weight
    assert torch.allclose(weight[:, :, 0, 0].T * 110, bin_centers(), atol=1e-4)


def test_colors_stay_float32_under_autocast(network):
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        prediction = network(torch.rand(1, 1, 16, 16) * 100)
    assert prediction.ab.dtype == torch.float32
