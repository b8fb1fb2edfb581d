"""How colors that a person gave at some places spread over a photo, inside `liteunet`.

A place takes a color from a hint as far as it is like the hint's place, in a learned space and in the photo: a
bilateral filter (Tomasi and Manduchi 1998) whose range is learned. Nothing here has a bias or a norm, so that what no
hint reaches stays as it was.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from colorgan.color.bins import centers_on, decode

HINT_CHANNELS = 3  # a and b in Lab units, and where: 0 or 1

_AB_UNIT = 100.0  # Lab units; what the branch computes with is about 1
_WIDTH = 8  # of the learned space, for each head
_HIDDEN = 96
_PULL = 50.0  # of a weight of 1: a Gaussian of 14 Lab units
_VALUES = 5  # what a head spreads of a hint: its color, how far that is from the network's, and how much of it is here
# A painted picture has thousands of cells; so many, evenly taken, say the same of what they belong to.
_MOST_CELLS = 1024
# Of places, cells and heads that are computed at once: 256 MiB in float32.
_MOST_SCORES = 2**26


class HintBranch(nn.Module):
    """Changes what the head of `liteunet` says of a photo, by hints.

    Args:
        heads: ways in which places are like each other, each with a reach of its own.
        levels: channels of the decoder's levels, coarsest first; the last is the one that the head sees.
        wide: channels of the head's inside.
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
        """Say what hints change.

        Args:
            levels: of the decoder, (B, C, h', w'), coarsest first; the last at (h, w), a quarter of the input.
            logits: (B, 313, h, w), without hints.
            hints: (B, 3, 4 h, 4 w); at least one in each photo.

        Returns:
            What is added to the inside of the head, (B, wide, h, w), and to the logits, (B, 313, h, w).
        """
        x = levels[-1]
        embedded = self._embed(levels)
        said = decode(logits) / _AB_UNIT  # (B, 2, h, w)
        with torch.autocast(x.device.type, enabled=False):
            spread = self._spread(embedded, said, _reduced(hints))
        hidden = F.relu(self.mix(spread) * torch.sigmoid(self.gate(x)))
        inside = self.out(hidden)
        trust = torch.sigmoid(self.trust(x)) * (_PULL * self.weight)[:, None, None]
        with torch.autocast(x.device.type, enabled=False):  # half precision is too coarse for logits that add up
            return inside, self._pull(spread, said, trust.float())

    def _embed(self, levels: list[Tensor]) -> Tensor:
        """Where each place is in the learned space, (B, heads, WIDTH, h, w)."""
        height, width = levels[-1].shape[-2:]
        total = torch.zeros((), device=levels[-1].device)
        for conv, level in zip(self.embed, levels, strict=True):
            part = conv(level).float()
            total = total + F.interpolate(part, (height, width), mode="bilinear", align_corners=False)
        return torch.unflatten(total, 1, (self.heads, _WIDTH))

    def _spread(self, embedded: Tensor, said: Tensor, hints: Tensor) -> Tensor:
        """What reaches each place of the photos of their hints.

        Args:
            embedded: (B, heads, WIDTH, h, w).
            said: (B, 2, h, w), by the network.
            hints: (B, 3, h, w).

        Returns:
            (B, 5 heads, h, w).
        """
        height, width = hints.shape[-2:]
        cells = [_cells(where) for where in hints[:, 2].flatten(1).cpu()]
        spread = embedded.new_empty(len(hints), _VALUES * self.heads, height * width)
        for photos in _groups([len(at) for at in cells], _MOST_SCORES // (self.heads * height * width)):
            some = torch.tensor(photos, device=hints.device)
            alike = self._spread_alike(embedded[some], said[some], hints[some], [cells[photo] for photo in photos])
            spread = spread.index_copy(0, some, alike)
        return torch.unflatten(spread, -1, (height, width))

    def _spread_alike(self, embedded: Tensor, said: Tensor, hints: Tensor, cells: list[Tensor]) -> Tensor:
        """The same for a group, each photo with as many cells as the one that has most; (b, 5 heads, h w)."""
        height, width = hints.shape[-2:]
        at = nn.utils.rnn.pad_sequence(cells, batch_first=True, padding_value=-1).to(hints.device)  # (b, N)
        is_there, at = at >= 0, at.clamp(min=0)
        color = _gathered(hints[:, :2].flatten(2), at)  # (b, 2, N)
        values = torch.cat([color, color - _gathered(said.flatten(2), at), torch.ones_like(color[:, :1])], 1)
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
        # A softmax over the cells and `elsewhere`; over so few, in this order of memory, torch's own is slow.
        elsewhere = -self.elsewhere[:, None, None]
        most = torch.maximum(scores.amax(2, keepdim=True), elsewhere).detach()
        likeness = (scores - most).exp()
        total = likeness.sum(2, keepdim=True) + (elsewhere - most).exp()
        return (values[:, None] @ likeness / total).flatten(1, 2)

    def _pull(self, spread: Tensor, said: Tensor, trust: Tensor) -> Tensor:
        """The logarithm of a Gaussian around the colors that reached each place, as far as they are trusted.

        Args:
            spread: (B, 5 heads, h, w).
            said: (B, 2, h, w), by the network.
            trust: (B, 2 heads, h, w), how narrow the Gaussians are: around the hints' colors, and around the network's
                moved as far as theirs were.

        Returns:
            (B, 313, h, w), without its constant part.
        """
        heads = torch.unflatten(spread, 1, (self.heads, _VALUES))
        color, moved, share = heads[:, :, :2], heads[:, :, 2:4], heads[:, :, 4:]  # (B, heads, 2 or 1, h, w)
        by_color, by_move = trust[:, :, None].chunk(2, 1)
        toward = (by_color * color + by_move * (moved + share * said[:, None])).sum(1)  # (B, 2, h, w)
        narrow = ((by_color + by_move) * share).sum(1)  # (B, 1, h, w)
        centers = centers_on(said.device) / _AB_UNIT  # (313, 2)
        by_bin = torch.cat([centers, -0.5 * centers.square().sum(1, keepdim=True)], 1).T  # (3, 313)
        return (torch.cat([toward, narrow], 1).movedim(1, -1) @ by_bin).movedim(-1, 1)


def _reduced(hints: Tensor) -> Tensor:
    """Hints at a quarter, the mean of those in each cell: (B, 3, 4 h, 4 w) -> (B, 3, h, w)."""
    color, where = hints.float().split((2, 1), 1)
    share = F.avg_pool2d(where, 4)
    mean = F.avg_pool2d(color * where, 4) / share.clamp(min=1 / 16)
    return torch.cat([mean / _AB_UNIT, (share > 0).float()], 1)


def _cells(where: Tensor) -> Tensor:
    """The hinted cells, or as many of them as are looked at, (N,), of (h w)."""
    (at,) = where.nonzero(as_tuple=True)
    return at[:: -(-len(at) // _MOST_CELLS)]


def _groups(counts: list[int], most: int) -> Iterator[list[int]]:
    """Photos with about as many cells each, padded at most `most` together, or one alone."""
    group: list[int] = []
    for photo in sorted(range(len(counts)), key=counts.__getitem__):
        if group and (counts[photo] > 2 * counts[group[0]] or counts[photo] * (len(group) + 1) > most):
            yield group
            group = []
        group.append(photo)
    yield group


def _gathered(planes: Tensor, at: Tensor) -> Tensor:
    """What planes of (b, C, h w) have at places, (b, N), of each photo: (b, C, N)."""
    return planes.gather(2, at[:, None].expand(-1, planes.shape[1], -1))
