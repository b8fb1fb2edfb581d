"""Colors that end where the photo has edges, though the network's answer is coarse: the guided filter.

Around each place colors are taken for a line of lightness, ab = slope L + offset, fitted to what the network saw and
said (He et al. 2010, "Guided image filtering", equations 5 to 8). Slope and offset are as coarse as the answer; the
lightness that they are applied to is the photo's own, so that a color changes where the lightness does.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

RADIUS = 6  # pixels of what the network saw: a cell and a half of its answer
EDGE = 10.0  # L squared: where lightness varies less than this, colors are only smoothed


def lines(L: Tensor, ab: Tensor) -> Tensor:
    """Fit ab as a line of L around each place.

    Args:
        L: (h, w), 0..100, what the network saw.
        ab: (2, h, w), Lab units, what it said.

    Returns:
        (4, h, w): the slopes of a and b, then their offsets in Lab units.
    """
    guide, colors = L[None, None], ab[:, None]
    mean_L, mean_ab = _box(guide), _box(colors)
    covariance = _box(guide * colors) - mean_L * mean_ab
    variance = _box(guide * guide) - mean_L * mean_L
    slope = covariance / (variance + EDGE)
    offset = mean_ab - slope * mean_L
    return torch.cat([_box(slope), _box(offset)])[:, 0]


def _box(x: Tensor) -> Tensor:
    """The mean over a square around each place, (B, 1, h, w); outside, the border goes on."""
    padded = F.pad(x, (RADIUS, RADIUS, RADIUS, RADIUS), mode="replicate")
    side = 2 * RADIUS + 1
    # Sums of shifted views: pooling adds one number after the other.
    for axis in (-2, -1):
        places = padded.shape[axis] - side + 1
        total = padded.narrow(axis, 0, places) * (1 / side)
        for step in range(1, side):
            total.add_(padded.narrow(axis, step, places), alpha=1 / side)
        padded = total
    return padded


def apply_linear_model(L: Tensor, fitted: Tensor) -> Tensor:
    """The colors of a photo's lightness by the lines that were fitted to it.

    Args:
        L: (H, W), 0..100, of the photo.
        fitted: (4, h, w), from `lines`.

    Returns:
        (2, H, W), Lab units.
    """
    slope, offset = F.interpolate(fitted[None], L.shape, mode="bilinear", align_corners=False)[0].split(2)
    ab: Tensor = slope * L + offset
    return ab
