"""What a journal notes of a result, where its records are kept, and how it looks at files on disks."""

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
    """What is known of a file.

    Attributes:
        size_bytes: its size.
        mtime_ns: the time of its last change; on some disks it jumps, by rounding or by an hour.
        digest: of its content; empty where that was not read.
    """

    size_bytes: int
    mtime_ns: int
    digest: bytes = b""

    @property
    def is_file(self) -> bool:
        """Whether there is a file."""
        return self.size_bytes >= 0

    def is_dated_as(self, other: FileState) -> bool:
        """Whether size and time are the same."""
        return self.size_bytes == other.size_bytes and self.mtime_ns == other.mtime_ns


ABSENT = FileState(-1, -1)
NO_FILE = FileState(-2, -2)  # a folder, a link to nothing, a device


class RecordState(IntEnum):
    """How far a result is."""

    begun = 0
    made = 1
    in_color = 2  # the photo has colors already, and no result was made


@dataclass(frozen=True, slots=True)
class Record:
    """What is noted of one result.

    Attributes:
        photo: the identity of the photo that it is made of.
        source: the photo's file.
        settings: a digest of the options that change a photo, and of the model.
        state: how far it is.
        result: its file; of what was begun, the file that stood there before.
    """

    photo: bytes
    source: FileState
    settings: bytes
    state: RecordState
    result: FileState


class RecordStore(Protocol):
    """Where the records of a journal are kept, by the names of their results."""

    def get(self, name: bytes) -> Record | None:
        """What is noted of a result."""

    def write(self, changes: Mapping[bytes, Record | None]) -> None:
        """Note all of that, or nothing; it is on the disk when this returns.

        Args:
            changes: by the names of results; None drops what was noted.

        Raises:
            OutputError: it cannot be written.
        """

    def close(self) -> None:
        """Let go of it."""


def file_state(path: str) -> FileState:
    """Size and time of a file, at little cost; `ABSENT` where there is nothing, `NO_FILE` where it is none."""
    try:
        status = os.stat(path)
    except OSError:  # the goal of a link may be on a disk that is not mounted; the link is somebody's all the same
        return NO_FILE if os.path.lexists(path) else ABSENT
    return FileState(status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else NO_FILE


def file_digest(path: str) -> bytes:
    """Of a file's content; empty where it cannot be read."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    try:
        with open(path, "rb", buffering=0) as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError:
        return b""
    return digest.digest()


def with_digest(found: FileState, path: str) -> FileState:
    """A file's state with the digest of its content; without one where it changed while it was read."""
    if not found.is_file:
        return found
    digest = file_digest(path)
    return replace(found, digest=digest) if file_state(path).is_dated_as(found) else found


def is_whole(path: str) -> bool:
    """Whether a result decodes to its end; what is no picture at all counts as whole."""
    from colorgan.images.decode import is_damaged

    return not is_damaged(Path(path))
