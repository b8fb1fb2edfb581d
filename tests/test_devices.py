import pytest
import torch

from colorgan.devices import describe_device, has_fast_bf16, resolve_device
from colorgan.errors import DeviceError


@pytest.mark.parametrize("name", ["cuda:99", "warp", "mps:7", ""])
def test_a_device_that_is_not_there_is_named_in_the_error(name):
    with pytest.raises(DeviceError) as refused:
        resolve_device(name)
    assert repr(name) in refused.value.expected
    assert "--device auto" in refused.value.advice


def test_auto_takes_the_best_that_is_there():
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert resolve_device("auto").type == best


def test_the_cpu_is_described_with_its_threads():
    assert describe_device(resolve_device("cpu")) == f"cpu ({torch.get_num_threads()} threads)"
    assert isinstance(has_fast_bf16(torch.device("cpu")), bool)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_device_is_described_by_its_name():
    assert torch.cuda.get_device_name() in describe_device(resolve_device("cuda"))
