"""The journals of a run: each result is recorded in the nearest journal, in its folder or one above."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType

from colorgan.addresses import is_address
from colorgan.batch.jobs import Job
from colorgan.batch.journals.journal import Journal
from colorgan.batch.journals.manifest import MANIFEST_NAME, PART_RECORDS, AddressJournal, ManifestStore
from colorgan.batch.journals.sqlite_store import JOURNAL_NAME, SqliteStore
from colorgan.batch.shards import Shard
from colorgan.errors import Interrupted, OutputError, StorageError
from colorgan.files import Disk


class Journals:
    """The journals of a run.

    Args:
        homes: folders that get a journal if they have none: the output folder, or those of the photos.
        search_parents: use a journal above the homes too, if results are beside photos, since a run may be given any
            part of a tree; a folder below no home then gets its own.
        notify: called with warnings about damaged journals.
        shard: the part of this process; with several, and on disks without locks, a journal is a manifest.
        read_only: write nothing.
        check: called while another process has a journal locked; raises to stop waiting.
    """

    def __init__(
        self,
        homes: Sequence[str | Path],
        notify: Callable[[str], None],
        *,
        search_parents: bool,
        shard: Shard = Shard(),
        read_only: bool = False,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._homes = {str(home) if is_address(home) else os.path.realpath(home) for home in homes}
        self._search_parents, self._shard = search_parents, shard
        self._has_manifest = False
        self._notify, self._read_only, self._check = notify, read_only, check
        self._open: dict[str, Journal] = {}
        self._folder, self._found = "", ("", b"")
        self._foreign: dict[str, Journal] = {}
        self._source_folder, self._source_home = "", ("", b"")

    def of(self, job: Job) -> tuple[Journal, bytes]:
        """Return the journal of a job's result, and the result's name in it."""
        if job.folder != self._folder or not self._found[0]:
            find = self._find_address if is_address(job.folder) else self._find
            self._folder, self._found = job.folder, find(job.folder)
        home, prefix = self._found
        return self._journal(home), prefix + os.fsencode(job.name)

    def has_made(self, path: str) -> bool:
        """Whether a file is an unchanged result by the nearest journal, in its folder or one above."""
        folder, name = os.path.split(path)
        if folder != self._source_folder:
            self._source_folder, self._source_home = folder, _nearest_journal(os.path.realpath(folder))
        home, prefix = self._source_home
        if not home:
            return False
        if home not in self._open and home not in self._foreign:
            self._foreign[home] = Journal(SqliteStore(Path(home), self._notify, read_only=True), read_only=True)
        journal = self._open.get(home) or self._foreign[home]
        return journal.has_made(prefix + os.fsencode(name), path)

    def _find_address(self, folder: str) -> tuple[str, bytes]:
        (home,) = self._homes
        below = folder[len(home) :].lstrip("/")
        return home, os.fsencode(f"{below}/" if below else "")

    def _find(self, given: str) -> tuple[str, bytes]:
        folder = os.path.realpath(given)
        nearest_home = ""
        for place in _with_parents(folder):
            if self._has_journal(place):
                return place, _name_prefix(place, folder)
            if place in self._homes:
                nearest_home = nearest_home or place
            if nearest_home and not self._search_parents:
                break
        place = nearest_home or folder
        return place, _name_prefix(place, folder)

    def _has_journal(self, folder: str) -> bool:
        names = (JOURNAL_NAME, MANIFEST_NAME)
        return folder in self._open or any(os.access(os.path.join(folder, name), os.W_OK) for name in names)

    def _journal(self, home: str) -> Journal:
        if home not in self._open:
            self._open[home] = self._open_journal(home)
        return self._open[home]

    def _open_journal(self, home: str) -> Journal:
        if is_address(home):
            store = ManifestStore(home, self._shard, self._notify)
            return AddressJournal(store, read_only=self._read_only)
        if not self._needs_manifest(home):
            database = SqliteStore(Path(home), self._notify, read_only=self._read_only, check=self._check)
            return Journal(database, read_only=self._read_only)
        self._has_manifest = True
        earlier = SqliteStore(Path(home), self._notify, read_only=True)
        store = ManifestStore(home, self._shard, self._notify, earlier=earlier)
        return Journal(store, read_only=self._read_only)

    def _needs_manifest(self, home: str) -> bool:
        if self._shard.count > 1 or os.path.isdir(os.path.join(home, MANIFEST_NAME)):
            return True
        existing = next((place for place in _with_parents(home) if os.path.isdir(place)), home)
        return not self._read_only and not Disk.of(Path(existing)).has_locks

    @property
    def begun_per_flush(self) -> int:
        """How many results to record as begun before one `flush`: a manifest writes a new file each time."""
        return PART_RECORDS if self._has_manifest else 1

    def flush(self) -> None:
        """Write the pending records of all journals.

        Raises:
            OutputError: a disk is full, read-only or fails.
        """
        for journal in self._open.values():
            journal.flush()

    def forget(self) -> None:
        """Drop the records since the last `flush`."""
        for journal in self._open.values():
            journal.forget()

    def __enter__(self) -> Journals:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the pending records and close all journals; an error under way is not replaced by one from closing."""
        hidden = (OutputError, StorageError, Interrupted) if kind else ()
        with contextlib.suppress(*hidden), contextlib.ExitStack() as closing:
            for journal in (*self._open.values(), *self._foreign.values()):
                closing.callback(journal.close)


def _nearest_journal(folder: str) -> tuple[str, bytes]:
    """Return the nearest folder with a journal, itself or one above, and its `_name_prefix`; empty if there is none."""
    for place in _with_parents(folder):
        if os.path.exists(os.path.join(place, JOURNAL_NAME)):
            return place, _name_prefix(place, folder)
    return "", b""


def _with_parents(folder: str) -> Iterator[str]:
    """Yield a folder and those above it."""
    yield folder
    while (above := os.path.dirname(folder)) != folder:
        folder = above
        yield folder


def _name_prefix(home: str, folder: str) -> bytes:
    """Return the prefix of the names of a folder's results in the journal at `home`: its relative path and a slash."""
    relative = os.path.relpath(folder, home)
    return b"" if relative == "." else os.fsencode(relative.replace(os.sep, "/") + "/")
