"""The project's own small generator: a U-Net on an EfficientNet-Lite encoder pretrained for classification."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from colorgan.color.bins import BINS, decode
from colorgan.networks.generator import Generator, Prediction
from colorgan.networks.hint_branch import HintBranch
from colorgan.networks.lite_encoder import LITE_SHAPES, STEM_CHANNELS, LiteEncoder, conv_unit


class Residual(nn.Module):
    """Two 3 x 3 convolutions with a skip connection, without a change of channels."""

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
    """Squeeze and excitation (Hu et al. 2018): scales and shifts each channel by statistics of the whole photo."""

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


class DecoderLevel(nn.Module):
    """A level that doubles the resolution, adds the encoder's features, and refines the sum by residual blocks."""

    def __init__(self, coarse: int, features: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.upsample = conv_unit(nn.Conv2d(coarse, channels, 3, padding=1, bias=False))
        self.skip = conv_unit(nn.Conv2d(features, channels, 1, bias=False))
        self.refine = nn.Sequential(*(Residual(channels) for _ in range(blocks)))

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """Map (B, C, h, w) and features (B, C', 2 h, 2 w) to (B, C'', 2 h, 2 w)."""
        larger = F.interpolate(self.upsample(x), scale_factor=2.0, mode="nearest")
        refined: Tensor = self.refine(F.relu(larger + self.skip(features)))
        return refined


@dataclass(frozen=True, eq=False)
class Decoded:
    """The outputs of the decoder for photos, before any hint.

    Attributes:
        levels: its levels at 1/16, 1/8 and 1/4 of the input, (B, C, h', w').
        inside: the features inside the head, (B, 2 C, h, w).
        logits: (B, 313, h, w).
    """

    levels: list[Tensor]
    inside: Tensor
    logits: Tensor

    def chosen(self, photos: Tensor) -> Decoded:
        """Return the outputs for some of the photos, by their numbers, (N,)."""
        return Decoded([level[photos] for level in self.levels], self.inside[photos], self.logits[photos])


class LiteUNet(Generator):
    """A U-Net whose encoder is EfficientNet-Lite, with the 313-bin head at a quarter of the input.

    Args:
        encoder_channels: channels of the encoder's seven stages; by default lite0's.
        encoder_repeats: blocks of each stage.
        stem: channels of the encoder's first convolution.
        channels: channels of the decoder at 1/16, 1/8 and 1/4.
        blocks: residual blocks of each of these levels.
        hint_heads: heads of the branch for hints; 0 for a network without it.
    """

    network = "liteunet"
    multiple = 32
    can_fold = True

    def __init__(
        self,
        encoder_channels: Sequence[int] = LITE_SHAPES["lite0"].channels,
        encoder_repeats: Sequence[int] = LITE_SHAPES["lite0"].repeats,
        stem: int = STEM_CHANNELS,
        channels: Sequence[int] = (256, 160, 96),
        blocks: Sequence[int] = (1, 2, 2),
        hint_heads: int = 0,
    ) -> None:
        super().__init__()
        if not len(channels) == len(blocks) == 3:
            raise ValueError(f"three levels are needed: {channels=}, {blocks=}")
        self._channels, self._blocks = list(channels), list(blocks)
        self.encoder = LiteEncoder(encoder_channels, encoder_repeats, stem)
        _, quarter, eighth, sixteenth, floor = self.encoder.level_channels
        self.bottleneck = conv_unit(nn.Conv2d(floor, channels[0], 1, bias=False), activation=nn.ReLU())
        self.context = SqueezeExcite(channels[0])
        coarse = (channels[0], *channels)
        self.decoder = nn.ModuleList(
            DecoderLevel(below, features, wanted, count)
            for below, features, wanted, count in zip(
                coarse[:3], (sixteenth, eighth, quarter), channels, blocks, strict=True
            )
        )
        wide = 2 * channels[-1]
        self.head = nn.Sequential(
            OrderedDict(
                mix=conv_unit(nn.Conv2d(channels[-1], wide, 3, padding=1, bias=False), activation=nn.ReLU()),
                bins=nn.Conv2d(wide, BINS, 1),
            )
        )
        self.takes_hints = hint_heads > 0
        self.hints = HintBranch(hint_heads, self._channels, wide) if hint_heads else None

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments that build this very network again."""
        own = {**self.encoder.shape, "channels": self._channels, "blocks": self._blocks}
        # Files from before there were hints lack this key.
        return {**own, "hint_heads": self.hints.heads} if self.hints else own

    def with_hints(self, heads: int) -> LiteUNet:
        """Return a copy with an untrained branch for hints, which does not change predictions yet."""
        copied = LiteUNet(**{**self.options, "hint_heads": heads}).to(next(self.parameters()).device)
        copied.load_state_dict(copied.state_dict() | self.state_dict())
        return copied.train(self.training)

    def pretrained_encoder(self) -> LiteEncoder:
        """Return the encoder."""
        return self.encoder

    def compute(self, L: Tensor, temperature: float, hints: Tensor | None = None) -> Prediction:
        """Predict for (B, 1, H, W), 0..100, with H and W divisible by 32."""
        decoded = self.run_decoder(L)
        logits = decoded.logits if hints is None else self.steer(decoded, hints)
        ab = F.interpolate(decode(logits, temperature), scale_factor=4.0, mode="bilinear", align_corners=False)
        return Prediction(ab, logits, tuple(decoded.levels[:2]))

    def run_decoder(self, L: Tensor) -> Decoded:
        """Run encoder and decoder on L as `compute` takes it, without hints."""
        features = self.encoder(L)
        x = self.context(self.bottleneck(features[-1]))
        levels = []
        for level, skipped in zip(self.decoder, features[-2:0:-1], strict=True):
            x = level(x, skipped)
            levels.append(x)
        mix, bins = self.head
        inside = mix(x)
        return Decoded(levels, inside, bins(inside))

    def steer(self, decoded: Decoded, hints: Tensor) -> Tensor:
        """Return the logits with hints.

        Args:
            decoded: the decoder's outputs for the photos, (B, ...).
            hints: (B, 3, H, W), as `forward` takes them.

        Returns:
            (B, 313, H/4, W/4); those of a photo without a hint are exactly the decoder's.
        """
        assert self.hints is not None
        hinted = hints[:, 2].flatten(1).any(1).nonzero()[:, 0]
        if not len(hinted):
            return decoded.logits
        if len(hinted) < len(hints):
            chosen = self.steer(decoded.chosen(hinted), hints[hinted])
            return decoded.logits.float().index_copy(0, hinted, chosen)
        inside, pull = self.hints(decoded.levels, decoded.logits, hints)
        _, bins = self.head
        steered: Tensor = pull.add_(bins(decoded.inside + inside))
        return steered
