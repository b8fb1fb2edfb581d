"""The adversarial stage: trains a generator on the true colors and against a discriminator."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from colorgan.distributed import SINGLE, ProcessGroup
from colorgan.networks.generator import Generator, Prediction
from colorgan.networks.patchgan import PatchGAN
from colorgan.training.stages.base import OptimizedNetwork, OptimizerOptions, Stage
from colorgan.training.stages.diff_augment import DiffAugment
from colorgan.training.stages.gan_losses import ADVERSARIAL, Perceptual, gradient_penalties, oversaturation
from colorgan.training.stages.supervised import BinsLoss
from colorgan.training.train_options import TrainOptions

ACCURACY_DECAY = 0.9  # the discriminator's running accuracy covers about ten steps


class SavedNumber(nn.Module):
    """A number that checkpoints save; a module, since they save the state of modules."""

    value: Tensor

    def __init__(self, value: Tensor) -> None:
        super().__init__()
        self.register_buffer("value", value)


@dataclass(frozen=True)
class GanNetworks:
    """The networks of the stage, each on its device and in its training memory format.

    Attributes:
        generator: the network to train.
        discriminator: its adversary.
        perceptual: the loss on a frozen network's features, or None if its weight is 0.
        bins: the cross-entropy over the bins, or None if its weight is 0.
    """

    generator: Generator
    discriminator: PatchGAN
    perceptual: Perceptual | None = None
    bins: BinsLoss | None = None


class GanStage(Stage):
    """Stage 2: one step of the discriminator, then one of the generator, on the same prediction or a second one.

    The first `d_warmup_steps` steps of the run train the discriminator alone.

    Args:
        networks: the two networks, and the losses that have state.
        options: the losses' weights, and the schedule of the two networks.
        g_optimizer: options of the generator's optimizer.
        d_optimizer: options of the discriminator's optimizer.
        temperature: divides the generator's logits.
        group: the processes that train together.
    """

    name = "gan"

    def __init__(
        self,
        networks: GanNetworks,
        options: TrainOptions,
        g_optimizer: OptimizerOptions,
        d_optimizer: OptimizerOptions,
        temperature: float = 1.0,
        group: ProcessGroup = SINGLE,
    ) -> None:
        super().__init__(networks.generator, g_optimizer, temperature, group)
        self.discriminator, self.perceptual, self.bins = networks.discriminator, networks.perceptual, networks.bins
        self.options, self.adversarial = options, ADVERSARIAL[options.adversarial]
        self.d_optimized = OptimizedNetwork(self.discriminator, d_optimizer, group)
        self.accuracy = SavedNumber(torch.tensor(0.5, device=next(self.generator.parameters()).device))
        # On the CPU, where reading it does not synchronize with the device.
        self.steps = SavedNumber(torch.zeros((), dtype=torch.int64, device="cpu"))

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Both networks, the generator's average if any, the running accuracy, and with a warm-up the step count."""
        own = {"discriminator": self.discriminator, "accuracy": self.accuracy}
        return super().networks | own | ({"steps": self.steps} if self.options.d_warmup_steps else {})

    @property
    def optimizers(self) -> dict[str, Optimizer]:
        """The optimizers of both networks."""
        return super().optimizers | {"discriminator": self.d_optimized.optimizer}

    def step(self, L: Tensor, ab: Tensor) -> dict[str, Tensor]:
        """Train on one batch.

        Args:
            L: (B, 1, H, W), 0..100.
            ab: (B, 2, H, W), Lab units.

        Returns:
            Scalars, detached: the terms of both losses, unweighted; the discriminator's accuracy before its step;
            the norm of each weighted term's gradient on the predicted ab of a photo (root mean square over photos).
            None of the generator's while the discriminator learns alone.
        """
        alone = self._discriminator_alone()
        # Evaluation mode freezes batch norm statistics; no other layer of a generator depends on it.
        self.generator.train(not (self.options.g_norm == "frozen" or alone))
        with self.autocast(L), torch.set_grad_enabled(not (alone or self.options.g_twice)):
            prediction = self.generator(L, self.temperature)
        seen = _as_coarse(ab, prediction) if self.options.downsample_real else ab
        terms = self._discriminator_step(L, seen, prediction.ab.detach())
        if self.options.d_warmup_steps:
            terms["d_alone"] = torch.full((), float(alone), device=L.device)
        if alone:
            return terms
        if self.options.g_twice:
            with self.autocast(L):
                prediction = self.generator(L, self.temperature)
        return terms | self._generator_step(L, ab, seen, prediction)

    def _discriminator_alone(self) -> bool:
        """Count the step; return whether it belongs to the discriminator's warm-up."""
        if not self.options.d_warmup_steps:
            return False
        self.steps.value += 1
        return int(self.steps.value) <= self.options.d_warmup_steps

    def _discriminator_step(self, L: Tensor, ab: Tensor, fake: Tensor) -> dict[str, Tensor]:
        r1, r2 = self.options.r1, self.options.r2
        truth = ab.detach().requires_grad_() if r1 else ab
        fake = fake.requires_grad_() if r2 else fake
        # A gradient of a gradient loses too much in bfloat16.
        with self.autocast(L, enabled=not (r1 or r2)):
            real_logits, fake_logits = self._logits_of_both(*self._augmented(L, truth, fake))
        adversarial = self.adversarial.discriminator_loss(real_logits, fake_logits, self.options.real_label)
        penalties = self._penalties((real_logits, fake_logits), (truth, fake))
        loss = adversarial.loss
        for weight, penalty in penalties.values():
            loss = loss + weight * penalty
        with self.d_optimized.last_backward():
            loss.backward()
        updates = self._maybe_update(list(adversarial.accuracies.values()))
        logged = {name: penalty.detach() for name, (_, penalty) in penalties.items()}
        return {"d_loss": loss.detach()} | adversarial.parts | adversarial.accuracies | logged | updates

    def _augmented(self, L: Tensor, *colors: Tensor) -> tuple[Tensor, ...]:
        """Return L and the colors as the discriminator sees them: translated and cut alike with `d_augment`."""
        return DiffAugment.draw(L, self.group)(L, *colors) if self.options.d_augment else (L, *colors)

    def _penalties(
        self, logits: tuple[Tensor, Tensor], colors: tuple[Tensor, Tensor]
    ) -> dict[str, tuple[float, Tensor]]:
        """Return R1 and R2, if their weights are not 0, as (weight, penalty) by name in the log."""
        names, weights = ("d_r1", "d_r2"), (self.options.r1, self.options.r2)
        counted = [index for index, weight in enumerate(weights) if weight]
        if not counted:
            return {}
        penalties = gradient_penalties([logits[i] for i in counted], [colors[i] for i in counted])
        return {names[i]: (weights[i], penalty) for i, penalty in zip(counted, penalties, strict=True)}

    def _logits_of_both(self, L: Tensor, truth: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        if self.discriminator.mixes_the_batch:
            # True and predicted colors keep their own statistics, as in the two passes of the published run.
            return self.discriminator(L, truth).float(), self.discriminator(L, fake).float()
        both = self.discriminator(torch.cat([L, L]), torch.cat([truth, fake]))
        real_logits, fake_logits = both.float().chunk(2)
        return real_logits, fake_logits

    def _maybe_update(self, accuracies: list[Tensor]) -> dict[str, Tensor]:
        """Step the discriminator unless its running accuracy is above target, as decided on the device."""
        if self.options.d_target_accuracy == 1.0:
            self.d_optimized.step()
            return {}
        accuracy = torch.stack(accuracies).mean()
        self.group.all_reduce_mean([accuracy])
        self.accuracy.value.lerp_(accuracy, 1 - ACCURACY_DECAY)
        rests = (self.accuracy.value > self.options.d_target_accuracy).float()
        # As a gradient scaler signals an overflow to the fused optimizer: weights, moments and count stay as they are.
        self.d_optimized.optimizer.found_inf = rests  # type: ignore[attr-defined]
        self.d_optimized.optimizer.grad_scale = None  # type: ignore[attr-defined]
        self.d_optimized.step()
        return {"d_updates": 1 - rests}

    def _generator_step(self, L: Tensor, ab: Tensor, seen: Tensor, prediction: Prediction) -> dict[str, Tensor]:
        # A leaf: each term's gradient stops here, so that its norm can be logged, and only their sum goes through the
        # generator; none reaches the discriminator's weights.
        colors = prediction.ab.detach().requires_grad_()
        weighted, terms = self._generator_terms(L, ab, seen, colors)
        total, norms = torch.zeros_like(colors), {}
        for name, (weight, term) in weighted.items():
            (gradient,) = torch.autograd.grad(weight * term, colors)
            norms[f"grad_{name}"] = gradient.norm() * len(L) ** 0.5
            total += gradient
        loss = sum((weight * term.detach() for weight, term in weighted.values()), torch.zeros((), device=L.device))
        outputs: list[Tensor] = [prediction.ab]
        gradients: list[Tensor | None] = [total]
        if self.bins:
            entropy = self.bins(prediction, ab)
            terms["g_bins"] = entropy.detach()
            loss = loss + self.options.lambda_bins * terms["g_bins"]
            outputs.append(self.options.lambda_bins * entropy)
            gradients.append(None)
        with self.optimized.last_backward():
            torch.autograd.backward(outputs, gradients)
        self.optimized.step()
        return {"g_loss": loss} | terms | norms

    def _generator_terms(
        self, L: Tensor, ab: Tensor, seen: Tensor, colors: Tensor
    ) -> tuple[dict[str, tuple[float, Tensor]], dict[str, Tensor]]:
        """Return each term on the predicted ab as (weight, term), and the detached terms by name in the log."""
        options = self.options
        weighted: dict[str, tuple[float, Tensor]] = {}
        if options.lambda_adversarial:
            weighted["adversarial"] = options.lambda_adversarial, self._adversarial_loss(L, seen, colors)
        if options.lambda_l1:
            weighted["l1"] = options.lambda_l1, F.l1_loss(colors, ab)
        if self.perceptual:
            weighted["perceptual"] = options.lambda_perceptual, self.perceptual(L, colors, ab)
        if options.lambda_saturation:
            weighted["saturation"] = options.lambda_saturation, oversaturation(colors, ab)
        return weighted, {f"g_{name}": term.detach() for name, (_, term) in weighted.items()}

    def _adversarial_loss(self, L: Tensor, truth: Tensor, colors: Tensor) -> Tensor:
        """Return the generator's adversarial term; no gradient flows into the truth."""
        L, truth, colors = self._augmented(L, truth, colors)
        real_logits = None
        with self.autocast(L):
            fake_logits = self.discriminator(L, colors).float()
            if self.adversarial.paired:
                with torch.no_grad():
                    real_logits = self.discriminator(L, truth).float()
        return self.adversarial.generator_loss(fake_logits, real_logits)


def _as_coarse(ab: Tensor, prediction: Prediction) -> Tensor:
    """Blur true ab (B, 2, H, W) to the resolution of a prediction's bins; unchanged for a network without bins."""
    if prediction.logits is None:
        return ab
    height, width = prediction.logits.shape[-2:]
    coarse = F.adaptive_avg_pool2d(ab, (height, width))
    return F.interpolate(coarse, ab.shape[-2:], mode="bilinear", align_corners=False)
