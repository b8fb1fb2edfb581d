"""How a command meets signals: the first is asked for between two pieces of work, a second Ctrl-C leaves at once."""

from __future__ import annotations

import contextlib
import os
from typing import NoReturn

from colorgan.cli.console import print_error, restore_terminal
from colorgan.errors import Interrupted
from colorgan.files import drop_unfinished
from colorgan.signals import SignalWatch


def watch_signals(advice: str) -> SignalWatch:
    """Make the watch of a command.

    Args:
        advice: how to go on after it was interrupted.
    """
    return SignalWatch(lambda number: leave_at_once(Interrupted(number, advice)))


def leave_at_once(error: Interrupted) -> NoReturn:
    """End without waiting for what is under way; that is dropped."""
    drop_unfinished()
    # The terminal may be gone, and a handler may not print while it interrupts a print.
    with contextlib.suppress(OSError, RuntimeError):
        restore_terminal()
        print_error(error)
    os._exit(error.exit_code)
