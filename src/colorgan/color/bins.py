"""The 313 in-gamut bins of the ab plane: their prior, soft targets over them, and decoding back into ab.

The bins and their use are from Zhang et al. 2016, "Colorful Image Colorization", section 2; the prior was
counted on 30,000 ImageNet photos.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np
import torch
from torch import Tensor

BINS = 313
NEIGHBORS = 5  # bins that a pixel's soft target is spread over: Zhang et al. 2016, section 2.1
BIN_SIZE = 10.0  # Lab units, the side of a bin's cell

_REACH = 12  # cells from the center of the ab plane that the lookup tables cover: +-125 Lab units
_SIDE = 2 * _REACH + 1
# Wherever in its cell a point is, its nearest bin is among the nearest 4 of the cell's center, and its nearest 5 are
# among the nearest 10: tests search for exceptions.
_NEAREST, _CANDIDATES = 4, 10


@cache
def _table() -> Tensor:
    text = resources.files("colorgan").joinpath("assets/ab_prior.csv").read_text(encoding="ascii")
    return torch.from_numpy(np.loadtxt(text.splitlines(), delimiter=",", skiprows=1, dtype=np.float32))  # (313, 3)


def bin_centers() -> Tensor:
    """Return the ab of each bin, (313, 2), Lab units, in the order of the published network's outputs."""
    return _table()[:, :2].clone()


def prior() -> Tensor:
    """Return the share of ImageNet's pixels in each bin, (313,), summing to 1."""
    shares = _table()[:, 2]
    return shares / shares.sum()


@cache
def centers_on(device: torch.device) -> Tensor:
    """Return `bin_centers` on a device, cached, as each copy would synchronize with a GPU; not to be written to."""
    with torch.inference_mode(False):  # or training could not use what a prediction cached
        return bin_centers().to(device)


@cache
def _candidates(device: torch.device) -> Tensor:
    """Return the nearest bins of each cell of the lookup grid: (_SIDE * _SIDE, _CANDIDATES), nearest first."""
    axis = torch.arange(-_REACH, _REACH + 1) * BIN_SIZE
    cells = torch.cartesian_prod(axis, axis)
    order = torch.cdist(cells, bin_centers()).argsort(dim=1, stable=True)
    return order[:, :_CANDIDATES].contiguous().to(device)


def _distances(ab: Tensor, candidates: int) -> tuple[Tensor, Tensor]:
    """Return the candidate bins of each pixel and the squared distances to them: two of (B, H, W, candidates)."""
    points = ab.detach().float().permute(0, 2, 3, 1)  # (B, H, W, 2)
    cell = (points / BIN_SIZE).round().clamp(-_REACH, _REACH).long() + _REACH
    bins = _candidates(ab.device)[cell[..., 0] * _SIDE + cell[..., 1], :candidates]
    centers = centers_on(ab.device)[bins]  # (B, H, W, candidates, 2)
    return bins, (points[..., None, :] - centers).square().sum(-1)


def nearest_bin(ab: Tensor) -> Tensor:
    """Find the bin of each pixel of ab, (B, 2, H, W) in Lab units: (B, H, W), int64, 0..312."""
    bins, squared = _distances(ab, _NEAREST)
    return bins.gather(-1, squared.argmin(-1, keepdim=True)).squeeze(-1)


def soft_targets(ab: Tensor, sigma: float = 5.0) -> tuple[Tensor, Tensor]:
    """Spread each pixel over its nearest five bins by a Gaussian of the distance (Zhang et al. 2016, section 2.1).

    Args:
        ab: (B, 2, H, W), Lab units.
        sigma: width of the Gaussian, Lab units.

    Returns:
        bins (B, 5, H, W), int64, nearest first, and their shares of the same shape, which sum to 1.
    """
    bins, squared = _distances(ab, _CANDIDATES)
    nearest, order = squared.topk(NEIGHBORS, largest=False)
    shares = torch.softmax(-nearest / (2 * sigma**2), dim=-1)
    return bins.gather(-1, order).movedim(-1, 1), shares.movedim(-1, 1)


def decode(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Turn logits over the bins into colors: the annealed mean (Zhang et al. 2016, section 2.3).

    Args:
        logits: (B, 313, H, W).
        temperature: divides the logits; towards 0 the mean becomes the mode.

    Returns:
        ab: (B, 2, H, W), Lab units, float32.
    """
    # Bins last: a softmax over contiguous memory is several times as fast. Autocast would multiply in half precision,
    # whose steps are as wide as half a Lab unit.
    with torch.autocast(logits.device.type, enabled=False):
        shares = torch.softmax(logits.permute(0, 2, 3, 1).float() / temperature, dim=-1)  # (B, H, W, 313)
        return (shares @ centers_on(logits.device)).permute(0, 3, 1, 2)
