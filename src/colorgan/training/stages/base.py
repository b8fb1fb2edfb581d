"""Ways of training: a stage holds networks and optimizers, and turns a batch into one step.

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
    """How the weights move.

    Attributes:
        lr: Adam's rate.
        betas: Adam's averaging.
        weight_decay: decoupled, as in AdamW; 0 is plain Adam.
        clip_norm: the gradient's norm is cut to this; 0 leaves it.
        ema: decay of the average of the weights that is validated and saved, reached after a while; 0 for none.
        bf16: run the network under bfloat16 autocast; the loss stays in float32.
        encoder_lr: the rate of a pretrained encoder; 0 for `lr`.
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
        """How a run's generator moves."""
        names = ("lr", "encoder_lr", "weight_decay", "clip_norm", "ema")
        return cls(betas=betas, bf16=bf16, **{name: getattr(options, name) for name in names})


def _parameter_groups(network: nn.Module, options: OptimizerOptions) -> list[dict[str, Any]]:
    """The parameters that learn: those of a pretrained encoder at their rate, and the others."""
    encoder = network.pretrained_encoder() if isinstance(network, Generator) else None
    own = {id(parameter) for parameter in encoder.parameters()} if encoder else set()
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learning if id(p) in own], "lr": options.encoder_lr or options.lr},
        {"params": [p for p in learning if id(p) not in own], "lr": options.lr},
    ]
    return [group for group in groups if group["params"]]


def _tensors(module: nn.Module) -> list[Tensor]:
    """The parameters and the buffers of a module, without their gradients."""
    return [tensor.detach() for tensor in (*module.parameters(), *module.buffers())]


class OptimizedNetwork:
    """A network with its optimizer and, where asked for, the average of its weights.

    Args:
        network: on its device, in the memory format that it is to train in.
        options: how the weights move.
        group: whose gradients are averaged.
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
        """Around the last backward pass before a step: gradients are averaged while it goes on, none is added later.

        Without it they are averaged in the step.
        """
        return self._buckets.starting() if self._buckets else nullcontext()

    def step(self) -> None:
        """Step along the gradients that the parameters hold; afterwards all ranks hold the same network."""
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
        """Move the average on; at first by larger steps, or a short run's would still hold what it started from.

        `AveragedModel.update_parameters` does this too, but waits for the GPU twice in each step.
        """
        updates = int(average.n_averaged)  # it lies on the CPU
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
    """A way of training, and what the loop needs of it: a generator that learns.

    Args:
        generator: on its device, in the memory format that it is to train in.
        optimizer: how its weights move.
        temperature: divides its logits, in training and wherever its result is used.
        group: the processes that train together.

    Attributes:
        name: what a checkpoint says it is of.
    """

    name: str

    def __init__(
        self, generator: Generator, optimizer: OptimizerOptions, temperature: float = 1.0, group: ProcessGroup = SINGLE
    ) -> None:
        self.generator, self.temperature, self.group = generator, temperature, group
        self.optimized = OptimizedNetwork(generator, optimizer, group)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Every module whose state a checkpoint holds, by name: the generator and, where there is one, its average."""
        return {"generator": self.generator} | ({"average": self.optimized.average} if self.optimized.average else {})

    @property
    def optimizers(self) -> dict[str, Optimizer]:
        """Every optimizer whose state a checkpoint holds, by name: the generator's."""
        return {"generator": self.optimized.optimizer}

    @abstractmethod
    def step(self, L: Tensor, ab: Tensor) -> dict[str, Tensor]:
        """Learn from one batch, L (B, 1, H, W) and ab (B, 2, H, W); return the loss's terms, detached."""

    def eval_network(self) -> Generator:
        """What is validated and saved as the result, in evaluation mode: the average, or the generator itself."""
        network = self.optimized.average.module if self.optimized.average else self.generator.eval()
        assert isinstance(network, Generator)
        return network

    def autocast(self, L: Tensor, enabled: bool = True) -> torch.autocast:
        """What the networks compute in, where a batch is."""
        return torch.autocast(L.device.type, torch.bfloat16, enabled=self.optimized.options.bf16 and enabled)
