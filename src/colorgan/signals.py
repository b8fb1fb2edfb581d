"""Catches SIGINT, SIGTERM and SIGHUP for polling between two pieces of work, so that each is finished and saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import NoReturn

# SIGHUP, which Windows lacks, is sent when a terminal is closed or a connection breaks off.
HEEDED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


_watching: list[SignalWatch] = []


def received() -> int | None:
    """Return the number of the signal that the innermost `SignalWatch` with one has received, or None."""
    return next((watch.received for watch in reversed(_watching) if watch.received is not None), None)


def _is_ignored_hangup(number: int) -> bool:
    return number not in (signal.SIGINT, signal.SIGTERM) and signal.getsignal(number) is signal.SIG_IGN


class SignalWatch:
    """Context manager that records the first SIGINT, SIGTERM or SIGHUP; a second SIGINT stops at once.

    The first one raises nothing: an exception from a handler may surface anywhere in the main thread, even between the
    acquisition of a lock and the block that would release it, and then other threads would wait for that lock forever.

    A SIGHUP that is ignored, as under nohup, stays ignored.

    Outside the main thread, where Python allows no handlers, it does nothing.

    Args:
        exit_now: ends the process, given the first signal's number; called at a second SIGINT, which without it raises
            KeyboardInterrupt.

    Attributes:
        received: the number of the first signal, or None.
    """

    def __init__(self, exit_now: Callable[[int], NoReturn] | None = None) -> None:
        self.received: int | None = None
        self._exit_now = exit_now
        self._exits_at_once = False
        self._previous: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> SignalWatch:
        """Install the handlers."""
        if threading.current_thread() is threading.main_thread():
            handled = [number for number in HEEDED if not _is_ignored_hangup(number)]
            self._previous = {number: signal.signal(number, self._handle) for number in handled}
            _watching.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the previous handlers."""
        if self in _watching:
            _watching.remove(self)
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        again = self.received is not None and number == signal.SIGINT
        self.received = self.received or number
        if self._exit_now is not None and (again or self._exits_at_once):
            self._exit_now(self.received)
        if again:
            raise KeyboardInterrupt

    @contextmanager
    def exiting_at_once(self) -> Iterator[None]:
        """Let the first signal end the process too: for work that cannot poll and leaves nothing half done."""
        self._exits_at_once = True
        try:
            if self.received is not None and self._exit_now is not None:
                self._exit_now(self.received)
            yield
        finally:
            self._exits_at_once = False
