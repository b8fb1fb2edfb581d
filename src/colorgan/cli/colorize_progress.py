"""The progress of `colorize`: a bar of photos, and callbacks that pass events to a reporter."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from rich.progress import BarColumn, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text

from colorgan.callbacks import PhotoOutcome, PhotoStatus
from colorgan.cli.callbacks import CommandCallbacks
from colorgan.cli.colorize_output import Reporter
from colorgan.cli.console import Console
from colorgan.cli.streaming import Request
from colorgan.colorize.options import DEFAULT_MODEL
from colorgan.signals import SignalWatch

_OWN_MODELS = ("finetuned", "gan")


class _Rate(ProgressColumn):
    """Photos per second."""

    def render(self, task: Task) -> Text:
        """Return the speed as text; empty until it is known."""
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


@contextmanager
def photo_bar(console: Console, photos: Iterator[int] | None) -> Iterator[Callable[[], None]]:
    """Show a bar with the number of photos done, and of all photos once they are counted.

    Args:
        console: the console to show it on.
        photos: numbers of photos, whose sum is their total; None if they cannot be counted.

    Yields:
        The function to call for each photo done.
    """
    words = "{task.completed:.0f}{task.fields[of_all]} photos"
    with console.bar(words, BarColumn(), _Rate(), TimeRemainingColumn()) as bar:
        task = bar.add_task("", total=None, of_all="")

        def count_all(photos: Iterator[int]) -> None:
            total = sum(photos)
            bar.update(task, total=total, of_all=f" of {total}")

        if photos is not None and not bar.disable:
            # In a thread, since counting a large tree takes a while.
            threading.Thread(target=count_all, args=(photos,), daemon=True).start()
        yield partial(bar.advance, task)


class ReportingCallbacks(CommandCallbacks):
    """Passes events to a reporter, and shows bars.

    Attributes:
        counts: number of photos so far, by status.
    """

    def __init__(self, console: Console, watch: SignalWatch, reporter: Reporter, request: Request) -> None:
        super().__init__(console, watch)
        self.counts: Counter[PhotoStatus] = Counter()
        self._reporter, self._request = reporter, request
        self._advance: Callable[[], None] | None = None
        self._advices: set[str] = set()

    def on_start(self) -> None:
        """Report the inputs and the model."""
        model = self._request.model
        self._reporter.status("started", f"Coloring {self._request.inputs_label} with {model}.", model=model)

    def on_log(self, state: str, text: str, **fields: str) -> None:
        """Report the status, and once the model is loaded, a model of the user's own that is available."""
        self.download.close()
        self._reporter.status(state, text, **fields)
        if state == "computing" and self._request.model == DEFAULT_MODEL:
            self._name_own_models()

    def _name_own_models(self) -> None:
        from colorgan.models.registry import available_models

        own = [name for name in available_models() if name in _OWN_MODELS]
        if own:
            self.console.note(f"You have trained your own model: --model {own[-1]}")

    def on_photo(self, outcome: PhotoOutcome) -> None:
        """Count and report the outcome, and advance the bar."""
        self.counts[outcome.status] += 1
        is_planned = self._request.batch.dry_run
        if self._advance is None and not is_planned:
            self._advance = self.bars.enter_context(photo_bar(self.console, self._request.count_photos()))
        (self._reporter.planned if is_planned else self._reporter.outcome)(outcome)
        if outcome.advice and outcome.advice not in self._advices:
            self._advices.add(outcome.advice)  # printed once for all photos of a format
            self.console.warn(outcome.advice)
        if self._advance:
            self._advance()
