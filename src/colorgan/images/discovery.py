"""Finding photos in folders and in lists of paths, one by one, and sets of a million paths in a few megabytes."""

from __future__ import annotations

import codecs
import hashlib
import os
import sqlite3
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from colorgan.errors import reason_of
from colorgan.images.formats import PHOTO_SUFFIXES

# Folders in which network disks and systems keep thumbnails, deleted files and earlier states; and hidden ones.
_HOUSEKEEPING = {
    "@eadir",
    "@recently-snapshot",
    "@recycle",
    "@tmp",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "__macosx",
    "lost+found",
    "system volume information",
}
# Folders in which comparisons and training runs keep pictures, each with what colorgan writes beside it.
_REPORTS = {
    "pictures": ("report.html", "results.json"),
    "sheets": ("report.html", "results.json"),
    "samples": ("metrics.jsonl", "run.json"),
}
HINTS_SUFFIXES = (".hints.png", ".hints.json")  # behind the stem of a photo beside it
State = TypeVar("State")
_SYSTEM_FILES = {"thumbs.db", "desktop.ini"}
_APPLE_DOUBLE = "._"  # what macOS keeps beside a photo on foreign disks, under the photo's own suffix


@dataclass(frozen=True)
class Listing:
    """What a folder holds that has a photo's suffix, but folders.

    Attributes:
        folder: where it is.
        relative: its path below the folder where the search began; empty for that itself.
        names: sorted.
        problem: why it could not be searched, or empty.
        hints: the names of files of hints, which are none of the photos.
    """

    folder: str
    relative: str
    names: list[str]
    problem: str = ""
    hints: frozenset[str] = frozenset()


def split_name(name: str) -> tuple[str, str]:
    """Stem and suffix of a name, as `Path` has them, at a tenth of the time."""
    dot = name.rfind(".")
    return (name[:dot], name[dot:]) if 0 < dot < len(name) - 1 else (name, "")


def has_photo_suffix(name: str) -> bool:
    """Whether the name says that it is a photo of a kind that is read here, and not what somebody painted over one."""
    is_photo = split_name(name)[1].lower() in PHOTO_SUFFIXES and not name.startswith(_APPLE_DOUBLE)
    return is_photo and not is_hints_file(name)


def is_hints_file(name: str) -> bool:
    """Whether a file of that name holds hints for the photo beside it."""
    return name.lower().endswith(HINTS_SUFFIXES)


def hints_names(path: str) -> tuple[str, ...]:
    """The files of hints that may be beside a photo."""
    stem = split_name(path)[0]
    return tuple(stem + suffix for suffix in HINTS_SUFFIXES)


def with_their_hints(files: Iterable[tuple[str, State]]) -> Iterator[tuple[str, State, tuple[tuple[str, State], ...]]]:
    """Photos of a long listing, each with the files of hints beside it.

    All that has one stem stands together there, so that next to nothing is held: a photo until its last file of hints
    would have come, and such a file while photos of its stem may come.

    Args:
        files: paths of photos and of files of hints, and what else is known of each, sorted by the paths.
    """
    waiting: list[tuple[str, State]] = []
    hints: dict[str, State] = {}

    def matched(path: str, state: State) -> tuple[str, State, tuple[tuple[str, State], ...]]:
        return path, state, tuple((name, hints[name]) for name in hints_names(path) if name in hints)

    for path, state in files:
        done = [photo for photo in waiting if max(hints_names(photo[0])) < path]
        for photo in done:
            waiting.remove(photo)
            yield matched(*photo)
        hints = {name: of for name, of in hints.items() if path.startswith(name[: -len(_hints_suffix(name))] + ".")}
        if is_hints_file(path):
            hints[path] = state
        else:
            waiting.append((path, state))
    for photo in waiting:
        yield matched(*photo)


def _hints_suffix(name: str) -> str:
    return next(suffix for suffix in HINTS_SUFFIXES if name.lower().endswith(suffix))


def is_housekeeping(name: str) -> bool:
    """Whether a folder of that name is a system's own, in which nobody keeps photos; hidden folders are, too."""
    return (name.startswith(".") and name != "..") or name.lower() in _HOUSEKEEPING


def is_left_out(folder: str) -> bool:
    """Whether a search leaves a folder out: for housekeeping, or of pictures that a comparison or a training wrote."""
    parent, name = os.path.split(folder)
    reports = _REPORTS.get(name, ())
    return is_housekeeping(name) or (
        bool(reports) and all(os.path.isfile(os.path.join(parent, each)) for each in reports)
    )


