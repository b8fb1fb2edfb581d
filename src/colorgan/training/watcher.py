"""Who is told how a run goes; the command line draws a bar from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from colorgan.metrics import MetricValues
from colorgan.training.checkpoint import Position


class Watcher(Protocol):
    """What the loop calls."""

    def fetching(self, received: int, total: int | None) -> None:
        """Before it all, weights arrive: so many bytes of the file's, where these are known."""

    def progressed(self, position: Position, batches: int, share: float) -> None:
        """A step is done; `share` of the whole run is, 0..1."""

    def logged(self, terms: dict[str, float]) -> None:
        """The terms of the loss were read off the device."""

    def validated(self, epoch: int, figures: MetricValues) -> None:
        """An epoch was validated, or before the first (0) the model that the run starts from."""

    def warned(self, text: str) -> None:
        """Something a person should not miss."""

    def judged(self, lines: Sequence[str]) -> None:
        """The run is over, and this is how it went."""


class Silent:
    """Says nothing, as the ranks that do not lead do."""

    def fetching(self, received: int, total: int | None) -> None:
        """Say nothing."""

    def progressed(self, position: Position, batches: int, share: float) -> None:
        """Say nothing."""

    def logged(self, terms: dict[str, float]) -> None:
        """Say nothing."""

    def validated(self, epoch: int, figures: MetricValues) -> None:
        """Say nothing."""

    def warned(self, text: str) -> None:
        """Say nothing."""

    def judged(self, lines: Sequence[str]) -> None:
        """Say nothing."""
