"""A model that is loaded in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from colorgan.colorize.colorizer import Colorizer

_LOOK_UP_S = 0.1


class Loading:
    """A model that is loaded in a thread of its own, so that a signal need not wait for torch.

    Args:
        load: loads it.
    """

    def __init__(self, load: Callable[[], Colorizer]) -> None:
        self._load = load
        self._thread: threading.Thread | None = None
        self._colorizer: Colorizer | None = None
        self._error: BaseException | None = None

    def _run(self) -> None:
        try:
            self._colorizer = self._load()
        except BaseException as error:  # it is raised where the model is asked for
            self._error = error

    def wait(self, check: Callable[[], None]) -> Colorizer:
        """Load it, unless that was done, and give it.

        Args:
            check: called while waiting; raises to stop.

        Raises:
            Whatever `check` or the loading raised.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        while self._thread.is_alive():
            self._thread.join(_LOOK_UP_S)
            check()
        return self.get()

    def get(self) -> Colorizer:
        """The loaded model."""
        if self._error is not None:
            raise self._error
        if self._colorizer is None:
            raise RuntimeError("asked for before it was loaded")
        return self._colorizer

    @property
    def is_under_way(self) -> bool:
        """Whether the thread still runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_done(self) -> bool:
        """Whether the model is there."""
        return self._colorizer is not None
