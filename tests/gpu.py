"""A helper for tests on a GPU."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def waiting_forbidden() -> Iterator[None]:
    """Forbid synchronization with the GPU: torch raises RuntimeError if the CPU would wait for it."""
    try:
        _set_sync_debug_mode("error")
        yield
    finally:
        _set_sync_debug_mode("default")


def _set_sync_debug_mode(mode: str) -> None:
    with warnings.catch_warnings():
        # Torch warns after it has set the mode; as an error, the warning would leave the mode on for all later tests.
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype", UserWarning)
        torch.cuda.set_sync_debug_mode(mode)
