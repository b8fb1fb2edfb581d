"""The output of `colorgan --version`: the versions and paths that a bug report needs."""

from __future__ import annotations

import importlib.metadata
import platform
import sys

from colorgan import __version__
from colorgan.errors import ColorganError

_BESIDE_TORCH = ("torchvision", "numpy", "pillow", "safetensors", "typer")


def version_lines() -> list[str]:
    """Return lines with the versions, the device of `auto`, and the models; if torch cannot be used, with its error."""
    lines = [
        f"colorgan {__version__}",
        f"Python {platform.python_version()} on {platform.platform()} ({sys.executable})",
    ]
    return [*lines, *_torch_lines(), *map(_package_line, _BESIDE_TORCH), *_place_lines()]


def _torch_lines() -> list[str]:
    try:
        import torch

        from colorgan.devices import describe_device, resolve_device

        return [f"torch {torch.__version__}", f"device: {describe_device(resolve_device('auto'))}"]
    except (ImportError, OSError, RuntimeError, ColorganError) as error:  # what the bug report may be about
        return [f"torch: {type(error).__name__}: {str(error)[:200]}"]


def _package_line(name: str) -> str:
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{name}: not installed"


def _place_lines() -> list[str]:
    try:
        from colorgan.models.registry import available_models, cache_folder
    except (ImportError, OSError) as error:
        return [f"models: {type(error).__name__}: {str(error)[:200]}"]
    return [f"cache: {cache_folder()}", f"available models: {', '.join(available_models())}"]
