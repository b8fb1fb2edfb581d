"""A shared palette for several photos: similar regions get similar colors.

A photo is divided into regions by the features of the network's decoder. A region takes its colors from the regions of
the palette whose feature distance is at most `_REACH` times that of the nearest one of another photo: the logarithms of
their distributions over the bins are averaged. So a coat agrees with the same coat, and a sky with skies; a region
unlike all others stays as predicted.
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
_DIMENSIONS = 96  # that features are projected to, which changes distances by up to 7%
# Feature distances, of two levels that are each normalized to length 1:
_BLEND = 0.22  # standard deviation of the soft assignment of cells to regions
_REACH = 2.0  # times the distance to the nearest region of another photo: regions nearer than this count
_MOST_REACH = 0.85  # the largest distance at which regions count as similar
_OWN_VARIATION = 0.2  # share of a photo's color variation inside a region that is kept
_MOST_BOOST = 1.25  # averaged colors are paler than the colors: chroma is restored by at most this factor
_REFERENCE_REACH = (0.9, 1.25)  # distances up to which a reference's colors are taken fully, and from which not at all
_FLOOR = 1e-4  # uniform share in a true color's distribution, so that its logarithm is finite


@dataclass(frozen=True, eq=False)
class Regions:
    """The regions of one photo.

    Attributes:
        features: (K, D), the mean of each.
        log_shares: (K, 313), the mean logarithm of its cells' distributions over the bins.
        sizes: (K,), the number of its cells.
        membership: (K, h, w), the share of each cell in each region, summing to 1 over K; a cell is 8 x 8 input pixels.
    """

    features: Tensor
    log_shares: Tensor
    sizes: Tensor
    membership: Tensor


def features_of(prediction: Prediction) -> Tensor:
    """Return the features that regions are formed by, (B, D, h, w) at an eighth of the input, from decoder levels."""
    assert prediction.logits is not None
    coarse, fine = (F.normalize(level.float(), dim=1) for level in prediction.levels)
    directions = _projection(coarse.shape[1] + fine.shape[1]).to(fine.device)
    small = _projected(coarse, directions[: coarse.shape[1]])
    large = F.interpolate(small, fine.shape[-2:], mode="bilinear", align_corners=False)
    height, width = prediction.logits.shape[-2:]
    both = large + _projected(fine, directions[coarse.shape[1] :])
    return both[..., : -(-height // 2), : -(-width // 2)]


def _projected(level: Tensor, directions: Tensor) -> Tensor:
    """Project (B, C, h, w) by directions, (C, D), to (B, D, h, w)."""
    projected: Tensor = directions.T @ level.flatten(2)
    return projected.reshape(len(level), -1, *level.shape[-2:])


@cache
def _projection(channels: int) -> Tensor:
    """Return fixed random directions, (channels, D)."""
    drawn: Tensor = torch.randn(channels, _DIMENSIONS, generator=torch.Generator().manual_seed(0))
    return drawn.div_(_DIMENSIONS**0.5)


def log_shares_of(logits: Tensor, temperature: float) -> Tensor:
    """Return log distributions over the bins at the size of `features_of`: (B, 313, h, w) to half height and width."""
    return F.avg_pool2d(logits.float() / temperature, 2, ceil_mode=True).log_softmax(dim=1)


def with_true_colors(regions: Regions, ab: Tensor) -> Regions:
    """Replace the predicted distributions of regions by those of the photo's true colors, (2, H, W)."""
    size = (regions.membership.shape[-2], regions.membership.shape[-1])
    bins, shares = soft_targets(F.interpolate(ab[None], size, mode="area"))
    spread = torch.full((1, BINS, *size), _FLOOR / BINS).scatter_add_(1, bins, shares)[0]
    of_regions = regions.membership.flatten(1) @ spread.flatten(1).T  # (K, 313)
    return replace(regions, log_shares=(of_regions / of_regions.sum(dim=1, keepdim=True)).log())


def regions_of(features: Tensor, log_shares: Tensor) -> Regions:
    """Divide a photo into regions by its features (D, h, w); its distributions over the bins are (313, h, w)."""
    cells, shares = features.flatten(1).T, log_shares.flatten(1).T
    means = _k_means(cells, min(REGIONS, len(cells)))
    membership = (-torch.cdist(cells, means).square() / (2 * _BLEND**2)).softmax(dim=1)  # (n, K)
    sizes = membership.sum(dim=0)
    share = membership.T / sizes[:, None].clamp(min=1e-6)
    return Regions(share @ cells, share @ shares, sizes, membership.T.reshape(-1, *features.shape[1:]))


