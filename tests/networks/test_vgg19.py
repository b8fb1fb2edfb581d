import pytest
import torch

from colorgan.networks.vgg19 import VGG19


@pytest.fixture(scope="module")
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VGG19().eval()


def test_it_is_the_first_25_layers_of_torchvisions(network):
    models = pytest.importorskip("torchvision.models")
    with torch.device("meta"):
        theirs = models.vgg19().features[:25]
    theirs.load_state_dict(network.features.state_dict(), strict=True, assign=True)
    rgb = torch.rand(1, 3, 24, 40)
    normalized = models.VGG19_Weights.IMAGENET1K_V1.transforms()
    mean, std = (torch.tensor(values)[:, None, None] for values in (normalized.mean, normalized.std))
    with torch.inference_mode():
        assert torch.equal(network(rgb), theirs((rgb - mean) / std))


def test_features_stand_at_an_eighth_and_are_not_negative(network):
    with torch.inference_mode():
        features = network(torch.rand(2, 3, 17, 33))
    assert features.shape == (2, 512, 2, 4)
    assert features.min() >= 0


def test_the_colors_get_a_gradient_and_are_not_changed(network):
    rgb = torch.rand(1, 3, 16, 16, requires_grad=True)
    before = rgb.detach().clone()
    network(rgb).sum().backward()
    assert rgb.grad.abs().max() > 0
    assert torch.equal(rgb.detach(), before)
