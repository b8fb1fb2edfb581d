"""The generator of Zhang, Zhu et al. 2017, "Real-Time User-Guided Image Colorization", under its published names."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from colorgan.networks.eccv16 import AB_SCALE, L_CENTER, L_SCALE, STAGES, EncoderStage, encoder_stage
from colorgan.networks.generator import Generator, Prediction

_HINTS = 3  # channels of a user's hints: ab, and a mask

# The first three keep the size; `compute` takes every second pixel of their outputs.
_STAGES = (
    EncoderStage("model1", (1 + _HINTS, 64, 64), last_stride=1, dilation=1),
    *(stage._replace(last_stride=1) for stage in STAGES[1:]),
)


def _upsample(into: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(into, out, 4, stride=2, padding=1))


def _skip(into: int, out: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(into, out, 3, padding=1))


def _convolutions(channels: int, count: int) -> list[nn.Module]:
    """Return a ReLU, then convolutions with a ReLU each."""
    layers: list[nn.Module] = [nn.ReLU(inplace=True)]
    for _ in range(count):
        layers += [nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(inplace=True)]
    return layers


class SIGGRAPH17(Generator):
    """The network from L and a user's hints to ab, without bins."""

    network = "siggraph17"
    multiple = 8
    float32_parts = ("model_out.0",)
    takes_hints = True
    unused = ("model_class.0.weight", "model_class.0.bias")

    def __init__(self) -> None:
        super().__init__()
        for stage in _STAGES:
            self.add_module(stage.name, encoder_stage(stage))
        self.model8up, self.model3short8 = _upsample(512, 256), _skip(256, 256)
        self.model8 = nn.Sequential(*_convolutions(256, 2), nn.BatchNorm2d(256))
        self.model9up, self.model2short9 = _upsample(256, 128), _skip(128, 128)
        self.model9 = nn.Sequential(*_convolutions(128, 1), nn.BatchNorm2d(128))
        self.model10up, self.model1short10 = _upsample(128, 128), _skip(64, 128)
        self.model10 = nn.Sequential(*_convolutions(128, 1)[:-1], nn.LeakyReLU(0.2, inplace=True))
        self.model_out = nn.Sequential(nn.Conv2d(128, 2, 1), nn.Tanh())

    def compute(self, L: Tensor, temperature: float, hints: Tensor | None = None) -> Prediction:
        """Compute `forward` for an L whose height and width are divisible by 8; the temperature has no effect."""
        batch, _, height, width = L.shape
        stage1, stage2, stage3, *rest = (self.get_submodule(stage.name) for stage in _STAGES)
        if hints is None:
            given = L.new_zeros(batch, _HINTS, height, width)
        else:
            given = torch.cat([hints[:, :2] / AB_SCALE, hints[:, 2:]], dim=1)
        x = torch.cat([(L - L_CENTER) / L_SCALE, given], dim=1)
        whole = stage1(x)  # (B, 64, H, W)
        half = stage2(whole[..., ::2, ::2])
        quarter = stage3(half[..., ::2, ::2])
        x = quarter[..., ::2, ::2]
        for stage in rest:
            x = stage(x)  # (B, 512, H/8, W/8)
        x = self.model8(self.model8up(x) + self.model3short8(quarter))
        x = self.model9(self.model9up(x) + self.model2short9(half))
        x = self.model10(self.model10up(x) + self.model1short10(whole))
        # Colors in bfloat16 would move in visible steps, so that autocast ends here.
        with torch.autocast(L.device.type, enabled=False):
            return Prediction(self.model_out(x.float()) * AB_SCALE, None)
