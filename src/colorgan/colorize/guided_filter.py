"""The guided filter: align the coarse predicted colors with the photo's edges.

Around each pixel ab is modeled as a linear function of lightness, ab = slope L + offset, fitted to the network's input
and output (He et al. 2010, "Guided image filtering", equations 5 to 8). Slope and offset are as coarse as the output,
but are applied to the photo's full-size lightness, so that colors change where the lightness does.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

RADIUS = 6  # pixels of the network's input: a cell and a half of its output
EDGE = 10.0  # L squared, the paper's epsilon: where the variance of L is lower, colors are only smoothed


def fit_linear_model(L: Tensor, ab: Tensor) -> Tensor:
    """Fit ab as a linear function of L around each pixel.

    Args:
        L: (h, w), 0..100, the network's input.
        ab: (2, h, w), Lab units, its output.

    Returns:
        (4, h, w): the slopes of a and b, then their offsets in Lab units.
    """
    return _fitted(L[None], ab[:, None])[:, 0]


def fit_linear_model_at(L: Tensor, ab: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Evaluate `fit_linear_model` at N points alone, bilinear between pixels: (4, N).

    Rows and columns, (N,), are fractional indices: 0 is the center of the first.
    """
    height, width = L.shape
    side = 4 * RADIUS + 2  # two boxes to each side of the two pixels between which a point lies
    if min(height, width) < side or len(rows) * side**2 > height * width:
        return sample(fit_linear_model(L, ab)[:, None], rows[None], columns[None])[:, 0]
    # A window around each point, inside the photo, so that replicated borders are the same as in the whole.
    top = (rows.floor().long() - 2 * RADIUS).clamp(0, height - side)
    left = (columns.floor().long() - 2 * RADIUS).clamp(0, width - side)
    within = torch.arange(side)
    down, right = (top[:, None] + within)[:, :, None], (left[:, None] + within)[:, None]  # (N, side, 1), (N, 1, side)
    fitted = _fitted(L[down, right], ab[:, down, right])  # (4, N, side, side)
    return sample(fitted, (rows - top)[:, None], (columns - left)[:, None])[:, :, 0]


def sample(planes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Sample pictures, (C, B, h, w), bilinearly at fractional row and column indices, (B, N): (C, B, N)."""
    height, width = planes.shape[-2:]
    grid = torch.stack([(columns + 0.5) * 2 / width - 1, (rows + 0.5) * 2 / height - 1], -1)[:, None]
    found = F.grid_sample(planes.movedim(1, 0), grid, padding_mode="border", align_corners=False)
    return found[:, :, 0].movedim(0, 1)


def _fitted(L: Tensor, ab: Tensor) -> Tensor:
    """Do `fit_linear_model` for several pictures: (B, h, w) and (2, B, h, w) to (4, B, h, w)."""
    mean_L, mean_ab = _box(L[None]), _box(ab)
    covariance = _box(L * ab) - mean_L * mean_ab
    variance = _box((L * L)[None]) - mean_L * mean_L
    slope = covariance / (variance + EDGE)
    offset = mean_ab - slope * mean_L
    return torch.cat([_box(slope), _box(offset)])


def _box(x: Tensor) -> Tensor:
    """Average over a square around each pixel, with replicated borders; (C, B, h, w) both."""
    padded = F.pad(x, (RADIUS, RADIUS, RADIUS, RADIUS), mode="replicate")
    side = 2 * RADIUS + 1
    # Sums of shifted views are vectorized; pooling adds one number after the other.
    for axis in (-2, -1):
        places = padded.shape[axis] - side + 1
        total = padded.narrow(axis, 0, places) * (1 / side)
        for step in range(1, side):
            total.add_(padded.narrow(axis, step, places), alpha=1 / side)
        padded = total
    return padded


def apply_linear_model(L: Tensor, fitted: Tensor) -> Tensor:
    """Return the colors, (2, H, W) in Lab units, of a photo's L, (H, W), by the (4, h, w) of `fit_linear_model`."""
    slope, offset = F.interpolate(fitted[None], L.shape, mode="bilinear", align_corners=False)[0].split(2)
    ab: Tensor = slope * L + offset
    return ab
