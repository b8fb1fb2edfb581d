"""The branch of `liteunet` that propagates a user's color hints over a photo.

Each pixel takes the color of a hint in proportion to its similarity to the hint's pixel, in a learned embedding and in
position: a bilateral filter (Tomasi and Manduchi 1998) with a learned range. No layer has a bias or a norm, so that
pixels that no hint reaches are unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from colorgan.color.bins import centers_on, decode

_AB_UNIT = 100.0  # Lab units; scales ab to about 1 inside the branch
_WIDTH = 8  # dimensions of the embedding, per head
_HIDDEN = 96
_PRECISION = 50.0  # at a trust of 1: a Gaussian with a standard deviation of 14 Lab units
_VALUES = 5  # per head: a hint's color, its difference from the network's color, and its share of the attention
# A painted overlay has thousands of hinted cells; a regular subset of this many gives the same result.
_MAX_CELLS = 1024
# Pixels times cells times heads that are computed at once: 256 MiB in float32.
_MAX_SCORES = 2**26


class HintBranch(nn.Module):
    """Changes the hidden features and the logits of the head of `liteunet`, by hints.

    Args:
        heads: attention heads, each with an embedding and a spatial reach of its own.
        levels: channels of the decoder's levels, coarsest first; the last is the head's input.
        wide: hidden channels of the head.
    """

    def __init__(self, heads: int, levels: list[int], wide: int) -> None:
        super().__init__()
        self.heads = heads
        self.embed = nn.ModuleList(nn.Conv2d(channels, heads * _WIDTH, 1, bias=False) for channels in levels)
        self.gate = nn.Conv2d(levels[-1], _HIDDEN, 1, bias=False)
        self.trust = nn.Conv2d(levels[-1], 2 * heads, 1, bias=False)
        self.mix = nn.Conv2d(_VALUES * heads, _HIDDEN, 1, bias=False)
        self.out = nn.Conv2d(_HIDDEN, wide, 1, bias=False)
        # Reaches from the whole photo down to a tenth of its short side.
        self.reach = nn.Parameter(torch.linspace(-2.0, 5.0, heads))
        self.elsewhere = nn.Parameter(torch.full((heads,), 2.0))
        self.weight = nn.Parameter(torch.zeros(2 * heads))
        nn.init.zeros_(self.out.weight)

    def forward(self, levels: list[Tensor], logits: Tensor, hints: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the changes that hints make.

        Args:
            levels: features of the decoder, (B, C, h', w'), coarsest first; the last at (h, w), a quarter of the input.
            logits: (B, 313, h, w), without hints.
            hints: (B, 3, 4 h, 4 w); at least one in each photo.

        Returns:
            The terms to add to the head's hidden features, (B, wide, h, w), and to the logits, (B, 313, h, w).
        """
        x = levels[-1]
        embedded = self._embed(levels)
        plain_ab = decode(logits) / _AB_UNIT  # (B, 2, h, w)
        with torch.autocast(x.device.type, enabled=False):
            spread = self._attend(embedded, plain_ab, _reduced(hints))
        hidden = F.relu(self.mix(spread) * torch.sigmoid(self.gate(x)))
        inside = self.out(hidden)
        trust = torch.sigmoid(self.trust(x)) * (_PRECISION * self.weight)[:, None, None]
        with torch.autocast(x.device.type, enabled=False):  # half precision is too coarse for sums of logits
            return inside, self._gaussian_logits(spread, plain_ab, trust.float())

    def _embed(self, levels: list[Tensor]) -> Tensor:
        """Embed each pixel, (B, heads, WIDTH, h, w)."""
        height, width = levels[-1].shape[-2:]
        total = torch.zeros((), device=levels[-1].device)
        for conv, level in zip(self.embed, levels, strict=True):
            part = conv(level).float()
            total = total + F.interpolate(part, (height, width), mode="bilinear", align_corners=False)
        return torch.unflatten(total, 1, (self.heads, _WIDTH))

    def _attend(self, embedded: Tensor, plain_ab: Tensor, hints: Tensor) -> Tensor:
        """Gather for each pixel the values of the hints that it attends to.

        Args:
            embedded: (B, heads, WIDTH, h, w).
            plain_ab: (B, 2, h, w), the colors without hints.
            hints: (B, 3, h, w).

        Returns:
            (B, 5 heads, h, w).
        """
        height, width = hints.shape[-2:]
        cells = [_cells(where) for where in hints[:, 2].flatten(1).cpu()]
        spread = embedded.new_empty(len(hints), _VALUES * self.heads, height * width)
        for photos in _groups([len(at) for at in cells], _MAX_SCORES // (self.heads * height * width)):
            some = torch.tensor(photos, device=hints.device)
            part = self._attend_padded(embedded[some], plain_ab[some], hints[some], [cells[photo] for photo in photos])
            spread = spread.index_copy(0, some, part)
        return torch.unflatten(spread, -1, (height, width))

    def _attend_padded(self, embedded: Tensor, plain_ab: Tensor, hints: Tensor, cells: list[Tensor]) -> Tensor:
        """Compute `_attend` for photos whose cells are padded to the longest list, (b, 5 heads, h w)."""
        height, width = hints.shape[-2:]
        at = nn.utils.rnn.pad_sequence(cells, batch_first=True, padding_value=-1).to(hints.device)  # (b, N)
        is_there, at = at >= 0, at.clamp(min=0)
        color = _gathered(hints[:, :2].flatten(2), at)  # (b, 2, N)
        values = torch.cat([color, color - _gathered(plain_ab.flatten(2), at), torch.ones_like(color[:, :1])], 1)
        points = embedded.flatten(3)  # (b, heads, WIDTH, h w)
        hinted = _gathered(points.flatten(1, 2), at).unflatten(1, (self.heads, _WIDTH))  # (b, heads, WIDTH, N)
        squares = hinted.square().sum(2)[..., None] + points.square().sum(2, keepdim=True)  # (b, heads, N, h w)
        pairs = (x.flatten(0, 1) for x in (squares, hinted.mT, points))
        unlike = torch.baddbmm(*pairs, alpha=-2.0).view_as(squares)
        axes = (torch.arange(n, device=hints.device) / min(height, width) for n in (height, width))
        down, right = (axis.flatten() for axis in torch.meshgrid(*axes, indexing="ij"))
        away = (down - down[at][..., None]) ** 2 + (right - right[at][..., None]) ** 2  # (b, N, h w)
        scores = -unlike - away[:, None] * self.reach.exp()[:, None, None]
        scores = scores.masked_fill(~is_there[:, None, :, None], -math.inf)
        # A softmax over the cells and `elsewhere`; torch's own is slow over few cells in this memory layout.
        elsewhere = -self.elsewhere[:, None, None]
        most = torch.maximum(scores.amax(2, keepdim=True), elsewhere).detach()
        likeness = (scores - most).exp()
        total = likeness.sum(2, keepdim=True) + (elsewhere - most).exp()
        return (values[:, None] @ likeness / total).flatten(1, 2)

    def _gaussian_logits(self, spread: Tensor, plain_ab: Tensor, trust: Tensor) -> Tensor:
        """Return the log-density at each bin of Gaussians around the gathered colors, weighted by trust.

        Args:
            spread: (B, 5 heads, h, w).
            plain_ab: (B, 2, h, w), the colors without hints.
            trust: (B, 2 heads, h, w), the precisions of the Gaussians: around the hints' colors, and around the plain
                colors shifted by as much as the hints differ from theirs.

        Returns:
            (B, 313, h, w), up to a constant.
        """
        heads = torch.unflatten(spread, 1, (self.heads, _VALUES))
        color, moved, share = heads[:, :, :2], heads[:, :, 2:4], heads[:, :, 4:]  # (B, heads, 2 or 1, h, w)
        by_color, by_move = trust[:, :, None].chunk(2, 1)
        toward = (by_color * color + by_move * (moved + share * plain_ab[:, None])).sum(1)  # (B, 2, h, w)
        narrow = ((by_color + by_move) * share).sum(1)  # (B, 1, h, w)
        centers = centers_on(plain_ab.device) / _AB_UNIT  # (313, 2)
        by_bin = torch.cat([centers, -0.5 * centers.square().sum(1, keepdim=True)], 1).T  # (3, 313)
        return (torch.cat([toward, narrow], 1).movedim(1, -1) @ by_bin).movedim(-1, 1)


def _reduced(hints: Tensor) -> Tensor:
    """Reduce hints to the mean of those in each 4 x 4 cell: (B, 3, 4 h, 4 w) -> (B, 3, h, w)."""
    color, where = hints.float().split((2, 1), 1)
    share = F.avg_pool2d(where, 4)
    mean = F.avg_pool2d(color * where, 4) / share.clamp(min=1 / 16)
    return torch.cat([mean / _AB_UNIT, (share > 0).float()], 1)


def _cells(where: Tensor) -> Tensor:
    """Return the indices of the hinted cells, or of a regular subset of them, (N,), in (h w)."""
    (at,) = where.nonzero(as_tuple=True)
    return at[:: -(-len(at) // _MAX_CELLS)]


def _groups(counts: list[int], most: int) -> Iterator[list[int]]:
    """Group photos of similar cell counts, padded to at most `most` cells a group, or one photo alone."""
    group: list[int] = []
    for photo in sorted(range(len(counts)), key=counts.__getitem__):
        if group and (counts[photo] > 2 * counts[group[0]] or counts[photo] * (len(group) + 1) > most):
            yield group
            group = []
        group.append(photo)
    yield group


def _gathered(planes: Tensor, at: Tensor) -> Tensor:
    """Gather the values of planes, (b, C, h w), at indices, (b, N): (b, C, N)."""
    return planes.gather(2, at[:, None].expand(-1, planes.shape[1], -1))
