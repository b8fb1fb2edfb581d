"""Metrics of how much color there is, also outside the gamut and where the truth is gray."""

from __future__ import annotations

import torch
from torch import Tensor

from colorgan.color.lab import lab_to_linear

GRAY_CHROMA = 4.0  # Lab units: JPEGs of gray objects have up to this; visible colors begin above
_VISIBLE = 0.5 / 255  # sRGB: half a level of eight bits


def _spread_and_center(red_green: Tensor, yellow_blue: Tensor) -> Tensor:
    """Return Hasler and Suesstrunk's M3 of two opponents, each (B, N)."""
    spread = (red_green.var(1, correction=0) + yellow_blue.var(1, correction=0)).sqrt()
    center = torch.hypot(red_green.mean(1), yellow_blue.mean(1))
    return spread + 0.3 * center


def colorfulness(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Return colorfulness by signed opponents (Hasler and Suesstrunk 2003, M3) and by their absolute values.

    The second is what the tables of CT2 and DDColor print under the same name; it is lower and not comparable.

    Args:
        rgb: (B, 3, H, W), sRGB, 0..1.

    Returns:
        cf_hs and cf, (B,) each: 0 for gray, about 110 at the most colorful photos (values of 0..255).
    """
    red, green, blue = (255.0 * rgb).flatten(2).unbind(1)
    red_green, yellow_blue = red - green, 0.5 * (red + green) - blue
    return _spread_and_center(red_green, yellow_blue), _spread_and_center(red_green.abs(), yellow_blue.abs())


def out_of_gamut(lab: Tensor) -> Tensor:
    """Return the share of pixels outside the gamut of sRGB: some channel more than half a level of 255 outside 0..1.

    Of Lab as predicted, before anything is clipped: (B, 3, H, W) -> (B,), 0..1.
    """
    low, high = lab_to_linear(lab).aminmax(dim=1)
    # Both ends of the sRGB curve, in linear light: a line of slope 12.92 at 0, a slope of 0.4396 at 1.
    outside = (low < -_VISIBLE / 12.92) | (high > 1.0 + _VISIBLE / 0.4396)
    return outside.flatten(1).float().mean(1)


def gray_chroma(ab: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean chroma predicted for pixels that are truly gray: whose true chroma is at most 4 Lab units.

    Of ab, (B, 2, H, W) twice in Lab units, the mean, (B,), NaN for a photo without such pixels; and their share, (B,).
    """
    gray = torch.hypot(truth[:, 0], truth[:, 1]) <= GRAY_CHROMA
    chroma = torch.hypot(ab[:, 0], ab[:, 1])
    pixels = gray.flatten(1).sum(1)
    total = torch.where(gray, chroma, 0.0).flatten(1).sum(1)
    return total / pixels, pixels / gray[0].numel()
