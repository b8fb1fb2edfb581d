"""What `colorize` says of photos: lines and bars for a person, JSON Lines for another program."""

from __future__ import annotations

import json
import os
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TimeRemainingColumn
from rich.text import Text

from colorgan.batch.run import Summary
from colorgan.callbacks import Callbacks, PhotoOutcome, PhotoStatus
from colorgan.cli.console import Console, DownloadBar
from colorgan.cli.options import option_of, spelled
from colorgan.colorize.options import DEFAULT_MODEL
from colorgan.errors import ColorganError
from colorgan.signals import SignalWatch

SCHEMA = 2  # of the JSON Lines; docs/reference/many-photos.md describes it
_BAR_EVERY_S = 0.1
_OWN_MODELS = ("finetuned", "gan")
# The names of the sums in the line of the type summary.
_SUMS = {
    PhotoStatus.written: "written",
    PhotoStatus.skipped: "skipped",
    PhotoStatus.in_color: "in_colour",  # old spelling
    PhotoStatus.own: "own_results",
    PhotoStatus.changed: "changed",
    PhotoStatus.failed: "failed",
}
_ONLY_WHERE_THERE_ARE_SOME = (PhotoStatus.in_color, PhotoStatus.own, PhotoStatus.changed)


def printable(path: str | os.PathLike[str]) -> str:
    """A path as text that any terminal takes, also where its name is not UTF-8."""
    return os.fsencode(path).decode(errors="replace")


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
    def planned(self, outcome: PhotoOutcome) -> None:
        """Say what would be done with a photo."""

    @abstractmethod
    def outcome(self, outcome: PhotoOutcome) -> None:
        """Say what became of a photo."""

    @abstractmethod
    def stopped(self, error: ColorganError) -> None:
        """Say why the whole run ends early; a person is told by whoever catches the error."""

    @abstractmethod
    def summary(self, summary: Summary, where: str, exit_code: int) -> None:
        """Say what became of all photos, in numbers, and where the results are.

        Args:
            summary: the numbers.
            where: the results are, in words.
            exit_code: of the process.
        """


class PlainReporter(Reporter):
    """Says it in lines: sums on standard output, all else on standard error.

    Args:
        console: prints them.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def status(self, state: str, words: str, **fields: object) -> None:
        """Print it as a note; a share of the photos as what nobody should miss."""
        say = self._console.warn if state == "sharing" else self._console.note
        say(words)

    def planned(self, outcome: PhotoOutcome) -> None:
        """Print where the result would go, or why there would be none."""
        words = "; ".join(outcome.words)
        is_left = outcome.status in (PhotoStatus.failed, PhotoStatus.changed, PhotoStatus.own)
        target = "" if is_left else f" -> {printable(outcome.target)}"
        source = printable(outcome.source)
        self._console.result(f"{_PLANNED[outcome.status]}: {source}{target}{f' ({words})' if words else ''}")

    def outcome(self, outcome: PhotoOutcome) -> None:
        """Print a photo's words, if there are any."""
        if not outcome.words:
            return
        option = f" ({option_of(outcome.parameter)})" if outcome.parameter else ""
        line = f"{_source(outcome)}: {'; '.join(outcome.words)}{option}"
        if outcome.status is PhotoStatus.failed:
            self._console.warn(f"failed: {line}")
        else:
            self._console.note(line)

    def stopped(self, error: ColorganError) -> None:
        """Print nothing."""

    def summary(self, summary: Summary, where: str, exit_code: int) -> None:
        """Print the sums."""
        counts, words = summary.counts, _PLANNED if summary.dry_run else _DONE
        told = [status for status in PhotoStatus if counts.get(status) or status not in _ONLY_WHERE_THERE_ARE_SOME]
        sums = ", ".join(f"{counts.get(status, 0)} {words[status]}" for status in told)
        self._console.result(f"{sums}. {'They would be in' if summary.dry_run else 'Results'}: {where}")
        if counts.get(PhotoStatus.skipped):
            self._console.note("Skipped were those done before with these settings; --overwrite does them again.")
        if summary.dry_run and counts.get(PhotoStatus.written):
            self._console.note("Of what is to do, sizes and first bytes were looked at; nothing was decoded.")
        if counts.get(PhotoStatus.own):
            self._console.note("Colorgan's own results are colored again only where they are named themselves.")
        if summary.had_color:
            self._console.note(
                f"In color already, and colored anew: {summary.had_color}; --skip-color leaves such out."
            )
        if summary.left_out_folders:
            left_out = summary.left_out_folders
            self._console.note(f"Hidden and housekeeping folders, not searched unless named: {left_out}.")
        if summary.other_files:
            self._console.note(f"Files of other kinds, left out: {_by_suffix(summary.other_files)}.")
        if summary.page:
            self._console.note(f"The page to look at: {printable(summary.page)}")


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

    def planned(self, outcome: PhotoOutcome) -> None:
        """Print it as what became of the photo, with the status planned where there is work to do."""
        self._photo(outcome, "planned" if outcome.status is PhotoStatus.written else outcome.status.value)

    def outcome(self, outcome: PhotoOutcome) -> None:
        """Print a line of the type photo, or error."""
        self._photo(outcome, outcome.status.value)

    def _photo(self, outcome: PhotoOutcome, status: str) -> None:
        where = {"source": outcome.source, "page": outcome.page}
        if outcome.status is PhotoStatus.failed:
            option = f" ({option_of(outcome.parameter)})" if outcome.parameter else ""
            self._line("error", **where, reason=spelled("; ".join(outcome.words)) + option)
            return
        self._line("photo", **where, output=outcome.target, status=status, words=list(map(spelled, outcome.words)))

    def stopped(self, error: ColorganError) -> None:
        """Print a line of the type error that names no photo."""
        parts = {name: spelled(getattr(error, name)) for name in ("expected", "found", "advice")}
        self._line("error", source=None, reason=spelled(str(error)), exit_code=error.exit_code, **parts)

    def summary(self, summary: Summary, where: str, exit_code: int) -> None:
        """Print a line of the type summary."""
        sums = {name: summary.counts.get(status, 0) for status, name in _SUMS.items()}
        self._line(
            "summary",
            **sums,
            output=where,
            exit_code=exit_code,
            dry_run=summary.dry_run,
            had_color=summary.had_color,
            left_out_folders=summary.left_out_folders,
            other_files=dict(summary.other_files),
            page=None if summary.page is None else str(summary.page),
        )


