"""The base class of generators: networks from L to ab that take any height and width."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from colorgan.networks.lite_encoder import LiteEncoder


@dataclass(frozen=True)
class Prediction:
    """The output of a generator for a batch.

    Attributes:
        ab: (B, 2, H, W), Lab units.
        logits: (B, 313, ceil(H/4), ceil(W/4)) over the bins, or None for a network without them.
        levels: features that distinguish regions, (B, C, h, w) at 1/16 and 1/8 of its padded input; empty for a
            network that does not return them.
    """

    ab: Tensor
    logits: Tensor | None
    levels: tuple[Tensor, ...] = ()


class Generator(nn.Module, ABC):
    """A network from L to ab.

    Subclasses define the factor that their input must be divisible by (`multiple`, itself a multiple of 4) and
    compute on such input; padding and cropping happen here.

    Attributes:
        network: the name of this class in files and in `models/loading.py`.
        multiple: the inner computation sees heights and widths divisible by this, and at least twice as large.
        float32_parts: the submodules that compute in float32 even if the others run in half precision.
        can_fold: whether modules are registered in the order in which they are applied, as `folding.py` needs.
        unused: tensors of its published file that do not affect the colors.
        takes_hints: whether hints change its prediction; otherwise `forward` must be given none.
    """

    network: str
    multiple: int
    float32_parts: tuple[str, ...] = ()
    can_fold: bool = False
    unused: tuple[str, ...] = ()
    takes_hints: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments that build this very network again, JSON-serializable; empty if it has one size."""
        return {}

    def pretrained_encoder(self) -> LiteEncoder | None:
        """Return the encoder pretrained for classification, which may learn at a rate of its own, or None."""
        return None

    @abstractmethod
    def compute(self, L: Tensor, temperature: float, hints: Tensor | None = None) -> Prediction:
        """Compute `forward` for an L whose height and width are divisible by `multiple`."""

    def forward(self, L: Tensor, temperature: float = 1.0, hints: Tensor | None = None) -> Prediction:
        """Predict the colors of a batch.

        Args:
            L: (B, 1, H, W), 0..100, any H and W from 1 up.
            temperature: divides the logits before they are decoded into ab; below 1 it moves the mean towards the mode.
            hints: (B, 3, H, W), for a network that takes them: a and b in Lab units, and 1 where a color is given, else
                0. A photo without any is computed as if none of the batch had one.

        Returns:
            ab at (H, W) and the logits at a quarter of it, rounded up.
        """
        given = None if hints is None else self.padded(hints, mode="constant")
        # Replicated, since reflection needs more pixels than a 1 x 1 photo has.
        prediction = self.compute(self.padded(L), temperature, given)
        height, width = L.shape[-2:]
        ab = prediction.ab[..., :height, :width]
        if prediction.logits is None:
            return Prediction(ab, None)
        return Prediction(ab, self.cropped(prediction.logits, L.shape[-2:]), prediction.levels)

    def padded(self, x: Tensor, mode: str = "replicate") -> Tensor:
        """Pad at the right and the bottom, up to what `compute` takes."""
        return padded(x, self.multiple, mode)

    @staticmethod
    def cropped(logits: Tensor, size: Sequence[int]) -> Tensor:
        """Crop logits of a padded photo to those of its own height and width."""
        height, width = size
        return logits[..., : -(-height // 4), : -(-width // 4)]


def padded(x: Tensor, multiple: int, mode: str = "replicate") -> Tensor:
    """Pad photos at the right and the bottom to a multiple of `multiple` pixels, and to at least twice as many.

    For a strip that is one pixel wide at the coarsest level, torch 2.14's convolutions of stride 2 read uninitialized
    memory (in bfloat16, on a CPU with AMX).
    """
    height, width = (max(-side % multiple, 2 * multiple - side) for side in x.shape[-2:])
    return F.pad(x, (0, width, 0, height), mode=mode)
