"""The network of the perceptual term: VGG19 (Simonyan and Zisserman 2014) up to relu4_3, under torchvision's names."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Channels out of each 3 x 3 convolution up to conv4_3, 0 for a pooling: the first layers of configuration E.
_LAYERS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512)
# The normalization that its weights were trained with (torchvision's VGG19_Weights.IMAGENET1K_V1.transforms()).
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _features() -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for width in _LAYERS:
        if width:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        else:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


class VGG19(nn.Module):
    """The network from RGB to the features of relu4_3.

    `features` has the names and positions of torchvision's `features[:25]`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.features = _features()
        # On the CPU also if the layers are built on the meta device, since no file holds these.
        for name, values in (("mean", _MEAN), ("std", _STD)):
            self.register_buffer(name, torch.tensor(values, device="cpu")[:, None, None], persistent=False)

    def forward(self, rgb: Tensor) -> Tensor:
        """Compute the features.

        Args:
            rgb: (B, 3, H, W), sRGB, 0..1, H and W from 8 up; normalized in here.

        Returns:
            (B, 512, H // 8, W // 8), 0 and up.
        """
        features: Tensor = self.features((rgb - self.mean) / self.std)
        return features
