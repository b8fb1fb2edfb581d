"""Processes that are gone at the end of a test, however that ends: one failure must not make a second."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DEADLINE_S = 120.0  # of whatever a test waits for; only a test that fails waits so long
_PATIENCE_S = 10.0  # torchrun needs a moment to end its own processes

Process = subprocess.Popen[str]
Start = Callable[..., Process]


@contextmanager
def running(command: Sequence[str | Path], **options: Any) -> Iterator[Process]:
    """Start a process; at the end it is stopped, reaped, and its pipes are closed.

    Args:
        command: and its arguments.
        options: of `Popen`.
    """
    with subprocess.Popen(command, encoding="utf-8", **options) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_PATIENCE_S)
                finally:
                    process.kill()


def wait_until(happened: Callable[[], object], process: Process | None = None, pause_s: float = 0.005) -> None:
    """Wait until something has happened, and fail where it cannot any more.

    Args:
        happened: asked again and again.
        process: what should make it happen, and must not end before.
        pause_s: between two questions.
    """
    end = time.monotonic() + DEADLINE_S
    while not happened():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it did not happen"
        time.sleep(pause_s)
