"""A network's confidence in its colors, and several plausible colorings of a photo."""

from __future__ import annotations

import math

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from colorgan.color.bins import bin_centers
from colorgan.colorize.palette import far_apart
from colorgan.metrics.calibration import WITHIN
from colorgan.networks.generator import Prediction

_CELLS_AT_ONCE = 1 << 14  # with 313 distances each: 20 MB
# The confidence below which `unsure=gray` makes colors gray, and from which it keeps them; they fade smoothly between.
# At a quarter the true color is elsewhere three times in four (as `compare`'s reliability diagram shows).
UNSURE_BELOW, SURE_FROM = 0.2, 0.4
_SMOOTHED_OVER = 5  # cells of four pixels: whole regions fade, not speckles


def confidence(logits: Tensor, ab: Tensor, temperature: float) -> Tensor:
    """Estimate the probability that the true color is within 10 ab units of the predicted one.

    It is the sum of softmax(logits / temperature) over the bins whose centers are that near, and is calibrated by the
    choice of the temperature (`scripts/calibrate.py`).

    Args:
        logits: (B, 313, h, w), the network's output.
        ab: predicted, (B, 2, H, W), Lab units.
        temperature: of the confidence, which is not that of the decoding.

    Returns:
        (B, h, w) float32, 0..1.
    """
    shown = F.interpolate(ab.float(), logits.shape[-2:], mode="area")
    shares = (logits.movedim(1, -1).float() / temperature).softmax(dim=-1)  # (B, h, w, 313)
    centers = bin_centers().to(logits.device)
    cells = zip(
        shares.flatten(0, 2).split(_CELLS_AT_ONCE),
        shown.movedim(1, -1).flatten(0, 2).split(_CELLS_AT_ONCE),
        strict=True,
    )
    near = [(part * (torch.cdist(at, centers) <= WITHIN)).sum(dim=1) for part, at in cells]
    return torch.cat(near).view(shares.shape[:3]).clamp(0.0, 1.0)


def fade_unsure(ab: Tensor, sure: Tensor) -> Tensor:
    """Fade uncertain colors to gray, smoothly between confidences `SURE_FROM` and `UNSURE_BELOW`.

    `ab` and the result are (B, N, 2, H, W); `sure`, the confidence of each photo, is (B, h, w), 0..1.
    """
    smooth = F.avg_pool2d(sure[:, None], _SMOOTHED_OVER, 1, _SMOOTHED_OVER // 2, count_include_pad=False)
    share = ((smooth - UNSURE_BELOW) / (SURE_FROM - UNSURE_BELOW)).clamp(0.0, 1.0)
    share = share * share * (3.0 - 2.0 * share)
    return ab * F.interpolate(share, ab.shape[-2:], mode="bilinear", align_corners=False)[:, None]


def confidence_image(sure: Tensor) -> Image.Image:
    """Convert confidence, (h, w), 0..1, to a gray picture from black to white."""
    return Image.fromarray((sure * 255.0).round().to(torch.uint8).cpu().numpy())


_MATERIALS = 5
_ROUNDS = 10  # of the clustering
_SECTORS = 8  # of hue; with gray, the features of materials
_SECTOR_CHROMA = 45.0  # Lab units, of a sector's center
_SECTOR_WIDTH = 20.0  # Lab units, standard deviation
_BLEND = 0.08  # standard deviation of the soft assignment of pixels to materials
# By how many Lab units a color with a standard deviation of 20 is pulled; one with 5, a sixteenth as far.
_PULL, _PULL_AT = 12.0, 20.0


def variants(prediction: Prediction, temperature: float, count: int, seed: int) -> Tensor:
    """Color a batch in `count` ways, which differ in the hues of whole materials; the seed determines the hues.

    Returns:
        (B, count, 2, H, W), Lab units; the first is the prediction's own, at the temperature it was decoded at.
    """
    ab, logits = prediction.ab, prediction.logits
    if count == 1 or logits is None:
        return ab[:, None]
    pulled = [_pulls(bins.movedim(0, -1).float() / temperature, count - 1, seed) for bins in logits]
    moved = F.interpolate(torch.cat(pulled), scale_factor=4.0, mode="bilinear", align_corners=False)
    moved = moved[..., : ab.shape[2], : ab.shape[3]].unflatten(0, (len(ab), count - 1))
    return torch.cat([ab[:, None], ab[:, None] + moved], dim=1)


def _pulls(logits: Tensor, count: int, seed: int) -> Tensor:
    """Return the shifts of a photo's colors in each variant: (h, w, 313) -> (count, 2, h, w), Lab units."""
    height, width, bins = logits.shape
    logits = logits.reshape(-1, bins)
    centers = bin_centers().to(logits.device)
    shares = logits.softmax(dim=1)
    membership = _materials(shares, centers)  # (n, materials)
    plain = shares @ centers
    moved = []
    for hues in _hues(count, seed).to(logits.device):
        direction = membership @ torch.stack([hues.cos(), hues.sin()], dim=1)  # (n, 2)
        # To first order this shifts the mean by the variance times the pull: certain colors stay.
        pull = direction @ centers.T * (_PULL / _PULL_AT**2)
        moved.append((logits + pull).softmax(dim=1) @ centers - plain)
    return torch.stack(moved).movedim(2, 1).reshape(count, 2, height, width)


def _hues(count: int, seed: int) -> Tensor:
    """Return the hue, in radians, of each material in each variant, (count, materials), evenly around the circle."""
    start = torch.rand(_MATERIALS, generator=torch.Generator().manual_seed(seed))
    return (start + torch.arange(count)[:, None] / count).mul_(2 * math.pi)


def _materials(shares: Tensor, centers: Tensor) -> Tensor:
    """Group pixels by their distributions with soft k-means: (n, 313) -> (n, materials), each row summing to 1."""
    angle = torch.arange(_SECTORS, device=centers.device) * (2 * math.pi / _SECTORS)
    corners = torch.stack([angle.cos(), angle.sin()], dim=1) * _SECTOR_CHROMA
    corners = torch.cat([torch.zeros_like(corners[:1]), corners])
    sectors = (-torch.cdist(centers, corners).square() / (2 * _SECTOR_WIDTH**2)).softmax(dim=1)  # (313, 9)
    features = (shares @ sectors).sqrt()  # Euclidean distance of roots is Hellinger's of distributions
    means = features[far_apart(features, _MATERIALS)]
    membership = features
    for _ in range(_ROUNDS):
        membership = (-torch.cdist(features, means).square() / (2 * _BLEND**2)).softmax(dim=1)
        means = (membership.T @ features) / membership.sum(dim=0)[:, None].clamp(min=1e-6)
    return membership
