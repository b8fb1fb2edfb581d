"""Colours that run over edges: the chroma spill, a figure of this project's own.

Edges are told from L, since that is what a network sees, and from the truth, since not every edge of L is one of
colour. Kim et al. 2021 ("Deep edge-aware interactive colorization against color-bleeding effects") measure the same
trouble by how superpixels of truth and prediction overlap, which depends on the segmentation; this needs none.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

NEAR_PX, FAR_PX = (
    3,
    12,
)  # to both sides of an edge: where the colour should have changed, and into what
EDGE_L = 8.0  # Lab units between the two neighbours of an edge's pixel
EDGE_AB = 10.0  # Lab units that the true colour changes by
_SETTLED = 0.25  # share of the true change that may be left outside the near pair: both sides are of one colour each


def spill(L: Tensor, ab: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """The share of the colour contrast between the two sides of edges that is not yet there right beside them.

    At each pixel of an edge (along rows and along columns alike) where the true colour changes from one to another, the
    prediction's own contrast is taken 12 pixels to each side, and how much of it is reached 3 pixels to each side. What
    is lacking has spilled over the edge. It says nothing about whether the colours are right, and nothing of a
    prediction without contrast.

    Args:
        L: (B, 1, H, W), 0..100.
        ab: predicted, (B, 2, H, W), Lab units.
        truth: true, the same.

    Returns:
        The share, (B,), 0..1, NaN for a photo without contrast at such edges; and that contrast, (B,), Lab units
        summed over the edges' pixels, by the share of which a photo counts in a set.
    """
    lacking, contrast = _across_columns(L, ab, truth)
    more_lacking, more_contrast = _across_columns(L.mT, ab.mT, truth.mT)
    lacking, contrast = lacking + more_lacking, contrast + more_contrast
    return lacking / contrast, contrast


def _across_columns(L: Tensor, ab: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """The contrast that is lacking near edges crossed along rows, and the contrast there; both summed, (B,)."""
    if L.shape[-1] <= 2 * FAR_PX:
        return L.new_zeros(len(L)), L.new_zeros(len(L))
    true_near, true_far = _step(truth, NEAR_PX), _step(truth, FAR_PX)
    change = true_far.norm(dim=1)
    edge = _crests(L) & (change >= EDGE_AB) & ((true_near - true_far).norm(dim=1) <= _SETTLED * change)
    near, far = _step(ab, NEAR_PX), _step(ab, FAR_PX)
    contrast = torch.where(edge, far.norm(dim=1), 0.0)
    along = (near * far).sum(1) / contrast.clamp(min=1e-6)
    reached = torch.minimum(along.clamp(min=0.0), contrast)
    return (contrast - reached).flatten(1).sum(1), contrast.flatten(1).sum(1)


def _step(planes: Tensor, reach_px: int) -> Tensor:
    """The change along rows between the two pixels so far to the left and right: (..., W) -> (..., W - 2 FAR_PX)."""
    places = planes.shape[-1] - 2 * FAR_PX
    return planes.narrow(-1, FAR_PX + reach_px, places) - planes.narrow(-1, FAR_PX - reach_px, places)


def _crests(L: Tensor) -> Tensor:
    """Where L rises or falls most steeply along rows, and steeply enough: (B, 1, H, W) -> (B, H, W - 2 FAR_PX)."""
    slope = F.pad((L[..., 2:] - L[..., :-2]).abs(), (1, 1))
    steepest = F.max_pool2d(slope, (1, 2 * NEAR_PX + 1), stride=1, padding=(0, NEAR_PX))
    crest = (slope >= EDGE_L) & (slope == steepest)
    return crest[:, 0, :, FAR_PX:-FAR_PX]
