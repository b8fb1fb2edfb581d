"""The journal of a folder of results: what was made of which photo, with which settings, and what was about to be.

It is an SQLite file in that folder, in the rollback mode that network disks can bear too. What a photo's result is to
be is written down before it takes its place, so that neither a killed run's results are made twice, nor a file
is replaced that somebody else put there.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from colorgan.batch.jobs import Job
from colorgan.errors import Interrupted, OutputError
from colorgan.files import Disk

JOURNAL_NAME = ".colorgan-journal.sqlite3"
_VERSION = 1
_PATIENCE_S = 60.0  # with other processes, which write for milliseconds
_LOOK_UP_S = 1.0  # how often a wait for them looks up, for a signal
_LONG_S = 5.0  # after so long a wait, a word is said
_MTIME_STEP_NS = 2_000_000_000  # in which FAT counts; a file's time may be put on it when the disk is mounted again
_SCHEMA = """CREATE TABLE IF NOT EXISTS results (
    name BLOB PRIMARY KEY,
    photo BLOB NOT NULL, photo_bytes INTEGER NOT NULL, photo_mtime_ns INTEGER NOT NULL, settings BLOB NOT NULL,
    state INTEGER NOT NULL, bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL
) WITHOUT ROWID"""
_DAMAGED = (
    "The journal {} is damaged ({}): what stands there already is not known, and is only replaced to overwrite it."
)
_SELECT = "SELECT photo, photo_bytes, photo_mtime_ns, settings, state, bytes, mtime_ns FROM results WHERE name = ?"
_INSERT = "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
# States of a row. Of what was begun, the size and time of the file that stood there before are kept.
_BEGUN, _MADE, _IN_COLOR = 0, 1, 2
_ABSENT = (-1, -1)
_NO_FILE = (-2, -2)  # a folder, a link to nothing, a device
_DELETE = "DELETE FROM results WHERE name = ?"

Row = tuple[bytes, int, int, bytes, int, int, int]
Result = TypeVar("Result")


class ResultState(Enum):
    """What the journal and the disk say of a photo."""

    to_do = "to do"
    done = "done"
    in_color = "in color"
    changed = "changed since it was written"
    in_the_way = "in the way"


class _Standing(Enum):
    """What stands in the place of a file that is to be written."""

    nothing = 0
    current = 1  # made of this photo as it is now, with the settings of now
    older = 2  # made by colorgan too
    changed = 3  # made by colorgan, and by somebody else since
    foreign = 4


@dataclass(frozen=True, slots=True)
class Stamp:
    """By what a result is known to be made of a photo as it is now, with the settings of now.

    Attributes:
        name: of the result, from the journal's folder.
        photo: the photo's identity.
        photo_file: its size in bytes and its time of change in nanoseconds.
        settings: a digest.
    """

    name: bytes
    photo: bytes
    photo_file: tuple[int, int]
    settings: bytes


def file_stamp(path: str) -> tuple[int, int]:
    """Size in bytes and time of change in nanoseconds; -1 both where there is nothing, -2 where it is no file."""
    try:
        status = os.stat(path)
    except OSError:  # the goal of a link may be on a disk that is not mounted; the link is somebody's all the same
        return _NO_FILE if os.path.lexists(path) else _ABSENT
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else _NO_FILE


def _is_same(found: tuple[int, int], noted: tuple[int, int]) -> bool:
    """Whether a file is the one that was noted, on any disk's clock."""
    return found[0] == noted[0] and abs(found[1] - noted[1]) <= _MTIME_STEP_NS


def _stamps(stamp: Stamp, target: str, others: Sequence[str]) -> Iterator[tuple[Stamp, str]]:
    """A result's stamp and path, and those of what is written beside it."""
    yield stamp, target
    folder, slash, _ = stamp.name.rpartition(b"/")
    for path in others:
        yield replace(stamp, name=folder + slash + os.fsencode(os.path.basename(path))), path


