"""The stage that trains the hint branch, as SIGGRAPH17 was trained: with true colors revealed at random places.

All other weights stay unchanged, to the bit. The simulated hints are those of Zhang, Zhu et al. 2017, "Real-Time
User-Guided Image Colorization", section 3.2. Users also ask for colors that are not the true ones; hints with a color
of another photo simulate this: they have to recolor the object at their place, and nothing else.
"""

from __future__ import annotations

import math
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from colorgan.color.bins import decode
from colorgan.distributed import SINGLE, ProcessGroup
from colorgan.networks.generator import Prediction
from colorgan.networks.liteunet import LiteUNet
from colorgan.training.stages.base import OptimizerOptions
from colorgan.training.stages.supervised import FinetuneStage, Loss

HINT_HEADS = 8
VALIDATION_HINTS = 5

_MAX_HINTS = 40
_MAX_PATCH_PX = 9  # section 3.2: uniformly from 1 x 1 to 9 x 9
_SETS = 2  # of hints per photo of a batch; the frozen part of the network is computed once for all of them
_RECOLORED = 0.125  # share of the photos whose hint has a color of another photo
_RECOLORING_WEIGHT = 0.25  # more makes hints more local, so that true ones improve the rest of the photo less
_SAME, _OTHER = 5.0, 10.0  # Lab units: true colors closer than the first are one object, farther than the second two
_NEARBY = 0.25  # of the short side: the distance from the hint within which `_SAME` is trusted
_STAYED, _TAKEN = 5.0, 10.0  # Lab units: tolerated change of what has to stay, and tolerated error of what is recolored
_BINS_WEIGHT = 0.3
_NEGLIGIBLE = 4.0  # Lab units squared: smaller errors hardly count


def draw_hints(ab: Tensor, counts: Tensor, random: torch.Generator | None = None) -> Tensor:
    """Reveal true colors as hints: patches of random size at random places, each with its mean color.

    Args:
        ab: the true colors, (B, 2, H, W), Lab units.
        counts: (B,), the number of hints in each photo.
        random: the source of randomness; None is torch's global one.

    Returns:
        (B, 3, H, W), as `Generator.forward` takes them.
    """
    height, width = ab.shape[-2:]
    drawn = torch.rand(int(counts.sum()), 3, generator=random, dtype=torch.float64)
    side = (1 + drawn[:, 0] * _MAX_PATCH_PX).long().clamp(max=min(height, width))
    top, left = ((at * (n - side + 1)).long() for at, n in zip(drawn[:, 1:].T, (height, width), strict=True))
    photo = torch.repeat_interleave(torch.arange(len(ab)), counts)
    patches = torch.stack([photo, top, left, side])
    # The map from pixels to patches is made on the CPU, where thousands of small patches cost next to nothing.
    owner = np.full((len(ab), height, width), -1)
    for number, (index, y, x, n) in enumerate(patches.T.tolist()):
        owner[index, y : y + n, x : x + n] = number
    patch = torch.from_numpy(owner).to(ab.device)
    color = _patch_means(ab, patches.to(ab.device))[patch.clamp(min=0)]  # (B, H, W, 2)
    return torch.cat([color.movedim(-1, 1), torch.ones_like(ab[:, :1])], 1) * (patch >= 0)[:, None]


def _patch_means(ab: Tensor, patches: Tensor) -> Tensor:
    """Return the mean of ab, (B, 2, H, W), in each patch, (N, 2); patches: (4, N), photo, top, left, side in pixels."""
    photo, top, left, side = patches
    sums = F.pad(ab.double().cumsum(2).cumsum(3), (1, 0, 1, 0)).movedim(1, -1)
    bottom, right = top + side, left + side
    total = sums[photo, bottom, right] - sums[photo, top, right] - sums[photo, bottom, left] + sums[photo, top, left]
    mean: Tensor = total / side[:, None] ** 2
    return mean.to(ab.dtype)


def draw_counts(photos: int, random: torch.Generator | None = None) -> Tensor:
    """Draw the number of hints of each photo, (B,), uniformly on a logarithmic scale."""
    drawn = torch.rand(photos, generator=random) * math.log(_MAX_HINTS + 1)
    return drawn.exp().long().clamp(1, _MAX_HINTS)


