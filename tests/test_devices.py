from pathlib import Path

import pytest
import torch

from colorgan.devices import describe_device, has_fast_bf16, is_out_of_memory, resolve_device, resolve_precision
from colorgan.errors import DeviceError, UsageError


@pytest.mark.parametrize("name", ["cuda:99", "warp", "mps:7", ""])
def test_a_device_that_is_not_there_is_named_in_the_error(name):
    with pytest.raises(DeviceError) as refused:
        resolve_device(name)
    assert repr(name) in refused.value.expected
    assert "Use auto" in refused.value.advice


def test_auto_takes_the_best_that_is_there():
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert resolve_device("auto").type == best


def test_the_cpu_is_described_with_its_threads():
    assert describe_device(resolve_device("cpu")).startswith(f"cpu ({torch.get_num_threads()} thread")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_device_is_described_by_its_name():
    assert torch.cuda.get_device_name() in describe_device(resolve_device("cuda"))


@pytest.mark.parametrize(
    ("has_bf16", "has_amx", "vendor", "is_fast"),
    [
        (False, False, "AuthenticAMD", False),
        (True, False, "AuthenticAMD", True),
        (True, False, "GenuineIntel", False),
        (True, True, "GenuineIntel", True),
    ],
)
def test_a_cpu_is_fast_at_bfloat16_where_it_multiplies_sooner_than_in_float32(
    monkeypatch, has_bf16, has_amx, vendor, is_fast
):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_amx)
    monkeypatch.setattr(Path, "read_text", lambda path: f"vendor_id\t: {vendor}\n")
    assert has_fast_bf16(torch.device("cpu")) is is_fast


def test_precision_auto_is_half_where_the_device_is_fast_at_it():
    cpu = torch.device("cpu")
    assert resolve_precision("auto", cpu) is (torch.bfloat16 if has_fast_bf16(cpu) else torch.float32)
    assert resolve_precision("fp32", cpu) is torch.float32


def test_a_precision_that_is_not_known_is_refused():
    with pytest.raises(UsageError, match="int4"):
        resolve_precision("int4", torch.device("cpu"))


def test_only_a_lack_of_memory_is_taken_for_one():
    with pytest.raises(RuntimeError) as refused:
        torch.empty(1 << 60)
    assert is_out_of_memory(refused.value)
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("sizes of tensors must match"))
    assert not is_out_of_memory(ValueError("out of memory"))
