"""A journal: which results were made, and which were begun, of which photo and with which settings.

A result is recorded as begun before its file is written, so that results of a killed run are not made twice, and files
that somebody else put there are not replaced. Files are compared by recorded content digests; they are read again only
if their modification time differs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from colorgan.batch.journals.records import (
    ABSENT,
    FileState,
    Record,
    RecordState,
    RecordStore,
    file_digest,
    file_state,
    is_whole,
    with_digest,
)

_MTIME_STEP_NS = 2_000_000_000  # resolution of FAT, to which a file's time may be rounded when the disk is remounted
_PAGE = re.compile(rb"#\d+$")  # ends the identity of a page of a multi-page file


class ResultState(Enum):
    """The state of a photo's result, by the journal and the disk."""

    to_do = "to do"
    done = "done"
    in_color = "in color"
    changed = "changed since it was written"
    in_the_way = "in the way"


class _FileStatus(Enum):
    """The status of a file that is to be written."""

    absent = 0
    current = 1  # made of the photo's current file with the current settings
    outdated = 2  # made by colorgan from another photo or with other settings; or damaged
    changed = 3  # made by colorgan, and changed by somebody else since
    foreign = 4  # not made by colorgan


@dataclass(frozen=True, slots=True)
class Stamp:
    """The key under which a result is journaled, and the current photo and settings with which its record is compared.

    Attributes:
        name: path of the result, relative to the journal's folder.
        photo: the photo's identity.
        source: the photo's path.
        source_state: size and time of the photo's file.
        settings: digest of the settings.
    """

    name: bytes
    photo: bytes
    source: str
    source_state: FileState
    settings: bytes


def _stamps(stamp: Stamp, target: str, others: Sequence[str]) -> Iterator[tuple[Stamp, str]]:
    """Yield a result's stamp and path, and those of its sidecars, whose paths are `others`."""
    yield stamp, target
    folder, slash, _ = stamp.name.rpartition(b"/")
    for path in others:
        yield replace(stamp, name=folder + slash + os.fsencode(os.path.basename(path))), path


