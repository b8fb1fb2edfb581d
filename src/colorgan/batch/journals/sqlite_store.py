"""The records of a journal in an SQLite file, in rollback mode, which also works on network disks."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from colorgan.batch.journals.records import FileState, Record, RecordState
from colorgan.errors import OutputError
from colorgan.files import Disk, check_writable

JOURNAL_NAME = ".colorgan-journal.sqlite3"
_VERSION = 2
_LOCK_TIMEOUT_S = 60.0  # other processes hold the lock for milliseconds
_POLL_S = 1.0  # how often a wait for the lock checks for a signal
_DISK_FAILED = "disk I/O error"
_GROWTH_BYTES = 1 << 16  # by which the file grows in one step at most
_NOTIFY_AFTER_S = 5.0  # of waiting for the lock
SCHEMA = """CREATE TABLE IF NOT EXISTS results (
    name BLOB PRIMARY KEY,
    photo BLOB NOT NULL, photo_bytes INTEGER NOT NULL, photo_mtime_ns INTEGER NOT NULL, settings BLOB NOT NULL,
    state INTEGER NOT NULL, bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    photo_digest BLOB NOT NULL DEFAULT x'', digest BLOB NOT NULL DEFAULT x''
) WITHOUT ROWID"""
# Columns that version 1 lacks.
_DIGESTS = tuple(
    f"ALTER TABLE results ADD COLUMN {name} BLOB NOT NULL DEFAULT x''" for name in ("photo_digest", "digest")
)
_COLUMNS = "photo, photo_bytes, photo_mtime_ns, settings, state, bytes, mtime_ns, photo_digest, digest"
SELECT = f"SELECT {_COLUMNS} FROM results WHERE name = ?"
_SELECT_FROM_1 = f"SELECT {_COLUMNS.replace('photo_digest, digest', 'NULL, NULL')} FROM results WHERE name = ?"
_INSERT = f"INSERT OR REPLACE INTO results (name, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_DELETE = "DELETE FROM results WHERE name = ?"
_DAMAGED = "The journal {} is damaged ({}): it is unknown which results exist; only overwriting replaces them."

Result = TypeVar("Result")


class SqliteStore:
    """The records in the SQLite file of a folder, which is created by the first write.

    Args:
        folder: the folder of the file.
        notify: called with a warning if the file is damaged, and then moved aside, or locked for long.
        read_only: write nothing; a damaged file then counts as empty.
        check: called while another process has it locked; raises to stop waiting.

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
        self._notify, self._check = notify, check
        self._has_timed_out = False
        self._select = SELECT
        self._database: sqlite3.Connection | None = None
        if os.path.exists(self._path):
            self._database = self._open_to_read() if read_only else self._open_to_write()

    def get(self, name: bytes) -> Record | None:
        """Return the record of a result, or None."""
        if self._database is None:
            return None
        database = self._database
        with self._converting_errors():
            row = self._retry_while_locked(lambda: database.execute(self._select, (name,)).fetchone())
        return record_of(row) if row else None

    def write(self, changes: Mapping[bytes, Record | None]) -> None:
        """Write changes as `RecordStore.write` does, creating the file if needed."""
        if self._database is None:
            self._database = self._open_to_write()
        database = self._database
        with self._converting_errors():
            self._retry_while_locked(lambda: write_records(database, changes))

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()

    def _open_to_write(self) -> sqlite3.Connection:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            what = f"a folder for results at {self._path.parent}"
            raise OutputError.of(what, error, "name another output folder", parameter="output") from error
        disk = Disk.of(self._path.parent)
        if not disk.has_locks:  # the folder is new: on such a disk an existing folder gets a manifest instead
            self._notify(
                f"The disk of {self._path.parent} has no file locks: make sure that no other colorgan writes there."
            )
        try:
            return self._retry_while_locked(lambda: self._create(disk))
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise self._error(error) from error
            aside = self._move_aside()
            self._notify(f"{_DAMAGED.format(self._path, error)} It was renamed to {aside}.")
            with self._converting_errors():
                return self._create(disk)

    def _create(self, disk: Disk) -> sqlite3.Connection:
        with self._converting_errors(), self._path.open("ab"):
            pass  # created here with the folder's default permissions, which SQLite would not use
        database = self._open(f"{self._path.absolute().as_uri()}?nolock={int(not disk.has_locks)}", upgrade=True)
        if not disk.can_flush:
            database.execute("PRAGMA synchronous = OFF")
        return database

    def _retry_while_locked(self, call: Callable[[], Result]) -> Result:
        """Repeat a call while another process has the file locked; after one timeout, later calls fail at once."""
        start, is_notified = time.monotonic(), False
        while True:
            try:
                return call()
            except sqlite3.OperationalError as error:
                waited_s = time.monotonic() - start
                if not _is_locked(error):
                    raise
                if self._has_timed_out or waited_s > _LOCK_TIMEOUT_S:
                    self._has_timed_out = True
                    raise
            self._check()
            if waited_s > _NOTIFY_AFTER_S and not is_notified:
                self._notify(f"Waiting for the journal {self._path}, which another process has locked ...")
                is_notified = True

    def _open_to_read(self) -> sqlite3.Connection | None:
        try:
            # Immutable: the half-written transaction of a killed run is not rolled back, which would be writing.
            return self._open(f"{self._path.absolute().as_uri()}?mode=ro&immutable=1", upgrade=False)
        except sqlite3.DatabaseError as error:
            self._notify(_DAMAGED.format(self._path, error))
            return None

    def _open(self, address: str, *, upgrade: bool) -> sqlite3.Connection:
        database = sqlite3.connect(address, timeout=_POLL_S, isolation_level=None, uri=True)
        try:
            version = _version_of(database)
            if version > _VERSION:
                advice = "Use that version of colorgan, or another output folder."
                raise OutputError(f"a journal of version {_VERSION} in {self._path}", f"version {version}", advice)
            (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                raise sqlite3.DatabaseError(state)
            if upgrade and version < _VERSION:
                _upgrade(database)
                version = _VERSION
            self._select = _SELECT_FROM_1 if version == 1 else SELECT
            database.execute(self._select, (b"",))
        except BaseException:
            database.close()
            raise
        return database

    def _move_aside(self) -> str:
        number = 1
        while os.path.lexists(aside := f"{self._path}.damaged-{number}"):
            number += 1
        with self._converting_errors():
            os.replace(self._path, aside)
            Path(f"{self._path}-journal").unlink(missing_ok=True)
        return aside

    @contextlib.contextmanager
    def _converting_errors(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise self._error(error) from error

    def _error(self, error: Exception) -> OutputError:
        if isinstance(error, sqlite3.OperationalError) and _is_locked(error):
            found = f"another process has it locked for {_LOCK_TIMEOUT_S:.0f} seconds, or the disk's locks do not work"
            advice = "Wait for that process or stop it; or name an output folder on a local disk."
            return OutputError(f"to write the journal {self._path}", found, advice, parameter="output")
        elsewhere = "name another output folder, and run the same command again"
        if str(error) == _DISK_FAILED:
            error = self._disk_error() or error
        return OutputError.of(f"the journal {self._path}", error, elsewhere, parameter="output")

    def _disk_error(self) -> OSError | None:
        """Return the system's error of writing to the disk, whose reason SQLite does not report; None if it works."""
        try:
            check_writable(self._path.parent, self._path.stat().st_size + _GROWTH_BYTES)
        except OSError as error:
            return error
        return None


def record_of(row: tuple[bytes, int, int, bytes, int, int, int, bytes | None, bytes | None]) -> Record:
    """Return the record in a row of `SELECT`."""
    photo, photo_bytes, photo_mtime_ns, settings, state, size_bytes, mtime_ns, photo_digest, digest = row
    source = FileState(photo_bytes, photo_mtime_ns, photo_digest or b"")
    return Record(photo, source, settings, RecordState(state), FileState(size_bytes, mtime_ns, digest or b""))


def _row_of(name: bytes, record: Record) -> tuple[bytes | int, ...]:
    source, result = record.source, record.result
    made_of = (record.photo, source.size_bytes, source.mtime_ns, record.settings)
    return (name, *made_of, int(record.state), result.size_bytes, result.mtime_ns, source.digest, result.digest)


def write_records(database: sqlite3.Connection, changes: Mapping[bytes, Record | None]) -> None:
    """Write records into the table of `SCHEMA` in one transaction; None deletes one."""
    with _transaction(database):
        database.executemany(_DELETE, [(name,) for name, record in changes.items() if record is None])
        database.executemany(_INSERT, [_row_of(name, record) for name, record in changes.items() if record])


def _upgrade(database: sqlite3.Connection) -> None:
    """Create the table, or add what that of version 1 lacks, unless another process has done so just now."""
    with _transaction(database):
        version = _version_of(database)
        for statement in {0: (SCHEMA,), 1: _DIGESTS}.get(version, ()):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {_VERSION}")


def _version_of(database: sqlite3.Connection) -> int:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return int(version)


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return not isinstance(error, sqlite3.OperationalError) or str(error).startswith("no such")


def _is_locked(error: sqlite3.OperationalError) -> bool:
    return "is locked" in str(error)
