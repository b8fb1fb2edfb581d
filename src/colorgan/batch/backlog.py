"""Skips photos that were done before, by the journals, and colors the rest, several at a time, in order."""

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

_MAX_HELD_S = 1.0  # how long photos wait for others to be journaled together with them
_IN_THE_WAY = "{} is {} that was not made by colorgan; overwriting replaces it"
_CHANGED = "{} was changed after it was written, and is kept; overwriting replaces it"


@dataclass(eq=False)
class Backlog:
    """The photos of a run, split by the journals into those that are done and those that are to be done.

    Attributes:
        jobs: photos with their result paths, found lazily.
        journals: records of earlier results.
        settings: digest of the options and the model.
        options: options of each photo.
        batch: options of the run.
        shard: the part of the jobs that this process takes.
        gallery: the page to which all photos are added; None without one.
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
        """Yield, for each photo of the shard, its outcome if there is nothing to do, else the pending job.

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
                if len(held) >= self.journals.begun_per_flush or time.monotonic() - begun_at > _MAX_HELD_S:
                    yield from self._release(held)
                    begun_at = time.monotonic()
        except Exception:  # steps found before the error are still yielded
            yield from self._release(held)
            raise
        yield from self._release(held)

    def _release(self, held: list[PhotoOutcome | Pending[Job]]) -> Iterator[PhotoOutcome | Pending[Job]]:
        """Yield and clear the held steps, after writing their records if the journals write many at once."""
        if self.journals.begun_per_flush > 1:
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
                return self._with_page_entry(job, job.outcome(PhotoStatus.skipped))
            if state is ResultState.in_color and self.batch.skip_color:
                return job.outcome(PhotoStatus.in_color)
            if state is ResultState.changed:
                changed = job.outcome(PhotoStatus.changed, (_CHANGED.format(path),), "overwrite")
                return self._with_page_entry(job, changed)
            if state is ResultState.in_the_way:
                return job.outcome(PhotoStatus.failed, (_IN_THE_WAY.format(path, _kind(path)),), "overwrite")
        journal.begin(stamp, job.target, others)
        self._under_way[job.target] = journal, stamp, others
        return Pending(job)

    def _with_page_entry(self, job: Job, outcome: PhotoOutcome) -> PhotoOutcome | Pending[Job]:
        """Return the outcome of a photo that was done before, or a pending job if the page still lacks the photo."""
        if self.gallery is None or self.gallery.has(job, file_state(job.source)):
            return outcome
        return Pending(replace(job, already=outcome))

    def _clean(self, folder: str) -> None:
        if folder != self._folder and not self.batch.dry_run and not is_address(folder):
            self._folder = folder
            if self._cleaned.add(folder):
                remove_leftovers(folder)

    def record(self, outcome: PhotoOutcome) -> None:
        """Record the outcome of a pending photo in its journal."""
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
    """Name the kind of an existing path for a message."""
    if os.path.isdir(path):
        return "a folder"
    return "a broken link" if os.path.islink(path) and not os.path.exists(path) else "a file"


def color_all(
    todo: Backlog,
    crew: AbstractContextManager[PhotoWorker | RayCrew],
    *,
    group: Callable[[], int],
    before: Callable[[], None],
    check: Callable[[], None],
) -> Generator[PhotoOutcome, None, None]:
    """Color the pending photos, several at a time.

    Args:
        todo: the photos.
        crew: context manager of the callable that colors groups of photos; entered for the first pending photo.
        group: returns how many photos of like shape to hand to a worker together.
        before: called before photos are handed to the workers; loads the model the first time.
        check: called between two photos; raises to stop there.

    Yields:
        One outcome for each photo, in their order.

    Raises:
        Whatever `check` raises; the photos under way have been finished.
        OutputError: the results cannot be written.
    """

    def ready() -> None:
        try:
            before()
        except BaseException:
            todo.journals.forget()  # none of the photos recorded as begun is started
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
