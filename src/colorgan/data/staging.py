"""Atomic writing of a set's folder: a temporary sibling is filled, then renamed."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from colorgan.data.shards import SET_FILE, is_set_file
from colorgan.errors import UsageError
from colorgan.files import sync_folder
from colorgan.locks import locked, locked_alone

_LOCK_FILE = "lock"


def _staging(output: Path) -> Path:
    return output.with_name(f".{output.name}.partial")


def _retired(output: Path) -> Path:
    return output.with_name(f".{output.name}.replaced")


def check_place(output: Path, overwrite: bool) -> None:
    """Check before any work is done that a set may be written to a folder.

    Raises:
        UsageError: something is there that must not be replaced.
    """
    expected = f"a place for the set at {output}"
    dangling = [path for path in (output, *output.parents) if os.path.islink(path) and not os.path.exists(path)]
    if dangling or (os.path.exists(output) and not os.path.isdir(output)):
        found = f"{dangling[0]} is a broken link" if dangling else "it is a file"
        raise UsageError(expected, found, "Name another `output`.")
    names = sorted(path.name for path in output.iterdir()) if os.path.isdir(output) else []
    if not names:
        return
    if SET_FILE not in names:
        raise UsageError(expected, "it is neither a set nor empty", "Name another `output`.")
    foreign = [name for name in names if not is_set_file(name)]
    if foreign:
        advice = "Move it away, or name another `output`."
        raise UsageError(expected, f"a set with other files in it, such as {foreign[0]}", advice)
    if not overwrite:
        advice = "Give `overwrite` to replace it once the new one is complete, or another `output`."
        raise UsageError(expected, "a set already exists there", advice)


@contextlib.contextmanager
def staged_folder(output: Path, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary sibling folder to fill, which is renamed to `output` if the block ends without an error.

    What an interrupted run left behind is removed first. With `overwrite`, a set already there is replaced at the
    very end.

    Raises:
        UsageError: another process is filling it right now, or something at `output` must not be replaced.
        OSError: the folder cannot be written.
    """
    staging = _staging(output)
    staging.mkdir(parents=True, exist_ok=True)
    try:
        expected, advice = f"a place for the set at {output}", "Wait for it, or name another `output`."
        with locked_alone(staging / _LOCK_FILE, expected, "another prepare is writing to it", advice):
            _recover(output)
            check_place(output, overwrite)
            _empty(staging)
            try:
                yield staging
                sync_folder(staging)
                check_place(output, overwrite)
            except BaseException:
                _empty(staging)
                raise
    except BaseException:
        _remove_unused(staging)
        raise
    _take_place(staging, output)


def _remove_unused(staging: Path) -> None:
    """Remove an emptied folder, and a lock file of a run that was interrupted while taking the lock."""
    with contextlib.suppress(OSError):  # another process may be at work in it
        lock = staging / _LOCK_FILE
        if os.path.exists(lock):
            with locked(lock):
                pass
        staging.rmdir()


def _take_place(staging: Path, output: Path) -> None:
    retired = _retired(output)
    if os.path.exists(output):
        output.rename(retired)  # after a crash before the next line, _recover renames it back
    staging.rename(output)
    sync_folder(output.parent)
    shutil.rmtree(retired, ignore_errors=True)


def _recover(output: Path) -> None:
    """Finish or undo a replacement that crashed in _take_place."""
    retired = _retired(output)
    if os.path.exists(retired) and not os.path.exists(output):
        retired.rename(output)
    shutil.rmtree(retired, ignore_errors=True)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != _LOCK_FILE:
            path.unlink()