class Journal:
    """One journal file, made when there is something to write. Rows are gathered until `flush`; all in one thread.

    Args:
        folder: where it is, or is to be.
        notify: told in words of a damaged journal, which is moved aside, and of a disk without locks.
        read_only: write nothing; a damaged journal is then an empty one.
        check: called while other processes have it locked; raises to stop waiting.

    Raises:
        OutputError: it cannot be opened or written.
    """

    def __init__(
        self,
        folder: Path,
        notify: Callable[[str], None],
        *,
        read_only: bool = False,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._path = folder / JOURNAL_NAME
        self._notify, self._read_only, self._check = notify, read_only, check
        self._patience_s = _PATIENCE_S
        self._pending: dict[bytes, Row | None] = {}
        self._before: dict[bytes, tuple[Row | None, tuple[int, int]]] = {}
        self._database: sqlite3.Connection | None = None
        if self._path.exists():
            self._database = self._open_to_read() if read_only else self._open_to_write()

    def _open_to_write(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            advice = "Name another output folder."
            raise OutputError(
                f"a folder for results at {self._path.parent}", reason, advice, parameter="output"
            ) from error
        disk = Disk.of(self._path.parent)
        if not disk.has_locks:
            self._notify(f"The disk of {self._path.parent} has no locks: see that no other colorgan writes there.")
        try:
            return self._patiently(lambda: self._open_here(disk))
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise self._error(error) from error
            aside = self._move_aside()
            self._notify(f"{_DAMAGED.format(self._path, error)} It is now {aside}.")
            with self._saying_why():
                return self._open_here(disk)

    def _open_here(self, disk: Disk) -> sqlite3.Connection:
        with self._saying_why(), self._path.open("ab"):
            pass  # with the rights that a new file gets in that folder, of which SQLite knows nothing
        database = self._open(f"{self._path.absolute().as_uri()}?nolock={int(not disk.has_locks)}")
        if not disk.can_flush:
            database.execute("PRAGMA synchronous = OFF")
        return database

    def _patiently(self, call: Callable[[], Result]) -> Result:
        """Do something again and again while another process has the file locked."""
        start, is_told = time.monotonic(), False
        while True:
            try:
                return call()
            except sqlite3.OperationalError as error:
                waited_s = time.monotonic() - start
                if not _is_locked(error) or waited_s > self._patience_s:
                    raise
            self._check()
            if waited_s > _LONG_S and not is_told:
                self._notify(f"Waiting for the journal {self._path}, which another process has locked ...")
                is_told = True

    def _open_to_read(self) -> sqlite3.Connection | None:
        try:
            # Immutable: what a killed run left half written is not put right, which would be writing.
            return self._open(f"{self._path.absolute().as_uri()}?mode=ro&immutable=1")
        except sqlite3.DatabaseError as error:
            self._notify(_DAMAGED.format(self._path, error))
            return None

    def _open(self, address: str) -> sqlite3.Connection:
        database = sqlite3.connect(address, timeout=_LOOK_UP_S, isolation_level=None, uri=True)
        try:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                advice = "Use that version of colorgan, or another output folder."
                raise OutputError(f"a journal of version {_VERSION} in {self._path}", f"version {version}", advice)
            (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                raise sqlite3.DatabaseError(state)
            if version == 0:
                database.execute(_SCHEMA)
                database.execute(f"PRAGMA user_version = {_VERSION}")
            database.execute(_SELECT, (b"",))
        except BaseException:
            database.close()
            raise
        return database

    def _move_aside(self) -> str:
        number = 1
        while os.path.lexists(aside := f"{self._path}.damaged-{number}"):
            number += 1
        with self._saying_why():
            os.replace(self._path, aside)
            Path(f"{self._path}-journal").unlink(missing_ok=True)
        return aside

    def state(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> tuple[ResultState, str]:
        """What is to be done, and which of the files it is for which nothing may be.

        Args:
            stamp: of the photo, now.
            target: the path of its result.
            others: paths of what is written beside it.
        """
        if self._is_left_in_color(stamp, target):
            return ResultState.in_color, target
        stamps = list(_stamps(stamp, target, others))
        standings = [self._standing(*each) for each in stamps]
        if standings[0] is _Standing.current:
            # Earlier versions did not note what they wrote beside a result; its settings say that it was written.
            standings = [
                _Standing.current if standing is _Standing.foreign and self._row(each.name) is None else standing
                for standing, (each, _) in zip(standings, stamps, strict=True)
            ]
        for standing, state in (
            (_Standing.foreign, ResultState.in_the_way),
            (_Standing.changed, ResultState.changed),
        ):
            if standing in standings:
                return state, stamps[standings.index(standing)][1]
        is_done = all(standing is _Standing.current for standing in standings)
        return (ResultState.done if is_done else ResultState.to_do), target

    def _is_left_in_color(self, stamp: Stamp, target: str) -> bool:
        row = self._row(stamp.name)
        if row is None or row[4] != _IN_COLOR or row[:4] != (stamp.photo, *stamp.photo_file, stamp.settings):
            return False
        found = file_stamp(target)
        return found == _ABSENT or _is_same(found, row[5:])

    def _standing(self, stamp: Stamp, path: str) -> _Standing:
        row, found = self._row(stamp.name), file_stamp(path)
        if found == _ABSENT:
            return _Standing.nothing
        if row is None:
            return _Standing.foreign
        state, noted = row[4], row[5:]
        is_current = row[:4] == (stamp.photo, *stamp.photo_file, stamp.settings)
        if state == _BEGUN:
            if found == _NO_FILE:
                return _Standing.foreign
            # A run that was killed had put another file there than the one that stood there before: a whole one.
            if found == noted or not is_current:
                return _Standing.older
            self._put(stamp, _MADE, found)
            return _Standing.current
        if not found[0]:  # what a power cut leaves, and nobody's work
            return _Standing.older
        if not _is_same(found, noted):
            return _Standing.changed if state == _MADE else _Standing.foreign
        return _Standing.current if is_current and state == _MADE else _Standing.older

    def _row(self, name: bytes) -> Row | None:
        if self._database is None:
            return None
        database = self._database
        with self._saying_why():
            row: Row | None = self._patiently(lambda: database.execute(_SELECT, (name,)).fetchone())
            return row

    def begin(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> None:
        """Note that a result is about to be made; `flush` before it takes its place."""
        for each, path in _stamps(stamp, target, others):
            found = file_stamp(path)
            self._before[each.name] = self._row(each.name), found
            self._put(each, _BEGUN, found)

    def made(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> None:
        """Note that the result stands there, and what belongs to it."""
        for each, path in _stamps(stamp, target, others):
            self._before.pop(each.name, None)
            self._put(each, _MADE, file_stamp(path))

    def left_in_color(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> None:
        """Note that the photo has colors already, and no result was made."""
        self.failed(stamp, target, others)
        # What stands there may be an earlier result, or somebody's file that was to be overwritten.
        is_ours = self._pending[stamp.name] is not None
        self._put(stamp, _IN_COLOR, file_stamp(target) if is_ours else _ABSENT)

    def failed(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> None:
        """Note that what was begun came to nothing: where nothing new stands, what was known before is so again."""
        for each, path in _stamps(stamp, target, others):
            row, found_before = self._before.pop(each.name)
            found = file_stamp(path)
            self._pending[each.name] = row if found == found_before else self._noted(each, _MADE, found)

    def _put(self, stamp: Stamp, state: int, file: tuple[int, int]) -> None:
        self._pending[stamp.name] = self._noted(stamp, state, file)

    @staticmethod
    def _noted(stamp: Stamp, state: int, file: tuple[int, int]) -> Row:
        return (stamp.photo, *stamp.photo_file, stamp.settings, state, *file)

    def flush(self) -> None:
        """Write what was noted.

        Raises:
            OutputError: the disk is full, read-only or fails.
        """
        if self._read_only or not self._pending:
            return
        if self._database is None:
            self._database = self._open_to_write()
        database = self._database
        with self._saying_why():
            self._patiently(lambda: self._write(database))
        self._pending.clear()

    def _write(self, database: sqlite3.Connection) -> None:
        database.execute("BEGIN IMMEDIATE")
        try:
            database.executemany(_DELETE, [(name,) for name, row in self._pending.items() if row is None])
            database.executemany(_INSERT, [(name, *row) for name, row in self._pending.items() if row is not None])
            database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                database.execute("ROLLBACK")
            raise

    def forget(self) -> None:
        """Drop what was noted since the last `flush`."""
        self._pending.clear()
        self._before.clear()

    def close(self, *, in_a_hurry: bool = False) -> None:
        """Write what was noted, and close the file, also where the writing fails; in a hurry it waits for nobody."""
        if in_a_hurry:
            self._patience_s = 0.0
        try:
            self.flush()
        finally:
            if self._database is not None:
                self._database.close()

    @contextlib.contextmanager
    def _saying_why(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise self._error(error) from error

    def _error(self, error: Exception) -> OutputError:
        if isinstance(error, sqlite3.OperationalError) and _is_locked(error):
            found = f"another process has it locked for {self._patience_s:.0f} seconds, or the disk's locks do not work"
            advice = "Wait for that process or end it; or name another output folder, on a disk of this machine."
            return OutputError(f"writing the journal {self._path}", found, advice, parameter="output")
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        advice = "Make room there, or name another output folder; then do the same again."
        return OutputError(f"writing the journal {self._path}", reason, advice, parameter="output")


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return not isinstance(error, sqlite3.OperationalError) or str(error).startswith("no such")


def _is_locked(error: sqlite3.OperationalError) -> bool:
    return "is locked" in str(error)


class Journals:
    """The journals of a run: for each result, the nearest one in its folder or above it.

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
            self._open[home] = Journal(Path(home), self._notify, read_only=self._read_only, check=self._check)
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
