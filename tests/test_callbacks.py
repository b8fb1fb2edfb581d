from __future__ import annotations

import pytest

from colorgan.callbacks import Callbacks, StopCheck
from colorgan.errors import Interrupted


class Stopping(Callbacks):
    """Is told of a signal once a megabyte is here."""

    def __init__(self) -> None:
        self.received_bytes = 0

    def on_download(self, name: str, received_bytes: int, total_bytes: int | None) -> None:
        self.received_bytes = received_bytes

    def should_stop(self) -> int | None:
        return 15 if self.received_bytes >= 1e6 else None


def test_nobody_who_listens_never_stops() -> None:
    StopCheck(Callbacks(), "Go on.")()


def test_a_download_ends_where_a_signal_came() -> None:
    check = StopCheck(Stopping(), "Go on.")
    check.downloaded("eccv16", 500_000, 2_000_000)
    with pytest.raises(Interrupted, match="Go on") as caught:
        check.downloaded("eccv16", 1_000_000, None)
    assert caught.value.exit_code == 143
