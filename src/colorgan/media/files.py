"""Finding photos, naming outputs, and writing files so that they are whole or absent."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from colorgan.errors import UsageError
from colorgan.media.formats import PHOTO_SUFFIXES

if sys.platform != "win32":
    import fcntl

_APPLE_DOUBLE = "._"  # what macOS keeps beside a photo on foreign disks, under the photo's own suffix
_BESIDE = "-color"
_UNFINISHED = ".colorgan-"  # how the names of files begin that are being written
_OWN_OUTPUT = re.compile(rf"(.+){_BESIDE}(-\d+)?")


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename in it survives a power cut."""
    if os.name == "nt":  # Windows cannot open a folder for this, and orders renames itself
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
    handle = tempfile.NamedTemporaryFile(  # noqa: SIM115 (closed below, before the rename)
        dir=path.parent, prefix=_UNFINISHED, suffix=".tmp", delete=False
    )
    temporary = Path(handle.name)
    try:
        with handle:
            _lock(handle)
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
            if sys.platform != "win32":  # the lock holds until the file has its name
                _name_finally(temporary, path)
        if sys.platform == "win32":  # an open file cannot be renamed
            _name_finally(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _name_finally(temporary: Path, path: Path) -> None:
    # mkstemp makes files private; an output gets the permissions any new file would.
    temporary.chmod(0o666 & ~_umask())
    temporary.replace(path)


def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files of processes that were killed; those of living ones stay."""
    for path in folder.glob(f"{_UNFINISHED}*.tmp"):
        # Not every disk has locks, and Windows itself protects a file that is open: what cannot be removed stays.
        with contextlib.suppress(OSError):
            with path.open("rb") as file:
                is_left = _lock(file)
            if is_left:
                path.unlink()


def _lock(file: IO[bytes]) -> bool:
    """Mark the file as this process's own until it is closed, by death too, and tell whether that could be."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


# --- finding photos ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """A path that a search met.

    Attributes:
        path: where it is.
        problem: why it cannot be taken, or empty.
    """

    path: Path
    problem: str = ""


def has_photo_suffix(path: Path) -> bool:
    """Whether the name says that it is a photo of a kind that is read and written here."""
    return path.suffix.lower() in PHOTO_SUFFIXES


def find_photos(folder: Path, entered: set[str] | None = None) -> Iterator[Found]:
    """Search a folder and all below it in the order of names.

    Args:
        folder: where to begin.
        entered: real paths of folders to leave out; those searched are added, so that links cannot lead in circles.

    Yields:
        What has a photo's suffix, of whatever kind it is, and folders that could not be searched.
    """
    entered = set() if entered is None else entered
    levels = [iter([(folder, True)])]
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
            continue
        path, is_folder = entry
        if path != folder and has_photo_suffix(path):
            yield Found(path)
        if not is_folder or (place := os.path.realpath(path)) in entered:
            continue
        entered.add(place)
        try:
            levels.append(_entries(path))
        except OSError as error:
            yield Found(path, f"the folder cannot be searched: {(error.strerror or str(error)).lower()}")


def _entries(folder: Path) -> Iterator[tuple[Path, bool]]:
    """The photos and folders in a folder, sorted by name, each with whether it is a folder."""
    with os.scandir(folder) as listing:
        kept = [(entry.name, _is_folder(entry)) for entry in listing if not entry.name.startswith(_APPLE_DOUBLE)]
    kept.sort()
    return ((folder / name, is_folder) for name, is_folder in kept if is_folder or has_photo_suffix(Path(name)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


# --- naming outputs ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """A photo and the place of its result.

    Attributes:
        source: the photo.
        target: where the result goes; no other job's, also where a disk takes capitals for small letters.
        note: what a user should know of the target's name, or empty.
        problem: why it cannot be done, or empty.
    """

    source: Path
    target: Path
    note: str = ""
    problem: str = ""


def plan_outputs(inputs: Sequence[Path], output: Path | None) -> Iterator[Job]:
    """Find the photos of files and folders, and give each a place for its result.

    A folder's tree is mirrored in the output folder. A result that would meet another's place gets a number. What
    lies in the output folder is not read, nor are the results of an earlier run beside their photos.

    Args:
        inputs: files and folders.
        output: a folder, a file where the one input is a file, or None for NAME-color.EXT beside each photo.

    Returns:
        The jobs, found while they are asked for.

    Raises:
        UsageError: an input is missing, or the output cannot be meant.
    """
    for path in inputs:
        if not os.path.lexists(path):
            raise UsageError("a photo or a folder", f"{path} does not exist", "Check the name.")
    if output is None:
        return _plan(inputs, None)
    if has_photo_suffix(output) and not output.is_dir():
        return iter([_file_job(inputs, output)])
    _check_output_folder(inputs, output)
    return _plan(inputs, output)


def _file_job(inputs: Sequence[Path], output: Path) -> Job:
    if len(inputs) > 1 or inputs[0].is_dir():
        raise UsageError("one photo for one output file", f"{output} and several photos", "Name a folder as output.")
    if _place(output) == _place(inputs[0]) or (output.exists() and output.samefile(inputs[0])):
        raise UsageError("an output beside its input", f"{output} is the input itself", "Name another file as output.")
    return Job(inputs[0], output)


def _check_output_folder(inputs: Sequence[Path], output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise UsageError("an output folder", f"{output} is a file", "Name a folder, or a file with a photo's suffix.")
    place = os.path.realpath(output)
    for path in inputs:
        if os.path.realpath(path if path.is_dir() else path.parent) == place:
            advice = "Name another folder, or none: the results then go beside the photos as NAME-color."
            raise UsageError("an output folder apart from the inputs", f"{output} holds {path}", advice)


def _plan(inputs: Sequence[Path], output: Path | None) -> Iterator[Job]:
    files = _given_files(inputs, output)
    inner = [path for path in inputs if output and path.is_dir() and _is_below(path, output)]
    taken = {_spelling(place): 1 for place in files}
    for found, relative in _sources(inputs, files, output):
        place = found.path.with_stem(found.path.stem + _BESIDE) if output is None else output / relative
        if problem := found.problem or _problem_of(found.path, place, inner):
            yield Job(found.path, place, problem=problem)
            continue
        target = _free_place(place, taken)
        note = "" if target == place else f"named {target.name}, since another photo has the place of {place.name}"
        yield Job(found.path, target, note)


def _given_files(inputs: Sequence[Path], output: Path | None) -> dict[str, Path]:
    """The inputs that are no folders, by place, each once."""
    files = {_place(path): path for path in inputs if not path.is_dir()}
    if output is not None:
        return files
    # A shell's *.jpg names the photos and the results that an earlier run left beside them.
    photos = {place: _photo_of_own_output(path) for place, path in files.items()}
    return {place: files[place] for place, photo in photos.items() if not photo or _place(photo) not in files}


def _sources(inputs: Sequence[Path], files: dict[str, Path], output: Path | None) -> Iterator[tuple[Found, Path]]:
    """Each photo once, with its path in the output folder."""
    entered = set() if output is None else {os.path.realpath(output)}
    yield from ((Found(path), Path(path.name)) for path in files.values())
    for folder in inputs:
        if not folder.is_dir():
            continue
        for found in find_photos(folder, entered):
            if files and _place(found.path) in files:
                continue
            if output is not None or not (photo := _photo_of_own_output(found.path)) or not photo.exists():
                yield found, found.path.relative_to(folder)


def _photo_of_own_output(path: Path) -> Path | None:
    """The photo that a file would be the result of, going by its name alone."""
    match = _OWN_OUTPUT.fullmatch(path.stem)
    return path.with_stem(match[1]) if match else None


def _problem_of(source: Path, place: Path, inner: Sequence[Path]) -> str:
    if not has_photo_suffix(source):
        return f"its name has none of the suffixes {' '.join(PHOTO_SUFFIXES)}; name the output file with --output"
    if any(_is_below(place, folder) for folder in inner):
        return f"its result would stand among the inputs, at {place}; name another output folder"
    return ""


def _is_below(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(folder)) in Path(os.path.realpath(path)).parents


def _free_place(wanted: Path, taken: dict[str, int]) -> Path:
    """The wanted path, or with the first free number in its name; it is taken from now on.

    Args:
        wanted: where a result should go.
        taken: the spellings of the places that are taken, each with the last number tried for it.
    """
    target, first = wanted, _spelling(_place(wanted))
    spelling, number = first, taken.get(first, 1)
    while spelling in taken:
        number += 1
        target = wanted.with_stem(f"{wanted.stem}-{number}")
        spelling = _spelling(_place(target))
    taken[first] = number
    taken.setdefault(spelling, 1)
    return target


def _place(path: Path) -> str:
    """Where a path is, whatever links and dots lead there; a link that stands there itself is not followed."""
    return str(Path(os.path.realpath(path.parent), path.name))


def _spelling(place: str) -> str:
    """A text that is equal for names which some disks take for the same: capitals, composed letters."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", place).casefold())
