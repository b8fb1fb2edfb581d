"""What `colorize` shows while it works: a bar over the photos, and each event handed on to a reporter."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TimeRemainingColumn
from rich.text import Text

from colorgan.callbacks import PhotoOutcome, PhotoStatus
from colorgan.cli.callbacks import CommandCallbacks
from colorgan.cli.colorize_output import Reporter
from colorgan.cli.console import Console
from colorgan.colorize.options import DEFAULT_MODEL
from colorgan.signals import SignalWatch

_BAR_EVERY_S = 0.1
_OWN_MODELS = ("finetuned", "gan")


class _Count(ProgressColumn):
    """How many photos are done, of how many once that is known."""

    def render(self, task: Task) -> Text:
        """Show the numbers."""
        of_all = "" if task.total is None else f" of {task.total:.0f}"
        return Text(f"{task.completed:.0f}{of_all} photos")


class _Rate(ProgressColumn):
    """Photos per second."""

    def render(self, task: Task) -> Text:
        """Show the speed, once there is one."""
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


@contextmanager
def photo_bar(console: Console, count: Callable[[], Iterator[int]] | None) -> Iterator[Callable[[], None]]:
    """Show how many photos are done.

    Args:
        console: where to.
        count: counts all photos, in steps; None where nobody knows.

    Yields:
        What to call for each photo.
    """
    with console.bar(_Count(), BarColumn(), _Rate(), TimeRemainingColumn()) as bar:
        if bar.disable:
            yield lambda: None
            return
        task, left = bar.add_task("", total=None), threading.Event()
        if count is not None:
            # Counting a large tree takes a while, which no photo should wait for.
            threading.Thread(target=_count, args=(bar, task, count(), left), daemon=True).start()
        done, drawn_at = 0, 0.0

        def advance() -> None:
            nonlocal done, drawn_at
            done += 1
            if (now := time.monotonic()) - drawn_at > _BAR_EVERY_S:
                drawn_at = now
                bar.update(task, completed=done)

        yield advance
        left.set()


def _count(bar: Progress, task: TaskID, steps: Iterator[int], left: threading.Event) -> None:
    total = 0
    for step in steps:
        if left.is_set():
            return
        total += step
    bar.update(task, total=total)


class ReportingCallbacks(CommandCallbacks):
    """Hands on what goes on to a reporter, and shows bars meanwhile.

    Args:
        console: prints.
        watch: of signals.
        reporter: says it.
        inputs: what was named, in words.
        model: likewise.
        dry_run: whether nothing is to be done.
        count: counts all photos, in steps; None where nobody knows.

    Attributes:
        counts: of the photos so far.
    """

    def __init__(
        self,
        console: Console,
        watch: SignalWatch,
        reporter: Reporter,
        *,
        inputs: str,
        model: str,
        dry_run: bool,
        count: Callable[[], Iterator[int]] | None,
    ) -> None:
        super().__init__(console, watch)
        self.counts: Counter[PhotoStatus] = Counter()
        self._reporter, self._inputs, self._model, self._dry_run = reporter, inputs, model, dry_run
        self._count = count
        self._advance: Callable[[], None] | None = None
        self._advices: set[str] = set()

    def on_start(self) -> None:
        """Say what is going to be done."""
        self._reporter.status("started", f"Coloring {self._inputs} with {self._model}.", model=self._model)

    def on_log(self, state: str, text: str, **fields: str) -> None:
        """Say it."""
        self.download.close()
        self._reporter.status(state, text, **fields)
        if state == "computing" and self._model == DEFAULT_MODEL:
            self._name_own_models()

    def _name_own_models(self) -> None:
        from colorgan.models.registry import available_models

        own = [name for name in available_models() if name in _OWN_MODELS]
        if own:
            self.console.note(f"A model of your own is at hand: --model {own[-1]}")

    def on_photo(self, outcome: PhotoOutcome) -> None:
        """Count it, and say what became of it."""
        self.counts[outcome.status] += 1
        if self._advance is None and not self._dry_run:
            self._advance = self.bars.enter_context(photo_bar(self.console, self._count))
        (self._reporter.planned if self._dry_run else self._reporter.outcome)(outcome)
        if outcome.advice and outcome.advice not in self._advices:
            self._advices.add(outcome.advice)  # said once of all photos of a kind
            self.console.warn(outcome.advice)
        if self._advance:
            self._advance()
