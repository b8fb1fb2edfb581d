"""DiffAugment: photos translated and cut for the discriminator, so that it does not overfit a small set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from colorgan.distributed import SINGLE, ProcessGroup

# Both as published (Zhao et al. 2020, appendix B).
MOST_MOVED = 1 / 8  # of a side
CUT = 1 / 2  # of a side

_NEUTRAL_L = 50.0  # with an ab of 0 what the discriminator takes for 0, as the padding of its layers is


@dataclass(frozen=True)
class DiffAugment:
    """Translation and cutout (Zhao et al. 2020) as drawn for one batch: the same for L and all colors of a photo.

    Attributes:
        moved_px: (B, 2), int64: how far each photo goes down and to the right.
        cut_px: (B, 2), int64: the middle of the square that is cut out of each, from the top and from the left.
    """

    moved_px: Tensor
    cut_px: Tensor

    @classmethod
    def draw(cls, L: Tensor, group: ProcessGroup = SINGLE) -> DiffAugment:
        """Draw for a batch, from torch's global generator.

        Each rank draws on the CPU for the photos of all ranks: so they get what one process would, on any device,
        and the random state in the primary's checkpoint is that of all of them.

        Args:
            L: (B, 1, H, W), this rank's share of the batch.
            group: each process takes every `size`-th photo, as the batches of `data/dataset.py` do.
        """
        photos, sides = len(L) * group.size, L.shape[-2:]
        most = [int(side * MOST_MOVED + 0.5) for side in sides]
        # As published: if the square has no middle pixel, its place may also be one beyond the last.
        places = [side + 1 - _side_of_cut(side) % 2 for side in sides]
        moved = torch.stack([torch.randint(-m, m + 1, (photos,)) for m in most], 1)
        cut = torch.stack([torch.randint(0, p, (photos,)) for p in places], 1)
        # Pageable memory is copied before the call returns, without synchronizing with the device.
        own = (drawn[group.rank :: group.size].to(L.device, non_blocking=True) for drawn in (moved, cut))
        return cls(*own)

    def __call__(self, L: Tensor, *colors: Tensor) -> tuple[Tensor, ...]:
        """Translate and cut, differentiable twice; uncovered and cut-out areas become neutral gray.

        Args:
            L: (B, 1, H, W), 0..100.
            colors: each (B, 2, H, W), Lab units.

        Returns:
            L and the colors, translated and cut alike.
        """
        height, width = L.shape[-2:]
        rows, row_known, row_cut = _along(height, self.moved_px[:, 0], self.cut_px[:, 0])
        columns, column_known, column_cut = _along(width, self.moved_px[:, 1], self.cut_px[:, 1])
        known = row_known[:, :, None] & column_known[:, None]  # (B, H, W)
        shown = known & ~(row_cut[:, :, None] & column_cut[:, None])
        planes = torch.cat([L - _NEUTRAL_L, *colors], 1).flatten(2)  # (B, C, H * W)
        pixels = (rows[:, :, None] * width + columns[:, None]).flatten(1)  # (B, H * W)
        moved = planes.gather(2, pixels[:, None].expand_as(planes)).unflatten(2, (height, width))
        parts = (moved * shown[:, None]).split([1, *(ab.shape[1] for ab in colors)], dim=1)
        return parts[0] + _NEUTRAL_L, *parts[1:]


def _side_of_cut(side_px: int) -> int:
    return int(side_px * CUT + 0.5)


def _along(side_px: int, moved_px: Tensor, cut_px: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each place along an axis the pixel moved there, whether it is in the photo, and whether it is cut.

    Args:
        side_px: of the photos.
        moved_px: (B,).
        cut_px: (B,).

    Returns:
        (B, side), int64, bool and bool. The first wraps around: each pixel is taken once, so that no gradient is
        a sum in nondeterministic order.
    """
    places = torch.arange(side_px, device=moved_px.device)
    source = places - moved_px[:, None]
    side_of_cut = _side_of_cut(side_px)
    into_cut = places - (cut_px[:, None] - side_of_cut // 2)
    known, cut = (source >= 0) & (source < side_px), (into_cut >= 0) & (into_cut < side_of_cut)
    return source.remainder(side_px), known, cut
