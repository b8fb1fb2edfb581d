"""Colours at the network's size onto the photo's own lightness, strip by strip, and into the gamut of sRGB.

Each step multiplies, adds and looks up, and nothing else: a pixel then has the same bits in whichever strip it is.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from colorgan.color.lab import RGB_FROM_XYZ, WHITE, srgb_from_linear
from colorgan.media.lightness import Lightness

_STRIP_PIXELS = 1 << 17  # the working tensors of a strip stay in a core's cache
_TOLERANCE = 1e-5  # linear light, far below a level of 255: what rounding alone puts outside the gamut
_BISECTIONS = 10  # the factor on ab is found to 1/1024: a tenth of a Lab unit at the most colourful

# Linear RGB = Y + _FROM_X (X - Y) + _FROM_Z (Z - Y), with XYZ relative to white. Rows of the matrix add up to 1 when
# white is white, so this is the whole of it, and where X = Y = Z the three channels are equal to the last bit.
_RELATIVE = RGB_FROM_XYZ * WHITE
_RELATIVE = _RELATIVE / _RELATIVE.sum(dim=1, keepdim=True)
_FROM_X: tuple[float, ...] = tuple(_RELATIVE[:, 0].tolist())
_FROM_Z: tuple[float, ...] = tuple(_RELATIVE[:, 2].tolist())

# Linear light in 65536 steps to levels of 255: near black, where the curve is steepest, a level is 20 steps wide.
_LEVELS = (srgb_from_linear(torch.linspace(0.0, 1.0, 1 << 16)) * 255.0).round().to(torch.uint8)


def render(lightness: Lightness, ab: Tensor, saturation: float = 1.0) -> NDArray[np.uint8]:
    """Give a photo its colours.

    Args:
        lightness: of the photo.
        ab: (2, h, w) on the CPU, Lab units, of any size.
        saturation: multiplies ab; 0 is grey.

    Returns:
        (H, W, 3) sRGB.
    """
    height, width = lightness.shape
    rgb = np.empty((height, width, 3), np.uint8)
    wide_ab = widen(ab * saturation, height, width)
    rows_per_strip = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows_per_strip):
        rows = slice(top, min(top + rows_per_strip, height))
        rgb[rows] = to_srgb(torch.from_numpy(lightness.rows(rows)), heighten(wide_ab, rows, height)).numpy()
    return rgb


def widen(ab: Tensor, height: int, width: int) -> Tensor:
    """Bring ab to the photo's width, and down to its height where it has more rows.

    Args:
        ab: (2, h, w).
        height: of the photo, pixels.
        width: of the photo, pixels.

    Returns:
        (2, min(h, height), width).
    """
    size = (min(ab.shape[1], height), width)
    return F.interpolate(ab[None], size, mode="bilinear", align_corners=False, antialias=True)[0]


def heighten(ab: Tensor, rows: slice, height: int) -> Tensor:
    """Interpolate some of the photo's rows between those of ab, with the centres of the outer pixels half a pixel in.

    Args:
        ab: (2, h, W).
        rows: which rows of the photo.
        height: of the photo, pixels, at least h.

    Returns:
        (2, rows, W).
    """
    last = ab.shape[1] - 1
    position = (torch.arange(rows.start, rows.stop, dtype=torch.float32) + 0.5) * (ab.shape[1] / height) - 0.5
    position = position.clamp(0.0, float(last))
    above = position.to(torch.int64)
    weight = (position - above)[:, None]
    upper, lower = ab[:, above], ab[:, (above + 1).clamp(max=last)]
    return upper + (lower - upper) * weight


def to_srgb(L: Tensor, ab: Tensor) -> Tensor:
    """Convert to sRGB; a colour that sRGB does not have loses chroma until it does, at its own L and hue.

    Clipping each channel instead would shift hues, and end in flat blotches.

    Args:
        L: (H, W), 0..100.
        ab: (2, H, W), Lab units.

    Returns:
        (H, W, 3) uint8.
    """
    linear = _linear(L, ab[0], ab[1])
    outside = torch.nonzero(_is_outside(linear).view(-1))[:, 0]
    if len(outside):
        light, a, b = (plane.reshape(-1)[outside] for plane in (L, ab[0], ab[1]))
        factor = _chroma_factor(light, a, b)
        linear.view(3, -1)[:, outside] = _linear(light, a * factor, b * factor)
    steps = (linear.clamp(0.0, 1.0) * 65535.0 + 0.5).to(torch.int32)
    return _LEVELS.index_select(0, steps.movedim(0, -1).reshape(-1)).view(*L.shape, 3)


def _linear(L: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Linear sRGB, (3, *L.shape), of three tensors of one shape; outside 0..1 where sRGB has no such colour."""
    f = (L + 16.0) * (1.0 / 116.0)
    y = _uncompressed(f)
    x_less_y = _uncompressed(f + a * (1.0 / 500.0)) - y
    z_less_y = _uncompressed(f - b * (1.0 / 200.0)) - y
    return torch.stack([y + x_less_y * _FROM_X[i] + z_less_y * _FROM_Z[i] for i in range(3)])


def _uncompressed(f: Tensor) -> Tensor:
    """The inverse of Lab's cube root (CIE 15), with its straight piece near black."""
    return torch.where(f > 0.2068966, f * f * f, (f - 16.0 / 116.0) * (1.0 / 7.787))


def _is_outside(linear: Tensor) -> Tensor:
    low, high = linear.aminmax(dim=0)
    return (low < -_TOLERANCE) | (high > 1.0 + _TOLERANCE)


def _chroma_factor(L: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The largest factor on ab, 0..1, that keeps each colour inside sRGB, by bisection; all are (N,)."""
    inside, outside = torch.zeros_like(L), torch.ones_like(L)
    for _ in range(_BISECTIONS):
        middle = (inside + outside) * 0.5
        is_outside = _is_outside(_linear(L, a * middle, b * middle))
        inside = torch.where(is_outside, inside, middle)
        outside = torch.where(is_outside, middle, outside)
    return inside
