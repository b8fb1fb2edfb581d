"""How hints steer a photo's colors: what the network sees of them, and that each holds at its own place.

What the network makes of hints may fall short of them. What is missing at each is spread like a bilateral filter does
(Tomasi and Manduchi 1998): over places that are near, and as light; as much of each as makes all of them hold. For a
network without a branch of hints that is all they do, and it reaches further.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from colorgan.color.lab import rgb_to_lab
from colorgan.colorize.guided_filter import lines_at, sample
from colorgan.images.hint_files import PhotoHints
from colorgan.images.photo import Photo

# How far what is missing goes, in shares of the short side, with a network that spreads hints itself and without one;
# and over which difference of L.
_REACH, _REACH_ALONE = 0.06, 0.25
_LIGHTNESS = 8.0
# Two hints at one place that contradict each other meet in the middle.
_RIDGE = 1e-3
# The guided filter smooths what is corrected, so that it is corrected again, until so many Lab units are missing; by as
# much more as the filter takes away, within bounds.
_ENOUGH, _MOST_ROUNDS = 1.5, 3
_LEAST_KEPT = 0.25
_MOST_CENTERS = 100  # of a painted picture, evenly taken; its other cells hold by being set


def hint_planes(hints: PhotoHints, photo: tuple[int, int], height: int, width: int) -> Tensor:
    """What a network that sees a photo at some height and width sees of its hints; `photo` has the photo's own.

    Returns:
        (3, height, width): a and b in Lab units, and 1 where a color is given, else 0.
    """
    reduced = torch.from_numpy(hints.reduced(height, width, photo))
    where = reduced[3:]
    return torch.cat([rgb_to_lab(reduced[:3])[1:] * where, where])


@dataclass(frozen=True, eq=False)
class _Anchors:
    """Where colors are to hold, of N places.

    Attributes:
        rows: (N,), where among the rows of what the network saw, from the middle of the first.
        columns: (N,), likewise.
        L: (N,), the photo's there.
        ab: (2, N), wanted, Lab units.
    """

    rows: Tensor
    columns: Tensor
    L: Tensor
    ab: Tensor


def hold(ab: Tensor, photo: Photo, seen: Tensor, guide: Tensor | None, saturation: float, is_steered: bool) -> Tensor:
    """Move colors so that each hint of a photo holds at its own place.

    Args:
        ab: (2, h, w), Lab units, as predicted.
        photo: with hints.
        seen: (4, h, w), what the network saw: L, and the hints as `hint_planes` gives them.
        guide: (h, w), its L, where colors are to follow the photo's edges; else None.
        saturation: that the colors will be multiplied by.
        is_steered: whether the network has spread the hints.

    Returns:
        (2, h, w), Lab units.
    """
    if not saturation:
        return ab
    L, given, where = seen[0], seen[1:3] / saturation, seen[3] > 0
    if photo.hints is not None and photo.hints.painted is not None:
        ab = torch.where(where, given, ab)
    anchors = _anchors(photo, seen, saturation)
    reach = (_REACH if is_steered else _REACH_ALONE) * min(L.shape)
    near = _likeness(anchors, anchors.rows, anchors.columns, anchors.L, reach)  # (N, N)
    near += _RIDGE * torch.eye(len(near))
    rows, columns = torch.meshgrid(torch.arange(L.shape[0]), torch.arange(L.shape[1]), indexing="ij")
    spread = _likeness(anchors, rows.flatten(), columns.flatten(), L.flatten(), reach)  # (h w, N)
    shown = _shown(ab, guide, anchors)
    for _ in range(_MOST_ROUNDS):
        missing = anchors.ab - shown
        weights = torch.linalg.solve(near, missing.T)
        meant = missing - _RIDGE * weights.T  # less than what is missing where hints contradict each other
        if meant.abs().amax() < _ENOUGH:
            break
        moved = (spread @ weights).T.reshape(ab.shape)
        gained = _shown(moved, guide, anchors)
        kept = ((gained * meant).sum() / meant.square().sum()).clamp(_LEAST_KEPT, 1.0)
        ab, shown = ab + moved / kept, shown + gained / kept
    return ab


def _shown(ab: Tensor, guide: Tensor | None, anchors: _Anchors) -> Tensor:
    """The colors that the photo will have at some places, (2, N); of two sums of colors, the sum of these."""
    if guide is None:
        return sample(ab[:, None], anchors.rows[None], anchors.columns[None])[:, 0]
    slope, offset = lines_at(guide, ab, anchors.rows, anchors.columns).split(2)
    return torch.addcmul(offset, slope, anchors.L)


def _anchors(photo: Photo, seen: Tensor, saturation: float) -> _Anchors:
    """The places of a photo's hints, and the middles of its painted cells."""
    assert photo.hints is not None
    height, width = seen.shape[-2:]
    wide, high = photo.size
    places = photo.hints.places
    rows = torch.tensor([(hint.y + 0.5) * height / high - 0.5 for hint in places])
    columns = torch.tensor([(hint.x + 0.5) * width / wide - 0.5 for hint in places])
    at = [photo.lightness.samples[hint.y, hint.x] for hint in places]
    L = torch.from_numpy(photo.lightness.table[np.array(at, dtype=np.int64)])
    rgb = torch.tensor([hint.rgb for hint in places], dtype=torch.float32).reshape(-1, 3).T / 255
    ab = rgb_to_lab(rgb[:, None])[1:, 0] if places else torch.zeros(2, 0)
    if photo.hints.painted is not None:
        down, right = (seen[3] > 0).nonzero(as_tuple=True)
        step = -(-len(down) // _MOST_CENTERS) or 1
        down, right = down[::step], right[::step]
        rows, columns = torch.cat([rows, down.float()]), torch.cat([columns, right.float()])
        L, ab = torch.cat([L, seen[0, down, right]]), torch.cat([ab, seen[1:3, down, right]], 1)
    return _Anchors(rows, columns, L, ab / saturation)


def _likeness(anchors: _Anchors, rows: Tensor, columns: Tensor, L: Tensor, reach: float) -> Tensor:
    """How near and how alike some places are to the anchors, (places, N), 0..1."""
    places, of_anchors = (
        torch.stack([down / reach, right / reach, light / _LIGHTNESS], dim=1)
        for down, right, light in ((rows, columns, L), (anchors.rows, anchors.columns, anchors.L))
    )
    # The difference itself, since near places are what counts; in place, as there are as many as pixels times anchors.
    distance = torch.cdist(places, of_anchors, compute_mode="donot_use_mm_for_euclid_dist")
    return distance.square_().mul_(-0.5).exp_()
