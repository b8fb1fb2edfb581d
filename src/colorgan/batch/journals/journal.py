"""A journal: what was made of which photo, with which settings, and what was about to be.

What a photo's result is to be is written down before it takes its place, so that neither a killed run's results are
made twice, nor a file is replaced that somebody else put there. Files are known by their content as it was noted;
it is read again only where their time differs.
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

_MTIME_STEP_NS = 2_000_000_000  # in which FAT counts; a file's time may be put on it when the disk is mounted again
_PAGE = re.compile(rb"#\d+$")  # of an identity, where each page of a file is a photo


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
    older = 2  # made by colorgan too, or damaged
    changed = 3  # made by colorgan, and by somebody else since
    foreign = 4


@dataclass(frozen=True, slots=True)
class Stamp:
    """By what a result is known to be made of a photo as it is now, with the settings of now.

    Attributes:
        name: of the result, from the journal's folder.
        photo: the photo's identity.
        source: the photo's path.
        source_state: its size and time.
        settings: a digest.
    """

    name: bytes
    photo: bytes
    source: str
    source_state: FileState
    settings: bytes


def _stamps(stamp: Stamp, target: str, others: Sequence[str]) -> Iterator[tuple[Stamp, str]]:
    """A result's stamp and path, and those of what is written beside it."""
    yield stamp, target
    folder, slash, _ = stamp.name.rpartition(b"/")
    for path in others:
        yield replace(stamp, name=folder + slash + os.fsencode(os.path.basename(path))), path


class Journal:
    """One journal. What is noted is gathered until `flush`; all in one thread.

    Args:
        store: where its records are.
        read_only: note nothing.
    """

    def __init__(self, store: RecordStore, *, read_only: bool = False) -> None:
        self._store, self._read_only = store, read_only
        self._pending: dict[bytes, Record | None] = {}
        self._before: dict[bytes, tuple[Record | None, FileState]] = {}

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
                _Standing.current if standing is _Standing.foreign and self._store.get(each.name) is None else standing
                for standing, (each, _) in zip(standings, stamps, strict=True)
            ]
        for standing, state in ((_Standing.foreign, ResultState.in_the_way), (_Standing.changed, ResultState.changed)):
            if standing in standings:
                return state, stamps[standings.index(standing)][1]
        is_done = all(standing is _Standing.current for standing in standings)
        return (ResultState.done if is_done else ResultState.to_do), target

    def has_made(self, name: bytes, path: str) -> bool:
        """Whether a file is a result of this journal, as it was made."""
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

    def _standing(self, stamp: Stamp, path: str) -> _Standing:
        record, found = self._store.get(stamp.name), file_state(path)
        if found == ABSENT:
            return _Standing.nothing
        if record is None or not found.is_file:
            return _Standing.foreign
        if not found.size_bytes:  # what a power cut leaves, and nobody's work
            return _Standing.older
        if record.state is RecordState.begun:
            return self._standing_of_begun(record, stamp, found, path)
        if not self._is_same(found, record.result, path):
            if record.state is not RecordState.made:
                return _Standing.foreign
            return _Standing.changed if is_whole(path) else _Standing.older
        if record.state is not RecordState.made or not self._is_current(record, stamp):
            return _Standing.older
        self._refresh(record, stamp, found)
        return _Standing.current

    def _standing_of_begun(self, record: Record, stamp: Stamp, found: FileState, path: str) -> _Standing:
        """Of a result at which a run was killed: it may have put another file there than the one that stood before."""
        if self._is_same(found, record.result, path) or not self._is_current(record, stamp):
            return _Standing.older
        if not is_whole(path):
            return _Standing.older
        self._put(self._with_source(stamp), RecordState.made, with_digest(found, path))
        return _Standing.current

    def _is_same(self, found: FileState, noted: FileState, path: str) -> bool:
        """Whether a file is the one that was noted, on any disk's clock."""
        if found.is_dated_as(noted):
            return True
        if not found.is_file or found.size_bytes != noted.size_bytes:
            return False
        if noted.digest:
            return file_digest(path) == noted.digest
        return abs(found.mtime_ns - noted.mtime_ns) <= _MTIME_STEP_NS  # noted by an earlier version

    def _is_current(self, record: Record, stamp: Stamp) -> bool:
        """Whether a result was made of the photo as it is now, with the settings of now."""
        if record.settings != stamp.settings:
            return False
        if record.photo == stamp.photo and record.source.is_dated_as(stamp.source_state):
            return True
        is_other_page = _PAGE.findall(record.photo) != _PAGE.findall(stamp.photo)
        if is_other_page or record.source.size_bytes != stamp.source_state.size_bytes or not record.source.digest:
            return False
        return file_digest(stamp.source) == record.source.digest

    def _refresh(self, record: Record, stamp: Stamp, found: FileState) -> None:
        """Note the times that files have now, so that their content need not be read the next time."""
        now = replace(
            record,
            photo=stamp.photo,
            source=replace(stamp.source_state, digest=record.source.digest),
            result=replace(found, digest=record.result.digest),
        )
        if now != record:
            self._pending[stamp.name] = now

    def begin(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> None:
        """Note that a result is about to be made; `flush` before it takes its place."""
        for each, path in _stamps(stamp, target, others):
            record, found = self._store.get(each.name), file_state(path)
            if record is not None and found.is_dated_as(record.result):
                found = record.result
            elif not self._read_only:
                found = with_digest(found, path)
            self._before[each.name] = record, found
            self._put(each, RecordState.begun, found)

    def made(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> None:
        """Note that the result stands there, and what belongs to it."""
        for each, path in _stamps(self._with_source(stamp), target, others):
            self._before.pop(each.name, None)
            self._put(each, RecordState.made, with_digest(file_state(path), path))

    def left_in_color(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> None:
        """Note that the photo has colors already, and no result was made."""
        self.failed(stamp, target, others)
        # What stands there may be an earlier result, or somebody's file that was to be overwritten.
        is_ours = self._pending[stamp.name] is not None
        found = with_digest(file_state(target), target) if is_ours else ABSENT
        self._put(self._with_source(stamp), RecordState.in_color, found)

    def failed(self, stamp: Stamp, target: str, others: Sequence[str] = ()) -> None:
        """Note that what was begun came to nothing: where nothing new stands, what was known before is so again."""
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
        """Write what was noted.

        Raises:
            OutputError: the disk is full, read-only or fails.
        """
        if self._read_only or not self._pending:
            return
        self._store.write(self._pending)
        self._pending.clear()

    def forget(self) -> None:
        """Drop what was noted since the last `flush`."""
        self._pending.clear()
        self._before.clear()

    def close(self) -> None:
        """Write what was noted, and close the store, also where the writing fails."""
        try:
            self.flush()
        finally:
            self._store.close()
