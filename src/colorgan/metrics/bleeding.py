"""Colors that run over edges: color bleeding, a metric of this project's own.

Edges are found in L, since that is what a network sees, and checked in the truth, since not every edge of L is one of
color. Kim et al. 2021 ("Deep edge-aware interactive colorization against color-bleeding effects") measure the same
problem by how superpixels of truth and prediction overlap, which depends on the segmentation; this needs none.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

# To both sides of an edge: where the color should have changed, and where its new value is read.
NEAR_PX, FAR_PX = 3, 12
EDGE_L = 8.0  # Lab units between the two neighbors of an edge's pixel
EDGE_AB = 10.0  # Lab units that the true color changes by
_SETTLED = 0.25  # share of the true change that may be left outside the near pair: both sides are of one color each


def color_bleeding(L: Tensor, ab: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return the share of the color contrast between the two sides of edges that is not reached right beside them.

    At each pixel of an edge (along rows and along columns alike) where the true color changes from one to another, the
    prediction's own contrast is taken 12 pixels to each side, and how much of it is reached 3 pixels to each side. What
    is lacking has bled over the edge. It does not measure whether the colors are right, and is undefined for a
    prediction without contrast.

    Args:
        L: (B, 1, H, W), 0..100.
        ab: predicted, (B, 2, H, W), Lab units.
        truth: true, the same.

    Returns:
        The share, (B,), 0..1, NaN for a photo without contrast at such edges; and that contrast, (B,), Lab units
        summed over the edges' pixels, which is a photo's weight in a set.
    """
    lacking, contrast = _along_rows(L, ab, truth)
    # Copied: steps through memory against its order cost more than the copy.
    more_lacking, more_contrast = _along_rows(*(planes.mT.contiguous() for planes in (L, ab, truth)))
    lacking, contrast = lacking + more_lacking, contrast + more_contrast
    return lacking / contrast, contrast


def _along_rows(L: Tensor, ab: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return the contrast that is lacking near edges that rows cross, and the contrast there; both summed, (B,)."""
    lacking, contrasts = torch.zeros(2, len(L), device=L.device)
    edges = _crests(L[:, 0])
    true_near, true_far = _step(truth, edges, NEAR_PX), _step(truth, edges, FAR_PX)
    change = _length(true_far)
    settled = (change >= EDGE_AB) & (_length(true_near - true_far) <= _SETTLED * change)
    edges = tuple(axis[settled] for axis in edges)
    near, far = _step(ab, edges, NEAR_PX), _step(ab, edges, FAR_PX)
    contrast = _length(far)
    along = (near * far).sum(1) / contrast.clamp(min=1e-6)
    reached = torch.minimum(along.clamp(min=0.0), contrast)
    return lacking.index_add(0, edges[0], contrast - reached), contrasts.index_add(0, edges[0], contrast)


Places = tuple[Tensor, ...]  # photo, row and column of pixels, (N,) each


def _step(planes: Tensor, places: Places, reach_px: int) -> Tensor:
    """Return the change along the row between `reach_px` left and right of each place: (B, 2, H, W) -> (N, 2)."""
    photo, row, column = places
    return planes[photo, :, row, column + reach_px] - planes[photo, :, row, column - reach_px]


def _length(ab: Tensor) -> Tensor:
    """Return the length of each color, (N, 2) -> (N,)."""
    return torch.hypot(ab[:, 0], ab[:, 1])


def _crests(L: Tensor) -> Places:
    """Find where L, (B, H, W), changes most steeply along rows, and steeply enough, with room to both sides."""
    slope = F.pad((L[..., 2:] - L[..., :-2]).abs(), (1, 1))  # (B, H, W)
    steepest = slope[..., FAR_PX - NEAR_PX : NEAR_PX - FAR_PX]
    for shift in (1, 2, NEAR_PX):  # maxima of 2, 4 and at last 7 pixels
        steepest = torch.maximum(steepest[..., :-shift], steepest[..., shift:])
    slope = slope[..., FAR_PX:-FAR_PX]
    photo, row, column = torch.nonzero((slope >= EDGE_L) & (slope == steepest), as_tuple=True)
    return photo, row, column + FAR_PX
