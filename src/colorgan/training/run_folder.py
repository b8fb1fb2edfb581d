"""The run folder: creates and locks it, checks whether it holds the same run, and reads and writes `run.json`."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from colorgan import __version__
from colorgan.errors import CheckpointError, OutputError, UsageError, limit_reached
from colorgan.files import atomic_write
from colorgan.locks import locked_alone
from colorgan.options import options_of
from colorgan.training.options import ALWAYS_THERE, FinetuneOptions, Options, RunOption
from colorgan.training.train_options import TrainOptions

FORMAT = 1
_FILE = "run.json"
# What a run writes into its folder.
FOLDERS = ("checkpoints", "figures", "samples", "tensorboard", "weights")
_FILES = (_FILE, "metrics.jsonl", "report.html", "verdict.json")
_LOCK_FILE = "lock"

_OPTIONS = {name: each.option for kind in (FinetuneOptions, TrainOptions) for name, each in options_of(kind).items()}
_RUN_OPTIONS = {name: option for name, option in _OPTIONS.items() if isinstance(option, RunOption)}
BEFORE = {name: option.before for name, option in _RUN_OPTIONS.items() if option.before is not ALWAYS_THERE}
_MAY_CHANGE = {name for name, option in _RUN_OPTIONS.items() if option.may_change}
_RENAMED = {old: name for name, option in _OPTIONS.items() for old in option.formerly}


def read_run(folder: Path) -> dict[str, Any] | None:
    """Read `run.json`, or return None if the folder holds none.

    Raises:
        CheckpointError: the file exists, but cannot be read or is not valid.
    """
    path = folder / _FILE
    try:
        run = json.loads(path.read_bytes())
        if run["format"] != FORMAT:
            raise ValueError(f"format {run['format']}")
        needed = {"network", "options", "trained_on", "licence"}  # old spelling
        if not isinstance(run["options"], dict) or not needed <= set(run["model"]):
            raise TypeError("its options or its model are not JSON objects")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        found = f"it cannot be read ({type(error).__name__}: {error})"
        raise CheckpointError(f"the description of a run in {path}", found, "Name another `run`.") from error
    return dict(run)


@contextmanager
def hold_run(folder: Path, warn: Callable[[str], None]) -> Iterator[None]:
    """Lock a run folder against other trainings for the duration of a `with` block.

    Args:
        folder: created if missing, and removed again if it stays empty.
        warn: called if the disk does not support locks.

    Raises:
        UsageError: another training holds the lock, or there is a file at this path.
        OutputError: the folder cannot be written, or its disk fails during the block.
    """
    missing = [path for path in (folder, *folder.parents) if not os.path.exists(path)]
    with ExitStack() as held:
        held.callback(_remove_empty, missing)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            expected = f"the run folder {folder} for this training"
            advice = "Wait for it or stop it, or name another `run`."
            has_locks = held.enter_context(locked_alone(folder / _LOCK_FILE, expected, "another is using it", advice))
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(f"a run folder at {folder}", "it is a file", "Name another `run`.") from error
        except OSError as error:
            raise OutputError.of(f"the run folder {folder}", error, "name another `run`") from error
        if not has_locks:
            warn(f"The disk of {folder} has no file locks: make sure that no other training uses it.")
        with _converting_disk_errors(folder):
            yield


@contextmanager
def _converting_disk_errors(folder: Path) -> Iterator[None]:
    """Convert an OSError during the run, as of a full disk, to an OutputError that names the run folder."""
    try:
        yield
    except OSError as error:
        if limit_reached(error) or isinstance(error, ConnectionError):  # from a reader process, for instance
            raise
        advice = "name another `run`; repeat the call to continue from the last checkpoint"
        raise OutputError.of(f"in the run folder {folder}", error, advice) from error


def _remove_empty(folders: Sequence[Path]) -> None:
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _remove_run(folder: Path) -> None:
    """Remove what a run writes; anything else in its folder is the user's."""
    for path in (folder / name for name in (*FOLDERS, *_FILES)):
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def open_run(
    folder: Path, command: str, options: Mapping[str, Any], identity: str, overwrite: bool, read_by: int = 0
) -> bool:
    """Check that a folder can hold this run, either as a new one or as the one already in it.

    Args:
        folder: the run folder.
        command: the subcommand.
        options: all options of the run, JSON-serializable.
        identity: the set's identity.
        overwrite: remove an existing run and start afresh.
        read_by: how many processes read their own shards of a remote set; 0 for a local set.

    Returns:
        Whether the folder holds this run already.

    Raises:
        UsageError: the folder holds another run or other files.
        CheckpointError: its `run.json` is damaged.
    """
    if overwrite and os.path.exists(folder / _FILE):
        _remove_run(folder)
        return False
    run = read_run(folder)
    if run is None:
        if os.path.exists(folder) and any(path.name != _LOCK_FILE for path in folder.iterdir()):
            found = "a folder with other files"
            raise UsageError(f"a run folder, or a new one, at {folder}", found, "Name another `run`.")
        return False
    if run["command"] != command:
        found, advice = f"one of `colorgan {run['command']}`", "Name another `run`, or start over with `overwrite`."
        raise UsageError(f"a run of `colorgan {command}` in {folder}", found, advice)
    wanted = dict(options) | {"set": identity[:12]}
    held = _recorded(run["options"], options) | {"set": run["set"][:12]}
    differing = [name for name in wanted if name not in _MAY_CHANGE and wanted[name] != held.get(name)]
    if differing:
        found = ", ".join(f"{name} {held.get(name)!s} there, {wanted[name]!s} here" for name in differing)
        advice = "Continue with its own options by `resume`, start over with `overwrite`, or name another `run`."
        raise UsageError(f"the run in {folder} with these options", found, advice)
    if (before := run.get("read_by", 0)) != read_by:
        found = f"{_reading(before)} there, {_reading(read_by)} here"
        advice = "Continue as it began, start over with `overwrite`, or name another `run`."
        raise UsageError(f"the run in {folder} with its photos in the same order", found, advice)
    return True


