"""Which device to compute on, and what it can do."""

from __future__ import annotations

import torch

from colorgan.errors import DeviceError


def resolve_device(name: str) -> torch.device:
    """Turn the `--device` option into a device that is there.

    Args:
        name: auto, cpu, cuda, cuda:N or mps; auto takes CUDA, then MPS, then the CPU.

    Raises:
        DeviceError: no device of that name is here.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise DeviceError(f"a device named {name!r}", reason, "Use --device auto, or --device cpu.") from error
    return device


def describe_device(device: torch.device) -> str:
    """Name the device in words for the line that each command prints."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({torch.get_num_threads()} threads)" if device.type == "cpu" else str(device)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is computed in hardware there, and not merely emulated."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.cpu._is_avx512_bf16_supported())
