"""What holds for every generator: photos of any shape, in every precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import pytest
import torch
from small_networks import small_liteunet
from torch import nn

from colorgan.colorize.engine import CPU, Engine
from colorgan.models.loading import NETWORKS
from colorgan.networks.generator import Generator
from colorgan.networks.lite_encoder import LiteEncoder
from colorgan.networks.lite_features import LiteFeatures
from colorgan.networks.liteunet import LiteUNet
from colorgan.networks.patchgan import SMALLEST_PX, PatchGAN
from colorgan.training.options import SMALLEST_SIDE_PX

SMALL = {"liteunet": small_liteunet, "liteunet with hints": partial(small_liteunet, hint_heads=2)}


@cache
def engine(name: str, dtype: torch.dtype) -> Engine:
    """Return a network in the engine of `colorize`."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator: Generator = SMALL.get(name, NETWORKS.get(name))()
    return Engine.start(generator, CPU, dtype, print)


STRIPS = [(1, 1), (1, 700), (700, 1), (2, 5000), (5000, 2), (4, 261), (512, 8), (512, 17), (33, 64)]
CASES = [(name, shape) for name in SMALL for shape in STRIPS]
CASES += [(name, shape) for name in NETWORKS if name not in SMALL for shape in ((1, 60), (4, 61), (60, 1))]


def narrowest_reduced(network: nn.Module, run: Callable[[], object]) -> int:
    """Return the shortest side among the outputs of strided convolutions; 2 if there are none."""
    sides: list[int] = []
    reducing = [m for m in network.modules() if isinstance(m, nn.Conv2d) and m.stride != (1, 1)]
    hooks = [m.register_forward_hook(lambda _, given, result: sides.append(min(result.shape[2:]))) for m in reducing]
    with torch.inference_mode():
        run()
    for hook in hooks:
        hook.remove()
    assert len(sides) == len(reducing)
    return min(sides, default=2)  # siggraph17 reduces without a convolution


@pytest.mark.parametrize(("name", "shape"), CASES, ids=str)
def test_no_convolution_that_reduces_gives_a_strip_of_one_pixel(name: str, shape: tuple[int, int]) -> None:
    generator = engine(name, torch.float32).primary.generator
    assert generator(torch.zeros(1, 1, *shape)).ab.shape == (1, 2, *shape)
    assert narrowest_reduced(generator, lambda: generator(torch.zeros(1, 1, *shape))) >= 2


def test_no_convolution_that_reduces_gives_a_training_square_of_one_pixel() -> None:
    features = LiteFeatures(LiteEncoder((4,) * 7, (1,) * 7, stem=4), torch.zeros(4, 3, 3, 3)).eval()
    square = torch.zeros(1, 3, SMALLEST_SIDE_PX, SMALLEST_SIDE_PX)
    assert narrowest_reduced(features, lambda: features(square)) >= 2
    judge = PatchGAN(channels=(2, 2, 2, 2))
    square = torch.zeros(1, 3, SMALLEST_PX, SMALLEST_PX)
    assert narrowest_reduced(judge, lambda: judge(square[:, :1], square[:, 1:])) >= 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(("name", "shape"), CASES, ids=str)
def test_a_strip_gives_the_same_finite_colors_each_time(name: str, shape: tuple[int, int], dtype: torch.dtype) -> None:
    L = 100 * torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(0))
    if name == "liteunet with hints":
        hints = torch.zeros(1, 3, *shape)
        hints[..., -1, -1] = torch.tensor([40.0, -30.0, 1.0])
        L = torch.cat([L, hints], 1)
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
