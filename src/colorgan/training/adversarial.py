"""The terms of the adversarial stage: what the discriminator learns from, and what the generator does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from colorgan.color.lab import lab_to_rgb

GREY_CHROMA = 10.0  # Lab units, a bin's side: where the saturation term weighs half of what it does on grey
_SQUARED_FLOOR = 1e-6  # keeps the gradient of a chroma finite at grey


@dataclass(frozen=True)
class Adversarial:
    """How logits become losses; each function gives the mean over patches.

    Attributes:
        real: of the discriminator on true colours, with the label that they get.
        fake: of the discriminator on predicted colours.
        fool: of the generator.
        boundary: the logit above which a patch counts as taken for real.
    """

    real: Callable[[Tensor, float], Tensor]
    fake: Callable[[Tensor], Tensor]
    fool: Callable[[Tensor], Tensor]
    boundary: float


def _cross_entropy(logits: Tensor, label: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


ADVERSARIAL = {
    # Isola et al. 2017, equation 1, in the non-saturating form.
    "bce": Adversarial(
        real=_cross_entropy,
        fake=lambda logits: _cross_entropy(logits, 0.0),
        fool=lambda logits: _cross_entropy(logits, 1.0),
        boundary=0.0,
    ),
    # Miyato et al. 2018, equations 16 and 17; the label is the margin on real patches.
    "hinge": Adversarial(
        real=lambda logits, label: F.relu(label - logits).mean(),
        fake=lambda logits: F.relu(1.0 + logits).mean(),
        fool=lambda logits: -logits.mean(),
        boundary=0.0,
    ),
    # Mao et al. 2017, equation 9.
    "lsgan": Adversarial(
        real=lambda logits, label: (logits - label).square().mean(),
        fake=lambda logits: logits.square().mean(),
        fool=lambda logits: (logits - 1.0).square().mean(),
        boundary=0.5,
    ),
}


def gradient_penalty(logits: Tensor, ab: Tensor, scale: float = 110.0) -> Tensor:
    """R1 (Mescheder et al. 2018, equation 9) on true photos, per patch, so that it does not grow with the photo.

    Args:
        logits: of the true photos, (B, 1, h, w), computed from `ab`.
        ab: (B, 2, H, W), Lab units, requiring a gradient.
        scale: Lab units in one unit of the discriminator's input.

    Returns:
        Half of the squared norm of the gradient; differentiable.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), ab, create_graph=True)
    return 0.5 * (scale * gradient).square().sum() / logits.numel()


def chroma(ab: Tensor) -> Tensor:
    """Distance from grey: (B, 2, H, W) -> (B, H, W), Lab units."""
    return (ab.square().sum(1) + _SQUARED_FLOOR).sqrt()


def oversaturation(ab: Tensor, truth: Tensor) -> Tensor:
    """Mean chroma above the true one, which weighs most where the truth is grey: Lab units.

    Args:
        ab: predicted, (B, 2, H, W), Lab units.
        truth: true, the same.
    """
    true_chroma = chroma(truth)
    weight = 1.0 / (1.0 + true_chroma / GREY_CHROMA)
    return (weight * F.relu(chroma(ab) - true_chroma)).mean()


class Perceptual:
    """L1 between the features that a frozen network has of predicted and true photos.

    Args:
        features: from sRGB (B, 3, H, W), 0..1, to features.
        bf16: compute them under bfloat16 autocast; colours and difference stay in float32.
    """

    def __init__(self, features: nn.Module, bf16: bool = False) -> None:
        self.features, self.bf16 = features, bf16

    def _features_of(self, L: Tensor, ab: Tensor) -> Tensor:
        rgb = lab_to_rgb(torch.cat([L, ab], 1))
        with torch.autocast(L.device.type, torch.bfloat16, enabled=self.bf16):
            features: Tensor = self.features(rgb)
        return features.float()

    def __call__(self, L: Tensor, ab: Tensor, truth: Tensor) -> Tensor:
        """Compare predicted with true photos.

        Args:
            L: (B, 1, H, W), 0..100.
            ab: predicted, (B, 2, H, W), Lab units.
            truth: true, the same; no graph is kept of it.
        """
        with torch.no_grad():
            wanted = self._features_of(L, truth)
        return F.l1_loss(self._features_of(L, ab), wanted)
