"""Atomic file writing, removal of the files of killed processes, and differences between systems and disks."""

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

_UNFINISHED, _UNFINISHED_END = ".colorgan-", ".tmp"  # prefix and suffix of the names of files that are being written
_HELD_OPEN = (5, 32, 33)  # Windows: access denied, sharing violation, lock violation
_WAITS_S = (0.1, 0.2, 0.5, 1.0, 2.0)
_unfinished: set[Path] = set()
# Errors of disks without an operation: network disks, FUSE and exFAT cannot flush a folder, and some not even a file.
_UNSUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EACCES, errno.EPERM, errno.EISDIR}


class DiskWarning(UserWarning):
    """A disk cannot flush files, so that a power cut may lose them; the work goes on."""


def sync(file: IO[bytes] | IO[str]) -> None:
    """Flush a file to disk, or warn if the disk cannot.

    Raises:
        OSError: the disk is full, or fails.
    """
    file.flush()
    with _warning_if_unsupported():
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename in it survives a power cut, or warn if the disk cannot."""
    if os.name == "nt":  # Windows cannot open a folder for this, and orders renames itself
        return
    with _warning_if_unsupported():
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _warning_if_unsupported() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        text = "This disk does not support flushing: a power failure may lose what was written last."
        warnings.warn(text, DiskWarning, stacklevel=1)


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that replaces `path` only when the block ends without an error.

    The bytes go into a hidden temporary file beside the target, are flushed to disk, and are renamed over it.

    Args:
        path: the target; its folder is made if missing.

    Yields:
        A binary file, open for writing and seeking.

    Raises:
        OSError: the file cannot be written; the target is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _unfinished_file(path.parent)
    temporary = Path(handle.name)
    _unfinished.add(temporary)
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
        _unfinished.discard(temporary)
    sync_folder(path.parent)


def _replace(temporary: Path, path: Path) -> None:
    """Rename a file over `path`, retrying for a while if another program, such as a virus scanner, holds that open."""
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
    """Create a temporary file that this process holds locked.

    It keeps the permissions that any new file gets in the folder, by the umask or by the folder's access control lists:
    some disks cannot change them afterwards, and it would undo those lists.
    """
    while True:
        try:
            handle = (folder / f"{_UNFINISHED}{secrets.token_hex(8)}{_UNFINISHED_END}").open("x+b")
        except FileExistsError:
            continue
        # Another process may have removed it as abandoned before it was locked.
        if not _lock(handle) or os.fstat(handle.fileno()).st_nlink:
            return handle
        handle.close()


def check_writable(folder: Path, size_bytes: int = 0) -> None:
    """Check by trying that a file can be made in a folder, which is made if missing.

    Args:
        folder: the folder.
        size_bytes: size of the file, of which only the last byte is written.

    Raises:
        OSError: the file cannot be made.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder, prefix=_UNFINISHED) as file:
        if size_bytes:
            file.seek(size_bytes - 1)
            file.write(b"\0")


@dataclass(frozen=True)
class Disk:
    """The capabilities of a disk.

    Attributes:
        has_locks: whether byte ranges of a file can be locked, as SQLite does.
        can_flush: whether a file can be flushed.
    """

    has_locks: bool = True
    can_flush: bool = True

    @classmethod
    def of(cls, folder: Path) -> Disk:
        """Test the disk of a folder with a temporary file; if none can be made there, assume that all works."""
        if sys.platform == "win32":
            return cls()
        try:
            file = _unfinished_file(folder)
        except OSError:  # the caller's own write reports why
            return cls()
        try:
            return cls(
                has_locks=_succeeds(lambda: _lock_as_sqlite(file)),
                can_flush=_succeeds(lambda: os.fsync(file.fileno())),
            )
        finally:
            Path(file.name).unlink(missing_ok=True)
            file.close()


def _lock_as_sqlite(file: IO[bytes]) -> None:
    """Lock byte ranges of a file, which always works on Windows."""
    if sys.platform != "win32":
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _succeeds(call: Callable[[], object]) -> bool:
    try:
        call()
    except OSError:
        return False
    return True


def remove_leftovers(folder: str | Path) -> None:
    """Remove the unfinished files of processes that were killed; those of living ones stay."""
    # A file stays if its disk has no locks, or if Windows protects it since it is open.
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_UNFINISHED) and entry.name.endswith(_UNFINISHED_END):
                _remove_if_abandoned(Path(entry.path))


def _remove_if_abandoned(path: Path) -> None:
    with contextlib.suppress(OSError):
        with path.open("r+b") as file:  # NFS locks only files that are open for writing
            is_abandoned = _lock(file)
        if is_abandoned:
            path.unlink()


def read_file(path: Path) -> bytes:
    """Return the content of a file; a pipe or device is refused, since reading it might never end.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    if not (os.path.isdir(path) or stat.S_ISREG(path.stat().st_mode)):  # reading a folder raises a clear error itself
        raise OSError(errno.EINVAL, "not a regular file (a pipe, socket or device)", str(path))
    return path.read_bytes()


def why_missing(path: str | os.PathLike[str]) -> str:
    """Return why a path cannot be found, for a message: it does not exist, or the system denies access."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        return reason_of(error)
    return "it does not exist"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()  # hashlib.file_digest needs Python 3.11
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def drop_unfinished() -> None:
    """Remove the files that this process is writing, before it exits without waiting for its threads."""
    for path in tuple(_unfinished):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _lock(file: IO[bytes]) -> bool:
    """Lock the file until it is closed, or the process dies; return whether that was possible."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True
