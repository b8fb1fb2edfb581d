"""What tests on a GPU share."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def waiting_forbidden() -> Iterator[None]:
    """Work in which the processor may not wait for the GPU; torch raises RuntimeError where it would."""
    try:
        _set_sync_debug_mode("error")
        yield
    finally:
        _set_sync_debug_mode("default")


def _set_sync_debug_mode(mode: str) -> None:
    with warnings.catch_warnings():
        # Torch warns when it has set the mode: as an error, that would leave the mode on for all tests that follow.
        warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype", UserWarning)
        torch.cuda.set_sync_debug_mode(mode)
