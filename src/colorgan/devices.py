"""Resolves the names of devices and precisions, and queries what a device supports."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from colorgan.errors import DeviceError, UsageError

_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_NAMES = ("cpu", "cuda", "mps")
# Parts of the messages of plain RuntimeErrors that allocators raise: torch's on a CPU, on Windows, on a Mac.
_OUT_OF_MEMORY = ("defaultcpuallocator", "not enough memory", "out of memory")


def resolve_device(name: str) -> torch.device:
    """Return the available device of a name.

    Args:
        name: auto, cpu, cuda, cuda:N or mps; auto takes CUDA, then MPS, then the CPU.

    Raises:
        DeviceError: this machine has no device of that name.
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
    """Describe a device for the line that each command prints, as "cpu (8 threads)"."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    threads = torch.get_num_threads()
    return f"{device} ({threads} thread{'s' * (threads > 1)})" if device.type == "cpu" else str(device)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether a device computes bfloat16 in hardware, and faster than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not torch.cpu._is_avx512_bf16_supported():
        return False
    # AMX, and AMD's AVX-512, multiply bfloat16 at twice the speed of float32; Intel's AVX-512 at half of it.
    return bool(torch.cpu._is_amx_tile_supported()) or not _is_intel()


def _is_intel() -> bool:
    try:
        return "GenuineIntel" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return "Intel" in platform.processor()


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the data type in which a network's convolutions run, by the name of a precision.

    Args:
        name: auto, fp32, bf16 or fp16; auto takes half precision if the device is fast at it.
        device: the device of the network.

    Raises:
        UsageError: the name is unknown.
    """
    if name == "auto":
        if has_fast_bf16(device):
            return torch.bfloat16
        return torch.float16 if device.type == "cuda" else torch.float32
    if name not in _PRECISIONS:
        raise UsageError("a precision", repr(name), f"Choose auto, {', '.join(_PRECISIONS)}.", parameter="precision")
    return _PRECISIONS[name]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a device ran out of memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OUT_OF_MEMORY)
