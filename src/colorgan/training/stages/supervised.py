"""The supervised stage and its losses: each maps a prediction and the true ab to a scalar."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from colorgan.color.bins import nearest_bin, soft_targets
from colorgan.distributed import SINGLE, ProcessGroup
from colorgan.networks.generator import Generator, Prediction
from colorgan.training.stages.base import OptimizerOptions, Stage

Loss = Callable[[Prediction, Tensor], Tensor]

# Smaller shares count as this: a bin that the set hardly holds would otherwise dominate every batch.
PRIOR_FLOOR = 3e-5
HUBER_DELTA = 10.0  # Lab units: within one bin the error counts squared, beyond it linearly


def mse(prediction: Prediction, ab: Tensor) -> Tensor:
    """Return the mean squared ab difference, Lab units squared."""
    return F.mse_loss(prediction.ab, ab)


def l1(prediction: Prediction, ab: Tensor) -> Tensor:
    """Return the mean absolute ab difference, Lab units."""
    return F.l1_loss(prediction.ab, ab)


def huber(prediction: Prediction, ab: Tensor) -> Tensor:
    """Return the mean Huber loss of the ab difference."""
    return F.huber_loss(prediction.ab, ab, delta=HUBER_DELTA)


class BinsLoss:
    """Class-rebalanced soft cross-entropy over the bins (Zhang et al. 2016, equations 2 to 4).

    A pixel weighs prior(its bin) ^ -rebalance, scaled so that the mean weight under the prior is 1.

    Args:
        prior: (313,), the share of the training set's pixels in each bin.
        rebalance: 0 counts every pixel alike, 1 every bin alike.
    """

    def __init__(self, prior: Tensor, rebalance: float) -> None:
        floored = prior.clamp(min=PRIOR_FLOOR)
        floored = floored / floored.sum()
        weights = floored**-rebalance
        self.weights = weights / (weights * floored).sum()

    def __call__(self, prediction: Prediction, ab: Tensor) -> Tensor:
        """Compare logits (B, 313, h, w) with the true ab (B, 2, H, W), averaged to the logits' size."""
        if prediction.logits is None:
            raise ValueError("this network has no bins, so the bins loss does not apply to it")
        height, width = prediction.logits.shape[-2:]
        truth = F.adaptive_avg_pool2d(ab, (height, width))
        bins, shares = soft_targets(truth)  # (B, 5, h, w)
        # Bins last: a log-softmax over contiguous memory is several times as fast.
        log_shares = F.log_softmax(prediction.logits.permute(0, 2, 3, 1).float(), dim=-1)  # (B, h, w, 313)
        entropy = -(log_shares.gather(-1, bins.movedim(1, -1)) * shares.movedim(1, -1)).sum(-1)  # (B, h, w)
        self.weights = self.weights.to(entropy.device)  # only once, as the copy synchronizes with a GPU
        weights = self.weights[nearest_bin(truth)]
        return (weights * entropy).mean()


_OF_AB: dict[str, Loss] = {"mse": mse, "l1": l1, "huber": huber}


def make_loss(name: str, prior: Tensor, rebalance: float) -> Loss:
    """Return the loss of that name; `prior`, (313,), and `rebalance` apply to bins alone."""
    return BinsLoss(prior, rebalance) if name == "bins" else _OF_AB[name]


class FinetuneStage(Stage):
    """Stage 1: supervised training on the true colors by one of the losses above.

    The other arguments are as for `Stage`.
    """

    name = "finetune"

    def __init__(
        self,
        generator: Generator,
        loss: Loss,
        optimizer: OptimizerOptions,
        temperature: float = 1.0,
        group: ProcessGroup = SINGLE,
    ) -> None:
        super().__init__(generator, optimizer, temperature, group)
        self.loss = loss

    def step(self, L: Tensor, ab: Tensor) -> dict[str, Tensor]:
        """Train on one batch, L (B, 1, H, W) and ab (B, 2, H, W); return the loss, detached."""
        self.generator.train()
        with self.autocast(L):
            prediction = self.generator(L, self.temperature)
        loss = self.loss(prediction, ab)
        with self.optimized.last_backward():
            loss.backward()
        self.optimized.step()
        return {"loss": loss.detach()}
