"""The run folder: making one, recognizing it again, and saying in `run.json` what it is."""

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
    """What `run.json` says, or None where the folder holds none.

    Raises:
        CheckpointError: the file is there and cannot be made sense of.
    """
    path = folder / _FILE
    try:
        run = json.loads(path.read_bytes())
        if run["format"] != FORMAT:
            raise ValueError(f"format {run['format']}")
        needed = {"network", "options", "trained_on", "licence"}  # old spelling
        if not isinstance(run["options"], dict) or not needed <= set(run["model"]):
            raise TypeError("its options or its model are no tables")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        found = f"it cannot be read ({type(error).__name__}: {error})"
        raise CheckpointError(f"the description of a run in {path}", found, "Name another `run`.") from error
    return dict(run)


@contextmanager
def hold_run(folder: Path, warn: Callable[[str], None]) -> Iterator[None]:
    """Keep other trainings out of a run folder for a while.

    Args:
        folder: made where it is missing, and removed again where nothing was put into it.
        warn: told where the disk cannot keep them out.

    Raises:
        UsageError: another training is at work there, or a file is in its place.
        OutputError: the folder cannot be written, or its disk fails meanwhile.
    """
    missing = [place for place in (folder, *folder.parents) if not os.path.exists(place)]
    with ExitStack() as held:
        held.callback(_remove_empty, missing)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            expected = f"the run folder {folder} for this training"
            advice = "Wait for it or end it, or name another `run`."
            has_locks = held.enter_context(
                locked_alone(folder / _LOCK_FILE, expected, "another is at work in it", advice)
            )
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(f"a run folder at {folder}", "a file in its place", "Name another `run`.") from error
        except OSError as error:
            raise OutputError.of(f"the run folder {folder}", error, "name another `run`") from error
        if not has_locks:
            warn(f"The disk of {folder} has no locks: see that no other training is started there.")
        with _failing_disk(folder):
            yield


@contextmanager
def _failing_disk(folder: Path) -> Iterator[None]:
    """Name the run folder where its disk fails or is full during the run."""
    try:
        yield
    except OSError as error:
        if limit_reached(error) or isinstance(error, ConnectionError):  # of a process that read, say
            raise
        advice = "name another `run`; the same call goes on from the last checkpoint"
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
    """See that a folder can take this run, either as a new one or as the one that it holds already.

    Args:
        folder: the run folder.
        command: the subcommand.
        options: everything that decides the result, JSON-serializable.
        identity: the set's.
        overwrite: start afresh, and remove a run that is there.
        read_by: how many processes read shards of their own, of a set at an address; 0 for a set on a disk.

    Returns:
        Whether the folder holds this run already, to be gone on with.

    Raises:
        UsageError: the folder holds another run, or something else.
        CheckpointError: its `run.json` is damaged.
    """
    if overwrite and os.path.exists(folder / _FILE):
        _remove_run(folder)
        return False
    run = read_run(folder)
    if run is None:
        if os.path.exists(folder) and any(path.name != _LOCK_FILE for path in folder.iterdir()):
            found = "a folder with other things"
            raise UsageError(f"a run folder, or a new one, at {folder}", found, "Name another `run`.")
        return False
    if run["command"] != command:
        found, advice = f"one of `colorgan {run['command']}`", "Name another `run`, or start afresh by `overwrite`."
        raise UsageError(f"a run of `colorgan {command}` in {folder}", found, advice)
    wanted = dict(options) | {"set": identity[:12]}
    held = _recorded(run["options"], options) | {"set": run["set"][:12]}
    differing = [name for name in wanted if name not in _MAY_CHANGE and wanted[name] != held.get(name)]
    if differing:
        found = ", ".join(f"{name} {held.get(name)!s} there, {wanted[name]!s} here" for name in differing)
        advice = "Go on with its own options by `resume`, start afresh by `overwrite`, or name another `run`."
        raise UsageError(f"the run in {folder} with these options", found, advice)
    if (before := run.get("read_by", 0)) != read_by:
        found = f"{_reading(before)} there, {_reading(read_by)} here"
        advice = "Go on as it was begun, start afresh by `overwrite`, or name another `run`."
        raise UsageError(f"the run in {folder} with its photos in the same order", found, advice)
    return True


def _recorded(options: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """The options of a `run.json` under today's names, with those of these names that its version did not have yet."""
    known = {_RENAMED.get(name, name): value for name, value in options.items()}
    return {name: BEFORE[name] for name in names if name in BEFORE} | known


def _reading(processes: int) -> str:
    """How photos are read, on which their order depends."""
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
    """Write `run.json`: what `open_run` looks at, the device in words, the network and what it started from."""
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
    """The options of the run in a folder, with those that were given over them.

    Raises:
        UsageError: there is no run, or one of another command.
        CheckpointError: its description is damaged.
    """
    run = read_run(folder)
    if run is None:
        raise UsageError(f"a run to go on with in {folder}", "none", "Leave `resume` out to start one.")
    if run["command"] != command:
        found = f"one of `colorgan {run['command']}`"
        raise UsageError(f"a run of `colorgan {command}` in {folder}", found, "Give that command, or another `run`.")
    try:
        recorded = _recorded(run["options"], (option.name for option in fields(kind)))
        return kind(**(recorded | dict(given)))
    except TypeError as error:
        expected = f"the options of a {command} run in {folder}"
        raise CheckpointError(expected, str(error), "Name another `run`.") from error
