from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from colorgan.networks.siggraph17 import SIGGRAPH17

ASSETS = Path(__file__).parents[1] / "assets"


@pytest.fixture(scope="module")
def network(standin_siggraph17):
    network = SIGGRAPH17().eval()
    used = {name: tensor for name, tensor in standin_siggraph17.items() if name not in SIGGRAPH17.unused}
    network.load_state_dict(used, strict=True)
    return network


@pytest.mark.parametrize(("picture", "step"), [("square", 4), ("small", 1)])
def test_it_gives_what_the_published_architecture_gives(network, picture, step):
    L = load_file(ASSETS / "eccv16_golden.safetensors")[f"{picture}.l"]  # both were computed on the same two
    expected = load_file(ASSETS / "siggraph17_golden.safetensors")[f"{picture}.ab"]  # of the square, every 4th pixel
    with torch.inference_mode():
        prediction = network(L)
    assert prediction.logits is None
    assert prediction.ab.shape == (1, 2, *L.shape[-2:])
    found = prediction.ab[..., ::step, ::step]
    assert ((found - expected).norm() / expected.norm()).item() < 1e-4


def test_it_takes_hints_as_the_published_architecture_does(network):
    golden = load_file(ASSETS / "siggraph17_golden.safetensors")  # a, b and mask, as its forward took them
    L = load_file(ASSETS / "eccv16_golden.safetensors")["small.l"]
    with torch.inference_mode():
        hinted, plain = network(L, 1.0, golden["hinted.hints"]), network(L)
    expected = golden["hinted.ab"]
    assert ((hinted.ab - expected).norm() / expected.norm()).item() < 1e-4
    assert (hinted.ab - plain.ab).abs().mean() > 1


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 75), (7, 13), (9, 17)])
def test_any_height_and_width_give_colors_of_that_size(network, height, width):
    with torch.inference_mode():
        prediction = network(torch.rand(2, 1, height, width) * 100)
    assert prediction.ab.shape == (2, 2, height, width)
    assert prediction.ab.abs().max() <= 110


def test_colors_stay_float32_under_autocast(network):
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        prediction = network(torch.rand(1, 1, 16, 16) * 100)
    assert prediction.ab.dtype == torch.float32
