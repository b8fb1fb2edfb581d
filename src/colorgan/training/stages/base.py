"""The base class of training stages: a stage holds networks and optimizers, and takes a step for each batch.

A stage knows no file and no clock: `loop.py` feeds it, logs what it returns, and saves what it holds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from colorgan.distributed import SINGLE, ProcessGroup
from colorgan.networks.generator import Generator
from colorgan.training.options import RunOptions
from colorgan.training.stages.buckets import GradientBuckets


@dataclass(frozen=True)
class OptimizerOptions:
    """Options of the optimizer of one network.

    Attributes:
        lr: Adam's learning rate.
        betas: Adam's decay rates.
        weight_decay: decoupled, as in AdamW; 0 is plain Adam.
        clip_norm: the maximum norm of the gradient; 0 does not clip.
        ema: decay, ramped up at first, of the weights' moving average, which is validated and saved; 0 for none.
        bf16: run the network under bfloat16 autocast; the loss stays in float32.
        encoder_lr: the learning rate of a pretrained encoder; 0 for `lr`.
    """

    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    ema: float = 0.0
    bf16: bool = False
    encoder_lr: float = 0.0

    @classmethod
    def of(cls, options: RunOptions, bf16: bool, betas: tuple[float, float] = (0.9, 0.999)) -> OptimizerOptions:
        """Return the options of a run's generator."""
        names = ("lr", "encoder_lr", "weight_decay", "clip_norm", "ema")
        return cls(betas=betas, bf16=bf16, **{name: getattr(options, name) for name in names})


def _parameter_groups(network: nn.Module, options: OptimizerOptions) -> list[dict[str, Any]]:
    """Group the trainable parameters: a pretrained encoder's, at their own rate, and the others."""
    encoder = network.pretrained_encoder() if isinstance(network, Generator) else None
    own = {id(parameter) for parameter in encoder.parameters()} if encoder else set()
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learning if id(p) in own], "lr": options.encoder_lr or options.lr},
        {"params": [p for p in learning if id(p) not in own], "lr": options.lr},
    ]
    return [group for group in groups if group["params"]]


def _tensors(module: nn.Module) -> list[Tensor]:
    """Return the parameters and buffers of a module, detached."""
    return [tensor.detach() for tensor in (*module.parameters(), *module.buffers())]


class OptimizedNetwork:
    """A network with its optimizer and, if asked for, the moving average of its weights.

    Args:
        network: the network, on its device and in its training memory format.
        options: options of the optimizer.
        group: the processes whose gradients are averaged.
    """

    def __init__(self, network: nn.Module, options: OptimizerOptions, group: ProcessGroup = SINGLE) -> None:
        self.network, self.options, self._group = network, options, group
        learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self._buckets = GradientBuckets(learning, group) if group.size > 1 else None
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(network, options),
            lr=options.lr,
            betas=options.betas,
            weight_decay=options.weight_decay,
            fused=True,
        )
        self.average: AveragedModel | None = None
        if options.ema:
            # The buffers too: an average of weights with another network's batch norm statistics is no network.
            self.average = AveragedModel(network, use_buffers=True).eval()

    def last_backward(self) -> AbstractContextManager[None]:
        """Return a context for the last backward pass before a step, in which gradients are averaged as they appear.

        Without it they are averaged in `step`.
        """
        return self._buckets.starting() if self._buckets else nullcontext()

    def step(self) -> None:
        """Update the weights by their gradients, averaged over the processes, which all end with the same network."""
        if self._buckets:
            self._buckets.finish()
        self._group.all_reduce_mean([buffer for buffer in self.network.buffers() if buffer.is_floating_point()])
        if self.options.clip_norm:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.options.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average:
            self._move_average(self.average)

    @torch.no_grad()
    def _move_average(self, average: AveragedModel) -> None:
        """Update the moving average; by less decay at first, or a short run's would still hold the initial weights.

        `AveragedModel.update_parameters` does this too, but waits for the GPU twice in each step.
        """
        updates = int(average.n_averaged)  # on the CPU, so no synchronization
        decay = min(self.options.ema, (1 + updates) / (10 + updates)) if updates else 0.0
        averaged, current = (_tensors(module) for module in (average.module, self.network))
        pairs = list(zip(averaged, current, strict=True))
        floats = [pair for pair in pairs if pair[0].is_floating_point()]
        get_ema_multi_avg_fn(decay)([a for a, _ in floats], [c for _, c in floats], updates)
        for counted, now in pairs:
            if not counted.is_floating_point():
                counted.copy_(now)
        average.n_averaged += 1


class Stage(ABC):
    """A generator in training, and the step that trains it; a subclass for each kind of training.

    Args:
        generator: the network to train, on its device and in its training memory format.
        optimizer: options of its optimizer.
        temperature: divides its logits, in training and wherever its result is used.
        group: the processes that train together.

    Attributes:
        name: the stage's name in checkpoints.
    """

    name: str

    def __init__(
        self, generator: Generator, optimizer: OptimizerOptions, temperature: float = 1.0, group: ProcessGroup = SINGLE
    ) -> None:
        self.generator, self.temperature, self.group = generator, temperature, group
        self.optimized = OptimizedNetwork(generator, optimizer, group)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Every module whose state a checkpoint holds, by name: the generator and, if it has one, its average."""
        return {"generator": self.generator} | ({"average": self.optimized.average} if self.optimized.average else {})

    @property
    def optimizers(self) -> dict[str, Optimizer]:
        """Every optimizer whose state a checkpoint holds, by name: the generator's."""
        return {"generator": self.optimized.optimizer}

    @abstractmethod
    def step(self, L: Tensor, ab: Tensor) -> dict[str, Tensor]:
        """Train on one batch, L (B, 1, H, W) and ab (B, 2, H, W); return the loss's terms, detached."""

    def eval_network(self) -> Generator:
        """Return the network that is validated and saved, in evaluation mode: the average if there is one."""
        network = self.optimized.average.module if self.optimized.average else self.generator.eval()
        assert isinstance(network, Generator)
        return network

    def autocast(self, L: Tensor, enabled: bool = True) -> torch.autocast:
        """Return the autocast context of the networks on the device of L: bfloat16, or none."""
        return torch.autocast(L.device.type, torch.bfloat16, enabled=self.optimized.options.bf16 and enabled)
