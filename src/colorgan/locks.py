"""Lock files, by which a process keeps others away for as long as it lives; who finds one held is told at once."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from colorgan.errors import UsageError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_HELD_BY_ANOTHER = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_held: set[IO[bytes]] = set()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold a lock file for this process alone, and remove it at the end.

    The system lets go of it however this process ends, also where processes that it forked go on.

    Args:
        path: the file; its folder is there.

    Yields:
        Whether this disk has locks; without them nobody is kept away.

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
        if sys.platform == "win32":  # it removes no open file
            file.close()
        with contextlib.suppress(OSError):
            path.unlink()
        file.close()


@contextlib.contextmanager
def locked_alone(path: Path, expected: str, found: str, advice: str) -> Iterator[bool]:
    """As `locked`, but to be refused where another process holds the file.

    Raises:
        UsageError: another does, said in these words.
        OSError: the file cannot be made.
    """
    with contextlib.ExitStack() as held:
        try:
            has_locks = held.enter_context(locked(path))
        except BlockingIOError as error:
            raise UsageError(expected, found, advice) from error
        yield has_locks


def _lock_file(path: Path) -> tuple[IO[bytes], bool]:
    """Make the file and lock it; and whether that could be done here."""
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
        # Whoever held it until now may have removed it before it was locked here, and a third may have made another.
        if sys.platform == "win32" or os.fstat(file.fileno()).st_nlink:
            return file, True
        file.close()


def _hold(file: IO[bytes]) -> None:
    if sys.platform == "win32":
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _leave_locks_to_the_parent() -> None:
    for file in _held:
        file.close()
    _held.clear()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_leave_locks_to_the_parent)