def _recorded(options: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return a run's recorded options by current name; those of `names` that it lacks get their `before` value."""
    recorded = {_RENAMED.get(name, name): value for name, value in options.items()}
    return {name: BEFORE[name] for name in names if name in BEFORE} | recorded


def _reading(processes: int) -> str:
    """Describe how photos are read, which determines their order."""
    return f"an address read by {processes} process{'es' * (processes > 1)}" if processes else "a set on a disk"


def describe_run(
    folder: Path,
    command: str,
    options: Mapping[str, Any],
    identity: str,
    device: str,
    model: Mapping[str, Any],
    read_by: int = 0,
) -> None:
    """Write `run.json`: what `open_run` compares, the device, the versions, and the model that it started from."""
    run = {
        "format": FORMAT,
        "command": command,
        "options": dict(options),
        "set": identity,
        "read_by": read_by,
        "model": dict(model),
        "device": device,
        "versions": {"colorgan": __version__, "torch": torch.__version__, "python": platform.python_version()},
    }
    with atomic_write(folder / _FILE) as file:
        file.write(json.dumps(run, indent=1).encode() + b"\n")


def resumable_options(command: str, kind: type[Options], folder: Path, given: Mapping[str, Any]) -> Options:
    """Return the options of the run in a folder, overridden by those in `given`.

    Raises:
        UsageError: there is no run, or one of another command.
        CheckpointError: its `run.json` is damaged.
    """
    run = read_run(folder)
    if run is None:
        raise UsageError(f"a run to resume in {folder}", "none", "Leave `resume` out to start one.")
    if run["command"] != command:
        found = f"one of `colorgan {run['command']}`"
        raise UsageError(f"a run of `colorgan {command}` in {folder}", found, "Use that, or name another `run`.")
    try:
        recorded = _recorded(run["options"], (option.name for option in fields(kind)))
        return kind(**(recorded | dict(given)))
    except TypeError as error:
        expected = f"the options of a {command} run in {folder}"
        raise CheckpointError(expected, str(error), "Name another `run`.") from error
