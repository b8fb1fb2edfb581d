"""What is left to do of many photos: which were done before, and the rest in order, several at a time."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from colorgan.addresses import is_address
from colorgan.batch.gallery import Gallery
from colorgan.batch.jobs import Job
from colorgan.batch.journals.journal import Journal, ResultState, Stamp
from colorgan.batch.journals.journals import Journals
from colorgan.batch.journals.records import file_state
from colorgan.batch.options import BatchOptions, with_hints
from colorgan.batch.shards import Shard
from colorgan.callbacks import PhotoOutcome, PhotoStatus
from colorgan.colorize.options import ColorizeOptions
from colorgan.files import remove_leftovers
from colorgan.images.discovery import PathSet
from colorgan.ordered_pool import OrderedPool, Pending, Workers

if TYPE_CHECKING:
    from colorgan.batch.ray_backend import RayCrew
    from colorgan.batch.worker import PhotoWorker

_MOST_HELD_S = 1.0  # that photos wait to be announced together
_IN_THE_WAY = "at {}, {} stands that was not made by colorgan; overwriting replaces it"
_CHANGED = "{} was changed since it was written, and is left alone; overwriting makes it anew"


@dataclass(eq=False)
class Backlog:
    """The photos of a run, and what is known of their results.

    Attributes:
        jobs: photos and places; found while they are asked for.
        journals: what was done before.
        settings: a digest of the options and the model.
        options: of the photos.
        batch: of the run.
        shard: which of the jobs are this process's.
        gallery: the page that all photos are to be on; None without one.
    """

    jobs: Iterable[Job]
    journals: Journals
    settings: bytes
    options: ColorizeOptions = ColorizeOptions()
    batch: BatchOptions = BatchOptions()
    shard: Shard = Shard()
    gallery: Gallery | None = None
    _under_way: dict[str, tuple[Journal, Stamp, tuple[str, ...]]] = field(default_factory=dict, init=False)
    _cleaned: PathSet = field(default_factory=PathSet, init=False)
    _folder: str = field(default="", init=False)

    def steps(self) -> Iterator[PhotoOutcome | Pending[Job]]:
        """For each photo of the shard, what became of it without work, or that it is to do.

        Raises:
            OutputError: a journal cannot be opened.
        """
        held: list[PhotoOutcome | Pending[Job]] = []
        begun_at = time.monotonic()
        try:
            for job in self.jobs:
                if not self.shard.has(job.identity):
                    continue
                held.append(self._step(job))
                if len(held) >= self.journals.announced_together or time.monotonic() - begun_at > _MOST_HELD_S:
                    yield from self._announced(held)
                    begun_at = time.monotonic()
        except Exception:  # what was found before it still comes
            yield from self._announced(held)
            raise
        yield from self._announced(held)

    def _announced(self, held: list[PhotoOutcome | Pending[Job]]) -> Iterator[PhotoOutcome | Pending[Job]]:
        """What was held, once it is written down what of it is to be made, where that is done for many together."""
        if self.journals.announced_together > 1:
            self.journals.flush()
        yield from held
        held.clear()

    def _step(self, job: Job) -> PhotoOutcome | Pending[Job]:
        if job.problem:
            return job.outcome(PhotoStatus.failed, (job.problem,))
        if not job.is_named and not is_address(job.source) and self.journals.has_made(job.source):
            return job.outcome(PhotoStatus.own)
        self._clean(job.folder)
        journal, name = self.journals.of(job)
        source = file_state(job.source) if job.source_state is None else job.source_state
        settings = with_hints(self.settings, job.hints, job.hint_states)
        stamp = Stamp(name, os.fsencode(job.identity), job.source, source, settings)
        others = tuple(job.sidecar(suffix) for suffix in self.options.sidecar_suffixes)
        if not self.batch.overwrite:
            state, path = journal.state(stamp, job.target, others)
            if state is ResultState.done:
                return self._shown(job, job.outcome(PhotoStatus.skipped))
            if state is ResultState.in_color and self.batch.skip_color:
                return job.outcome(PhotoStatus.in_color)
            if state is ResultState.changed:
                changed = job.outcome(PhotoStatus.changed, (_CHANGED.format(path),), "overwrite")
                return self._shown(job, changed)
            if state is ResultState.in_the_way:
                return job.outcome(PhotoStatus.failed, (_IN_THE_WAY.format(path, _kind(path)),), "overwrite")
        journal.begin(stamp, job.target, others)
        self._under_way[job.target] = journal, stamp, others
        return Pending(replace(job, overwrite=True) if self.batch.overwrite else job)

    def _shown(self, job: Job, outcome: PhotoOutcome) -> PhotoOutcome | Pending[Job]:
        """The outcome of a photo that was done before; or the task of putting it on the page."""
        if self.gallery is None or self.gallery.has(job, file_state(job.source)):
            return outcome
        return Pending(replace(job, already=outcome))

    def _clean(self, folder: str) -> None:
        if folder != self._folder and not self.batch.dry_run and not is_address(folder):
            self._folder = folder
            if self._cleaned.add(folder):
                remove_leftovers(folder)

    def record(self, outcome: PhotoOutcome) -> None:
        """Note what became of a photo that was to do."""
        if outcome.target not in self._under_way:
            return
        journal, stamp, others = self._under_way.pop(outcome.target)
        note = {
            PhotoStatus.written: journal.made,
            PhotoStatus.in_color: journal.left_in_color,
            PhotoStatus.own: journal.left_in_color,
            PhotoStatus.failed: journal.failed,
        }[outcome.status]
        note(stamp, outcome.target, others)


def _kind(path: str) -> str:
    """What stands there, in words."""
    if os.path.isdir(path):
        return "a folder"
    return "a link to nothing" if os.path.islink(path) and not os.path.exists(path) else "a file"


def color_all(
    todo: Backlog,
    crew: AbstractContextManager[PhotoWorker | RayCrew],
    *,
    group: Callable[[], int],
    before: Callable[[], None],
    check: Callable[[], None],
) -> Generator[PhotoOutcome, None, None]:
    """Color the photos that are to do, several at a time.

    Args:
        todo: the photos.
        crew: colors them; entered once there is something to do.
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
            todo.journals.forget()  # of what was announced, nothing begins
            raise
        todo.journals.flush()

    steps = todo.steps()
    for step in steps:
        if not isinstance(step, Pending):
            check()
            yield step
            continue
        with crew as colorists, Workers(colorists.threads, colorists) as started:
            pool = OrderedPool(started, group=group, before=ready, check=check)
            for outcome in pool.results(itertools.chain([step], steps)):
                todo.record(outcome)
                yield outcome
