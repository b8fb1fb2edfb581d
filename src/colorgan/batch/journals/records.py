"""The records of a journal, the protocol of their stores, and the states of files on disk that they compare."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Protocol

_DIGEST_BYTES = 16
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class FileState:
    """Size, modification time and content digest of a file.

    Attributes:
        size_bytes: its size; negative if there is no regular file.
        mtime_ns: modification time; on some disks it jumps, by rounding or by an hour.
        digest: BLAKE2 digest of its content, or an object's ETag; empty if it was not read.
    """

    size_bytes: int
    mtime_ns: int
    digest: bytes = b""

    @property
    def is_file(self) -> bool:
        """Whether there is a regular file."""
        return self.size_bytes >= 0

    def is_dated_as(self, other: FileState) -> bool:
        """Whether size and time are the same."""
        return self.size_bytes == other.size_bytes and self.mtime_ns == other.mtime_ns


ABSENT = FileState(-1, -1)
NO_FILE = FileState(-2, -2)  # a folder, a link to nothing, a device


class RecordState(IntEnum):
    """How far a recorded result has come."""

    begun = 0
    made = 1
    in_color = 2  # the photo has colors already, and no result was made


@dataclass(frozen=True, slots=True)
class Record:
    """The record of one result.

    Attributes:
        photo: the identity of the photo that it was made of.
        source: state of the photo's file.
        settings: digest of the model and of the options that change a result.
        state: how far the result has come.
        result: state of the result's file; if only begun, of the file that existed there before.
    """

    photo: bytes
    source: FileState
    settings: bytes
    state: RecordState
    result: FileState


class RecordStore(Protocol):
    """A store of a journal's records, by the names of their results."""

    def get(self, name: bytes) -> Record | None:
        """Return the record of a result, or None."""

    def write(self, changes: Mapping[bytes, Record | None]) -> None:
        """Write all changes, or none if one fails; None deletes a record. They are on disk when this returns.

        Raises:
            OutputError: it cannot be written.
        """

    def close(self) -> None:
        """Close the store."""


def file_state(path: str) -> FileState:
    """Return size and time of a file, without its digest; `ABSENT` if the path does not exist, `NO_FILE` if no file."""
    try:
        status = os.stat(path)
    except OSError:  # a broken link, whose target may be on an unmounted disk, still counts as existing
        return NO_FILE if os.path.lexists(path) else ABSENT
    return FileState(status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else NO_FILE


def file_digest(path: str) -> bytes:
    """Hash a file's content (BLAKE2); empty if the file cannot be read."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    try:
        with open(path, "rb", buffering=0) as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError:
        return b""
    return digest.digest()


def with_digest(found: FileState, path: str) -> FileState:
    """Return a file's state with the digest of its content, or without one if the file changed meanwhile."""
    if not found.is_file:
        return found
    digest = file_digest(path)
    return replace(found, digest=digest) if file_state(path).is_dated_as(found) else found


def is_whole(path: str) -> bool:
    """Whether a result decodes to its end; a file that is no picture at all counts as whole."""
    from colorgan.images.decode import is_damaged

    return not is_damaged(Path(path))
