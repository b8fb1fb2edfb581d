"""Blocks of the decoder of the project's own generator, and the edge around what networks are given."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Residual(nn.Module):
    """Two 3 x 3 convolutions around an identity; channels stay."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        # A block starts as the identity, which lets a deep stack train at a high rate from the first step.
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        inner = F.relu(self.norm1(self.conv1(x)))
        return F.relu(x + self.norm2(self.conv2(inner)))


class SqueezeExcite(nn.Module):
    """Scales each channel by what the whole photo says (squeeze and excitation, Hu et al. 2018)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(2 * channels, channels // 2)
        self.excite = nn.Linear(channels // 2, 2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape, scaled and shifted by channel."""
        pooled = torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)
        scale, shift = self.excite(F.relu(self.squeeze(pooled))).chunk(2, dim=1)
        gated: Tensor = x * (2 * torch.sigmoid(scale))[..., None, None] + shift[..., None, None]
        return gated


def padded(x: Tensor, multiple: int, mode: str = "replicate") -> Tensor:
    """Photos with more at the right and the bottom, up to a multiple of so many pixels, and to at least twice as many.

    Of a strip that is one pixel wide at the coarsest level, torch 2.14's convolutions of stride 2 read memory that
    nobody wrote (in bfloat16, on a CPU with AMX).
    """
    height, width = (max(-side % multiple, 2 * multiple - side) for side in x.shape[-2:])
    return F.pad(x, (0, width, 0, height), mode=mode)
