from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

from colorgan.colorize.engine import CPU, Engine, LoadedGenerator, Results
from colorgan.errors import PhotoError
from colorgan.models.loading import load_model
from colorgan.networks.eccv16 import ECCV16
from colorgan.networks.generator import Generator, Prediction

OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried 8 bytes."),
    RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
]


class Narrow(Generator):
    """Gives each photo's mean as its a, and has memory for so many photos; remembers how many it was shown."""

    network = "narrow"
    multiple = 4

    def __init__(self, fits: int, error: BaseException = OUT_OF_MEMORY[0]) -> None:
        super().__init__()
        self.fits, self.error = fits, error
        self.shown: list[int] = []

    @property
    def options(self) -> dict[str, Any]:
        return {}

    def compute(self, L: Tensor, temperature: float, hints: Tensor | None = None) -> Prediction:
        self.shown.append(len(L))
        if len(L) > self.fits:
            raise self.error
        return Prediction(L.mean(dim=(2, 3), keepdim=True).expand(-1, 2, *L.shape[2:]), None)


def ab(prediction: Prediction) -> Results:
    return (prediction.ab,)


def engine(device_fits: int, cpu_fits: int = 1, **options: Any) -> tuple[Engine, list[str]]:
    words: list[str] = []
    loaded = LoadedGenerator(Narrow(device_fits, **options), CPU), LoadedGenerator(Narrow(cpu_fits, **options), CPU)
    return Engine(*loaded, words.append, max_batch=4), words


def shown(loaded: LoadedGenerator | None) -> list[int]:
    assert loaded
    assert isinstance(loaded.generator, Narrow)
    return loaded.generator.shown


PHOTOS = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 1, 8, 8)


def assert_all_right(results: list[Results | PhotoError]) -> None:
    means = [result[0].mean().item() for result in results if not isinstance(result, PhotoError)]
    assert means == [0, 1, 2, 3, 4, 5]


def test_photos_share_batches_and_keep_their_order() -> None:
    colored, words = engine(device_fits=4)
    assert_all_right(colored.run(PHOTOS, 1.0, ab))
    assert (shown(colored.primary), words) == ([4, 2], [])


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__ + str(error)[:4])
def test_out_of_memory_halves_the_batch_with_a_word_and_does_not_try_that_much_again(error: BaseException) -> None:
    colored, words = engine(device_fits=2, error=error)
    assert_all_right(colored.run(PHOTOS, 1.0, ab))
    assert shown(colored.primary) == [4, 2, 2, 2]
    assert_all_right(colored.run(PHOTOS, 1.0, ab))
    assert shown(colored.primary)[4:] == [2, 2, 2]
    assert len(words) == 1
    assert "4 photos at once" in words[0]
    assert shown(colored.cpu_fallback) == []


def test_out_of_memory_for_one_photo_goes_on_on_the_cpu_with_a_word() -> None:
    colored, words = engine(device_fits=0)
    assert_all_right(colored.run(PHOTOS, 1.0, ab))
    assert shown(colored.cpu_fallback) == [1] * 6
    assert "the CPU" in words[-1]


def test_out_of_memory_on_the_cpu_too_is_a_photo_with_a_reason() -> None:
    colored, _ = engine(device_fits=0, cpu_fits=0)
    results = colored.run(PHOTOS[:1], 1.0, ab)
    assert isinstance(results[0], PhotoError)
    assert "8 x 8" in str(results[0])


def test_a_cpu_without_memory_tries_the_next_photo_again() -> None:
    narrow = Narrow(0)
    colored = Engine(LoadedGenerator(narrow, CPU), None, pytest.fail, max_batch=1)
    assert isinstance(colored.run(PHOTOS[:1], 1.0, ab)[0], PhotoError)
    narrow.fits = 1
    assert_all_right(colored.run(PHOTOS, 1.0, ab))


