"""What holds for every generator: photos of any shape, in every precision."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from small_networks import small_liteunet
from torch import nn

from colorgan.colorize.engine import CPU, Engine
from colorgan.models.loading import NETWORKS
from colorgan.networks.generator import Generator
from colorgan.networks.liteunet import LiteUNet

SMALL = {"liteunet": small_liteunet}


@cache
def engine(name: str, dtype: torch.dtype) -> Engine:
    """A network at work as `colorize` has it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator: Generator = SMALL.get(name, NETWORKS[name])()
    return Engine.start(generator, CPU, dtype, print)


STRIPS = [(1, 1), (1, 700), (700, 1), (2, 5000), (5000, 2), (4, 261), (512, 8), (512, 17), (33, 64)]
CASES = [(name, shape) for name in SMALL for shape in STRIPS]
CASES += [(name, shape) for name in NETWORKS if name not in SMALL for shape in ((1, 60), (4, 61), (60, 1))]


@pytest.mark.parametrize(("name", "shape"), CASES, ids=str)
def test_no_convolution_that_reduces_gives_a_strip_of_one_pixel(name: str, shape: tuple[int, int]) -> None:
    generator = engine(name, torch.float32).place.generator
    narrowest: list[int] = []

    def note(module: nn.Module, given: object, result: torch.Tensor) -> None:
        narrowest.append(min(result.shape[2:]))

    reducing = [m for m in generator.modules() if isinstance(m, nn.Conv2d) and m.stride != (1, 1)]
    hooks = [module.register_forward_hook(note) for module in reducing]
    with torch.inference_mode():
        assert generator(torch.zeros(1, 1, *shape)).ab.shape == (1, 2, *shape)
    for hook in hooks:
        hook.remove()
    assert len(narrowest) == len(reducing)
    assert min(narrowest, default=2) >= 2  # siggraph17 reduces without a convolution


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(("name", "shape"), CASES, ids=str)
def test_a_strip_gives_the_same_finite_colors_each_time(name: str, shape: tuple[int, int], dtype: torch.dtype) -> None:
    L = 100 * torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(0))
    ran = []
    for _ in range(2):
        ((ab,),) = engine(name, dtype).run(L, 0.5, lambda prediction: (prediction.ab,))
        assert ab.isfinite().all()
        ran.append(ab.numpy().tobytes())
    assert ran[0] == ran[1]


def test_what_is_added_to_a_strip_is_its_own_edge(small_network: LiteUNet) -> None:
    seen: list[torch.Tensor] = []
    small_network.encoder.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    L = 100 * torch.rand(1, 1, 3, 21)
    with torch.inference_mode():
        small_network(L)
    (padded,) = seen
    assert padded.shape == (1, 1, 64, 64)  # at least twice its multiple of 32
    assert torch.equal(padded[..., :3, :21], L)
    assert torch.equal(padded[..., 3:, :21], L[..., 2:, :].expand(-1, -1, 61, -1))
    assert torch.equal(padded[..., 21:], padded[..., 20:21].expand(-1, -1, -1, 43))
