"""One palette for several photos: what is alike in them gets colors that are alike.

A photo falls into regions of like features, as the network's decoder has them. A region takes its colors from those
regions of the palette that are about as like it as the most alike one of another photo: the logarithms of their
distributions over the bins are averaged. So a coat agrees with the same coat, and a sky with skies; what is unlike
everything else stays as it was predicted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from colorgan.color.bins import BINS, bin_centers, soft_targets
from colorgan.networks.generator import Prediction

REGIONS = 20  # of a photo
_ROUNDS = 4  # of the clustering
_DIMENSIONS = 96  # that features are projected to; distances keep to 7%
# Distances between features: of two levels, each of length 1.
_BLEND = 0.22  # how like two regions have to be to share a place
_REACH = 2.0  # times the distance to the most alike region of another photo: whose colors count
_MOST_REACH = 0.85  # beyond it nothing is alike
_OWN_VARIATION = 0.2  # of a photo's colors inside a region that is kept
_MOST_BOOST = 1.25  # averages of colors are paler than the colors: at most so much of that is given back
_REFERENCE_REACH = (0.9, 1.25)  # up to where a reference's colors are taken, and from where not
_FLOOR = 1e-4  # share of all bins in a true color's distribution, so that it has a logarithm


@dataclass(frozen=True, eq=False)
class Regions:
    """The regions of one photo.

    Attributes:
        features: (K, D) of each.
        log_shares: (K, 313), the mean logarithm of its cells' distributions over the bins.
        sizes: (K,), cells that belong to it.
        belongs: (K, h, w), how far each cell belongs to each, summing to 1; cells are of 8 pixels that the network saw.
    """

    features: Tensor
    log_shares: Tensor
    sizes: Tensor
    belongs: Tensor


def features_of(prediction: Prediction) -> Tensor:
    """What regions are told by, of a network that gives its levels: (B, D, h, w) at an eighth of its input."""
    assert prediction.logits is not None
    coarse, fine = (F.normalize(level.float(), dim=1) for level in prediction.levels)
    directions = _projection(coarse.shape[1] + fine.shape[1]).to(fine.device)
    small = _projected(coarse, directions[: coarse.shape[1]])
    large = F.interpolate(small, fine.shape[-2:], mode="bilinear", align_corners=False)
    height, width = prediction.logits.shape[-2:]
    both = large + _projected(fine, directions[coarse.shape[1] :])
    return both[..., : -(-height // 2), : -(-width // 2)]


def _projected(level: Tensor, directions: Tensor) -> Tensor:
    """(B, C, h, w) along (C, D): (B, D, h, w)."""
    projected: Tensor = directions.T @ level.flatten(2)
    return projected.reshape(len(level), -1, *level.shape[-2:])


@cache
def _projection(channels: int) -> Tensor:
    """Directions at random, (channels, D), the same each time."""
    drawn: Tensor = torch.randn(channels, _DIMENSIONS, generator=torch.Generator().manual_seed(0))
    return drawn.div_(_DIMENSIONS**0.5)


def log_shares_of(logits: Tensor, temperature: float) -> Tensor:
    """The distributions over the bins at the size of `features_of`: (B, 313, h, w) to half the height and width."""
    return F.avg_pool2d(logits.float() / temperature, 2, ceil_mode=True).log_softmax(dim=1)


def with_true_colors(regions: Regions, ab: Tensor) -> Regions:
    """The regions of a photo whose true colors, (2, H, W), are known."""
    size = (regions.belongs.shape[-2], regions.belongs.shape[-1])
    bins, shares = soft_targets(F.interpolate(ab[None], size, mode="area"))
    spread = torch.full((1, BINS, *size), _FLOOR / BINS).scatter_add_(1, bins, shares)[0]
    of_regions = regions.belongs.flatten(1) @ spread.flatten(1).T  # (K, 313)
    return replace(regions, log_shares=(of_regions / of_regions.sum(dim=1, keepdim=True)).log())


def regions_of(features: Tensor, log_shares: Tensor) -> Regions:
    """Divide a photo into regions by its features (D, h, w); its distributions over the bins are (313, h, w)."""
    cells, shares = features.flatten(1).T, log_shares.flatten(1).T
    means = _k_means(cells, min(REGIONS, len(cells)))
    belongs = (-torch.cdist(cells, means).square() / (2 * _BLEND**2)).softmax(dim=1)  # (n, K)
    sizes = belongs.sum(dim=0)
    share = belongs.T / sizes[:, None].clamp(min=1e-6)
    return Regions(share @ cells, share @ shares, sizes, belongs.T.reshape(-1, *features.shape[1:]))


def far_apart(cells: Tensor, count: int) -> Tensor:
    """Which of (n, D) a clustering starts from, (count,), so that nothing is drawn at random.

    The one furthest from the mean, then each time the one furthest from all so far.
    """
    chosen = [(cells - cells.mean(dim=0)).square().sum(dim=1).argmax()]
    nearest = torch.full((len(cells),), torch.inf, device=cells.device)
    for _ in range(count - 1):
        nearest = torch.minimum(nearest, (cells - cells[chosen[-1]]).square().sum(dim=1))
        chosen.append(nearest.argmax())
    return torch.stack(chosen)


def _k_means(cells: Tensor, count: int) -> Tensor:
    """The means of (n, D), (count, D)."""
    means = cells[far_apart(cells, count)]
    for _ in range(_ROUNDS):
        members = F.one_hot(torch.cdist(cells, means).argmin(dim=1), count).float()
        sizes = members.sum(dim=0)[:, None]
        means = torch.where(sizes > 0, (members.T @ cells) / sizes.clamp(min=1), means)
    return means


@dataclass(frozen=True, eq=False)
class Palette:
    """The regions of several photos, or of a reference in its true colors; about 16 kB a photo.

    Attributes:
        features: (N, D).
        log_shares: (N, 313) float16.
        sizes: (N,).
        chroma: (N,), of each region's mean color, Lab units.
        photos: (N,) int64, the number of the photo that each region is of.
        is_reference: whether its colors are true ones, which are taken over.
    """

    features: Tensor
    log_shares: Tensor
    sizes: Tensor
    chroma: Tensor
    photos: Tensor
    is_reference: bool = False

    @classmethod
    def of(cls, photos: Iterable[Regions], *, is_reference: bool = False) -> Palette:
        """Gather the regions of photos, in their order."""
        columns = [
            (
                regions.features,
                regions.log_shares.half(),
                regions.sizes,
                _mean_colors(regions.log_shares).norm(dim=1),
                torch.full((len(regions.sizes),), number),
            )
            for number, regions in enumerate(photos)
        ]
        features, log_shares, sizes, chroma, numbers = (torch.cat(column) for column in zip(*columns, strict=True))
        return cls(features, log_shares, sizes, chroma, numbers, is_reference)

    def tensors(self) -> dict[str, Tensor]:
        """Its tensors by name, for a file."""
        return {name: getattr(self, name) for name in ("features", "log_shares", "sizes", "chroma", "photos")}

    @classmethod
    def from_tensors(cls, found: Mapping[str, Tensor]) -> Palette:
        """The palette of `tensors`."""
        return cls(found["features"], found["log_shares"], found["sizes"], found["chroma"], found["photos"])

    def colors(self, regions: Regions, photo: int = -1) -> Tensor:
        """The mean color that the regions of a photo are to have, (K, 2), Lab units.

        The number of the photo is -1 where it is not in the palette.
        """
        distance = torch.cdist(regions.features, self.features)  # (K, N)
        nearest = distance.masked_fill(self.photos == photo, torch.inf).amin(dim=1, keepdim=True)
        most = torch.inf if self.is_reference else _MOST_REACH
        reach = (nearest * _REACH).clamp(min=1e-6, max=most)
        weight = (1 - (distance / reach).square()).clamp(min=0) * self.sizes
        own, own_chroma = _mean_colors(regions.log_shares), _mean_colors(regions.log_shares).norm(dim=1)
        # A photo that came later counts as one of the palette's.
        own_weight = torch.zeros_like(regions.sizes) if self.is_reference or photo >= 0 else regions.sizes
        total = (weight.sum(dim=1) + own_weight).clamp(min=1e-6)
        counting = weight.any(dim=0).nonzero()[:, 0]
        log_shares = weight[:, counting] @ self.log_shares[counting].float() + own_weight[:, None] * regions.log_shares
        shared = _mean_colors(log_shares / total[:, None])
        chroma = (weight @ self.chroma + own_weight * own_chroma) / total
        shared *= (chroma / shared.norm(dim=1).clamp(min=1.0)).clamp(1.0, _MOST_BOOST)[:, None]
        if not self.is_reference:
            return shared
        near, far = _REFERENCE_REACH
        return torch.lerp(own, shared, ((far - nearest) / (far - near)).clamp(0.0, 1.0))


def _mean_colors(log_shares: Tensor) -> Tensor:
    """(K, 313) -> (K, 2), Lab units."""
    return log_shares.softmax(dim=1) @ bin_centers()


def recolor(variants: Tensor, regions: Regions, colors: Tensor) -> Tensor:
    """Move a photo's colors, (N, 2, h, w) in Lab units, so that its regions have others, (K, 2); the same shape.

    Where they have these already, nothing moves.
    """
    cells = F.interpolate(variants[:1], regions.belongs.shape[-2:], mode="area")[0].flatten(1).T  # (n, 2)
    belongs = regions.belongs.flatten(1).T  # (n, K)
    own = _mean_colors(regions.log_shares)
    within = cells - belongs @ own
    moved = (colors - own).norm(dim=1, keepdim=True).clamp(max=1.0)
    by = belongs @ (colors - own) - (1 - _OWN_VARIATION) * (belongs @ moved) * within
    planes = by.T.reshape(1, 2, *regions.belongs.shape[-2:])
    return variants + F.interpolate(planes, variants.shape[-2:], mode="bilinear", align_corners=False)
