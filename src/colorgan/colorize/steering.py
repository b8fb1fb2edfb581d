"""Color hints: the network's input planes for them, and a correction after which each holds at its own point.

The colors that a network with a hint branch predicts may miss the hints. The residual at each hint is spread with the
weights of a bilateral filter (Tomasi and Manduchi 1998), by distance and by difference of L; the amounts solve a linear
system, so that all hints hold at once. For a network without the branch that is their whole effect, with longer reach.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from colorgan.color.lab import rgb_to_lab
from colorgan.colorize.guided_filter import fit_linear_model_at, sample
from colorgan.images.hint_files import PhotoHints
from colorgan.images.photo import Photo

# Standard deviations of the weights: in shares of the short side, with and without a hint branch; and in L.
_REACH, _REACH_ALONE = 0.06, 0.25
_LIGHTNESS = 8.0
# Ridge term of the linear system: two contradicting hints at one point meet in the middle.
_RIDGE = 1e-3
# The guided filter attenuates a correction, so that it is repeated until the residual is below so many Lab units; each
# is divided by the share that the filter keeps, but at least by `_LEAST_KEPT`.
_ENOUGH, _MOST_ROUNDS = 1.5, 3
_LEAST_KEPT = 0.25
_MOST_CENTERS = 100  # painted cells in the linear system, evenly sampled; all painted cells are set directly


def hint_planes(hints: PhotoHints, photo: tuple[int, int], height: int, width: int) -> Tensor:
    """Return the hint planes of a network's input of some height and width; `photo` is the photo's height and width.

    Returns:
        (3, height, width): a and b in Lab units, and a mask, 1 where a color is given, else 0.
    """
    reduced = torch.from_numpy(hints.reduced(height, width, photo))
    where = reduced[3:]
    return torch.cat([rgb_to_lab(reduced[:3])[1:] * where, where])


@dataclass(frozen=True, eq=False)
class _Anchors:
    """N points with the colors that they must have.

    Attributes:
        rows: (N,), fractional row indices in the network's input, 0 being the center of the first.
        columns: (N,), likewise.
        L: (N,), the photo's own.
        ab: (2, N), the target, Lab units.
    """

    rows: Tensor
    columns: Tensor
    L: Tensor
    ab: Tensor


def enforce_hints(
    ab: Tensor, photo: Photo, seen: Tensor, guide: Tensor | None, saturation: float, is_steered: bool
) -> Tensor:
    """Correct predicted colors so that each hint of a photo holds at its own point.

    Args:
        ab: (2, h, w), Lab units, as predicted.
        photo: with hints.
        seen: (4, h, w), the network's input: L, and the planes of `hint_planes`.
        guide: (h, w), its L, if colors will follow the photo's edges; else None.
        saturation: by which the colors will be multiplied.
        is_steered: whether the network has spread the hints itself.

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
    near = _affinity(anchors, anchors.rows, anchors.columns, anchors.L, reach)  # (N, N)
    near += _RIDGE * torch.eye(len(near))
    rows, columns = torch.meshgrid(torch.arange(L.shape[0]), torch.arange(L.shape[1]), indexing="ij")
    spread = _affinity(anchors, rows.flatten(), columns.flatten(), L.flatten(), reach)  # (h w, N)
    shown = _rendered_at(ab, guide, anchors)
    for _ in range(_MOST_ROUNDS):
        missing = anchors.ab - shown
        weights = torch.linalg.solve(near, missing.T)
        meant = missing - _RIDGE * weights.T  # less than the residual where hints contradict each other
        if meant.abs().amax() < _ENOUGH:
            break
        moved = (spread @ weights).T.reshape(ab.shape)
        gained = _rendered_at(moved, guide, anchors)
        kept = ((gained * meant).sum() / meant.square().sum()).clamp(_LEAST_KEPT, 1.0)
        ab, shown = ab + moved / kept, shown + gained / kept
    return ab


def _rendered_at(ab: Tensor, guide: Tensor | None, anchors: _Anchors) -> Tensor:
    """Return the colors that the rendered photo will have at the anchors, (2, N); linear in ab."""
    if guide is None:
        return sample(ab[:, None], anchors.rows[None], anchors.columns[None])[:, 0]
    slope, offset = fit_linear_model_at(guide, ab, anchors.rows, anchors.columns).split(2)
    return torch.addcmul(offset, slope, anchors.L)


def _anchors(photo: Photo, seen: Tensor, saturation: float) -> _Anchors:
    """Return the points of a photo's hints, and the centers of its painted cells."""
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


def _affinity(anchors: _Anchors, rows: Tensor, columns: Tensor, L: Tensor, reach: float) -> Tensor:
    """Return the bilateral weights, 0..1, between some points and the anchors: (points, N)."""
    places, of_anchors = (
        torch.stack([down / reach, right / reach, light / _LIGHTNESS], dim=1)
        for down, right, light in ((rows, columns, L), (anchors.rows, anchors.columns, anchors.L))
    )
    # Exact differences, since near points are what counts; in place, since this has pixels times anchors numbers.
    distance = torch.cdist(places, of_anchors, compute_mode="donot_use_mm_for_euclid_dist")
    return distance.square_().mul_(-0.5).exp_()