def far_apart(cells: Tensor, count: int) -> Tensor:
    """Choose the initial centers of a clustering of (n, D) deterministically; returns their indices, (count,).

    The first is the one furthest from the mean, each next one the furthest from all before.
    """
    chosen = [(cells - cells.mean(dim=0)).square().sum(dim=1).argmax()]
    nearest = torch.full((len(cells),), torch.inf, device=cells.device)
    for _ in range(count - 1):
        nearest = torch.minimum(nearest, (cells - cells[chosen[-1]]).square().sum(dim=1))
        chosen.append(nearest.argmax())
    return torch.stack(chosen)


def _k_means(cells: Tensor, count: int) -> Tensor:
    """Cluster (n, D); returns the means, (count, D)."""
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
        photos: (N,) int64, the number of each region's photo.
        is_reference: whether its colors are true ones, which replace those of similar regions.
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
        """Return its tensors by name, for a file."""
        return {name: getattr(self, name) for name in ("features", "log_shares", "sizes", "chroma", "photos")}

    @classmethod
    def from_tensors(cls, found: Mapping[str, Tensor]) -> Palette:
        """Restore a palette from what `tensors` returned."""
        return cls(found["features"], found["log_shares"], found["sizes"], found["chroma"], found["photos"])

    def colors(self, regions: Regions, photo: int = -1) -> Tensor:
        """Return the mean colors that the regions of a photo should have, (K, 2), Lab units.

        `photo` is the photo's number in the palette, -1 if it is not in it.
        """
        distance = torch.cdist(regions.features, self.features)  # (K, N)
        nearest = distance.masked_fill(self.photos == photo, torch.inf).amin(dim=1, keepdim=True)
        most = torch.inf if self.is_reference else _MOST_REACH
        reach = (nearest * _REACH).clamp(min=1e-6, max=most)
        weight = (1 - (distance / reach).square()).clamp(min=0) * self.sizes
        own = _mean_colors(regions.log_shares)
        # A photo that is not in the palette counts as if it were.
        own_weight = torch.zeros_like(regions.sizes) if self.is_reference or photo >= 0 else regions.sizes
        total = (weight.sum(dim=1) + own_weight).clamp(min=1e-6)
        counting = weight.any(dim=0).nonzero()[:, 0]
        log_shares = weight[:, counting] @ self.log_shares[counting].float() + own_weight[:, None] * regions.log_shares
        shared = _mean_colors(log_shares / total[:, None])
        chroma = (weight @ self.chroma + own_weight * own.norm(dim=1)) / total
        shared *= (chroma / shared.norm(dim=1).clamp(min=1.0)).clamp(1.0, _MOST_BOOST)[:, None]
        if not self.is_reference:
            return shared
        near, far = _REFERENCE_REACH
        return torch.lerp(own, shared, ((far - nearest) / (far - near)).clamp(0.0, 1.0))


def _mean_colors(log_shares: Tensor) -> Tensor:
    """Return the mean colors of distributions: (K, 313) -> (K, 2), Lab units."""
    return log_shares.softmax(dim=1) @ bin_centers()


def recolor(variants: Tensor, regions: Regions, colors: Tensor) -> Tensor:
    """Shift a photo's colors, (N, 2, h, w) in Lab units, so that its regions have the given mean colors, (K, 2).

    Regions that have them already are not changed. Returns the same shape.
    """
    cells = F.interpolate(variants[:1], regions.membership.shape[-2:], mode="area")[0].flatten(1).T  # (n, 2)
    membership = regions.membership.flatten(1).T  # (n, K)
    own = _mean_colors(regions.log_shares)
    within = cells - membership @ own
    moved = (colors - own).norm(dim=1, keepdim=True).clamp(max=1.0)
    by = membership @ (colors - own) - (1 - _OWN_VARIATION) * (membership @ moved) * within
    planes = by.T.reshape(1, 2, *regions.membership.shape[-2:])
    return variants + F.interpolate(planes, variants.shape[-2:], mode="bilinear", align_corners=False)
