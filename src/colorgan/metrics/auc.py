"""The area under the cumulative ab error curve, plain and rebalanced (Zhang et al. 2016, section 3.1)."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from colorgan.color.bins import bin_centers, prior

THRESHOLDS = 151  # 0, 1, ..., 150 Lab units
_REACH = 127  # Lab units: the table of weights covers -127..127


def auc_scores(ab: Tensor, truth: Tensor) -> Tensor:
    """Score each pixel by the share of the thresholds 0, 1, ..., 150 that its ab distance does not exceed.

    The mean of these scores over pixels is the area under the cumulative error curve, which is why no threshold needs
    to be looped over. Of ab, (B, 2, H, W) twice in Lab units -> (B, H, W), 0..1.
    """
    difference = ab - truth
    distance = torch.hypot(difference[:, 0], difference[:, 1])
    return (THRESHOLDS - distance.ceil()).clamp(min=0.0) / THRESHOLDS


def rarity_weights(truth: Tensor) -> Tensor:
    """Return the weight of each pixel in rebalanced metrics, 1 / prior of its true bin: (B, 2, H, W) -> (B, H, W).

    Bins are looked up by ab in whole Lab units, and a color midway between two belongs to the first of them: the
    convention that reproduces the reference values. A search by exact ab gives 0.2 less for gray.
    """
    whole = truth.round().clamp(-_REACH, _REACH).long() + _REACH
    return _weights(truth.device)[whole[:, 0] * (2 * _REACH + 1) + whole[:, 1]]


@cache
def _weights(device: torch.device) -> Tensor:
    """Return 1 / prior of the nearest bin of each whole ab, at index (a + 127) * 255 + b + 127."""
    axis = torch.arange(-_REACH, _REACH + 1).float()
    centers = bin_centers()
    bins = []
    for a in axis:  # a row at a time: all distances at once would take 80 MB
        row = torch.stack([a.expand_as(axis), axis], dim=1)
        squared = (row[:, None] - centers).square().sum(-1)  # whole numbers, so that ties are exact
        bins.append(squared.argmin(1))  # the first of equals
    return (1.0 / prior())[torch.cat(bins)].to(device)
