"""Callbacks for tests of training."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence

from colorgan.callbacks import Callbacks, TrainingStep


class Listener(Callbacks):
    """Records calls, and stops the run on request.

    Args:
        is_to_stop: called to decide whether to stop, as if by Ctrl-C.
    """

    def __init__(self, is_to_stop: Callable[[], bool] = lambda: False) -> None:
        self.warnings: list[str] = []
        self.epochs: list[int] = []
        self.steps: list[TrainingStep] = []
        self.ended, self.verdict = "", list[str]()
        self._is_to_stop = is_to_stop

    def on_warning(self, text: str) -> None:
        self.warnings.append(text)

    def on_validation(self, epoch: int, metrics: Mapping[str, float]) -> None:
        self.epochs.append(epoch)

    def on_step(self, step: TrainingStep) -> None:
        self.steps.append(step)

    def on_end(self, lines: Sequence[str]) -> None:
        self.ended, *self.verdict = lines

    def should_stop(self) -> int | None:
        return signal.SIGINT if self._is_to_stop() else None
