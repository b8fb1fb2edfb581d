from pathlib import Path

import pytest
import torch

from colorgan.errors import WeightsError
from colorgan.models.loading import load_encoder, load_encoder_features
from colorgan.networks.lite_encoder import LiteEncoder
from colorgan.networks.lite_features import LiteFeatures

CPU = torch.device("cpu")


def test_a_gray_photo_has_the_features_that_the_encoder_of_lightness_has_of_it(published_lite0: Path) -> None:
    features = load_encoder_features(published_lite0, CPU)
    encoder, _ = load_encoder(published_lite0)
    gray = torch.rand(2, 1, 64, 96)
    # What was published takes (x - 127) / 128 of bytes, what it became here (L - 50) / 50.
    levels = encoder.eval()(50 + 50 * (255 * gray - 127) / 128)
    found = features(gray.expand(-1, 3, -1, -1))
    assert [tuple(level.shape) for level in found] == [
        (2, 24, 16, 24),
        (2, 40, 8, 12),
        (2, 112, 4, 6),
        (2, 320, 2, 3),
    ]
    for one, other in zip(found, levels[1:], strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def test_colors_are_seen_and_learned_from_while_the_weights_stand_still(published_lite0: Path) -> None:
    features = load_encoder_features(published_lite0, CPU)
    rgb = torch.rand(1, 3, 40, 50, requires_grad=True)  # no multiple of 32
    found = features(rgb)
    assert [tuple(level.shape[2:]) for level in found] == [(16, 16), (8, 8), (4, 4), (2, 2)]
    assert not torch.allclose(found[0], features(rgb.flip(1))[0])
    sum(level.square().mean() for level in found).backward()
    assert rgb.grad is not None
    assert bool((rgb.grad != 0).all())
    assert not any(parameter.requires_grad for parameter in features.parameters())
    assert not any(module.training for module in features.modules())


def test_its_stem_takes_red_green_and_blue_apart() -> None:
    torch.manual_seed(0)
    weight = torch.zeros(4, 3, 3, 3)
    weight[:, 1, 1, 1] = 1.0  # green alone
    features = LiteFeatures(LiteEncoder((4,) * 7, (1,) * 7, stem=4), weight).eval()
    rgb = torch.rand(1, 3, 32, 32)
    other = torch.cat([torch.rand(1, 1, 32, 32), rgb[:, 1:2], torch.rand(1, 1, 32, 32)], 1)
    assert torch.equal(features(rgb)[0], features(other)[0])
    assert not torch.equal(features(rgb)[0], features(rgb.flip(3))[0])


def test_another_file_is_refused(tmp_path: Path) -> None:
    torch.save({"_conv_stem.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="efficientnet-lite0"):
        load_encoder_features(tmp_path / "other.pth", CPU)
