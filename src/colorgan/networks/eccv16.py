"""The generator of Zhang, Isola and Efros 2016, "Colorful Image Colorization", under its published parameter names."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from colorgan.color.bins import BINS, bin_centers
from colorgan.networks.generator import Generator, Prediction

AB_SCALE = 110.0
L_CENTER, L_SCALE = 50.0, 100.0


class EncoderStage(NamedTuple):
    """A row of the table of an encoder's stages."""

    name: str
    widths: tuple[int, ...]  # channels in, then out of each 3 x 3 convolution
    last_stride: int
    dilation: int


STAGES = (
    EncoderStage("model1", (1, 64, 64), last_stride=2, dilation=1),
    EncoderStage("model2", (64, 128, 128), last_stride=2, dilation=1),
    EncoderStage("model3", (128, 256, 256, 256), last_stride=2, dilation=1),
    EncoderStage("model4", (256, 512, 512, 512), last_stride=1, dilation=1),
    EncoderStage("model5", (512, 512, 512, 512), last_stride=1, dilation=2),
    EncoderStage("model6", (512, 512, 512, 512), last_stride=1, dilation=2),
    EncoderStage("model7", (512, 512, 512, 512), last_stride=1, dilation=1),
)


def encoder_stage(stage: EncoderStage) -> nn.Sequential:
    """Build 3 x 3 convolutions with ReLU, then a batch norm."""
    layers: list[nn.Module] = []
    last = len(stage.widths) - 2
    for index, (into, out) in enumerate(pairwise(stage.widths)):
        stride = stage.last_stride if index == last else 1
        layers += [nn.Conv2d(into, out, 3, stride, stage.dilation, stage.dilation), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.BatchNorm2d(stage.widths[-1]))


class ECCV16(Generator):
    """The network from L to logits over the 313 bins at a quarter of the input, and from their softmax to ab."""

    network = "eccv16"
    multiple = 8
    float32_parts = ("model_out",)

    def __init__(self) -> None:
        super().__init__()
        for stage in STAGES:
            self.add_module(stage.name, encoder_stage(stage))
        self.model8 = nn.Sequential(
            nn.ConvTranspose2d(512, 256, 4, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(256, BINS, 1),
        )
        self.model_out = nn.Conv2d(BINS, 2, 1, bias=False)
        # A loss on the logits never trains this layer, so that it has to hold the bins from the start.
        with torch.no_grad():
            self.model_out.weight.copy_((bin_centers() / AB_SCALE).T[..., None, None])

    def compute(self, L: Tensor, temperature: float, hints: Tensor | None = None) -> Prediction:
        """Compute `forward` for an L whose height and width are divisible by 8."""
        features = (L - L_CENTER) / L_SCALE
        for stage in STAGES:
            features = self.get_submodule(stage.name)(features)
        logits = self.model8(features)  # (B, 313, H/4, W/4)
        # Colors in bfloat16 would move in visible steps, so that autocast ends here.
        with torch.autocast(L.device.type, enabled=False):
            ab = self.model_out((logits.float() / temperature).softmax(dim=1)) * AB_SCALE  # (B, 2, H/4, W/4)
            ab = F.interpolate(ab, scale_factor=4, mode="bilinear", align_corners=False)
        return Prediction(ab, logits)
