"""Which journal notes what becomes of a photo: for each result, the nearest one in its folder or above it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from colorgan.batch.jobs import Job
from colorgan.batch.journal import Journal
from colorgan.batch.sqlite_store import JOURNAL_NAME, SqliteStore
from colorgan.errors import Interrupted, OutputError


class Journals:
    """The journals of a run.

    Args:
        homes: folders that get one where there is none: the folder of all results, or those of the photos.
        beyond: look for one above the homes too, as where results stand beside photos, of which a run may be given any
            part; a folder that is in no home then gets its own.
        notify: told in words of damaged ones, and of disks without locks.
        read_only: write nothing.
        check: called while other processes have one locked; raises to stop waiting.
    """

    def __init__(
        self,
        homes: Sequence[Path],
        notify: Callable[[str], None],
        *,
        beyond: bool,
        read_only: bool = False,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._homes = {os.path.realpath(home) for home in homes}
        self._beyond = beyond
        self._notify, self._read_only, self._check = notify, read_only, check
        self._open: dict[str, Journal] = {}
        self._folder, self._found = "", ("", b"")

    def of(self, job: Job) -> tuple[Journal, bytes]:
        """The journal of a job's result, and the result's name in it."""
        if job.folder != self._folder or not self._found[0]:
            self._folder, self._found = job.folder, self._find(os.path.realpath(job.folder))
        home, prefix = self._found
        return self._journal(home), prefix + os.fsencode(job.name)

    def _find(self, folder: str) -> tuple[str, bytes]:
        place, fallback = folder, ""
        while not self._has_journal(place):
            if place in self._homes:
                fallback = fallback or place
            above = os.path.dirname(place)
            if above == place or (fallback and not self._beyond):
                place = fallback or folder
                break
            place = above
        relative = os.path.relpath(folder, place)
        return place, b"" if relative == "." else os.fsencode(relative.replace(os.sep, "/") + "/")

    def _has_journal(self, folder: str) -> bool:
        return folder in self._open or os.access(os.path.join(folder, JOURNAL_NAME), os.W_OK)

    def _journal(self, home: str) -> Journal:
        if home not in self._open:
            store = SqliteStore(Path(home), self._notify, read_only=self._read_only, check=self._check)
            self._open[home] = Journal(store, read_only=self._read_only)
        return self._open[home]

    def flush(self) -> None:
        """Write what was noted in any of them.

        Raises:
            OutputError: a disk is full, read-only or fails.
        """
        for journal in self._open.values():
            journal.flush()

    def forget(self) -> None:
        """Drop what was noted since the last `flush`."""
        for journal in self._open.values():
            journal.forget()

    def __enter__(self) -> Journals:
        """Nothing is opened before it is asked for."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what was noted, and close them; an error under way is not hidden by another."""
        hidden = (OutputError, Interrupted) if kind else ()
        with contextlib.suppress(*hidden), contextlib.ExitStack() as closing:
            for journal in self._open.values():
                closing.callback(journal.close, in_a_hurry=kind is not None)
