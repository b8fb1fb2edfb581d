"""Which device to compute on, and what it can do."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from colorgan.errors import DeviceError, UsageError

_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_NAMES = ("cpu", "cuda", "mps")
# How allocators that raise nothing more special begin their complaint: torch on a CPU, on Windows, on a Mac.
_OUT_OF_MEMORY = ("defaultcpuallocator", "not enough memory", "out of memory")


def resolve_device(name: str) -> torch.device:
    """Turn the name of a device into one that is there.

    Args:
        name: auto, cpu, cuda, cuda:N or mps; auto takes CUDA, then MPS, then the CPU.

    Raises:
        DeviceError: no device of that name is here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if name.partition(":")[0] not in _NAMES:
        found = "no device has that name here"
        raise DeviceError(f"a device named {name!r}", found, "Use auto, cpu, cuda, cuda:N or mps.", parameter="device")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise DeviceError(f"a device named {name!r}", reason, "Use auto, or cpu.", parameter="device") from error
    return device


def describe_device(device: torch.device) -> str:
    """Name the device in words for the line that each command prints."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    threads = torch.get_num_threads()
    return f"{device} ({threads} thread{'s' * (threads > 1)})" if device.type == "cpu" else str(device)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is computed there in hardware, and sooner than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not torch.cpu._is_avx512_bf16_supported():
        return False
    # AMX, and AMD's AVX-512, multiply at twice the speed of float32; Intel's AVX-512 at half of it, whatever it saves.
    return bool(torch.cpu._is_amx_tile_supported()) or not _is_intel()


def _is_intel() -> bool:
    try:
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return "Intel" in platform.processor()


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """Turn the name of a precision into the number format that a network's convolutions run in.

    Args:
        name: auto, fp32, bf16 or fp16; auto takes half precision where the device is fast at it.
        device: where they run.

    Raises:
        UsageError: no such precision.
    """
    if name == "auto":
        if has_fast_bf16(device):
            return torch.bfloat16
        return torch.float16 if device.type == "cuda" else torch.float32
    if name not in _PRECISIONS:
        raise UsageError("a precision", repr(name), f"Choose auto, {', '.join(_PRECISIONS)}.", parameter="precision")
    return _PRECISIONS[name]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory did not suffice, on whichever device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OUT_OF_MEMORY)
