"""Callbacks of the commands while the library works: they print warnings, show bars, and handle signals."""

from __future__ import annotations

import contextlib
import os
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TimeRemainingColumn
from rich.progress import Progress as Bar

from colorgan.callbacks import Callbacks
from colorgan.cli.console import Console, DownloadBar, print_error, restore_terminal
from colorgan.errors import Interrupted
from colorgan.files import drop_unfinished
from colorgan.signals import SignalWatch

if TYPE_CHECKING:
    from typing_extensions import Self


def watch_signals(advice: str) -> SignalWatch:
    """Return the watch of a command: it polls for the first signal between two pieces of work; a second Ctrl-C exits.

    The advice, printed in that case, says how to go on.
    """
    return SignalWatch(lambda number: leave_at_once(Interrupted(number, advice)))


def leave_at_once(error: Interrupted) -> NoReturn:
    """Exit without waiting for the work under way, whose unfinished files are removed."""
    drop_unfinished()
    # The terminal may be gone, and a signal handler may not print if it interrupted a print.
    with contextlib.suppress(OSError, RuntimeError):
        restore_terminal()
        print_error(error)
    os._exit(error.exit_code)


class CommandCallbacks(Callbacks):
    """Prints warnings, shows downloads and polls for signals; to be used as a context manager.

    Attributes:
        console: the console to print to.
        download: the bar of downloads.
        bars: all other bars, which are closed on exit.
    """

    def __init__(self, console: Console, watch: SignalWatch) -> None:
        self.console, self._watch = console, watch
        self.download, self.bars = DownloadBar(console), contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.download.close()
        self.bars.close()

    def on_warning(self, text: str) -> None:
        """Print the warning, even if the console is quiet."""
        self.console.warn(text, is_prose=True)

    def on_download(self, name: str, received_bytes: int, total_bytes: int | None) -> None:
        """Update the bar of the file."""
        self.download.show(name, received_bytes, total_bytes)

    def should_stop(self) -> int | None:
        """Return the number of the signal that was received, or None."""
        return self._watch.received


class BarCallbacks(CommandCallbacks):
    """Also shows a bar of photos, with the text `words`, or `words_before` until their number is known."""

    def __init__(self, console: Console, watch: SignalWatch, words: str, words_before: str = "") -> None:
        super().__init__(console, watch)
        self._words, self._words_before = words, words_before
        self._bar: Bar | None = None
        self._task = TaskID(0)

    def on_start(self) -> None:
        """Show the bar before the number of photos is known."""
        self._start(self._words_before)

    def on_progress(self, done: int, total: int) -> None:
        """Update the bar."""
        self.download.close()
        if self._bar is None:
            self._start(self._words)
        assert self._bar is not None
        self._bar.update(self._task, completed=done, total=total, description=self._words)

    def _start(self, words: str) -> None:
        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = self.bars.enter_context(self.console.bar(*columns))
        self._task = self._bar.add_task(words, total=None)
