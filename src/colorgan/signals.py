"""SIGINT and SIGTERM as a question asked between two pieces of work, so that each is finished and saved."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

from colorgan.errors import Interrupted

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class SignalWatch:
    """While entered, the first SIGINT or SIGTERM is remembered; a second SIGINT stops at once.

    Outside the main thread, where Python allows no handlers, it watches nothing.

    Args:
        at_once: raise KeyboardInterrupt at the first signal too, for work that leaves nothing half done. Python drops
            what is raised while it runs a destructor or a callback, so `check` has to be asked all the same.

    Attributes:
        received: the number of the first signal, or None.
    """

    def __init__(self, *, at_once: bool = False) -> None:
        self.received: int | None = None
        self._at_once = at_once
        self._previous: dict[int, signal._HANDLER] = {}

    def __enter__(self) -> SignalWatch:
        """Take the signals over."""
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._remember) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        again = self.received is not None and number == signal.SIGINT
        self.received = self.received or number
        if again or self._at_once:
            raise KeyboardInterrupt

    def check(self, advice: str) -> None:
        """Raise if a signal came.

        Args:
            advice: how to go on, for the error's last part.

        Raises:
            Interrupted: a signal came; its exit code is 130 or 143.
        """
        if self.received is not None:
            raise Interrupted(self.received, advice)
