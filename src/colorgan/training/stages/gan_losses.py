"""Losses of the adversarial stage: the discriminator's with its gradient penalties, and the generator's terms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from colorgan.color.lab import lab_to_rgb

GRAY_CHROMA = 10.0  # Lab units, a bin's side: where the saturation term weighs half of what it does on gray
_SQUARED_FLOOR = 1e-6  # keeps the gradient of a chroma finite at gray


@dataclass(frozen=True)
class DiscriminatorLoss:
    """The discriminator's loss on a batch, and what is logged of it.

    Attributes:
        loss: the loss without gradient penalties.
        parts: its terms, detached, by name in the log.
        accuracies: shares of correct decisions, by name in the log; their mean is the accuracy.
    """

    loss: Tensor
    parts: dict[str, Tensor]
    accuracies: dict[str, Tensor]


@dataclass(frozen=True)
class Unpaired:
    """A loss that judges each patch by itself: a mean over patches, of logits of (B, 1, h, w).

    Attributes:
        paired: whether each generated patch is judged beside the true one of the same place.
        of_real: the discriminator's loss on true colors, given their label.
        of_fake: the discriminator's loss on predicted colors.
        of_generator: the generator's loss.
        threshold: the logit above which the discriminator calls a patch real.
    """

    paired: ClassVar[bool] = False
    of_real: Callable[[Tensor, float], Tensor]
    of_fake: Callable[[Tensor], Tensor]
    of_generator: Callable[[Tensor], Tensor]
    threshold: float

    def discriminator_loss(self, real: Tensor, fake: Tensor, label: float) -> DiscriminatorLoss:
        """Return the mean of the discriminator's losses on its logits of true and of predicted colors.

        It is right about a true patch above the threshold, and about a predicted one up to it.
        """
        of_real, of_fake = self.of_real(real, label), self.of_fake(fake)
        right = (real > self.threshold).float().mean(), (fake <= self.threshold).float().mean()
        return DiscriminatorLoss(
            0.5 * (of_real + of_fake),
            {"d_real": of_real.detach(), "d_fake": of_fake.detach()},
            {"d_accuracy_real": right[0], "d_accuracy_fake": right[1]},
        )

    def generator_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """Return the generator's loss, from the logits of its colors alone."""
        return self.of_generator(fake)


@dataclass(frozen=True)
class Relativistic:
    """A loss on pairs of a true and a predicted patch (Jolicoeur-Martineau 2019; Huang et al. 2024, equation 2).

    Only the difference between the logits of the true and the predicted colors of one patch counts. So no answer that
    is the same for all patches satisfies it, toward which a generator could collapse; with R1 and R2 training converges
    locally (Huang et al. 2024, section 2).
    """

    paired: ClassVar[bool] = True

    def discriminator_loss(self, real: Tensor, fake: Tensor, label: float) -> DiscriminatorLoss:
        """Return softplus(-(D(real) - D(fake))); a pair is right if its true patch has the higher logit."""
        loss = F.softplus(fake - real).mean()
        return DiscriminatorLoss(loss, {"d_pairs": loss.detach()}, {"d_accuracy": (real > fake).float().mean()})

    def generator_loss(self, fake: Tensor, real: Tensor | None) -> Tensor:
        """Return softplus(-(D(fake) - D(real)))."""
        if real is None:
            raise ValueError("predicted colors are judged beside the true ones, whose logits are missing")
        return F.softplus(real - fake).mean()


def _cross_entropy(logits: Tensor, label: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


ADVERSARIAL: dict[str, Unpaired | Relativistic] = {
    # Isola et al. 2017, equation 1, in the non-saturating form.
    "bce": Unpaired(
        of_real=_cross_entropy,
        of_fake=lambda logits: _cross_entropy(logits, 0.0),
        of_generator=lambda logits: _cross_entropy(logits, 1.0),
        threshold=0.0,
    ),
    # Miyato et al. 2018, equations 16 and 17; the label is the margin on real patches.
    "hinge": Unpaired(
        of_real=lambda logits, label: F.relu(label - logits).mean(),
        of_fake=lambda logits: F.relu(1.0 + logits).mean(),
        of_generator=lambda logits: -logits.mean(),
        threshold=0.0,
    ),
    # Mao et al. 2017, equation 9.
    "lsgan": Unpaired(
        of_real=lambda logits, label: (logits - label).square().mean(),
        of_fake=lambda logits: logits.square().mean(),
        of_generator=lambda logits: (logits - 1.0).square().mean(),
        threshold=0.5,
    ),
    "relativistic": Relativistic(),
}


def gradient_penalties(logits: Sequence[Tensor], colors: Sequence[Tensor], scale: float = 110.0) -> list[Tensor]:
    """Return zero-centered gradient penalties (Mescheder et al. 2018, equation 9): R1 on true photos, R2 on generated.

    They are per patch, so that they do not grow with the photo, and computed in one backward pass.

    Args:
        logits: of each kind of photo, (B, 1, h, w), computed from its colors and from no other kind's.
        colors: of each, (B, 2, H, W), Lab units, requiring a gradient.
        scale: Lab units in one unit of the discriminator's input.

    Returns:
        For each kind half of the squared norm of the gradient; differentiable.
    """
    gradients = torch.autograd.grad([judged.sum() for judged in logits], list(colors), create_graph=True)
    return [
        0.5 * (scale * gradient).square().sum() / judged.numel()
        for gradient, judged in zip(gradients, logits, strict=True)
    ]


def chroma(ab: Tensor) -> Tensor:
    """Return the distance from gray: (B, 2, H, W) -> (B, H, W), Lab units."""
    return (ab.square().sum(1) + _SQUARED_FLOOR).sqrt()


def oversaturation(ab: Tensor, truth: Tensor) -> Tensor:
    """Return the mean chroma above the true one, weighted most where the truth is gray; Lab units.

    Args:
        ab: predicted, (B, 2, H, W), Lab units.
        truth: true, the same.
    """
    true_chroma = chroma(truth)
    weight = 1.0 / (1.0 + true_chroma / GRAY_CHROMA)
    return (weight * F.relu(chroma(ab) - true_chroma)).mean()


class Perceptual:
    """L1 between a frozen network's features of predicted and of true photos.

    Args:
        features: maps sRGB (B, 3, H, W), 0..1, to features, or to a list of them, which count equally.
        bf16: compute them under bfloat16 autocast; colors and difference stay in float32.
    """

    def __init__(self, features: nn.Module, bf16: bool = False) -> None:
        self.features, self.bf16 = features, bf16

    def _features_of(self, L: Tensor, ab: Tensor) -> list[Tensor]:
        rgb = lab_to_rgb(torch.cat([L, ab], 1))
        with torch.autocast(L.device.type, torch.bfloat16, enabled=self.bf16):
            features: Tensor | list[Tensor] = self.features(rgb)
        return [level.float() for level in ([features] if isinstance(features, Tensor) else features)]

    def __call__(self, L: Tensor, ab: Tensor, truth: Tensor) -> Tensor:
        """Return the mean L1 between the features of predicted and true photos.

        Args:
            L: (B, 1, H, W), 0..100.
            ab: predicted, (B, 2, H, W), Lab units.
            truth: true, the same; no gradient flows into it.
        """
        with torch.no_grad():
            wanted = self._features_of(L, truth)
        found = self._features_of(L, ab)
        return torch.stack([F.l1_loss(level, true) for level, true in zip(found, wanted, strict=True)]).mean()
