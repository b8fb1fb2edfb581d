"""The project's own small generator: a U of plain residual convolutions with one global gate at its floor."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from colorgan.color.bins import BINS, decode
from colorgan.networks.generator import Generator, Prediction


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


def _conv(channels_in: int, channels_out: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    conv = nn.Conv2d(channels_in, channels_out, size, stride, padding=size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(channels_out), nn.ReLU())


class Compact(Generator):
    """A U-shaped generator of plain convolutions, with the 313-bin head at a quarter of the input.

    Level k of the encoder works at 1 / 2^(k+1) of the input. The decoder climbs back to a quarter, adding the
    encoder's levels on its way.

    Args:
        channels: channels at 1/2, 1/4, 1/8, ...; at least three levels.
        blocks: residual blocks of each encoder level.
        decoder_blocks: residual blocks of each decoder level, coarsest first, ending at a quarter.
    """

    network = "compact"
    can_fold = True

    def __init__(
        self,
        channels: tuple[int, ...] = (32, 64, 128, 256),
        blocks: tuple[int, ...] = (0, 2, 2, 4),
        decoder_blocks: tuple[int, ...] = (2, 2),
    ) -> None:
        super().__init__()
        if not 3 <= len(channels) == len(blocks) == len(decoder_blocks) + 2:
            raise ValueError(f"levels do not match: {channels=}, {blocks=}, {decoder_blocks=}")
        self.channels, self.blocks, self.decoder_blocks = tuple(channels), tuple(blocks), tuple(decoder_blocks)
        self.multiple = 2 ** len(channels)
        widths = (1, *channels)
        self.down = nn.ModuleList(
            nn.Sequential(_conv(widths[k], widths[k + 1], stride=2), *(Residual(widths[k + 1]) for _ in range(count)))
            for k, count in enumerate(blocks)
        )
        self.gate = SqueezeExcite(channels[-1])
        levels_up = list(zip(channels[:0:-1], channels[-2:0:-1], decoder_blocks, strict=False))
        self.up = nn.ModuleList(_conv(coarse, fine) for coarse, fine, _ in levels_up)
        self.skip = nn.ModuleList(nn.Conv2d(fine, fine, 1) for _, fine, _ in levels_up)
        fusing = (nn.Sequential(*(Residual(fine) for _ in range(n))) for _, fine, n in levels_up)
        self.merge = nn.ModuleList(fusing)  # as files of weights name it: old spelling
        self.head = nn.Sequential(_conv(channels[1], 2 * channels[1]), nn.Conv2d(2 * channels[1], BINS, 1))

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments that build this very network again."""
        names = ("channels", "blocks", "decoder_blocks")
        return {name: list(getattr(self, name)) for name in names}

    def compute(self, L: Tensor, temperature: float, hints: Tensor | None = None) -> Prediction:
        """Predict for (B, 1, H, W), 0..100, with H and W divisible by `multiple`."""
        x = (L - 50.0) / 50.0
        levels = []
        for down in self.down:
            x = down(x)
            levels.append(x)
        x = self.gate(x)
        for up, skip, fuse, level in zip(self.up, self.skip, self.merge, levels[-2:0:-1], strict=True):
            upsampled = F.interpolate(up(x), scale_factor=2.0, mode="nearest")
            x = fuse(upsampled + skip(level))
        logits = self.head(x)
        ab = F.interpolate(decode(logits, temperature), scale_factor=4.0, mode="bilinear", align_corners=False)
        return Prediction(ab, logits)