def recoloring_loss(ab: Tensor, before: Tensor, truth: Tensor, hints: Tensor) -> Tensor:
    """Return the soft share of wrong pixels after a hint of a foreign color: not recolored, or wrongly changed.

    A pixel counts from 0, if it is as it should be, up to 1, if it is far off.

    Args:
        ab: predicted with the hint, (B, 2, h, w), Lab units.
        before: predicted without it, likewise.
        truth: the true colors, likewise.
        hints: (B, 3, H, W), a patch in each photo.
    """
    where = _pooled(hints[:, 2:], ab)  # (B, 1, h, w)
    total = where.sum((2, 3), keepdim=True)
    color = (hints[:, :2] * hints[:, 2:]).sum((2, 3), keepdim=True) / hints[:, 2:].sum((2, 3), keepdim=True)
    unlike = (truth - (truth * where).sum((2, 3), keepdim=True) / total).norm(dim=1, keepdim=True)
    rows, columns = (torch.arange(n, device=ab.device) for n in ab.shape[-2:])
    down = rows[:, None] - (rows[:, None] * where).sum((2, 3), keepdim=True) / total
    right = columns - (columns * where).sum((2, 3), keepdim=True) / total
    is_near = torch.hypot(down, right) < _NEARBY * min(ab.shape[-2:])
    misses = _soft_share((ab - color).square(), _TAKEN, (unlike < _SAME) & is_near)
    strays = _soft_share((ab - before).square(), _STAYED, unlike > _OTHER)
    return misses + strays


def _pooled(x: Tensor, like: Tensor) -> Tensor:
    """Average (B, C, H, W) to the height and width of `like`, (..., h, w)."""
    height, width = like.shape[-2:]
    return F.adaptive_avg_pool2d(x, (height, width))


def _soft_share(squared: Tensor, scale: float, of: Tensor) -> Tensor:
    """Return the share of the pixels `of`, (B, 1, h, w), whose error is above about `scale`; squared: (B, 2, h, w)."""
    distance = squared.sum(1, keepdim=True)
    off = distance / (distance + scale**2) * of
    return (off.sum((1, 2, 3)) / of.sum((1, 2, 3)).clamp(min=1)).mean()


class HintStage(FinetuneStage):
    """Stage 1 for the hint branch alone.

    Args:
        generator: a network with the branch, on its device.
        bins_loss: the cross-entropy over the bins.
        optimizer: the options of the optimizer.
        temperature: divides the generator's logits.
        group: the processes that train together.
    """

    def __init__(
        self,
        generator: LiteUNet,
        bins_loss: Loss,
        optimizer: OptimizerOptions,
        temperature: float = 1.0,
        group: ProcessGroup = SINGLE,
    ) -> None:
        assert generator.hints is not None
        generator.requires_grad_(False)
        generator.hints.requires_grad_(True)
        super().__init__(generator, bins_loss, optimizer, temperature, group)
        self._network = generator

    def step(self, L: Tensor, ab: Tensor) -> dict[str, Tensor]:
        """Learn from one batch, L (B, 1, H, W) and ab (B, 2, H, W); return the loss's terms, detached.

        Every photo has a hint: without one the branch is skipped, and would learn nothing.
        """
        network = self._network.eval()  # batch norms are frozen too
        with self.autocast(L):
            decoded = network.run_decoder(network.padded(L))
        terms: dict[str, Tensor] = {}
        for number in range(_SETS):
            foreign = max(1, round(_RECOLORED * len(ab))) if len(ab) > 1 else 0
            hints = draw_hints(ab, draw_counts(len(ab)))
            hints[:foreign] = _recolored(ab, foreign)
            with self.autocast(L):
                steered = network.steer(decoded, network.padded(hints, mode="constant"))
            logits, before = (network.cropped(x.float(), ab.shape[-2:]) for x in (steered, decoded.logits))
            parts = self._true_loss(logits[foreign:], ab[foreign:])
            if foreign:
                now, base = (decode(x[:foreign], self.temperature) for x in (logits, before))
                truth = _pooled(ab[:foreign], now)
                parts["recoloring"] = recoloring_loss(now, base, truth, hints[:foreign])
            loss = parts["log_error"] + _BINS_WEIGHT * parts["bins"] + _RECOLORING_WEIGHT * parts.get("recoloring", 0.0)
            with self.optimized.last_backward() if number == _SETS - 1 else nullcontext():
                (loss / _SETS).backward()
            for name, part in {"loss": loss, **parts}.items():
                terms[name] = terms.get(name, 0.0) + part.detach() / _SETS
        self.optimized.step()
        return terms

    def _true_loss(self, logits: Tensor, ab: Tensor) -> dict[str, Tensor]:
        """Return the terms for true hints; the logarithm of the squared error weighs photos as PSNR does."""
        colors = decode(logits, self.temperature)
        squared = (colors - _pooled(ab, colors)).square().mean((1, 2, 3))
        return {"bins": self.loss(Prediction(colors, logits), ab), "log_error": (squared + _NEGLIGIBLE).log().mean()}


def _recolored(ab: Tensor, photos: int) -> Tensor:
    """Draw for each of the first photos one patch with a color of another photo: (photos, 3, H, W)."""
    own = draw_hints(ab[:photos], torch.ones(photos, dtype=torch.int64))
    others = draw_hints(ab.roll(1, 0)[:photos], torch.ones(photos, dtype=torch.int64))
    color = others[:, :2].sum((2, 3), keepdim=True) / others[:, 2:].sum((2, 3), keepdim=True)
    return torch.cat([color * own[:, 2:], own[:, 2:]], 1)
