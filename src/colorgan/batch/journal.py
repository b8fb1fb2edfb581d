"""The journal of a folder of results: what was made of which photo, with which settings, and what was about to be.

It is an SQLite file in that folder, in the rollback mode that network disks can bear too. What a photo's result is to
be is written down before it takes its place, so that neither a killed run's results are made twice, nor a file
is replaced that somebody else put there.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType

from colorgan.batch.jobs import Job
from colorgan.errors import OutputError

JOURNAL_NAME = ".colorgan-journal.sqlite3"
_VERSION = 1
_LOCK_TIMEOUT_S = 60.0  # other processes write for milliseconds
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


class ResultState(Enum):
    """What the journal and the disk say of a photo."""

    to_do = "to do"
    done = "done"
    in_color = "in color"
    in_the_way = "in the way"


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
    """Size in bytes and time of change in nanoseconds; -1 both where there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return _ABSENT
    return status.st_size, status.st_mtime_ns


class Journal:
    """One journal file, made when there is something to write. Rows are gathered until `flush`; all in one thread.

    Args:
        folder: where it is, or is to be.
        notify: told in words of a damaged journal, which is moved aside.
        read_only: write nothing; a damaged journal is then an empty one.

    Raises:
        OutputError: it cannot be opened or written.
    """

    def __init__(self, folder: Path, notify: Callable[[str], None], *, read_only: bool = False) -> None:
        self._path = folder / JOURNAL_NAME
        self._notify, self._read_only = notify, read_only
        self._pending: dict[bytes, tuple[object, ...]] = {}
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
        try:
            return self._open(self._path)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise self._error(error) from error
            aside = self._move_aside()
            self._notify(f"{_DAMAGED.format(self._path, error)} It is now {aside}.")
            with self._saying_why():
                return self._open(self._path)

    def _open_to_read(self) -> sqlite3.Connection | None:
        try:
            # Immutable: what a killed run left half written is not put right, which would be writing.
            return self._open(f"{self._path.absolute().as_uri()}?mode=ro&immutable=1")
        except sqlite3.DatabaseError as error:
            self._notify(_DAMAGED.format(self._path, error))
            return None

    def _open(self, place: str | Path) -> sqlite3.Connection:
        is_uri = str(place).startswith("file:")
        database = sqlite3.connect(place, timeout=_LOCK_TIMEOUT_S, isolation_level=None, uri=is_uri)
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

    def state(self, stamp: Stamp, target: str, others: tuple[str, ...] = ()) -> ResultState:
        """What is to be done.

        Args:
            stamp: of the photo, now.
            target: the path of its result.
            others: paths of what is written beside it.
        """
        row = self._row(stamp.name)
        found = file_stamp(target)
        if row is None:
            return ResultState.to_do if found == _ABSENT else ResultState.in_the_way
        *made_of, state, size, mtime_ns = row
        if made_of != [stamp.photo, *stamp.photo_file, stamp.settings]:
            return ResultState.to_do
        if state == _IN_COLOR:
            return ResultState.in_color
        # A run that was killed had put another file there than the one that stood there before: a whole one.
        is_made = found == (size, mtime_ns) if state == _MADE else found not in (_ABSENT, (size, mtime_ns))
        if not is_made or not all(os.path.isfile(other) for other in others):
            return ResultState.to_do
        if state == _BEGUN:
            self._put(stamp, _MADE, found)
        return ResultState.done

    def _row(self, name: bytes) -> tuple[object, ...] | None:
        if self._database is None:
            return None
        with self._saying_why():
            row: tuple[object, ...] | None = self._database.execute(_SELECT, (name,)).fetchone()
            return row

    def begin(self, stamp: Stamp, target: str) -> None:
        """Note that a result is about to be made; `flush` before it takes its place."""
        self._put(stamp, _BEGUN, file_stamp(target))

    def made(self, stamp: Stamp, target: str) -> None:
        """Note that the result stands there."""
        self._put(stamp, _MADE, file_stamp(target))

    def left_in_color(self, stamp: Stamp) -> None:
        """Note that the photo has colors already, and no result was made."""
        self._put(stamp, _IN_COLOR, _ABSENT)

    def _put(self, stamp: Stamp, state: int, file: tuple[int, int]) -> None:
        self._pending[stamp.name] = (stamp.name, stamp.photo, *stamp.photo_file, stamp.settings, state, *file)

    def flush(self) -> None:
        """Write what was noted.

        Raises:
            OutputError: the disk is full, read-only or fails.
        """
        if self._read_only or not self._pending:
            return
        if self._database is None:
            self._database = self._open_to_write()
        with self._saying_why():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.executemany(_INSERT, self._pending.values())
                self._database.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise
        self._pending.clear()

    def forget(self) -> None:
        """Drop what was noted since the last `flush`."""
        self._pending.clear()

    def close(self) -> None:
        """Write what was noted, and close the file, also where the writing fails."""
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
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        advice = "Make room there, or name another output folder; then do the same again."
        return OutputError(f"writing the journal {self._path}", reason, advice, parameter="output")


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return not isinstance(error, sqlite3.OperationalError) or str(error).startswith("no such")


class Journals:
    """The journals of a run: for each result, the nearest one in its folder or above it.

    Args:
        homes: folders that get one where there is none: the folder of all results, or those of the photos.
        beyond: look for one above the homes too, as where results stand beside photos, of which a run may be given any
            part; a folder that is in no home then gets its own.
        notify: told in words of damaged ones.
        read_only: write nothing.
    """

    def __init__(
        self, homes: Sequence[Path], notify: Callable[[str], None], *, beyond: bool, read_only: bool = False
    ) -> None:
        self._homes = {os.path.realpath(home) for home in homes}
        self._beyond = beyond
        self._notify, self._read_only = notify, read_only
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
            self._open[home] = Journal(Path(home), self._notify, read_only=self._read_only)
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
        with contextlib.suppress(*([OutputError] if kind else [])), contextlib.ExitStack() as closing:
            for journal in self._open.values():
                closing.callback(journal.close)
