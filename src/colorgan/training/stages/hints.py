"""Training the branch that takes hints, as SIGGRAPH17 was trained: true colors are given away at random places.

Everything but the branch stays as it is, to the bit. The simulated hints are those of Zhang, Zhu et al. 2017,
"Real-Time User-Guided Image Colorization", section 3.2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from colorgan.color.bins import decode
from colorgan.networks.generator import Prediction
from colorgan.networks.liteunet import LiteUNet
from colorgan.training.ranks import SINGLE, ProcessGroup
from colorgan.training.stages.base import OptimizerOptions
from colorgan.training.stages.supervised import FinetuneStage, Loss

HINT_HEADS = 8
VALIDATION_HINTS = 5

_MOST_HINTS = 40
_MOST_PATCH_PX = 9  # section 3.2: uniformly from 1 x 1 to 9 x 9
_SETS = 2  # of hints for each photo of a batch; the frozen part is computed once for all of them
_BINS_WEIGHT = 0.3
_CALM = 4.0  # Lab units squared: errors below it are as good as none


def draw_hints(ab: Tensor, counts: Tensor, random: torch.Generator | None = None) -> Tensor:
    """Give away true colors: patches of random size at random places, each with its mean color.

    Args:
        ab: true, (B, 2, H, W), Lab units.
        counts: (B,), how many in each photo.
        random: where from; torch's own where None.

    Returns:
        (B, 3, H, W), as `Generator.forward` takes them.
    """
    hints = torch.zeros(len(ab), 3, *ab.shape[-2:], device=ab.device)
    for photo, true, count in zip(hints, ab, counts.tolist(), strict=True):
        drawn = torch.rand(count, 3, generator=random)
        for size, down, right in drawn.tolist():
            side = min(1 + int(size * _MOST_PATCH_PX), *ab.shape[-2:])
            top, left = (int(at * (n - side + 1)) for at, n in zip((down, right), ab.shape[-2:], strict=True))
            rows, columns = slice(top, top + side), slice(left, left + side)
            photo[:2, rows, columns] = true[:, rows, columns].mean((1, 2), keepdim=True)
            photo[2, rows, columns] = 1.0
    return hints


def draw_counts(photos: int, random: torch.Generator | None = None) -> Tensor:
    """How many hints photos get, (B,): few and many are as likely, on a logarithmic scale."""
    drawn = torch.rand(photos, generator=random) * math.log(_MOST_HINTS + 1)
    return drawn.exp().long().clamp(1, _MOST_HINTS)


class HintStage(FinetuneStage):
    """Stage 1 for the branch alone.

    Args:
        generator: a network with the branch, on its device.
        bins_loss: the cross-entropy over the bins.
        options: how the weights move.
        temperature: divides the generator's logits.
        ranks: the processes that train together.
    """

    def __init__(
        self,
        generator: LiteUNet,
        bins_loss: Loss,
        options: OptimizerOptions,
        temperature: float = 1.0,
        ranks: ProcessGroup = SINGLE,
    ) -> None:
        assert generator.hints is not None
        generator.requires_grad_(False)
        generator.hints.requires_grad_(True)
        super().__init__(generator, bins_loss, options, temperature, ranks)
        self._network = generator

    def step(self, L: Tensor, ab: Tensor) -> dict[str, Tensor]:
        """Learn from one batch, L (B, 1, H, W) and ab (B, 2, H, W); return the loss's terms, detached.

        No photo is without a hint, since that teaches nothing: the branch is not asked then.
        """
        network = self._network.eval()  # batch norms too stay as they are
        with torch.autocast(L.device.type, torch.bfloat16, enabled=self.options.bf16):
            decoded = network.run_decoder(network.padded(L))
        terms = {name: torch.zeros((), device=L.device) for name in ("loss", "bins", "log_error")}
        for _ in range(_SETS):
            hints = network.padded(draw_hints(ab, draw_counts(len(ab))), mode="constant")
            with torch.autocast(L.device.type, torch.bfloat16, enabled=self.options.bf16):
                logits = network.steer(decoded, hints)
            parts = self._loss(network.cropped(logits.float(), ab.shape[-2:]), ab)
            (parts["loss"] / _SETS).backward()
            for name, part in parts.items():
                terms[name] += part.detach() / _SETS
        self.optimized.step()
        return terms

    def _loss(self, logits: Tensor, ab: Tensor) -> dict[str, Tensor]:
        """A photo's PSNR is the logarithm of its mean squared error, so that each counts as in that figure."""
        colors = decode(logits, self.temperature)
        height, width = colors.shape[-2:]
        squared = (colors - F.adaptive_avg_pool2d(ab, (height, width))).square().mean((1, 2, 3))
        log_error = (squared + _CALM).log().mean()
        bins = self.loss(Prediction(colors, logits), ab)
        return {"loss": log_error + _BINS_WEIGHT * bins, "bins": bins, "log_error": log_error}
