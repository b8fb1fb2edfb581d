"""Files that are whole or absent, what a killed process leaves, and what differs between systems."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from colorgan.errors import reason_of

if sys.platform != "win32":
    import fcntl

_UNFINISHED, _UNFINISHED_END = ".colorgan-", ".tmp"  # how the names of files begin and end that are being written
_HELD_OPEN = (5, 32, 33)  # Windows: access denied, sharing violation, lock violation
_WAITS_S = (0.1, 0.2, 0.5, 1.0, 2.0)
_under_way: set[Path] = set()
# How a disk that has no such thing answers: network disks, FUSE and exFAT know no flush of a folder, some none at all.
_NOT_THERE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EACCES, errno.EPERM, errno.EISDIR}


class DiskWarning(UserWarning):
    """A disk lacks something that files are kept whole with; the work goes on without it."""


def sync(file: IO[bytes] | IO[str]) -> None:
    """Flush a file to the disk itself, where that disk can.

    Raises:
        OSError: the disk is full, or fails.
    """
    file.flush()
    with _as_far_as_the_disk_can():
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename in it survives a power cut; where that disk can."""
    if os.name == "nt":  # Windows cannot open a folder for this, and orders renames itself
        return
    with _as_far_as_the_disk_can():
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _as_far_as_the_disk_can() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _NOT_THERE:
            raise
        text = "This disk cannot be told to flush: after a power cut, what was written last may be missing there."
        warnings.warn(text, DiskWarning, stacklevel=1)


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that takes its place only when the block ends without an error.

    The bytes go into a hidden temporary file beside the target, are flushed to disk, and are renamed over it.

    Args:
        path: where the file is to be; its folder is made when missing.

    Yields:
        A binary file, open for writing and seeking.

    Raises:
        OSError: the place cannot be written; the target is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _unfinished_file(path.parent)
    temporary = Path(handle.name)
    _under_way.add(temporary)
    try:
        with handle:
            yield handle
            sync(handle)
            if sys.platform != "win32":  # the lock holds until the file has its name
                _replace(temporary, path)
        if sys.platform == "win32":  # an open file cannot be renamed
            _replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        _under_way.discard(temporary)
    sync_folder(path.parent)


def _replace(temporary: Path, path: Path) -> None:
    """Give a file its name; where Windows says that a viewer or a scanner holds the place open, again for a while."""
    for wait_s in (*_WAITS_S, 0.0):
        try:
            temporary.replace(path)
        except OSError as error:
            if getattr(error, "winerror", None) not in _HELD_OPEN or not wait_s:
                raise
            time.sleep(wait_s)
        else:
            return


def _unfinished_file(folder: Path) -> IO[bytes]:
    """Make a temporary file that is locked as this process's own.

    It has the rights that any new file gets there, by the mask or by the folder's own lists, and keeps them: changing
    them afterwards is more than some disks can, and would undo those lists.
    """
    while True:
        try:
            handle = (folder / f"{_UNFINISHED}{secrets.token_hex(8)}{_UNFINISHED_END}").open("x+b")
        except FileExistsError:
            continue
        # Another process may have taken it for a dead one's, and removed it, before it was locked.
        if not _lock(handle) or os.fstat(handle.fileno()).st_nlink:
            return handle
        handle.close()


def check_writable(folder: Path, size_bytes: int = 0) -> None:
    """See that files can be made in a folder, which is made when missing.

    Args:
        folder: it.
        size_bytes: of such a file, of which nothing but its last byte is written.

    Raises:
        OSError: they cannot.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder, prefix=_UNFINISHED) as file:
        if size_bytes:
            file.seek(size_bytes - 1)
            file.write(b"\0")


@dataclass(frozen=True)
class Disk:
    """What a disk can do.

    Attributes:
        has_locks: a file can be locked there, byte by byte, as SQLite does it.
        can_flush: it can be told to flush a file.
    """

    has_locks: bool = True
    can_flush: bool = True

    @classmethod
    def of(cls, folder: Path) -> Disk:
        """Try it on a file of its own, which is removed again; what cannot even be tried is taken to work."""
        if sys.platform == "win32":
            return cls()
        try:
            file = _unfinished_file(folder)
        except OSError:  # whoever goes on is told why
            return cls()
        try:
            return cls(
                has_locks=_does_work(lambda: _lock_as_sqlite(file)),
                can_flush=_does_work(lambda: os.fsync(file.fileno())),
            )
        finally:
            Path(file.name).unlink(missing_ok=True)
            file.close()


def _lock_as_sqlite(file: IO[bytes]) -> None:
    """Lock a file byte by byte, which Windows always can."""
    if sys.platform != "win32":
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _does_work(call: Callable[[], object]) -> bool:
    try:
        call()
    except OSError:
        return False
    return True


def remove_leftovers(folder: str | Path) -> None:
    """Remove the unfinished files of processes that were killed; those of living ones stay."""
    # Not every disk has locks, and Windows itself protects a file that is open: what cannot be removed stays.
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_UNFINISHED) and entry.name.endswith(_UNFINISHED_END):
                _remove_if_left(Path(entry.path))


def _remove_if_left(path: Path) -> None:
    with contextlib.suppress(OSError):
        with path.open("r+b") as file:  # NFS locks only what is open for writing
            is_left = _lock(file)
        if is_left:
            path.unlink()


def read_file(path: Path) -> bytes:
    """The content of a file that was found and not named: of a pipe or a device there, reading would have no end.

    Raises:
        OSError: it cannot be read, or is none.
    """
    if not (os.path.isdir(path) or stat.S_ISREG(path.stat().st_mode)):  # of a folder, reading says what it is
        raise OSError(errno.EINVAL, "no regular file (a pipe, socket or device)", str(path))
    return path.read_bytes()


def why_missing(path: str | os.PathLike[str]) -> str:
    """Why nothing is found at a path, in words: nothing is there, or the system does not let this user look."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        return reason_of(error)
    return "it does not exist"


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()  # hashlib.file_digest needs Python 3.11
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def drop_unfinished() -> None:
    """Remove what this process is just writing, before it leaves without waiting for its threads."""
    for path in tuple(_under_way):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _lock(file: IO[bytes]) -> bool:
    """Mark the file as this process's own until it is closed, by death too, and tell whether that could be."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True
