"""The HTML page of an output folder: every photo before and after coloring, the least confident first.

The process that colors a photo writes small pictures and a JSON record of it into a hidden subfolder of the output
folder. At the end of a run `index.html` is made from all records there.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from colorgan.addresses import printable
from colorgan.batch.jobs import Job
from colorgan.batch.journals.records import FileState
from colorgan.colorize.options import ColorizeOptions
from colorgan.errors import OutputError, UsageError
from colorgan.files import atomic_write
from colorgan.images.discovery import stable_hash
from colorgan.options import options_of

if TYPE_CHECKING:
    from PIL import Image

INDEX_NAME = "index.html"
FOLDER_NAME = ".colorgan-page"
PHOTOS_A_PAGE = 200
SIDE_PX = 512  # of the small pictures: about 30 kB each
BEFORE, AFTER = "before", "after"
_QUALITY = 80
_GENERATOR = '<meta name="generator" content="colorgan">'
_IMPLIED_BY_NAME = ("format",)  # options that the suffix of the output file implies


@dataclass(frozen=True)
class Entry:
    """The record of a photo on the page.

    Attributes:
        name: path of the result, relative to the output folder, with forward slashes.
        confidence: mean probability that its colors are within 10 ab units of the true ones, 0..1; None if the network
            predicts none.
        width: width of its small pictures, pixels.
        height: height of its small pictures, pixels.
        pictures: file names of the small pictures in the page's folder, by what they show.
        command: command line that makes the result again; empty for a photo of an album.
        settings: hexadecimal digest of the settings that it was made with.
        photo: size in bytes and modification time in nanoseconds of the photo's file.
    """

    name: str
    confidence: float | None
    width: int
    height: int
    pictures: dict[str, str]
    command: str
    settings: str
    photo: list[int]


@dataclass(frozen=True)
class Gallery:
    """The page of an output folder.

    Attributes:
        output: the output folder.
        options: options of each photo.
        model: name or path of the model, as given by the user.
        settings: digest of both.
        is_album: whether the photos share a palette, so that no command makes one of them again alone.
    """

    output: Path
    options: ColorizeOptions
    model: str
    settings: bytes
    is_album: bool = False

    @property
    def folder(self) -> Path:
        """The folder of the small pictures and records."""
        return self.output / FOLDER_NAME

    def has(self, job: Job, state: FileState) -> bool:
        """Whether there is a record of the photo's current file, colored with the current settings."""
        entry = _read(self._record(job))
        return entry is not None and (entry.settings, entry.photo) == (self.settings.hex(), _stamp(state))

    def add(self, job: Job, state: FileState, confidence: float | None, pictures: Mapping[str, Image.Image]) -> None:
        """Write the small pictures and record of a photo; all pictures have one size, and are given by what they show.

        Raises:
            OutputError: they cannot be written.
        """
        record = self._record(job)
        names = {shown: f"{record.stem}-{number}.jpg" for number, shown in enumerate(pictures)}
        width, height = next(iter(pictures.values())).size
        entry = Entry(
            name=self._name(job),
            confidence=confidence,
            width=width,
            height=height,
            pictures=names,
            command="" if self.is_album else command_of(job, self.options, self.model),
            settings=self.settings.hex(),
            photo=_stamp(state),
        )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for shown, picture in pictures.items():
                with atomic_write(self.folder / names[shown]) as file:
                    picture.save(file, "JPEG", quality=_QUALITY)
            with atomic_write(record) as file:
                file.write(json.dumps(asdict(entry)).encode())
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def write(self) -> Path:
        """Write `index.html` and its further pages, and return its path.

        Raises:
            OutputError: it cannot be written.
        """
        entries = sorted(self._entries(), key=_least_sure_first)
        parts = [entries[start : start + PHOTOS_A_PAGE] for start in range(0, len(entries), PHOTOS_A_PAGE)] or [[]]
        paths = [self._page_path(number) for number in range(len(parts))]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for number, part in enumerate(parts):
                with atomic_write(paths[number]) as file:
                    file.write(self._page(part, number, paths, len(entries)).encode("utf-8", "backslashreplace"))
            for stale in set(self.folder.glob("page-*.html")) - set(paths):
                stale.unlink()
        except OSError as error:
            raise _unwritable(self.output, error) from error
        return paths[0]

    def _page(self, entries: Sequence[Entry], number: int, paths: Sequence[Path], photos: int) -> str:
        from colorgan.html import render

        here = paths[number].parent

        def address(path: Path) -> str:
            return quote(os.fsencode(Path(os.path.relpath(path, here)).as_posix()))

        return render(
            __package__,
            "gallery",
            "slider",
            pictures_from="'self' file:",
            entries=entries,
            photos="1 photo" if photos == 1 else f"{photos:,} photos",
            first=number * PHOTOS_A_PAGE + 1,
            names=list(dict.fromkeys(name for entry in entries for name in entry.pictures)),
            left=BEFORE,
            right=AFTER,
            number=number,
            pages=[address(path) for path in paths],
            result=lambda entry: address(self.output / entry.name),
            pictures=lambda entry: {name: address(self.folder / file) for name, file in entry.pictures.items()},
        )

    def _page_path(self, number: int) -> Path:
        return self.folder / f"page-{number + 1}.html" if number else self.output / INDEX_NAME

    def _entries(self) -> Iterator[Entry]:
        """Yield the records of photos whose results still exist; remove the files of all others."""
        for record in self.folder.glob("*.json"):
            entry = _read(record)
            if entry is None or not os.path.lexists(self.output / entry.name):
                for stale in self.folder.glob(f"{record.stem}*"):
                    stale.unlink(missing_ok=True)
            else:
                yield entry

    def _name(self, job: Job) -> str:
        return os.path.relpath(job.target, self.output).replace(os.sep, "/")

    def _record(self, job: Job) -> Path:
        return self.folder / f"{stable_hash(self._name(job)) & (2**64 - 1):016x}.json"


def check_index(output: Path) -> None:
    """Refuse a folder whose `index.html` was not made by colorgan.

    Raises:
        UsageError: it has one.
    """
    index = output / INDEX_NAME
    try:
        with index.open("rb") as file:
            is_own = _GENERATOR.encode() in file.read(2000)
    except FileNotFoundError:
        return
    except OSError:  # it is a folder, or may not be read
        is_own = False
    if not is_own:
        advice = "Move it, name another output folder, or overwrite it."
        raise UsageError(f"no page of another program at {index}", "one is there", advice, parameter="overwrite")


def command_of(job: Job, options: ColorizeOptions, model: str) -> str:
    """Return the command line that makes a result again, quoted for the platform's shell."""
    target = ["-o", job.target] if not job.page else ["--all-pages", "-o", f"{job.folder}/"]
    words = ["colorgan", "colorize", job.source, *target, "--model", model]
    for name, each in options_of(ColorizeOptions).items():
        value = getattr(options, name)
        if value != each.default and name not in _IMPLIED_BY_NAME:
            words += each.spelled(value)
    words.append("--overwrite")
    words = list(map(printable, words))
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _least_sure_first(entry: Entry) -> tuple[bool, float, str]:
    return entry.confidence is None, entry.confidence or 0.0, entry.name


def _stamp(state: FileState) -> list[int]:
    return [state.size_bytes, state.mtime_ns]


def _read(record: Path) -> Entry | None:
    """Read a record; None if it is missing or damaged."""
    try:
        return Entry(**json.loads(record.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _unwritable(place: Path, error: OSError) -> OutputError:
    return OutputError.of(f"a page in {place}", error, "name another output folder", parameter="output")
