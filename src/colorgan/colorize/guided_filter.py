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
    return _fitted(L[None], ab[:, None])[:, 0]


def lines_at(L: Tensor, ab: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """`lines` at some places alone, (4, N), bilinear between pixels.

    Rows and columns, (N,), are counted from the middles of the first.
    """
    height, width = L.shape
    side = 4 * RADIUS + 2  # two boxes to each side of the two pixels that a place lies between
    if min(height, width) < side or len(rows) * side**2 > height * width:
        return sample(lines(L, ab)[:, None], rows[None], columns[None])[:, 0]
    # A window around each place; it ends where the photo does, so that the border goes on in both alike.
    top = (rows.floor().long() - 2 * RADIUS).clamp(0, height - side)
    left = (columns.floor().long() - 2 * RADIUS).clamp(0, width - side)
    within = torch.arange(side)
    down, right = (top[:, None] + within)[:, :, None], (left[:, None] + within)[:, None]  # (N, side, 1), (N, 1, side)
    fitted = _fitted(L[down, right], ab[:, down, right])  # (4, N, side, side)
    return sample(fitted, (rows - top)[:, None], (columns - left)[:, None])[:, :, 0]


def sample(planes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """What pictures of (C, B, h, w) have at rows and columns of (B, N), as in `lines_at`; (C, B, N)."""
    height, width = planes.shape[-2:]
    grid = torch.stack([(columns + 0.5) * 2 / width - 1, (rows + 0.5) * 2 / height - 1], -1)[:, None]
    found = F.grid_sample(planes.movedim(1, 0), grid, padding_mode="border", align_corners=False)
    return found[:, :, 0].movedim(0, 1)


def _fitted(L: Tensor, ab: Tensor) -> Tensor:
    """`lines` for several pictures: (B, h, w) and (2, B, h, w) to (4, B, h, w)."""
    mean_L, mean_ab = _box(L[None]), _box(ab)
    covariance = _box(L * ab) - mean_L * mean_ab
    variance = _box((L * L)[None]) - mean_L * mean_L
    slope = covariance / (variance + EDGE)
    offset = mean_ab - slope * mean_L
    return torch.cat([_box(slope), _box(offset)])


def _box(x: Tensor) -> Tensor:
    """The mean over a square around each place, (C, B, h, w); outside, the border goes on."""
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
    """The colors of a photo's L, (H, W), by the (4, h, w) that `lines` fitted to it: (2, H, W), Lab units."""
    slope, offset = F.interpolate(fitted[None], L.shape, mode="bilinear", align_corners=False)[0].split(2)
    ab: Tensor = slope * L + offset
    return ab
