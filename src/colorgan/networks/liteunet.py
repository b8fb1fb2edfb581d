"""The project's own small generator: a U-Net on an EfficientNet-Lite encoder that was trained to name things."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from colorgan.color.bins import BINS, decode
from colorgan.networks.compact import GlobalGate, Residual
from colorgan.networks.generator import Generator, Prediction
from colorgan.networks.lite_encoder import STEM_CHANNELS, LiteEncoder, conv_unit, lite_shape


class DecoderLevel(nn.Module):
    """Doubles the resolution, adds the encoder's features, and refines the sum.

    Args:
        coarse: channels that come from below.
        features: channels of the encoder's level.
        channels: of the result.
        blocks: residual blocks that refine it.
    """

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


class LiteUNet(Generator):
    """A U-Net whose encoder is EfficientNet-Lite, with the 313-bin head at a quarter of the input.

    Args:
        encoder_channels: of the encoder's seven stages; the usual ones are lite0's.
        encoder_repeats: blocks of each stage.
        stem: channels of the encoder's first convolution.
        channels: of the decoder at 1/16, 1/8 and 1/4.
        blocks: residual blocks of each of these levels.
    """

    network = "liteunet"
    multiple = 32
    can_fold = True

    def __init__(
        self,
        encoder_channels: Sequence[int] = lite_shape("lite0")[0],
        encoder_repeats: Sequence[int] = lite_shape("lite0")[1],
        stem: int = STEM_CHANNELS,
        channels: Sequence[int] = (256, 160, 96),
        blocks: Sequence[int] = (1, 2, 2),
    ) -> None:
        super().__init__()
        if not len(channels) == len(blocks) == 3:
            raise ValueError(f"three levels are needed: {channels=}, {blocks=}")
        self._channels, self._blocks = list(channels), list(blocks)
        self.encoder = LiteEncoder(encoder_channels, encoder_repeats, stem)
        _, quarter, eighth, sixteenth, floor = self.encoder.level_channels
        self.bottleneck = conv_unit(nn.Conv2d(floor, channels[0], 1, bias=False), activation=nn.ReLU())
        self.context = GlobalGate(channels[0])
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

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments that build this very network again."""
        return {**self.encoder.shape, "channels": self._channels, "blocks": self._blocks}

    def pretrained_encoder(self) -> LiteEncoder:
        """The encoder."""
        return self.encoder

    def compute(self, L: Tensor, temperature: float) -> Prediction:
        """Predict for (B, 1, H, W), 0..100, with H and W divisible by 32."""
        levels = self.encoder(L)
        x = self.context(self.bottleneck(levels[-1]))
        for level, features in zip(self.decoder, levels[-2:0:-1], strict=True):
            x = level(x, features)
        logits = self.head(x)
        ab = F.interpolate(decode(logits, temperature), scale_factor=4.0, mode="bilinear", align_corners=False)
        return Prediction(ab, logits)