def find_photos(
    folder: str,
    entered: PathSet | None = None,
    left_out: Callable[[str], None] = lambda folder: None,
    others: Callable[[str], None] = lambda suffix: None,
) -> Iterator[Listing]:
    """Search a folder and all below it: its own photos first, then its folders in the order of their names.

    Args:
        folder: where to begin; it is searched whatever its name is.
        entered: real paths of folders to leave out; those searched are added, so that links cannot lead in circles.
        left_out: told of each hidden or housekeeping folder, which is not searched.
        others: told the suffix, in small letters, of each file that is no photo by its name; hidden ones are nobody's.

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
            names, folders, hints = _entries(place, others)
        except OSError as error:
            yield Listing(place, relative, [], f"the folder cannot be searched: {reason_of(error)}")
            continue
        if names:
            yield Listing(place, relative, names, hints=hints)
        for name in reversed(folders):
            below = os.path.join(place, name)
            if is_left_out(below):
                left_out(below)
            else:
                waiting.append((below, os.path.join(relative, name)))


def _entries(folder: str, others: Callable[[str], None]) -> tuple[list[str], list[str], frozenset[str]]:
    """The names of photos and of folders in a folder, both sorted, and those of files of hints."""
    names, folders, hints = [], [], []
    with os.scandir(folder) as listing:
        for entry in listing:
            if _is_folder(entry):
                folders.append(entry.name)
            elif has_photo_suffix(entry.name):
                names.append(entry.name)
            elif is_hints_file(entry.name):
                hints.append(entry.name)
            elif not entry.name.startswith(".") and entry.name.lower() not in _SYSTEM_FILES:
                others(split_name(entry.name)[1].lower())
    names.sort()
    folders.sort()
    return names, folders, frozenset(hints)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


_CHUNK_BYTES = 1 << 16


_MARKS = ((codecs.BOM_UTF8, ""), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_LINE_END = b"\r\0\n"  # of Windows in UTF-16; where no mark stands before, its place tells which


def read_paths(read: Callable[[int], bytes]) -> Iterator[str]:
    """Read paths, one a line, or with NUL between them where the list's beginning holds one.

    Lists as Windows makes them are understood: with a byte order mark, in UTF-16, with CR LF.

    Args:
        read: gives what is there, at most so many bytes, and none at the end: `read1` of a file, or of a pipe that is
            still being written to.

    Yields:
        Each path once it is there; empty lines are left out.
    """
    rest, separator = b"", b""
    for chunk in _recoded(read):
        rest += chunk
        separator = separator or next((mark for mark in (b"\0", b"\n") if mark in rest), b"")
        if separator:
            *whole, rest = rest.split(separator)
            yield from _paths(whole, separator)
    yield from _paths([rest], separator)


def _recoded(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """A list's bytes without a byte order mark, in the encoding of file names."""
    start = b""
    while len(start) < 3 and (chunk := read(_CHUNK_BYTES)):
        start += chunk
    mark, encoding = next((row for row in _MARKS if start.startswith(row[0])), (b"", ""))
    if not mark and (end := start.find(_LINE_END)) >= 0:
        encoding = "utf-16-be" if end % 2 else "utf-16-le"
    chunk = start.removeprefix(mark)
    decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding else None
    while chunk:
        yield os.fsencode(decoder.decode(chunk)) if decoder else chunk
        chunk = read(_CHUNK_BYTES)


def _paths(entries: list[bytes], separator: bytes) -> Iterator[str]:
    for entry in entries:
        path = entry if separator == b"\0" else entry.removesuffix(b"\r")
        if path:
            yield os.fsdecode(path)


def stable_hash(path: str) -> int:
    """A number of 64 bits, signed, that follows from the path's text alone, on every machine."""
    text = path.encode("utf-8", "surrogatepass")  # names that are not UTF-8 come as lone surrogates
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little", signed=True)


def collision_key(path: str) -> str:
    """A text that is equal for paths which some disks take for the same: capitals, composed letters."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


class PathSet:
    """A set of paths, each kept as 64 bits of its hash in SQLite's memory: about 20 bytes.

    Two paths of a million share a number once in 30 million runs; the second is then taken to be in the set.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA cache_size = -65536",  # kibibytes; beyond that, it goes into a temporary file
            "CREATE TABLE paths (number INTEGER PRIMARY KEY)",
            "BEGIN",
        ):
            self._database.execute(statement)

    def add(self, path: str) -> bool:
        """Put a path in, and tell whether it was not there before."""
        return self._database.execute("INSERT OR IGNORE INTO paths VALUES (?)", (stable_hash(path),)).rowcount == 1

    def __contains__(self, path: str) -> bool:
        found = self._database.execute("SELECT 1 FROM paths WHERE number = ?", (stable_hash(path),))
        return found.fetchone() is not None
