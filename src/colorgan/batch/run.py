"""Many photos: which of them are to do, and what became of each, in order; none ends the others."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from colorgan.batch.jobs import Job, Outcome, Status
from colorgan.batch.journal import Journal, Journals, Stamp, Verdict, file_stamp
from colorgan.batch.shards import Share
from colorgan.files import remove_leftovers
from colorgan.images.discovery import PathSet
from colorgan.ordered_pool import InOrder, ToDo, Workers

if TYPE_CHECKING:
    from colorgan.batch.worker import Painter
    from colorgan.colorize.colorizer import Colorizer


_IN_THE_WAY = "at {}, a file stands that was not made by colorgan; --overwrite replaces it"


@dataclass(eq=False)
class Batch:
    """The photos of a run, and what is known of their results.

    Attributes:
        jobs: photos and places; found while they are asked for.
        journals: what was done before.
        settings: a digest of the treatment and the model.
        endings: of the names of what is written beside each result.
        overwrite: do all anew.
        skip_color: photos that are in colour already are to be left out.
        share: of the jobs, which are this process's.
        read_only: write nothing.
    """

    jobs: Iterable[Job]
    journals: Journals
    settings: bytes
    endings: tuple[str, ...] = ()
    overwrite: bool = False
    skip_color: bool = False
    share: Share = field(default_factory=Share)
    read_only: bool = False
    _under_way: dict[str, tuple[Journal, Stamp]] = field(default_factory=dict, init=False)
    _cleaned: PathSet = field(default_factory=PathSet, init=False)
    _folder: str = field(default="", init=False)

    def steps(self) -> Iterator[Outcome | ToDo[Job]]:
        """For each photo of the share, what became of it without work, or that it is to do.

        Raises:
            OutputError: a journal cannot be opened.
        """
        for job in self.jobs:
            if self.share.has(job.identity):
                yield self._step(job)

    def _step(self, job: Job) -> Outcome | ToDo[Job]:
        if job.problem:
            return Outcome(job, Status.failed, (job.problem,))
        self._clean(job.folder)
        journal, name = self.journals.of(job)
        stamp = Stamp(name, os.fsencode(job.identity), file_stamp(job.source), self.settings)
        if not self.overwrite:
            others = tuple(os.path.join(job.folder, job.beside(ending)) for ending in self.endings)
            verdict = journal.verdict(stamp, job.target, others)
            if verdict is Verdict.done:
                return Outcome(job, Status.skipped)
            if verdict is Verdict.in_colour and self.skip_color:
                return Outcome(job, Status.in_colour)
            if verdict is Verdict.in_the_way:
                return Outcome(job, Status.failed, (_IN_THE_WAY.format(job.target),))
        journal.begin(stamp, job.target)
        self._under_way[job.target] = journal, stamp
        return ToDo(job)

    def _clean(self, folder: str) -> None:
        if folder != self._folder and not self.read_only:
            self._folder = folder
            if self._cleaned.add(folder):
                remove_leftovers(folder)

    def record(self, outcome: Outcome) -> None:
        """Note what became of a photo that was to do."""
        journal, stamp = self._under_way.pop(outcome.job.target, (None, None))
        if journal is None or stamp is None:
            return
        if outcome.status is Status.written:
            journal.made(stamp, outcome.job.target)
        elif outcome.status is Status.in_colour:
            journal.left_in_colour(stamp)


def colorize_all(
    batch: Batch,
    painter: Painter,
    *,
    workers: int,
    group: Callable[[], int],
    before: Callable[[], None],
    check: Callable[[], None],
) -> Iterator[Outcome]:
    """Colour the photos that are to do, several at a time.

    Args:
        batch: the photos.
        painter: colours them.
        workers: threads.
        group: tells how many photos of like shape are worth computing together.
        before: called before photos are handed to the workers; the first time, the model is to be loaded.
        check: called between two photos; raises to stop there.

    Yields:
        One outcome for each photo, in their order.

    Raises:
        Whatever `check` raises; the photos under way have been finished.
        OutputError: the place for the results cannot be written.
    """

    def ready() -> None:
        try:
            before()
        except BaseException:
            batch.journals.forget()  # of what was announced, nothing begins
            raise
        batch.journals.flush()

    with Workers(workers, painter) as started:
        for outcome in InOrder(started, group=group, before=ready, check=check).results(batch.steps()):
            batch.record(outcome)
            yield outcome


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
