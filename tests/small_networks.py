"""The networks that tests train and color with where a network's size is not what they are about."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from colorgan.color.bins import BINS, decode
from colorgan.networks.generator import Generator, Prediction
from colorgan.networks.liteunet import LiteUNet

SMALL = {
    "encoder_channels": [4, 4, 6, 6, 8, 8, 8],
    "encoder_repeats": [1] * 7,
    "stem": 4,
    "channels": [8, 6, 4],
    "blocks": [1, 1, 1],
}


def small_liteunet(**changes: Any) -> LiteUNet:
    """A network of 15,000 random weights.

    Args:
        changes: options of `LiteUNet` in place of `SMALL`'s.
    """
    return LiteUNet(**{**SMALL, **changes})


class Plain(Generator):
    """Three convolutions, with bins and two batch norms that learn: no encoder, no levels, no hints.

    For tests that know of nothing but `Generator`, and for those that go along with a step number by number: behind
    each norm stands a ReLU, so that no gradient is zero but for rounding, of which Adam would make a whole step.
    """

    network = "plain"
    multiple = 4

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, BINS, 1),
        )

    @property
    def options(self) -> dict[str, Any]:
        return {}

    def compute(self, L: Tensor, temperature: float, hints: Tensor | None = None) -> Prediction:
        logits = self.layers((L - 50.0) / 50.0)
        ab = F.interpolate(decode(logits, temperature), scale_factor=4.0, mode="bilinear", align_corners=False)
        return Prediction(ab, logits)
