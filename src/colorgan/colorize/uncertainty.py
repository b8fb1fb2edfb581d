"""How sure a network was of its colors."""

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

_CELLS_AT_ONCE = 1 << 14  # of 313 distances each: 20 MB
# What `unsure=gray` leaves gray, and what it leaves as it is: between them colors fade smoothly. Below a quarter the
# true color is elsewhere three times in four (a reliability diagram of `compare` says how far that holds).
UNSURE_BELOW, SURE_FROM = 0.2, 0.4
_SMOOTHED_OVER = 5  # cells of four pixels: whole regions fade, not speckles


def confidence(logits: Tensor, ab: Tensor, temperature: float) -> Tensor:
    """How likely the true color is within 10 ab units of the one that is shown.

    The sum of softmax(logits / temperature) over the bins whose centers are that near; of well chosen temperatures
    (`scripts/calibrate.py`) it comes true as often as it says.

    Args:
        logits: (B, 313, h, w), as the network gives them.
        ab: shown, (B, 2, H, W), Lab units.
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
    """Leave gray what the network does not know: colors end smoothly between `SURE_FROM` and `UNSURE_BELOW`.

    Colors are (B, N, 2, H, W), given and back; how sure it was of each photo, (B, h, w), is 0..1.
    """
    smooth = F.avg_pool2d(sure[:, None], _SMOOTHED_OVER, 1, _SMOOTHED_OVER // 2, count_include_pad=False)
    share = ((smooth - UNSURE_BELOW) / (SURE_FROM - UNSURE_BELOW)).clamp(0.0, 1.0)
    share = share * share * (3.0 - 2.0 * share)
    return ab * F.interpolate(share, ab.shape[-2:], mode="bilinear", align_corners=False)[:, None]


def confidence_image(sure: Tensor) -> Image.Image:
    """A gray picture of (h, w), 0..1: black is 0, white is 1."""
    return Image.fromarray((sure * 255.0).round().to(torch.uint8).cpu().numpy())


_MATERIALS = 5
_ROUNDS = 10  # of the clustering
_SECTORS = 8  # of hue; with gray, what materials are told by
_SECTOR_CHROMA = 45.0  # Lab units, where a sector's middle is
_SECTOR_WIDTH = 20.0  # Lab units
_BLEND = 0.08  # how like two materials have to be to share a pixel
# How far a color that is known to 20 Lab units is pulled, in Lab units; one that is known to 5, a sixteenth as far.
_PULL, _PULL_AT = 12.0, 20.0


def variants(prediction: Prediction, temperature: float, count: int, seed: int) -> Tensor:
    """Color a batch in one way or more, which differ in the large; the same seed draws the same hues.

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
    """How far each variant moves each color of a photo: (h, w, 313) -> (count, 2, h, w), Lab units."""
    height, width, bins = logits.shape
    logits = logits.reshape(-1, bins)
    centers = bin_centers().to(logits.device)
    shares = logits.softmax(dim=1)
    belongs = _materials(shares, centers)  # (n, materials)
    plain = shares @ centers
    moved = []
    for hues in _hues(count, seed).to(logits.device):
        direction = belongs @ torch.stack([hues.cos(), hues.sin()], dim=1)  # (n, 2)
        # To first order this moves the mean by its variance times the pull: nothing moves that is certain.
        pull = direction @ centers.T * (_PULL / _PULL_AT**2)
        moved.append((logits + pull).softmax(dim=1) @ centers - plain)
    return torch.stack(moved).movedim(2, 1).reshape(count, 2, height, width)


def _hues(count: int, seed: int) -> Tensor:
    """The hue of each material in each variant, (count, materials), radians: each goes once round the circle."""
    start = torch.rand(_MATERIALS, generator=torch.Generator().manual_seed(seed))
    return (start + torch.arange(count)[:, None] / count).mul_(2 * math.pi)


def _materials(shares: Tensor, centers: Tensor) -> Tensor:
    """Group pixels by their distributions with soft k-means: (n, 313) -> (n, materials), each row summing to 1."""
    angle = torch.arange(_SECTORS, device=centers.device) * (2 * math.pi / _SECTORS)
    corners = torch.stack([angle.cos(), angle.sin()], dim=1) * _SECTOR_CHROMA
    corners = torch.cat([torch.zeros_like(corners[:1]), corners])
    sectors = (-torch.cdist(centers, corners).square() / (2 * _SECTOR_WIDTH**2)).softmax(dim=1)  # (313, 9)
    features = (shares @ sectors).sqrt()  # whose distance is Hellinger's, between distributions
    means = features[far_apart(features, _MATERIALS)]
    belongs = features
    for _ in range(_ROUNDS):
        belongs = (-torch.cdist(features, means).square() / (2 * _BLEND**2)).softmax(dim=1)
        means = (belongs.T @ features) / belongs.sum(dim=0)[:, None].clamp(min=1e-6)
    return belongs
