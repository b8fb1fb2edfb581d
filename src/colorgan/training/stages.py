"""Ways of training: a stage holds networks and optimizers, and turns a batch into one step.

A stage knows no file and no clock: `loop.py` feeds it, logs what it returns, and saves what it holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from colorgan.networks.generator import Generator
from colorgan.training.losses import Loss


class Stage(Protocol):
    """What the loop needs of a way of training."""

    name: str

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Every module whose state a checkpoint holds, by name."""

    @property
    def optimizers(self) -> dict[str, Optimizer]:
        """Every optimizer whose state a checkpoint holds, by name."""

    def step(self, L: Tensor, ab: Tensor) -> dict[str, Tensor]:
        """Learn from one batch, L (B, 1, H, W) and ab (B, 2, H, W); return the loss's terms, detached."""

    def predicting(self) -> Generator:
        """The generator that is validated and saved as the result, in evaluation mode."""


@dataclass(frozen=True)
class OptimizerOptions:
    """How the weights move.

    Attributes:
        lr: Adam's rate.
        betas: Adam's averaging.
        weight_decay: decoupled, as in AdamW; 0 is plain Adam.
        clip_norm: the gradient's norm is cut to this; 0 leaves it.
        ema: decay of the average of the weights that is validated and saved; 0 for none.
        bf16: run the network under bfloat16 autocast; the loss stays in float32.
    """

    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    ema: float = 0.0
    bf16: bool = False


class FinetuneStage:
    """Stage 1: the generator learns from the true colours, every layer trainable.

    Args:
        generator: on its device, in the memory format that it is to train in.
        loss: from `losses.py`.
        options: how the weights move.
    """

    name = "finetune"

    def __init__(self, generator: Generator, loss: Loss, options: OptimizerOptions) -> None:
        self.generator = generator
        self.loss = loss
        self.options = options
        self.optimizer = torch.optim.AdamW(
            generator.parameters(), lr=options.lr, betas=options.betas, weight_decay=options.weight_decay, fused=True
        )
        self.average: AveragedModel | None = None
        if options.ema:
            # The buffers too: an average of weights with another network's batch norm statistics is no network.
            self.average = AveragedModel(
                generator, multi_avg_fn=get_ema_multi_avg_fn(options.ema), use_buffers=True
            ).eval()

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The generator and, where there is one, its average."""
        return {"generator": self.generator} | ({"average": self.average} if self.average else {})

    @property
    def optimizers(self) -> dict[str, Optimizer]:
        """The one optimizer."""
        return {"generator": self.optimizer}

    def step(self, L: Tensor, ab: Tensor) -> dict[str, Tensor]:
        """Learn from one batch, L (B, 1, H, W) and ab (B, 2, H, W); return the loss, detached."""
        self.generator.train()
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(L.device.type, torch.bfloat16, enabled=self.options.bf16):
            prediction = self.generator(L)
        loss = self.loss(prediction, ab)
        loss.backward()
        if self.options.clip_norm:
            nn.utils.clip_grad_norm_(self.generator.parameters(), self.options.clip_norm)
        self.optimizer.step()
        if self.average:
            self.average.update_parameters(self.generator)
        return {"loss": loss.detach()}

    def predicting(self) -> Generator:
        """The average where there is one, else a look at the generator itself, in evaluation mode."""
        if self.average:
            average = self.average.module
            assert isinstance(average, Generator)
            return average
        return self.generator.eval()
