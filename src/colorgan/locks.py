"""Lock files, which a process holds as long as it lives; a second one that wants the lock gets an error or waits."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from colorgan.errors import UsageError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_HELD_BY_ANOTHER = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_POLL_S = 0.1  # between two tries for a lock that another process holds
_held: set[IO[bytes]] = set()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold a lock file exclusively, and remove it at the end.

    The system releases the lock however this process ends, even if processes that it forked are still running.

    Args:
        path: the lock file, in an existing folder.

    Yields:
        Whether the disk has locks; without them, no other process is kept out.

    Raises:
        BlockingIOError: another process holds it.
        OSError: the file cannot be made.
    """
    file, has_locks = _lock_file(path)
    _held.add(file)
    try:
        yield has_locks
    finally:
        _held.discard(file)
        if sys.platform == "win32":  # Windows cannot remove an open file
            file.close()
        with contextlib.suppress(OSError):
            path.unlink()
        file.close()


@contextlib.contextmanager
def locked_alone(path: Path, expected: str, found: str, advice: str) -> Iterator[bool]:
    """Hold a lock file like `locked`, but raise a UsageError of the given parts if another process holds it.

    Raises:
        UsageError: another process holds it.
        OSError: the file cannot be made.
    """
    with contextlib.ExitStack() as held:
        try:
            has_locks = held.enter_context(locked(path))
        except BlockingIOError as error:
            raise UsageError(expected, found, advice) from error
        yield has_locks


@contextlib.contextmanager
def locked_in_turn(path: Path, while_waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock file like `locked`, but wait while another process holds it.

    Args:
        path: the lock file, in an existing folder.
        while_waiting: called between two tries; may raise to stop waiting.

    Raises:
        OSError: the file cannot be made.
    """
    with contextlib.ExitStack() as held:
        while True:
            try:
                held.enter_context(locked(path))
                break
            except BlockingIOError:
                while_waiting()
                time.sleep(_POLL_S)
        yield


def _lock_file(path: Path) -> tuple[IO[bytes], bool]:
    """Create and lock the file; return it, and whether the disk has locks."""
    while True:
        file = path.open("ab")
        try:
            _hold(file)
        except OSError as error:
            if error.errno not in _HELD_BY_ANOTHER:
                return file, False
            file.close()
            raise BlockingIOError(errno.EAGAIN, "another process holds this lock", str(path)) from error
        except BaseException:
            file.close()
            raise
        # Its last holder may have removed it before it was locked here, and a third process may have made a new one.
        if sys.platform == "win32" or os.fstat(file.fileno()).st_nlink:
            return file, True
        file.close()


def _hold(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _close_in_forked_child() -> None:
    for file in _held:
        file.close()
    _held.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_close_in_forked_child)