class Journal:
    """One journal, which gathers changes in memory until `flush`; not thread-safe.

    Args:
        store: the store of its records.
        read_only: write nothing.
    """

    def __init__(self, store: RecordStore, *, read_only: bool = False) -> None:
        self._store, self._read_only = store, read_only
        self._pending: dict[bytes, Record | None] = {}
        self._before: dict[bytes, tuple[Record | None, FileState]] = {}

    def state(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> tuple[ResultState, str]:
        """Return the state of a result with its sidecars `others`, and the path of the file that determines it."""
        if self._is_left_in_color(stamp, target):
            return ResultState.in_color, target
        stamps = list(_stamps(stamp, target, others))
        statuses = [self._file_status(*each) for each in stamps]
        if statuses[0] is _FileStatus.current:
            # Earlier versions did not record sidecars; the settings of the result imply that colorgan wrote them.
            statuses = [
                _FileStatus.current if status is _FileStatus.foreign and self._store.get(each.name) is None else status
                for status, (each, _) in zip(statuses, stamps, strict=True)
            ]
        for status, state in (
            (_FileStatus.foreign, ResultState.in_the_way),
            (_FileStatus.changed, ResultState.changed),
        ):
            if status in statuses:
                return state, stamps[statuses.index(status)][1]
        is_done = all(status is _FileStatus.current for status in statuses)
        return (ResultState.done if is_done else ResultState.to_do), target

    def has_made(self, name: bytes, path: str) -> bool:
        """Whether a file is a result of this journal, unchanged since it was written."""
        record = self._store.get(name)
        if record is None or record.state is not RecordState.made:
            return False
        return self._is_same(file_state(path), record.result, path)

    def _is_left_in_color(self, stamp: Stamp, target: str) -> bool:
        record = self._store.get(stamp.name)
        if record is None or record.state is not RecordState.in_color or not self._is_current(record, stamp):
            return False
        found = file_state(target)
        if found != ABSENT and not self._is_same(found, record.result, target):
            return False
        self._refresh(record, stamp, found)
        return True

    def _file_status(self, stamp: Stamp, path: str) -> _FileStatus:
        record, found = self._store.get(stamp.name), file_state(path)
        if found == ABSENT:
            return _FileStatus.absent
        if record is None or not found.is_file:
            return _FileStatus.foreign
        if not found.size_bytes:  # left by a power cut; nobody's work is lost
            return _FileStatus.outdated
        if record.state is RecordState.begun:
            return self._status_of_begun(record, stamp, found, path)
        if not self._is_same(found, record.result, path):
            if record.state is not RecordState.made:
                return _FileStatus.foreign
            return _FileStatus.changed if is_whole(path) else _FileStatus.outdated
        if record.state is not RecordState.made or not self._is_current(record, stamp):
            return _FileStatus.outdated
        self._refresh(record, stamp, found)
        return _FileStatus.current

    def _status_of_begun(self, record: Record, stamp: Stamp, found: FileState, path: str) -> _FileStatus:
        """Return the status of a result at which a run was killed, before or after it replaced the earlier file."""
        if self._is_same(found, record.result, path) or not self._is_current(record, stamp) or not is_whole(path):
            return _FileStatus.outdated
        self._put(self._with_source(stamp), RecordState.made, with_digest(found, path))
        return _FileStatus.current

    def _is_same(self, found: FileState, recorded: FileState, path: str) -> bool:
        """Whether a file is unchanged since it was recorded, even if the disk now shows another time for it."""
        if found.is_dated_as(recorded):
            return True
        if not found.is_file or found.size_bytes != recorded.size_bytes:
            return False
        if recorded.digest:
            return file_digest(path) == recorded.digest
        return abs(found.mtime_ns - recorded.mtime_ns) <= _MTIME_STEP_NS  # recorded by an earlier version

    def _is_current(self, record: Record, stamp: Stamp) -> bool:
        """Whether a result was made of the photo's current file with the current settings."""
        if record.settings != stamp.settings:
            return False
        if record.photo == stamp.photo and record.source.is_dated_as(stamp.source_state):
            return True
        is_other_page = _PAGE.findall(record.photo) != _PAGE.findall(stamp.photo)
        if is_other_page or record.source.size_bytes != stamp.source_state.size_bytes or not record.source.digest:
            return False
        return file_digest(stamp.source) == record.source.digest

    def _refresh(self, record: Record, stamp: Stamp, found: FileState) -> None:
        """Record the files' current times, so that their content need not be read the next time."""
        now = replace(
            record,
            photo=stamp.photo,
            source=replace(stamp.source_state, digest=record.source.digest),
            result=replace(found, digest=record.result.digest),
        )
        if now != record:
            self._pending[stamp.name] = now

    def begin(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> None:
        """Record that a result is about to be made; call `flush` before its file is written."""
        for each, path in _stamps(stamp, target, others):
            record, found = self._store.get(each.name), file_state(path)
            if record is not None and found.is_dated_as(record.result):
                found = record.result
            elif not self._read_only:
                found = with_digest(found, path)
            self._before[each.name] = record, found
            self._put(each, RecordState.begun, found)

    def made(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> None:
        """Record that the result and its sidecars were written."""
        for each, path in _stamps(self._with_source(stamp), target, others):
            self._before.pop(each.name, None)
            self._put(each, RecordState.made, with_digest(file_state(path), path))

    def left_in_color(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> None:
        """Record that the photo is in color already, and no result was made."""
        self.failed(stamp, target, others)
        # The existing file may be an earlier result, or a foreign one that was to be overwritten.
        is_ours = self._pending[stamp.name] is not None
        found = with_digest(file_state(target), target) if is_ours else ABSENT
        self._put(self._with_source(stamp), RecordState.in_color, found)

    def failed(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> None:
        """Record that a begun result failed: restore the earlier record of each file that was not replaced."""
        for each, path in _stamps(stamp, target, others):
            record, found_before = self._before.pop(each.name)
            found = file_state(path)
            if found.is_dated_as(found_before):
                self._pending[each.name] = record
            else:
                self._put(each, RecordState.made, with_digest(found, path))

    def _with_source(self, stamp: Stamp) -> Stamp:
        return replace(stamp, source_state=with_digest(stamp.source_state, stamp.source))

    def _put(self, stamp: Stamp, state: RecordState, result: FileState) -> None:
        self._pending[stamp.name] = Record(stamp.photo, stamp.source_state, stamp.settings, state, result)

    def flush(self) -> None:
        """Write the pending records to the store.

        Raises:
            OutputError: the disk is full, read-only or fails.
        """
        if self._read_only or not self._pending:
            return
        self._store.write(self._pending)
        self._pending.clear()

    def forget(self) -> None:
        """Drop the records since the last `flush`."""
        self._pending.clear()
        self._before.clear()

    def close(self) -> None:
        """Write the pending records and close the store, even if the writing fails."""
        try:
            self.flush()
        finally:
            self._store.close()
