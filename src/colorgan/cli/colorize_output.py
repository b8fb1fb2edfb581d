"""What `colorize` says of photos: lines and a bar for a person, JSON Lines for another program."""

from __future__ import annotations

import json
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TimeRemainingColumn
from rich.text import Text

from colorgan.batch.jobs import Outcome, Status
from colorgan.cli.console import Console
from colorgan.cli.request import shown
from colorgan.errors import ColorganError

SCHEMA = 1  # of the JSON Lines; docs/reference/many-photos.md describes it
_BAR_EVERY_S = 0.1


@dataclass(frozen=True)
class Total:
    """What belongs to the sums of a run.

    Attributes:
        where: the results are, in words.
        exit_code: of the process.
        is_dry: whether nothing was done.
        missing: ranks of which nothing was heard.
    """

    where: str
    exit_code: int
    is_dry: bool = False
    missing: Sequence[int] = ()


class Reporter(ABC):
    """Says what happens."""

    @abstractmethod
    def status(self, state: str, words: str, **fields: object) -> None:
        """Say what the run is at.

        Args:
            state: in a word, for a program.
            words: for a person.
            fields: for a program.
        """

    @abstractmethod
    def planned(self, outcome: Outcome) -> None:
        """Say what would be done with a photo."""

    @abstractmethod
    def outcome(self, outcome: Outcome) -> None:
        """Say what became of a photo."""

    @abstractmethod
    def stopped(self, error: ColorganError) -> None:
        """Say why the whole run ends early; a person is told by whoever catches the error."""

    @abstractmethod
    def summary(self, counts: Mapping[Status, int], total: Total) -> None:
        """Say what became of all photos, in numbers, and where the results are.

        Args:
            counts: of the photos.
            total: what else there is to say.
        """


class PlainReporter(Reporter):
    """Says it in lines: sums on standard output, all else on standard error.

    Args:
        console: prints them.
        prefix: begins the lines of one of several processes.
    """

    def __init__(self, console: Console, prefix: str = "") -> None:
        self._console, self._prefix = console, prefix

    def status(self, state: str, words: str, **fields: object) -> None:
        """Print it as a note."""
        self._console.note(self._prefix + words)

    def planned(self, outcome: Outcome) -> None:
        """Print where the result would go, or why there would be none."""
        job, words = outcome.job, "; ".join((outcome.job.note, *outcome.words)).strip("; ")
        target = "" if outcome.status is Status.failed else f" -> {shown(job.target)}"
        self._console.result(f"{_PLANNED[outcome.status]}: {shown(job.source)}{target}{f' ({words})' if words else ''}")

    def outcome(self, outcome: Outcome) -> None:
        """Print a photo's words, if there are any."""
        if not outcome.words:
            return
        line = f"{_source(outcome)}: {'; '.join(outcome.words)}"
        if outcome.status is Status.failed:
            self._console.warn(f"{self._prefix}failed: {line}")
        else:
            self._console.note(self._prefix + line)

    def stopped(self, error: ColorganError) -> None:
        """Print nothing."""

    def summary(self, counts: Mapping[Status, int], total: Total) -> None:
        """Print the sums."""
        words = _PLANNED if total.is_dry else {status: status.value for status in Status}
        told = [status for status in Status if counts.get(status) or status is not Status.in_colour]
        sums = ", ".join(f"{counts.get(status, 0)} {words[status]}" for status in told)
        self._console.result(f"{self._prefix}{sums}. Results: {total.where}")
        if counts.get(Status.skipped):
            self._console.note("Skipped were those done before with these settings; --overwrite does them again.")
        for rank in total.missing:
            self._console.warn(f"Nothing was heard of rank {rank}; the same command again does what it left.")


class JsonReporter(Reporter):
    """Says it in JSON Lines on standard output.

    Args:
        console: prints them.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def _line(self, kind: str, **fields: object) -> None:
        # Names that are not UTF-8 hold lone surrogates, which are escaped here as Python's surrogateescape has them.
        self._console.result(json.dumps({"type": kind, "schema": SCHEMA, **fields}))

    def status(self, state: str, words: str, **fields: object) -> None:
        """Print a line of the type status."""
        self._line("status", state=state, words=words, **fields)

    def planned(self, outcome: Outcome) -> None:
        """Print it as what became of the photo, with the status planned where there is work to do."""
        self._photo(outcome, "planned" if outcome.status is Status.written else outcome.status.value)

    def outcome(self, outcome: Outcome) -> None:
        """Print a line of the type photo, or error."""
        self._photo(outcome, outcome.status.value)

    def _photo(self, outcome: Outcome, status: str) -> None:
        job = outcome.job
        if outcome.status is Status.failed:
            self._line("error", source=job.source, page=job.page, reason="; ".join(outcome.words))
            return
        words = list(outcome.words)
        self._line("photo", source=job.source, page=job.page, output=job.target, status=status, words=words)

    def stopped(self, error: ColorganError) -> None:
        """Print a line of the type error that names no photo."""
        parts = {"expected": error.expected, "found": error.found, "advice": error.advice}
        self._line("error", source=None, reason=str(error), exit_code=error.exit_code, **parts)

    def summary(self, counts: Mapping[Status, int], total: Total) -> None:
        """Print a line of the type summary."""
        sums = {status.name: counts.get(status, 0) for status in Status}
        self._line(
            "summary",
            **sums,
            output=total.where,
            exit_code=total.exit_code,
            dry_run=total.is_dry,
            missing_ranks=list(total.missing),
        )


_PLANNED = {
    Status.written: "to do",
    Status.skipped: "done before",
    Status.in_colour: "in colour",
    Status.failed: "would fail",
}


def _source(outcome: Outcome) -> str:
    page = f", page {outcome.job.page + 1}" if outcome.job.page else ""
    return shown(outcome.job.source) + page


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
