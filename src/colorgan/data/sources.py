"""Sources of photos: folders, uncompressed tar files (also a tar of class tars) and zip files.

A source is listed once, in sorted order, and each photo's bytes are then read in place. Nothing of an archive is ever
extracted to disk; the name of a member is data, never a path.
"""

from __future__ import annotations

import os
import stat
import tarfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from colorgan.errors import ColorganError, PhotoError, UsageError, reason_of
from colorgan.files import why_missing
from colorgan.images.discovery import has_photo_suffix, is_housekeeping, is_left_out

MAX_PHOTO_BYTES = 256 * 1000**2

_COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
_HEADER_BYTES = 512  # of a tar member

Check = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """One photo of a source, not read yet.

    Attributes:
        source: the source that reads it.
        name: its path inside the source, with forward slashes; only ever shown and compared.
        class_name: the folder (or class tar) that holds it, "" at the top.
        size_bytes: as the source states it.
        position: where the source finds it: a byte offset in a tar, an index in a zip.
    """

    source: Source
    name: str
    class_name: str
    size_bytes: int
    position: int = 0

    def read(self) -> bytes:
        """Read the photo's bytes; safe in several threads at once.

        Raises:
            PhotoError: it is too large.
            Exception: whatever a damaged archive makes its reader raise.
        """
        too_large = PhotoError("a photo", f"its file is larger than {MAX_PHOTO_BYTES // 1000**2} MB", "Reduce it.")
        if self.size_bytes > MAX_PHOTO_BYTES:
            raise too_large
        data = self.source.read(self, MAX_PHOTO_BYTES + 1)
        if len(data) > MAX_PHOTO_BYTES:  # the source stated less than there was
            raise too_large
        return data


class Source(ABC):
    """A folder, archive or file that photos are read from.

    Args:
        path: its path.
        check: called repeatedly while it is listed; may raise to stop.

    Attributes:
        entries: its photos, sorted by name.
        ignored: how many of its members are no photos: other files, links, devices, fifos, and hidden folders and those
            that programs keep for themselves, each counted once in a folder and file by file in an archive.
    """

    def __init__(self, path: Path, check: Check = lambda: None) -> None:
        self.path = path
        self.ignored = 0
        self._check = check
        self.entries = sorted(self._list(), key=lambda entry: (entry.name, entry.position))

    @property
    def label(self) -> str:
        """The source's own name, whatever folder it is in."""
        return self.path.name or self.path.resolve().name

    @abstractmethod
    def _list(self) -> Iterator[Entry]:
        """Find the photos, in any order, and count the rest in `ignored`."""

    @abstractmethod
    def read(self, entry: Entry, limit_bytes: int) -> bytes:
        """Read at most `limit_bytes` of one of this source's entries."""

    def close(self) -> None:  # noqa: B027 (only a zip holds anything open)
        """Close what is open; nothing can be read afterwards."""

    def _entry(self, name: str, size_bytes: int, position: int = 0, class_name: str | None = None) -> Iterator[Entry]:
        """Yield an entry if the name is a photo's; else count it as ignored."""
        path = PurePosixPath(name)
        if not has_photo_suffix(path.name) or any(is_housekeeping(part) for part in path.parts[:-1]):
            self.ignored += 1
            return
        yield Entry(self, name, path.parent.name if class_name is None else class_name, size_bytes, position)


class FolderSource(Source):
    """A folder and all folders in it; links to folders are not followed, so that no loop is ever walked."""

    def _list(self) -> Iterator[Entry]:
        for folder, subfolders, names in os.walk(self.path, onerror=self._refuse):
            here = Path(folder)
            found = len(subfolders)
            subfolders[:] = [name for name in subfolders if not is_left_out(str(here / name))]
            self.ignored += found - len(subfolders)
            self.ignored += sum(os.path.islink(here / name) for name in subfolders)
            for name in names:
                self._check()
                yield from self._file(here / name)

    def _file(self, path: Path) -> Iterator[Entry]:
        try:
            status = path.stat()
        except PermissionError:  # reported when it is read
            yield from self._entry(path.relative_to(self.path).as_posix(), 0)
            return
        except OSError:  # a dangling or circular link
            self.ignored += 1
            return
        if stat.S_ISREG(status.st_mode):
            yield from self._entry(path.relative_to(self.path).as_posix(), status.st_size)
        else:
            self.ignored += 1

    @staticmethod
    def _refuse(error: OSError) -> None:
        raise UsageError(f"a folder of photos at {error.filename}", reason_of(error), "Make it readable.") from error

    def read(self, entry: Entry, limit_bytes: int) -> bytes:
        """Read a file of the folder."""
        with (self.path / entry.name).open("rb") as file:
            return file.read(limit_bytes)


