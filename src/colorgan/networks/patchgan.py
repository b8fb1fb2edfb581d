"""The discriminator: pix2pix's PatchGAN, which judges every patch of 70 x 70 pixels by itself (Isola et al. 2017)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

NORMS = ("batch", "instance", "spectral")
SMALLEST_PX = 24  # below this, five 4 x 4 convolutions leave no patch

_AB_SCALE, _L_CENTER, _L_SCALE = 110.0, 50.0, 50.0
_STRIDES = (2, 2, 2, 1, 1)
_INIT_STD = 0.02  # Isola et al. 2017, section 6.2; biases of 0 and the batch norms as in pix2pix's code


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    nn.init.normal_(norm.weight, mean=1.0, std=_INIT_STD)
    return norm


class PatchGAN(nn.Module):
    """The network from L and ab to one logit per patch, which is higher for real ones.

    Args:
        norm: batch, instance or spectral.
        channels: channels of the four layers before the last.
    """

    network = "patchgan"

    def __init__(self, norm: str = "batch", channels: tuple[int, ...] = (64, 128, 256, 512)) -> None:
        super().__init__()
        if norm not in NORMS or len(channels) != len(_STRIDES) - 1:
            raise ValueError(f"no such discriminator: {norm=}, {channels=}")
        self.norm, self.channels = norm, tuple(channels)
        layers: list[nn.Module] = []
        last = len(channels)
        for index, (into, out) in enumerate(pairwise((3, *channels, 1))):
            normed = norm != "spectral" and 0 < index < last
            conv = nn.Conv2d(into, out, 4, _STRIDES[index], padding=1, bias=not normed)
            nn.init.normal_(conv.weight, std=_INIT_STD)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
            layers.append(spectral_norm(conv) if norm == "spectral" else conv)
            if normed:
                layers.append(_batch_norm(out) if norm == "batch" else nn.InstanceNorm2d(out, affine=True))
            if index < last:
                layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers)

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments that build this very network again, JSON-serializable."""
        return {"norm": self.norm, "channels": list(self.channels)}

    @property
    def mixes_the_batch(self) -> bool:
        """Whether the logits of a photo depend on the others in its batch."""
        return self.norm == "batch"

    def forward(self, L: Tensor, ab: Tensor) -> Tensor:
        """Judge the patches of a batch.

        Args:
            L: (B, 1, H, W), 0..100, sides of at least `SMALLEST_PX`.
            ab: (B, 2, H, W), Lab units.

        Returns:
            Logits, (B, 1, h, w): (B, 1, 30, 30) for 256 x 256.
        """
        x = torch.cat([(L - _L_CENTER) / _L_SCALE, ab / _AB_SCALE], dim=1)
        judged: Tensor = self.layers(x)
        return judged
