"""Gradients that are averaged while the backward pass goes on, with a second rank that holds the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor, nn

from colorgan.distributed import ProcessGroup, Work
from colorgan.training.stages import buckets
from colorgan.training.stages.base import OptimizedNetwork, OptimizerOptions


@dataclass(frozen=True)
class Pair(ProcessGroup):
    """A group of two ranks, in which the other's gradients are three times this one's."""

    size: int = 2
    begun: list[int] = field(default_factory=list)
    waited: list[int] = field(default_factory=list)

    def start_sum(self, tensors: Sequence[Tensor]) -> tuple[Tensor, Work]:
        self.begun.append(sum(tensor.numel() for tensor in tensors))
        return torch.cat([4 * tensor.flatten() for tensor in tensors]), Sum(self.waited, self.begun[-1])

    def all_reduce_mean(self, tensors: Sequence[Tensor]) -> None:
        """Do nothing, as the buffers are alike."""


@dataclass
class Sum:
    waited: list[int]
    count: int

    def wait(self) -> None:
        self.waited.append(self.count)


@pytest.fixture(autouse=True)
def small_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "BUCKET_BYTES", 4 * 170)
    monkeypatch.setattr(buckets, "_LAST_BYTES", 4 * 80)


def network() -> nn.Sequential:
    """Return layers of 80, 146, 152 and 16 numbers: buckets of 168, 146 and 80."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 8, 3), nn.Conv2d(8, 2, 3), nn.Conv2d(2, 8, 3), nn.Conv2d(8, 2, 1, bias=False)]
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def optimized(group: ProcessGroup, trained: nn.Module) -> OptimizedNetwork:
    return OptimizedNetwork(trained, OptimizerOptions(lr=1e-3), group)


def loss_of(trained: nn.Module, seed: int = 1) -> Tensor:
    return trained(torch.rand(2, 1, 9, 9, generator=torch.Generator().manual_seed(seed))).square().sum()


def test_buckets_begin_while_earlier_layers_are_still_to_come_and_end_with_a_small_one() -> None:
    group, trained = Pair(), network()
    ours = optimized(group, trained)
    still_to_come: list[int] = []
    trained[0].register_full_backward_pre_hook(lambda *_: still_to_come.append(len(group.begun)))
    with ours.last_backward():
        loss_of(trained).backward()
    assert still_to_come == [2], "the first layer's gradient came before those of the others were on their way"
    assert len(group.begun) == 3
    assert group.begun[-1] <= 80
    assert sum(group.begun) == sum(parameter.numel() for parameter in trained.parameters())
    assert not group.waited
    ours.step()
    assert group.waited == group.begun


@pytest.mark.parametrize("overlaps", [True, False])
def test_each_weight_steps_along_the_mean_of_all_backward_passes(overlaps: bool) -> None:
    group, trained, alone = Pair(), network(), network()
    ours = optimized(group, trained)
    for _ in range(3):
        loss_of(trained).backward()
        begun = len(group.begun)
        if overlaps:
            with ours.last_backward():
                loss_of(trained, 2).backward()
            assert len(group.begun) == begun + 3
        else:
            loss_of(trained, 2).backward()
            assert len(group.begun) == begun
        expected = [2 * (one + other) for one, other in zip(_gradients(alone, 1), _gradients(alone, 2), strict=True)]
        held = [parameter.grad for parameter in trained.parameters()]
        ours.step()
        for gradient, mean in zip(held, expected, strict=True):
            assert torch.allclose(gradient, mean, rtol=1e-5, atol=1e-7)
        alone.load_state_dict(trained.state_dict())
    assert group.waited == group.begun


def _gradients(trained: nn.Module, seed: int) -> list[Tensor]:
    return list(torch.autograd.grad(loss_of(trained, seed), list(trained.parameters())))


def test_weights_that_get_no_gradient_hold_nothing_up() -> None:
    group, trained = Pair(), network()
    trained[1].requires_grad_(False)
    trained.add_module("unused", nn.Linear(3, 3))
    ours = optimized(group, trained)
    before = [parameter.clone() for parameter in trained.parameters()]
    with ours.last_backward():
        trained[3](trained[2](trained[1](trained[0](torch.rand(1, 1, 9, 9))))).sum().backward()
    ours.step()
    learned = sum(p.numel() for layer in (trained[0], trained[2], trained[3]) for p in layer.parameters())
    assert sum(group.waited) == learned
    moved = [not torch.equal(one, other) for one, other in zip(before, trained.parameters(), strict=True)]
    assert moved == [True, True, False, False, True, True, True, False, False]


def test_a_process_alone_averages_nothing() -> None:
    trained = network()
    ours = optimized(ProcessGroup(), trained)
    with ours.last_backward():
        loss_of(trained).backward()
    assert not trained[0].weight._post_accumulate_grad_hooks
    ours.step()
