"""Find photos in folders and in lists of paths, lazily; and hold sets of a million paths in a few megabytes."""

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

# Folders in which NAS and operating systems keep thumbnails, deleted files and snapshots.
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
# Folders in which comparisons and training runs keep pictures, each with files that colorgan writes beside it.
_REPORTS = {
    "pictures": ("report.html", "results.json"),
    "sheets": ("report.html", "results.json"),
    "samples": ("metrics.jsonl", "run.json"),
}
HINTS_SUFFIXES = (".hints.png", ".hints.json")  # appended to the stem of the photo
State = TypeVar("State")
_SYSTEM_FILES = {"thumbs.db", "desktop.ini"}
_APPLE_DOUBLE = "._"  # prefix of macOS's resource forks on foreign file systems, which have the photo's suffix


@dataclass(frozen=True)
class Listing:
    """The photos directly in one folder, by suffix.

    Attributes:
        folder: its path.
        relative: its path relative to the root of the search; empty for the root.
        names: file names of the photos, sorted.
        problem: why it could not be searched, or empty.
        hints: names of the hints files, which are not among `names`.
    """

    folder: str
    relative: str
    names: list[str]
    problem: str = ""
    hints: frozenset[str] = frozenset()


def split_name(name: str) -> tuple[str, str]:
    """Split a name into stem and suffix as `Path` does, in a tenth of the time."""
    dot = name.rfind(".")
    return (name[:dot], name[dot:]) if 0 < dot < len(name) - 1 else (name, "")


def has_photo_suffix(name: str) -> bool:
    """Whether a file of that name should be a photo in a known format, and is not a hints file."""
    is_photo = split_name(name)[1].lower() in PHOTO_SUFFIXES and not name.startswith(_APPLE_DOUBLE)
    return is_photo and not is_hints_file(name)


def is_hints_file(name: str) -> bool:
    """Whether a file of that name holds the hints of a photo in its folder."""
    return name.lower().endswith(HINTS_SUFFIXES)


def hints_names(path: str) -> tuple[str, ...]:
    """Return the paths of the hints files that a photo may have."""
    stem = split_name(path)[0]
    return tuple(stem + suffix for suffix in HINTS_SUFFIXES)


def pair_with_hints(files: Iterable[tuple[str, State]]) -> Iterator[tuple[str, State, tuple[tuple[str, State], ...]]]:
    """Yield the photos of a long listing, each with its hints files.

    Files of one stem are adjacent in the listing, so little is buffered: a photo until its last hints file would have
    come, and a hints file while photos of its stem may still come.

    Args:
        files: paths of photos and hints files, each with any state of the caller's (size, time), sorted by path.
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
    """Whether a folder of that name is hidden, or one of the system's (recycle bins, thumbnails, snapshots)."""
    return (name.startswith(".") and name != "..") or name.lower() in _HOUSEKEEPING


def is_left_out(folder: str) -> bool:
    """Whether a search skips a folder: a housekeeping one, or one of pictures written by a comparison or training."""
    parent, name = os.path.split(folder)
    holds_report = name in _REPORTS and all(os.path.isfile(os.path.join(parent, each)) for each in _REPORTS[name])
    return holds_report or is_housekeeping(name)


def find_photos(
    folder: str,
    visited: PathSet | None = None,
    on_skipped: Callable[[str], None] = lambda folder: None,
    on_other_suffix: Callable[[str], None] = lambda suffix: None,
) -> Iterator[Listing]:
    """Search a folder recursively: its own photos first, then its subfolders sorted by name.

    Args:
        folder: the root, searched whatever its name is.
        visited: real paths of folders to skip; each searched one is added, so that links cannot form cycles.
        on_skipped: called with the path of each subfolder that is not searched, by `is_left_out`.
        on_other_suffix: called with the lowercase suffix of each file that is no photo by its name and not hidden.

    Yields:
        The folders that hold photos, and those that could not be searched.
    """
    visited = PathSet() if visited is None else visited
    waiting = [(folder, "")]
    while waiting:
        place, relative = waiting.pop()
        if not visited.add(os.path.realpath(place)):
            continue
        try:
            names, folders, hints = _entries(place, on_other_suffix)
        except OSError as error:
            yield Listing(place, relative, [], f"the folder cannot be searched: {reason_of(error)}")
            continue
        if names:
            yield Listing(place, relative, names, hints=hints)
        for name in reversed(folders):
            below = os.path.join(place, name)
            if is_left_out(below):
                on_skipped(below)
            else:
                waiting.append((below, os.path.join(relative, name)))


def _entries(folder: str, on_other_suffix: Callable[[str], None]) -> tuple[list[str], list[str], frozenset[str]]:
    """Return the names of a folder's photos and subfolders, both sorted, and of its hints files."""
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
                on_other_suffix(split_name(entry.name)[1].lower())
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
_LINE_END = b"\r\0\n"  # CR LF in UTF-16; without a byte order mark, its offset (even or odd) gives the endianness


def read_paths(read: Callable[[int], bytes]) -> Iterator[str]:
    """Read paths, one a line; or separated by NUL, if the list's first bytes hold one.

    Lists as Windows writes them are accepted: with a byte order mark, in UTF-16, with CR LF.

    Args:
        read: returns at most so many bytes, as soon as there are any, and none at the end: `read1` of a file, or of a
            pipe that is still being written to.

    Yields:
        Each path as soon as it is complete; empty lines are skipped.
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
    """Yield a list's bytes without a byte order mark, in the file system's encoding."""
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
    """Return a signed 64-bit hash of a path's text, the same on every machine."""
    text = path.encode("utf-8", "surrogatepass")  # names that are not UTF-8 hold lone surrogates
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little", signed=True)


def collision_key(path: str) -> str:
    """Return a key that is equal for paths which some file systems identify: case, Unicode normalization."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


class PathSet:
    """A set of paths, held as 64-bit hashes in SQLite: about 20 bytes each.

    Of a million paths, two share a hash once in 30 million runs; the second is then taken to be in the set.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA cache_size = -65536",  # KiB; beyond that, SQLite spills into a temporary file
            "CREATE TABLE paths (number INTEGER PRIMARY KEY)",
            "BEGIN",
        ):
            self._database.execute(statement)

    def add(self, path: str) -> bool:
        """Add a path, and return whether it is new."""
        return self._database.execute("INSERT OR IGNORE INTO paths VALUES (?)", (stable_hash(path),)).rowcount == 1

    def __contains__(self, path: str) -> bool:
        found = self._database.execute("SELECT 1 FROM paths WHERE number = ?", (stable_hash(path),))
        return found.fetchone() is not None
