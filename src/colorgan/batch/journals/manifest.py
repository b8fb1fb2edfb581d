"""The records of a journal as immutable files (parts) beside the results: for buckets, job arrays, disks without locks.

Each process writes its own parts, one for a thousand records or half a minute, and reads those of all others once, at
its start. Results at an address are not looked up: the records alone decide what is done.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import secrets
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from colorgan.addresses import is_address, shown_address
from colorgan.batch.addresses import storage
from colorgan.batch.journals.journal import Journal, ResultState, Stamp
from colorgan.batch.journals.records import FileState, Record, RecordState, RecordStore
from colorgan.batch.journals.sqlite_store import SCHEMA, SELECT, record_of, write_records
from colorgan.batch.shards import Shard
from colorgan.errors import OutputError, reason_of
from colorgan.files import atomic_write

MANIFEST_NAME = ".colorgan-manifest"
PART_RECORDS = 1000
_PART_S = 30.0
_SUFFIX = ".jsonl.gz"
_VERSION = 1
_MAX_BYTES = 1 << 28  # of a part, unpacked; ours have a thousandth of it
_REMOTE_RESULT = FileState(0, 0)  # of a result at an address, which is not looked up
_DAMAGE = (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, ArithmeticError, RecursionError)
_DAMAGED = "{} of the manifest {} is damaged and ignored: its photos are colored again, unless their results exist."


class ManifestStore:
    """The records in the manifest of a folder.

    Args:
        home: the folder's path or address.
        shard: the part of this process; the records of other photos are not kept in memory.
        notify: called with a warning about a damaged part.
        earlier: the SQLite journal from before there was a manifest; it is only read.

    Raises:
        OutputError: it cannot be read, or is of a later version.
        StorageError: the store denies access or does not answer.
    """

    def __init__(
        self,
        home: str,
        shard: Shard,
        notify: Callable[[str], None],
        *,
        earlier: RecordStore | None = None,
    ) -> None:
        self._folder = f"{home.rstrip('/')}/{MANIFEST_NAME}"
        self._own = f"{self._folder}/{shard.number}-of-{shard.count}"
        self._shard, self._notify, self._earlier = shard, notify, earlier
        self._index = sqlite3.connect("", isolation_level=None)  # a temporary database, on disk beyond 2 MB
        for statement in ("PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", SCHEMA):
            self._index.execute(statement)
        self._unwritten: dict[bytes, Record | None] = {}
        self._written_at = time.monotonic()
        for name, data in _read_parts(self._folder):
            self._load_part(name, data)

    def _load_part(self, name: str, data: bytes) -> None:
        try:
            records = {name: record for name, record in _unpacked(data, self._folder) if self._is_wanted(record)}
            write_records(self._index, records)
        except _DAMAGE:
            self._notify(_DAMAGED.format(name, shown_address(self._folder)))

    def _is_wanted(self, record: Record | None) -> bool:
        return record is None or self._shard.has(os.fsdecode(record.photo))

    def get(self, name: bytes) -> Record | None:
        """Return the record of a result, or None."""
        row = self._index.execute(SELECT, (name,)).fetchone()
        if row:
            return record_of(row)
        return self._earlier.get(name) if self._earlier else None

    def write(self, changes: Mapping[bytes, Record | None]) -> None:
        """Write changes: those with begun results are on disk when this returns, the rest with the next part."""
        write_records(self._index, changes)
        self._unwritten.update(changes)
        has_begun = any(record is not None and record.state is RecordState.begun for record in changes.values())
        is_late = time.monotonic() - self._written_at > _PART_S
        if has_begun or is_late or len(self._unwritten) >= PART_RECORDS:
            self._write_part()

    def _write_part(self) -> None:
        if self._unwritten:
            # Parts are read in the order of their names, whichever process wrote them.
            name = f"{time.time_ns():020d}-{secrets.token_hex(4)}{_SUFFIX}"
            _write_file(f"{self._own}/{name}", _packed(self._unwritten))
        self._unwritten.clear()
        self._written_at = time.monotonic()

    def close(self) -> None:
        """Write the last part."""
        try:
            self._write_part()
        finally:
            self._index.close()
            if self._earlier:
                self._earlier.close()


class AddressJournal(Journal):
    """A journal of results at an address, which are not looked up: its records alone decide their state."""

    def state(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> tuple[ResultState, str]:
        """Return the state of a result, by its record alone, and `target`."""
        record = self._store.get(stamp.name)
        if (
            record is None
            or (record.photo, record.settings) != (stamp.photo, stamp.settings)
            or not storage.is_same(stamp.source_state, record.source)
        ):
            return ResultState.to_do, target
        return (ResultState.done if record.state is RecordState.made else ResultState.in_color), target

    def begin(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> None:
        """Record nothing: `put_object` checks for an existing object when the result is written."""

    def made(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> None:
        """Record that the result and its sidecars were written."""
        self._put(stamp, RecordState.made, _REMOTE_RESULT)

    def left_in_color(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> None:
        """Record that the photo is in color already, and no result was made."""
        self._put(stamp, RecordState.in_color, _REMOTE_RESULT)

    def failed(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> None:
        """Record nothing: the earlier record still holds."""


# --- parts ---------------------------------------------------------------------------------------------------


def _packed(records: Mapping[bytes, Record | None]) -> bytes:
    lines: list[dict[str, Any]] = [{"type": "colorgan manifest", "version": _VERSION}]
    for name, record in records.items():
        line: dict[str, Any] = {"name": os.fsdecode(name)}
        if record is not None:
            line |= {
                "photo": os.fsdecode(record.photo),
                "source": _values(record.source),
                "settings": record.settings.hex(),
                "state": record.state.name,
                "result": _values(record.result),
            }
        lines.append(line)
    return gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode(), mtime=0)


def _values(state: FileState) -> list[int | str]:
    return [state.size_bytes, state.mtime_ns, state.digest.hex()]


def _unpacked(data: bytes, folder: str) -> Iterator[tuple[bytes, Record | None]]:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
        text = packed.read(_MAX_BYTES)
    first, *lines = map(json.loads, text.splitlines())
    if first["type"] != "colorgan manifest":
        raise ValueError
    if first["version"] > _VERSION:
        advice = "Use that version of colorgan, or another output folder."
        raise OutputError(f"a manifest of version {_VERSION} in {folder}", f"version {first['version']}", advice)
    for line in lines:
        record = None
        if "photo" in line:
            record = Record(
                os.fsencode(line["photo"]),
                _state_of(line["source"]),
                bytes.fromhex(line["settings"]),
                RecordState[line["state"]],
                _state_of(line["result"]),
            )
        yield os.fsencode(line["name"]), record


def _state_of(values: list[Any]) -> FileState:
    size_bytes, mtime_ns, digest = values
    return FileState(int(size_bytes), int(mtime_ns), bytes.fromhex(digest))


def _read_parts(folder: str) -> Iterator[tuple[str, bytes]]:
    """Yield the names and bytes of the parts of all processes, in the order in which they were written.

    Raises:
        OutputError: the disk fails.
        StorageError: the store denies access or does not answer.
    """
    if is_address(folder):
        addresses = sorted(storage.find_objects(folder, _SUFFIX), key=lambda address: address.rpartition("/")[2])
        yield from storage.read_objects(addresses)
        return
    try:
        paths = sorted(Path(folder).rglob(f"*{_SUFFIX}"), key=lambda path: path.name)
        for path in paths:
            yield path.name, path.read_bytes()
    except OSError as error:
        advice = "Name another output folder, and run the same command again."
        raise OutputError(f"to read the manifest {folder}", reason_of(error), advice, parameter="output") from error


def _write_file(path: str, data: bytes) -> None:
    if is_address(path):
        storage.put_object(path, data, overwrite=False)
        return
    try:
        with atomic_write(Path(path)) as file:
            file.write(data)
    except OSError as error:
        elsewhere = "name another output folder, and run the same command again"
        raise OutputError.of(f"the manifest {path}", error, elsewhere, parameter="output") from error
