"""Processes that are always stopped at the end of a test, so that one failure does not cause another."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

DEADLINE_S = 120.0  # limit of every wait in the tests; only a failing test waits so long
_PATIENCE_S = 10.0  # torchrun needs a moment to end its own processes

Process = subprocess.Popen[str]
Start = Callable[..., Process]


@contextmanager
def running(command: Sequence[str | Path], **options: Any) -> Iterator[Process]:
    """Start a process; at the end it is stopped, reaped, and its pipes are closed.

    Args:
        command: the program and its arguments.
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
    """Wait until a condition holds, and fail after `DEADLINE_S`.

    Args:
        happened: the condition, called repeatedly.
        process: a process that must not end before.
        pause_s: pause between two calls.
    """
    end = time.monotonic() + DEADLINE_S
    while not happened():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it did not happen"
        time.sleep(pause_s)
