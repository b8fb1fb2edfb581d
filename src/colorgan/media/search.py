"""Finding photos in folders, one folder at a time, however many there are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from colorgan.media.formats import PHOTO_SUFFIXES
from colorgan.media.pathset import PathSet

_APPLE_DOUBLE = "._"  # what macOS keeps beside a photo on foreign disks, under the photo's own suffix


@dataclass(frozen=True)
class Listing:
    """What a folder holds that has a photo's suffix, of whatever kind it is.

    Attributes:
        folder: where it is.
        relative: its path below the folder where the search began; empty for that itself.
        names: sorted.
        problem: why it could not be searched, or empty.
    """

    folder: str
    relative: str
    names: list[str]
    problem: str = ""


def split_name(name: str) -> tuple[str, str]:
    """Stem and suffix of a name, as `Path` has them, at a tenth of the time."""
    dot = name.rfind(".")
    return (name[:dot], name[dot:]) if 0 < dot < len(name) - 1 else (name, "")


def has_photo_suffix(name: str) -> bool:
    """Whether the name says that it is a photo of a kind that is read here."""
    return split_name(name)[1].lower() in PHOTO_SUFFIXES


def find_photos(folder: str, entered: PathSet | None = None) -> Iterator[Listing]:
    """Search a folder and all below it: its own photos first, then its folders in the order of their names.

    Args:
        folder: where to begin.
        entered: real paths of folders to leave out; those searched are added, so that links cannot lead in circles.

    Yields:
        The folders that hold photos, and those that could not be searched.
    """
    entered = PathSet() if entered is None else entered
    waiting = [(folder, "")]
    while waiting:
        place, relative = waiting.pop()
        if not entered.add(os.path.realpath(place)):
            continue
        try:
            names, folders = _entries(place)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            yield Listing(place, relative, [], f"the folder cannot be searched: {reason}")
            continue
        if names:
            yield Listing(place, relative, names)
        waiting.extend((os.path.join(place, name), os.path.join(relative, name)) for name in reversed(folders))


def _entries(folder: str) -> tuple[list[str], list[str]]:
    """The names of photos and of folders in a folder, both sorted; a folder may be among both."""
    names, folders = [], []
    with os.scandir(folder) as listing:
        for entry in listing:
            if entry.name.startswith(_APPLE_DOUBLE):
                continue
            if has_photo_suffix(entry.name):
                names.append(entry.name)
            if _is_folder(entry):
                folders.append(entry.name)
    names.sort()
    folders.sort()
    return names, folders


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
