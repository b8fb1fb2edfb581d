"""A photo with its result path, the naming of results, and how results beside photos are recognized by name."""

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
    """Append a suffix to a name's stem; the name keeps its own file suffix unless `suffix` has one."""
    stem, own = split_name(name)
    return stem + suffix if "." in suffix else stem + suffix + own


def photo_stem(name: str) -> str | None:
    """Return the stem of the photo of which a file is the result by its name, as `a` for `a-color.jpg`; else None."""
    match = _OWN_RESULT.fullmatch(split_name(name)[0]) if BESIDE in name else None
    return match[1] if match else None


def without_own_results(names: list[str]) -> list[str]:
    """Drop names of results whose photo is also among `names`."""
    if not any(BESIDE in name for name in names):
        return names
    stems = {split_name(name)[0] for name in names}
    return [name for name in names if photo_stem(name) not in stems]


def has_photo_beside(source: str) -> bool:
    """Whether a file is named as the result of an existing photo in the same folder."""
    folder, name = os.path.split(source)
    stem = photo_stem(name)
    return stem is not None and _photo_exists(folder, stem)


def _photo_exists(folder: str, stem: str) -> bool:
    """Whether a folder has a photo with that stem."""
    suffixes = [spelled for suffix in PHOTO_SUFFIXES for spelled in (suffix, suffix.upper())]
    return any(os.path.lexists(os.path.join(folder, stem + suffix)) for suffix in suffixes)


def hints_beside(source: str) -> tuple[str, ...]:
    """Return the existing hint files beside a photo."""
    return tuple(filter(os.path.isfile, hints_names(source)))


def hints_among(listing: Listing, name: str) -> tuple[str, ...]:
    """Return the paths of a photo's hint files from the listing of its folder."""
    found = [hints for hints in hints_names(name) if hints in listing.hints] if listing.hints else ()
    return tuple(os.path.join(listing.folder, hints) for hints in found)


def belongs_to_photo(path: Path) -> bool:
    """Whether a file is a hint file with its photo beside it."""
    suffix = next((suffix for suffix in HINTS_SUFFIXES if path.name.lower().endswith(suffix)), None)
    return suffix is not None and _photo_exists(str(path.parent), path.name[: -len(suffix)])


@dataclass(frozen=True, slots=True)
class Job:
    """A photo and the path of its result.

    Attributes:
        source: path or address of the photo.
        identity: input folder's name and the photo's path below it: the same wherever the input folder is moved.
        folder: folder of the result.
        name: file name of the result; unique in its folder, also on case-insensitive disks.
        page: page of a multi-page file, from 0.
        note: message to the user about the result's name, or empty.
        problem: why the photo cannot be colored, or empty.
        source_state: size, time and digest of the photo from a listing; None if its file has to be looked up.
        hints: paths or addresses of the photo's hint files.
        hint_states: their states from a listing; empty if the files have to be read.
        is_named: whether the user named the photo itself; if found in a folder, colorgan's own results are skipped.
        already: outcome of a photo that was done before and is only to be added to the page; else None.
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
        """Return the path of a further file that is written beside the result.

        Args:
            suffix: appended to the result's stem; may include a file suffix, else the result's is kept. At an address
                it is appended to the whole name, since other results may have the same stem there.
        """
        if not is_address(self.folder):
            return self._path(with_suffix(self.name, suffix))
        return self._path(self.name + suffix + ("" if "." in suffix else split_name(self.name)[1]))

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}" if is_address(self.folder) else os.path.join(self.folder, name)

    def failed(self, error: PhotoError) -> PhotoOutcome:
        """Return the outcome of a photo that failed with an error."""
        outcome = self.outcome(PhotoStatus.failed, (str(error),), error.parameter)
        return replace(outcome, advice=error.advice) if isinstance(error, MissingExtraError) else outcome

    def outcome(self, status: PhotoStatus, words: tuple[str, ...] = (), parameter: str = "") -> PhotoOutcome:
        """Return the outcome of the photo with a status and messages."""
        return PhotoOutcome(shown_address(self.source), self.page, self.target, status, words, parameter)


@dataclass(frozen=True)
class OutputRules:
    """How results are named.

    Attributes:
        output: a folder, a file if the one input is a file, or None for NAME-color.EXT beside each photo.
        names_folder: whether the output was given with a trailing slash, which `Path` drops.
        suffix: file suffix of the results, with its dot; empty keeps each photo's.
        sidecar_suffixes: name suffixes of the further files that are written beside each result.
        pages: returns the number of pages of a file, each of which becomes a photo; None takes the first page alone.
        hints: hint files for the one photo, in place of those beside it; None looks for those.
    """

    output: Path | None = None
    names_folder: bool = False
    suffix: str = ""
    sidecar_suffixes: tuple[str, ...] = ()
    pages: Callable[[str], int] | None = None
    hints: tuple[str, ...] | None = None

    @property
    def is_for_one_file(self) -> bool:
        """Whether the output is a file, judged by its suffix."""
        return self._file_suffix in PHOTO_SUFFIXES

    @property
    def has_unknown_suffix(self) -> bool:
        """Whether the output has a suffix that is no photo format's."""
        return bool(self._file_suffix) and not self.is_for_one_file

    @property
    def _file_suffix(self) -> str:
        """The output's suffix in lower case; empty if it is a folder or has none."""
        if self.output is None or self.names_folder or os.path.isdir(self.output):
            return ""
        return split_name(self.output.name)[1].lower()