_DONE = {
    PhotoStatus.written: "written",
    PhotoStatus.skipped: "skipped",
    PhotoStatus.in_color: "in color",
    PhotoStatus.own: "own results",
    PhotoStatus.changed: "changed",
    PhotoStatus.failed: "failed",
}
_PLANNED = {
    PhotoStatus.written: "to do",
    PhotoStatus.skipped: "done before",
    PhotoStatus.in_color: "in color",
    PhotoStatus.own: "own results",
    PhotoStatus.changed: "changed",
    PhotoStatus.failed: "would fail",
}


def _by_suffix(files: Mapping[str, int]) -> str:
    """How many files of each suffix, the most first."""
    rows = sorted(files.items(), key=lambda row: (-row[1], row[0]))
    return ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in rows)


def _source(outcome: PhotoOutcome) -> str:
    page = f", page {outcome.page + 1}" if outcome.page else ""
    return printable(outcome.source) + page


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


class ReportingCallbacks(Callbacks):
    """Hands on what goes on to a reporter, and shows bars meanwhile; to be used as a context manager.

    Args:
        console: prints.
        reporter: says it.
        watch: of signals.
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
        reporter: Reporter,
        watch: SignalWatch,
        *,
        inputs: str,
        model: str,
        dry_run: bool,
        count: Callable[[], Iterator[int]] | None,
    ) -> None:
        self.counts: Counter[PhotoStatus] = Counter()
        self._console, self._reporter, self._watch = console, reporter, watch
        self._inputs, self._model, self._dry_run, self._count = inputs, model, dry_run, count
        self._advices: set[str] = set()
        self._bar, self._download = ExitStack(), DownloadBar(console)
        self._advance: Callable[[], None] | None = None

    def __enter__(self) -> ReportingCallbacks:
        """Nothing is shown yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bars away."""
        self._download.close()
        self._bar.close()

    def on_start(self) -> None:
        """Say what is going to be done."""
        self._reporter.status("started", f"Coloring {self._inputs} with {self._model}.", model=self._model)

    def on_log(self, state: str, text: str, **fields: str) -> None:
        """Say it."""
        self._download.close()
        self._reporter.status(state, text, **fields)
        if state == "computing" and self._model == DEFAULT_MODEL:
            self._name_own_models()

    def _name_own_models(self) -> None:
        from colorgan.models.registry import available_models

        own = [name for name in available_models() if name in _OWN_MODELS]
        if own:
            self._console.note(f"A model of your own is at hand: --model {own[-1]}")

    def on_warning(self, text: str) -> None:
        """Print it, quiet or not."""
        self._console.warn(text)

    def on_download(self, name: str, received_bytes: int, total_bytes: int | None) -> None:
        """Show a bar for the file."""
        self._download.show(name, received_bytes, total_bytes)

    def on_photo(self, outcome: PhotoOutcome) -> None:
        """Count it, and say what became of it."""
        self.counts[outcome.status] += 1
        if self._dry_run:
            self._reporter.planned(outcome)
            self._advise(outcome.advice)
            return
        if self._advance is None:
            self._advance = self._bar.enter_context(photo_bar(self._console, self._count))
        self._reporter.outcome(outcome)
        self._advise(outcome.advice)
        self._advance()

    def _advise(self, advice: str) -> None:
        """Say once what would help all photos of a kind."""
        if advice and advice not in self._advices:
            self._advices.add(advice)
            self._console.warn(advice)

    def should_stop(self) -> int | None:
        """The signal that came, or None."""
        return self._watch.received
