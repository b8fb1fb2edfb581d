"""A perceptual network of a few megabytes: the features of a pretrained EfficientNet-Lite on photos in color."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from colorgan.networks.generator import padded
from colorgan.networks.lite_encoder import LiteEncoder, SameConv2d

PUBLISHED_STEM = "_conv_stem.weight"  # the name of the stem's weights in the published files

_MULTIPLE_PX = 32


class LiteFeatures(nn.Module):
    """A network from RGB to an encoder's features at 1/4, 1/8, 1/16 and 1/32.

    Their magnitudes are similar: on photos of 128 pixels the mean absolute values of lite0's are 7.0, 6.3, 5.4 and 2.3,
    and removing the colors changes them by 2.6, 2.8, 2.4 and 1.3.

    Args:
        encoder: modified in place: its stem for lightness is replaced.
        stem_weight: (C, 3, 3, 3), the published stem's weights for red, green and blue.
    """

    def __init__(self, encoder: LiteEncoder, stem_weight: Tensor) -> None:
        super().__init__()
        with torch.device("meta"):
            conv = SameConv2d(3, len(stem_weight), 3, 2, bias=False)
        conv.weight = nn.Parameter(stem_weight)
        encoder.stem.conv = conv
        self.encoder = encoder

    def forward(self, rgb: Tensor) -> list[Tensor]:
        """Compute the features.

        Args:
            rgb: (B, 3, H, W), sRGB, 0..1; normalized in here.

        Returns:
            (B, C, h, w) of each level, finest first; h and w are rounded up, and at least 2.
        """
        # The stem takes (x - 127) / 128 of bytes, whereas the encoder computes (L - 50) / 50 of its input.
        as_lightness = 50.0 + 50.0 * (255.0 * padded(rgb, _MULTIPLE_PX) - 127.0) / 128.0
        levels: list[Tensor] = self.encoder(as_lightness)
        return levels[1:]
