"""Metrics of how close the predicted pixels are to the true ones."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

# Wang et al. 2004, section III-C: an 11 x 11 Gaussian window of sigma 1.5, K1 and K2 for values from 0 to 1.
_WINDOW_PX, _WINDOW_SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2

_25_TO_7 = 25.0**7
_TURN = 2 * math.pi
_HALF = math.pi + 4e-6  # hues that are opposite except for rounding take the paper's direction, also in float32


def psnr(rgb: Tensor, truth: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio over the channels of sRGB, 0..1, in decibels: (B, 3, H, W) twice -> (B,).

    It is infinite if the two are equal.
    """
    return -10.0 * (rgb - truth).square().flatten(1).mean(1).log10()


def ab_l1(ab: Tensor, truth: Tensor) -> Tensor:
    """Return the mean absolute difference of a and b: (B, 2, H, W) twice -> (B,), Lab units."""
    return (ab - truth).abs().flatten(1).mean(1)


def local_moments(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Return the part of SSIM that depends on one picture alone: the local means of its values and of their squares.

    (B, 3, H, W), 0..1 -> two of (B, 3, H', W').
    """
    return _windowed(rgb), _windowed(rgb.square())


def ssim(rgb: Tensor, truth: Tensor, truth_moments: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Return structural similarity (Wang et al. 2004, equation 13), the mean over positions and the three channels.

    Only windows that are wholly inside are counted, as in the paper's own code.

    Args:
        rgb: (B, 3, H, W), sRGB, 0..1; smaller sides than the window's 11 pixels are extended by their edge.
        truth: the same.
        truth_moments: `local_moments` of the truth, if already computed.

    Returns:
        (B,), at most 1.
    """
    mean_x, square_x = local_moments(rgb)
    mean_y, square_y = truth_moments or local_moments(truth)
    mean_xy = mean_x * mean_y
    both_squared = mean_x.square() + mean_y.square()
    covariance = _windowed(rgb * truth) - mean_xy
    variances = square_x + square_y - both_squared
    similar = (2 * mean_xy + _C1) * (2 * covariance + _C2) / ((both_squared + _C1) * (variances + _C2))
    return similar.flatten(1).mean(1)


def _windowed(planes: Tensor) -> Tensor:
    """Return weighted means under the Gaussian window at each position: (B, C, H, W) -> (B, C, H - 10, W - 10)."""
    height, width = planes.shape[-2:]
    lacking = max(0, _WINDOW_PX - width), max(0, _WINDOW_PX - height)
    if any(lacking):
        planes = F.pad(planes, (0, lacking[0], 0, lacking[1]), mode="replicate")
    offsets = [step - _WINDOW_PX // 2 for step in range(_WINDOW_PX)]
    raw = [math.exp(-(offset**2) / (2 * _WINDOW_SIGMA**2)) for offset in offsets]
    weights = [weight / sum(raw) for weight in raw]
    # Sums of shifted views: a convolution of single channels is up to 20 times as slow on a CPU.
    for axis in (-1, -2):
        places = planes.shape[axis] - _WINDOW_PX + 1
        total = planes.narrow(axis, 0, places) * weights[0]
        for step in range(1, _WINDOW_PX):
            total.add_(planes.narrow(axis, step, places), alpha=weights[step])
        planes = total
    return planes


def ciede2000(lab: Tensor, truth: Tensor) -> Tensor:
    """Return the CIEDE2000 difference of each pixel (Sharma, Wu and Dalal 2005, equations 2 to 22; kL = kC = kH = 1).

    Of Lab, (..., 3, H, W) twice -> (..., H, W), 0 up; about 1 is the least difference that is seen.
    """
    L1, a1, b1 = lab.unbind(-3)
    L2, a2, b2 = truth.unbind(-3)
    mean_chroma7 = (0.5 * (torch.hypot(a1, b1) + torch.hypot(a2, b2))) ** 7
    stretch = 1.5 - 0.5 * (mean_chroma7 / (mean_chroma7 + _25_TO_7)).sqrt()
    a1, a2 = a1 * stretch, a2 * stretch
    C1, C2 = torch.hypot(a1, b1), torch.hypot(a2, b2)
    hue_step, hue = _hues(torch.atan2(b1, a1), torch.atan2(b2, a2))
    # If one of the two has no hue this is 0, and with it every term that contains the hues.
    dH = 2.0 * (C1 * C2).sqrt() * torch.sin(0.5 * hue_step)
    L50, C = (0.5 * (L1 + L2) - 50.0).square(), 0.5 * (C1 + C2)
    dL = (L2 - L1) / (1.0 + 0.015 * L50 / (20.0 + L50).sqrt())
    dC = (C2 - C1) / (1.0 + 0.045 * C)
    dH = dH / (1.0 + 0.015 * C * _hue_weight(hue))
    C7 = C**7
    rotation = -2.0 * (C7 / (C7 + _25_TO_7)).sqrt() * torch.sin(math.radians(60) * _around_275(hue))
    return (dL.square() + dC.square() + dH.square() + rotation * dC * dH).clamp(min=0.0).sqrt()


def _hues(h1: Tensor, h2: Tensor) -> tuple[Tensor, Tensor]:
    """Return the step from one hue to the other the shorter way, and the hue midway; radians (equations 10 and 14)."""
    h1, h2 = h1.remainder(_TURN), h2.remainder(_TURN)
    step = h2 - h1
    step = torch.where(step > _HALF, step - _TURN, torch.where(step < -_HALF, step + _TURN, step))
    return step, h1 + 0.5 * step


def _hue_weight(hue: Tensor) -> Tensor:
    """Return T of equation 15."""
    return (
        1.0
        - 0.17 * torch.cos(hue - math.radians(30))
        + 0.24 * torch.cos(2 * hue)
        + 0.32 * torch.cos(3 * hue + math.radians(6))
        - 0.20 * torch.cos(4 * hue - math.radians(63))
    )


def _around_275(hue: Tensor) -> Tensor:
    """Return the bell around a hue of 275 degrees (equation 16), for a hue in radians of any turn."""
    degrees = torch.rad2deg(hue).remainder(360.0)
    return torch.exp(-((degrees - 275.0) / 25.0).square())
