"""Small networks for tests in which the size of the network does not matter."""

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
    """Return a network with 15,000 random weights.

    Args:
        changes: options of `LiteUNet` in place of `SMALL`'s.
    """
    return LiteUNet(**{**SMALL, **changes})


class Plain(Generator):
    """Three convolutions with bins and two trainable batch norms: no encoder, no levels, no hints.

    For tests that use only the interface of `Generator`, and for those that compute a step independently: a ReLU
    follows each norm, so that no gradient is zero up to rounding errors, which Adam would turn into a full step.
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
