"""SIGINT, SIGTERM and SIGHUP as a question asked between two pieces of work, so that each is finished and saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import NoReturn

# SIGHUP, which Windows does not have, comes when a terminal is closed or a connection breaks off.
HEEDED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


_watching: list[SignalWatch] = []


def received() -> int | None:
    """The number of the signal that came to whoever watches, or None."""
    return next((watch.received for watch in reversed(_watching) if watch.received is not None), None)


def _nohup(number: int) -> bool:
    return number not in (signal.SIGINT, signal.SIGTERM) and signal.getsignal(number) is signal.SIG_IGN


class SignalWatch:
    """While entered, the first SIGINT, SIGTERM or SIGHUP is remembered; a second SIGINT stops at once.

    Nothing is raised at the first one: what a handler raises comes up wherever the main thread is, also between the
    taking of a lock and the block that would release it, and then whoever waits for that lock waits for ever.

    A SIGHUP that is ignored, as under nohup, stays ignored.

    Outside the main thread, where Python allows no handlers, it watches nothing.

    Args:
        exit_now: ends the process, told the first signal's number; called at a second SIGINT. Without it that raises
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
        """Take the signals over."""
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._remember) for number in HEEDED if not _nohup(number)}
            _watching.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        if self in _watching:
            _watching.remove(self)
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        again = self.received is not None and number == signal.SIGINT
        self.received = self.received or number
        if self._exit_now is not None and (again or self._exits_at_once):
            self._exit_now(self.received)
        if again:
            raise KeyboardInterrupt

    @contextmanager
    def exiting_at_once(self) -> Iterator[None]:
        """Let the first signal end the process too: for what leaves nothing half done and cannot be asked between."""
        self._exits_at_once = True
        try:
            if self.received is not None and self._exit_now is not None:
                self._exit_now(self.received)
            yield
        finally:
            self._exits_at_once = False
