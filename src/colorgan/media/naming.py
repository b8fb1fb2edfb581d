"""A photo with the place of its result, and the rules by which results are named."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from colorgan.media.beside import with_ending
from colorgan.media.formats import PHOTO_SUFFIXES
from colorgan.media.search import split_name


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
    """

    source: str
    identity: str
    folder: str
    name: str
    page: int = 0
    note: str = ""
    problem: str = ""

    @property
    def target(self) -> str:
        """The path of the result."""
        return os.path.join(self.folder, self.name)

    def beside(self, ending: str) -> str:
        """The name of something that is written beside the result.

        Args:
            ending: of its name; also with a suffix, where that is not the result's.
        """
        return with_ending(self.name, ending)


@dataclass(frozen=True)
class OutputRules:
    """How results are named.

    Attributes:
        output: a folder, a file where the one input is a file, or None for NAME-color.EXT beside each photo.
        names_folder: whether the output was given as a folder: with a slash at its end, which no path keeps.
        suffix: of the results, with its full stop; empty keeps each photo's.
        endings: of the names of what else is written beside each result.
        pages: tells how many pages a file has of which each is a photo of its own; None takes the first alone.
    """

    output: Path | None = None
    names_folder: bool = False
    suffix: str = ""
    endings: tuple[str, ...] = ()
    pages: Callable[[str], int] | None = None

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
        if self.output is None or self.names_folder or self.output.is_dir():
            return ""
        return split_name(self.output.name)[1].lower()