class FileSource(Source):
    """A single photo."""

    def _list(self) -> Iterator[Entry]:
        yield Entry(self, self.path.name, "", self.path.stat().st_size)

    def read(self, entry: Entry, limit_bytes: int) -> bytes:
        """Read the file."""
        with self.path.open("rb") as file:
            return file.read(limit_bytes)


class TarSource(Source):
    """An uncompressed tar file; tar files inside it are classes, named by their stems."""

    def _list(self) -> Iterator[Entry]:
        with self.path.open("rb") as file:
            yield from self._members(file, 0, None)

    def _members(self, file: IO[bytes], start: int, class_name: str | None) -> Iterator[Entry]:
        """List one tar file.

        Args:
            file: the tar file, from its first byte on.
            start: the offset of that byte in the source's own file.
            class_name: the class of all photos in it; None to take their folders' names.
        """
        with tarfile.open(fileobj=file, mode="r:") as archive:
            last = -1
            for member in archive:
                self._check()
                # A crafted size may lead back to members already listed.
                if member.offset_data <= last or member.size < 0:
                    raise tarfile.ReadError(f"the header of {member.name!r} points backwards")
                last = member.offset_data
                yield from self._member(archive, member, start, class_name)
            file.seek(archive.offset)
            if any(file.read(_HEADER_BYTES)):  # tarfile takes a damaged header for the archive's end
                raise tarfile.ReadError(f"no tar header at byte {start + archive.offset}")

    def _member(
        self, archive: tarfile.TarFile, member: tarfile.TarInfo, start: int, class_name: str | None
    ) -> Iterator[Entry]:
        position = start + member.offset_data
        if member.isdir():
            return
        if not member.isreg() or member.issparse():
            self.ignored += 1
        elif class_name is None and member.name.lower().endswith(".tar"):
            inner = archive.extractfile(member)  # a view into the file; nothing is extracted
            assert inner is not None
            with inner:
                for entry in self._members(inner, position, PurePosixPath(member.name).stem):
                    yield Entry(self, f"{member.name}/{entry.name}", entry.class_name, entry.size_bytes, entry.position)
        else:
            yield from self._entry(member.name, member.size, position, class_name)

    def read(self, entry: Entry, limit_bytes: int) -> bytes:
        """Read a member in place, also inside a class tar."""
        with self.path.open("rb") as file:
            file.seek(entry.position)
            return file.read(min(entry.size_bytes, limit_bytes))


class ZipSource(Source):
    """A zip file."""

    def __init__(self, path: Path, check: Check = lambda: None) -> None:
        self._archive = zipfile.ZipFile(path)
        self._infos = self._archive.infolist()
        try:
            super().__init__(path, check)
        except BaseException:
            self._archive.close()
            raise

    def _list(self) -> Iterator[Entry]:
        for position, info in enumerate(self._infos):
            self._check()
            kind = stat.S_IFMT(info.external_attr >> 16)  # zero unless a Unix wrote it
            if info.filename.endswith("/"):  # is_dir() fails on an empty name
                continue
            if kind not in (0, stat.S_IFREG):
                self.ignored += 1
            else:
                yield from self._entry(info.filename, info.file_size, position)

    def read(self, entry: Entry, limit_bytes: int) -> bytes:
        """Read a member; never more of it than the zip states, however far it would unpack."""
        with self._archive.open(self._infos[entry.position]) as file:
            return file.read(limit_bytes)

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()


def open_source(path: Path, check: Check = lambda: None) -> Source:
    """Open a folder, a .tar or a .zip and list its photos; `check` may raise to stop that.

    Raises:
        UsageError: nothing exists at that path, or it is no source that can be read.
    """
    try:
        kind = _kind_of(path)
    except OSError as error:
        raise UsageError(f"photos at {path}", reason_of(error), "Make it readable.") from error
    try:
        return kind(path, check)
    except ColorganError:
        raise
    except Exception as error:  # tarfile and zipfile raise any kind of error on damaged files
        found = f"it is damaged ({error or type(error).__name__})"
        raise UsageError(f"photos at {path}", found, "Download or create it again.") from error


def _kind_of(path: Path) -> type[Source]:
    if os.path.isdir(path):
        return FolderSource
    advice = "Give a folder, a .tar or a .zip."
    if not os.path.isfile(path):
        found = "it is neither a file nor a folder" if os.path.exists(path) else why_missing(path)
        raise UsageError(f"photos at {path}", found, advice)
    with path.open("rb") as file:
        start = file.read(max(map(len, _COMPRESSED)))
    for magic, compression in _COMPRESSED.items():
        if start.startswith(magic):
            found = f"a file compressed with {compression}, whose photos cannot be read one by one"
            raise UsageError(f"photos at {path}", found, "Decompress it first, to a .tar.")
    kinds: dict[str, type[Source]] = {".tar": TarSource, ".zip": ZipSource}
    if path.suffix.lower() not in kinds:
        raise UsageError(f"photos at {path}", f"a file whose name ends in {path.suffix!r}", advice)
    return kinds[path.suffix.lower()]