def test_any_other_error_is_not_taken_for_a_lack_of_memory() -> None:
    colored, _ = engine(device_fits=0, error=RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        colored.run(PHOTOS, 1.0, ab)


def norms(generator: Generator) -> int:
    return sum(isinstance(module, torch.nn.BatchNorm2d) for module in generator.modules())


def test_norms_are_folded_where_the_network_allows_it(small_network: Generator) -> None:
    other = copy.deepcopy(small_network)
    other.can_fold = False
    assert norms(Engine.start(small_network, CPU, torch.float32, pytest.fail).primary.generator) == 0
    assert norms(Engine.start(other, CPU, torch.float32, pytest.fail).primary.generator) == norms(other) > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_a_cpu_a_photo_has_the_same_bits_in_any_company(small_network: Generator, dtype: torch.dtype) -> None:
    colored = Engine.start(small_network, CPU, dtype, pytest.fail)
    L = torch.rand(3, 1, 24, 40, generator=torch.Generator().manual_seed(0)) * 100
    together = colored.run(L, 1.0, ab)
    for index, result in enumerate(together):
        alone = colored.run(L[index : index + 1], 1.0, ab)[0]
        assert not isinstance(result, PhotoError)
        assert not isinstance(alone, PhotoError)
        assert torch.equal(result[0], alone[0])


def bf16_difference(generator: Generator, temperature: float, size: tuple[int, int]) -> float:
    L = torch.rand(1, 1, 6, 8, generator=torch.Generator().manual_seed(0)) * 100
    L = torch.nn.functional.interpolate(L, size, mode="bicubic").clamp(0, 100)
    with torch.inference_mode():
        wanted = generator.eval()(L, temperature).ab[0]
    (result,) = Engine.start(copy.deepcopy(generator), CPU, torch.bfloat16, pytest.fail).run(L, temperature, ab)
    assert not isinstance(result, PhotoError)
    difference = float((result[0] - wanted).abs().mean())
    assert difference > 0, "nothing was computed in bfloat16"
    return difference


HAS_BF16 = torch.cpu._is_avx512_bf16_supported()
NEEDS_BF16 = pytest.mark.skipif(not HAS_BF16, reason="bfloat16 is emulated, and slow, on this CPU")


@NEEDS_BF16
def test_bf16_moves_the_bundled_models_colors_by_less_than_anyone_sees() -> None:
    model = load_model("compact", CPU)
    assert bf16_difference(model.generator, model.info.temperature, (64, 96)) < 0.3


@NEEDS_BF16
def test_bf16_moves_the_colors_of_eccv16_by_less_than_anyone_sees(standin_eccv16: dict[str, Tensor]) -> None:
    network = ECCV16()
    network.load_state_dict(standin_eccv16)
    assert bf16_difference(network, 1.0, (64, 64)) < 0.3


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_a_gpu_gives_the_cpus_colors_but_for_rounding(small_network: Generator, dtype: torch.dtype) -> None:
    L = torch.rand(3, 1, 24, 40, generator=torch.Generator().manual_seed(0)) * 100
    wanted = small_network(L).ab
    results = Engine.start(small_network, torch.device("cuda"), dtype, pytest.fail).run(L, 1.0, ab)
    for index, result in enumerate(results):
        assert not isinstance(result, PhotoError)
        assert (result[0] - wanted[index]).abs().mean() < 0.3


class Overflowing(Generator):
    """Gives each photo's mean as its a; what is bright is no number in bfloat16, and what is black in no precision."""

    network = "overflowing"
    multiple = 4

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Conv2d(1, 1, 1)

    @property
    def options(self) -> dict[str, Any]:
        return {}

    def compute(self, L: Tensor, temperature: float, hints: Tensor | None = None) -> Prediction:
        mean = L.mean(dim=(2, 3), keepdim=True)
        is_lost = (mean == 0) | ((mean > 50) & (self.weight.weight.dtype is torch.bfloat16))
        return Prediction(mean.where(~is_lost, torch.nan).expand(-1, 2, *L.shape[2:]), None)


def test_what_is_no_number_in_half_precision_is_computed_once_more_in_float32_and_fails_alone() -> None:
    photos = torch.tensor([10.0, 90.0, 0.0, 20.0]).view(4, 1, 1, 1).expand(4, 1, 8, 8)
    for dtype in (torch.bfloat16, torch.float32):
        results = Engine.start(Overflowing(), CPU, dtype, pytest.fail).run(photos, 1.0, ab)
        means = [None if isinstance(result, PhotoError) else result[0].mean().item() for result in results]
        assert means == [10, 90, None, 20]
