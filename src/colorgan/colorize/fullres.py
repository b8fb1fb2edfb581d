"""Colours at the network's size onto the photo's own lightness, strip by strip, and into the gamut of sRGB."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from colorgan.color.lab import lab_to_linear, srgb_from_linear

_STRIP_PIXELS = 1 << 17  # the working tensors of a strip stay in a core's cache
_BISECTIONS = 10  # the factor on ab is found to 1/1024: a tenth of a Lab unit at the most colourful


def render(L: NDArray[np.float32], ab: Tensor, saturation: float = 1.0) -> NDArray[np.uint8]:
    """Give a photo its colours.

    Args:
        L: (H, W), 0..100.
        ab: (2, h, w) on the CPU, Lab units, of any size.
        saturation: multiplies ab; 0 is grey.

    Returns:
        (H, W, 3) sRGB.
    """
    rgb = np.empty((*L.shape, 3), np.uint8)
    height, width = L.shape
    across = widened(ab * saturation, height, width)
    for rows in strips(height, width):
        colours = heightened(across, rows, height)
        rgb[rows] = strip_to_srgb(torch.from_numpy(L[rows]), colours).numpy()
    return rgb
