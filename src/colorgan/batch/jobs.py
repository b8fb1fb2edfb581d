"""A photo with the place of its result, how results are named, and how those beside photos are told from photos."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from colorgan.addresses import is_address, shown_address
from colorgan.batch.journals.records import FileState
from colorgan.callbacks import PhotoOutcome, PhotoStatus
from colorgan.errors import MissingExtraError, PhotoError
from colorgan.images.discovery import HINTS_SUFFIXES, Listing, hints_names, split_name
from colorgan.images.formats import PHOTO_SUFFIXES

BESIDE = "-color"
_OWN_RESULT = re.compile(rf"(.+){BESIDE}(-page-\d+)?(-\d+)?(-confidence|-variant-\d+)?")


def with_suffix(name: str, suffix: str) -> str:
    """A name with a suffix behind its stem; it may bring a file's suffix of its own."""
    stem, own = split_name(name)
    return stem + suffix if "." in suffix else stem + suffix + own


def photo_stem(name: str) -> str | None:
    """The stem of the photo that a file beside it would be the result of, going by its name alone."""
    match = _OWN_RESULT.fullmatch(split_name(name)[0]) if BESIDE in name else None
    return match[1] if match else None


def without_own_results(names: list[str]) -> list[str]:
    """The names without those of results whose photo is among them."""
    if not any(BESIDE in name for name in names):
        return names
    stems = {split_name(name)[0] for name in names}
    return [name for name in names if photo_stem(name) not in stems]


def has_photo_beside(source: str) -> bool:
    """Whether a file is named as the result of a photo that stands beside it."""
    folder, name = os.path.split(source)
    stem = photo_stem(name)
    return stem is not None and _stands_beside(folder, stem)


def _stands_beside(folder: str, stem: str) -> bool:
    """Whether there is a photo of that stem."""
    suffixes = [spelled for suffix in PHOTO_SUFFIXES for spelled in (suffix, suffix.upper())]
    return any(os.path.lexists(os.path.join(folder, stem + suffix)) for suffix in suffixes)


def hints_beside(source: str) -> tuple[str, ...]:
    """The files of hints that lie beside a photo."""
    return tuple(filter(os.path.isfile, hints_names(source)))


def hints_among(listing: Listing, name: str) -> tuple[str, ...]:
    """The files of hints for a photo among those of its folder."""
    found = [hints for hints in hints_names(name) if hints in listing.hints] if listing.hints else ()
    return tuple(os.path.join(listing.folder, hints) for hints in found)


def belongs_to_photo(path: Path) -> bool:
    """Whether a file is one of hints, with its photo beside it."""
    suffix = next((suffix for suffix in HINTS_SUFFIXES if path.name.lower().endswith(suffix)), None)
    return suffix is not None and _stands_beside(str(path.parent), path.name[: -len(suffix)])


@dataclass(frozen=True, slots=True)
class Job:
    """A photo and the place of its result.

    Attributes:
        source: the photo's path.
        identity: the same wherever the folder of photos lies: its name, and the photo's path below it.
        folder: of the result.
        name: of the result; no other job's, also where a disk takes capitals for small letters.
        page: of a file of several, from 0.
        note: what a user should know of the result's name, or empty.
        problem: why it cannot be done, or empty.
        source_state: of the photo, where a listing said it; else whoever needs it looks.
        hints: the files of hints that belong to it.
        hint_states: of those, where a listing said it.
        is_named: whether it was named itself, and not found in a folder; what colorgan made is only then colored again.
        already: what became of it without work, where it is only to be put on a page; else None.
    """

    source: str
    identity: str
    folder: str
    name: str
    page: int = 0
    note: str = ""
    problem: str = ""
    source_state: FileState | None = None
    hints: tuple[str, ...] = ()
    hint_states: tuple[FileState, ...] = ()
    is_named: bool = True
    already: PhotoOutcome | None = None

    @property
    def target(self) -> str:
        """The path of the result."""
        return self._path(self.name)

    def sidecar(self, suffix: str) -> str:
        """The path of something that is written beside the result.

        Args:
            suffix: of its stem; also with a file's suffix, where that is not the result's. At an address, where names
                know nothing of each other, it follows the whole name.
        """
        if not is_address(self.folder):
            return self._path(with_suffix(self.name, suffix))
        return self._path(self.name + suffix + ("" if "." in suffix else split_name(self.name)[1]))

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}" if is_address(self.folder) else os.path.join(self.folder, name)

    def failed(self, error: PhotoError) -> PhotoOutcome:
        """Why it could not be done."""
        outcome = self.outcome(PhotoStatus.failed, (str(error),), error.parameter)
        return replace(outcome, advice=error.advice) if isinstance(error, MissingExtraError) else outcome

    def outcome(self, status: PhotoStatus, words: tuple[str, ...] = (), parameter: str = "") -> PhotoOutcome:
        """What became of it."""
        return PhotoOutcome(shown_address(self.source), self.page, self.target, status, words, parameter)


@dataclass(frozen=True)
class OutputRules:
    """How results are named.

    Attributes:
        output: a folder, a file where the one input is a file, or None for NAME-color.EXT beside each photo.
        names_folder: whether the output was given as a folder: with a slash at its end, which no path keeps.
        suffix: of the results, with its full stop; empty keeps each photo's.
        sidecar_suffixes: of the names of what else is written beside each result.
        pages: tells how many pages a file has of which each is a photo of its own; None takes the first alone.
        hints: files of hints for the one photo, in place of those beside it; None to look for those.
    """

    output: Path | None = None
    names_folder: bool = False
    suffix: str = ""
    sidecar_suffixes: tuple[str, ...] = ()
    pages: Callable[[str], int] | None = None
    hints: tuple[str, ...] | None = None

    @property
    def is_for_one_file(self) -> bool:
        """Whether the output is a file, going by its suffix."""
        return self._file_suffix in PHOTO_SUFFIXES

    @property
    def has_unknown_suffix(self) -> bool:
        """Whether the output looks like a file, but of no photo's format."""
        return bool(self._file_suffix) and not self.is_for_one_file

    @property
    def _file_suffix(self) -> str:
        """The output's suffix in small letters; empty where it is a folder, or has none."""
        if self.output is None or self.names_folder or os.path.isdir(self.output):
            return ""
        return split_name(self.output.name)[1].lower()
