"""Parse a TIFF's directories, to tell which pictures are photos, and no thumbnails, masks or smaller copies."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_NEW_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _PHOTOMETRIC, _SUB_DIRECTORIES = 254, 255, 256, 257, 262, 330
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1  # of PhotometricInterpretation
_OLD_REDUCED, _TRANSPARENCY_MASK = 2, 4  # of SubfileType, and of PhotometricInterpretation
_KINDS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # TIFF's integer types to `struct` formats
_MOST_DIRECTORIES, _MOST_VALUES = 100_000, 64
_LARGER = 4  # a first picture with this many times fewer pixels than another is a preview, even if not marked as one


@dataclass(frozen=True)
class TiffPage:
    """A picture of a TIFF.

    Attributes:
        offset: byte offset of its directory in the file.
        index: its index among the file's pages; None if it is in a sub-directory (SubIFD) of one.
        width: pixels.
        height: pixels.
        is_part: whether it is a smaller copy or the mask of another picture.
        is_gray: whether its samples are gray.
    """

    offset: int
    index: int | None
    width: int
    height: int
    is_part: bool
    is_gray: bool

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.width * self.height


def photos_of(file: BinaryIO) -> list[TiffPage]:
    """List a TIFF's photos, at most one a page; if all are marked as parts of others, all pages; if no TIFF, none."""
    groups = list(_pages(file))
    photos = [photo for group in groups if (photo := _photo_among(group))]
    return photos or [group[0] for group in groups]


def largest_instead(photos: list[TiffPage]) -> TiffPage:
    """Return the first photo, or the largest if the first is so much smaller that it must be a preview."""
    largest = max(photos, key=lambda page: page.pixels)
    return largest if largest.pixels >= _LARGER * photos[0].pixels else photos[0]


def _photo_among(group: list[TiffPage]) -> TiffPage | None:
    """Return the largest picture of a page and its sub-directories that is no thumbnail or mask; None without any."""
    photos = [page for page in group if not page.is_part]
    return max(photos, key=lambda page: page.pixels) if photos else None


def _pages(file: BinaryIO) -> Iterator[list[TiffPage]]:
    """Yield each page with the pictures of its sub-directories, up to the first damaged directory."""
    seen: set[int] = set()
    index = 0
    try:
        layout = _Layout.of(file)
        (following,) = layout.unpack(layout.offset_kind, layout.start)
        while following and following not in seen and len(seen) < _MOST_DIRECTORIES:
            seen.add(following)
            offset = following
            fields, following = layout.directory(offset)
            group = [_page(fields, offset, index)]
            for below in fields.get(_SUB_DIRECTORIES, ()):
                if below not in seen:
                    seen.add(below)
                    group.append(_page(layout.directory(below)[0], below, None))
            yield group
            index += 1
    except (struct.error, ValueError, OSError):
        return


Fields = dict[int, tuple[int, ...]]


def _page(fields: Fields, offset: int, index: int | None) -> TiffPage:
    def value(tag: int) -> int:
        return (fields.get(tag) or (0,))[0]

    is_part = bool(value(_NEW_SUBFILE) & (_REDUCED | _MASK))
    is_part |= value(_OLD_SUBFILE) == _OLD_REDUCED or value(_PHOTOMETRIC) == _TRANSPARENCY_MASK
    is_gray = value(_PHOTOMETRIC) in (_WHITE_IS_ZERO, _BLACK_IS_ZERO)
    return TiffPage(offset, index, value(_WIDTH), value(_HEIGHT), is_part, is_gray)


@dataclass(frozen=True)
class _Layout:
    """Byte order and field widths of a TIFF or a BigTIFF, as `struct` formats.

    Attributes:
        file: open for reading.
        order: byte order.
        offset_kind: format of a file offset.
        start: where in the header the first directory's offset is.
        count_kind: format of a directory's number of entries.
    """

    file: BinaryIO
    order: str
    offset_kind: str
    start: int
    count_kind: str

    @classmethod
    def of(cls, file: BinaryIO) -> _Layout:
        """Parse a file's header; a ValueError if it is no TIFF."""
        file.seek(0)
        start = file.read(4)
        order = {b"II": "<", b"MM": ">"}[start[:2]] if start[:2] in (b"II", b"MM") else ""
        if not order:
            raise ValueError("no TIFF")
        is_big = struct.unpack(order + "H", start[2:])[0] == 43
        return cls(file, order, "Q", 8, "Q") if is_big else cls(file, order, "I", 4, "H")

    def unpack(self, kinds: str, offset: int) -> tuple[int, ...]:
        """Read integers of these `struct` formats at an offset."""
        self.file.seek(offset)
        return struct.unpack(self.order + kinds, self.file.read(struct.calcsize(self.order + kinds)))

    def directory(self, offset: int) -> tuple[Fields, int]:
        """Read the directory at an offset; return its integer fields of the needed tags, and the next one's offset."""
        (count,) = self.unpack(self.count_kind, offset)
        head, at = "HH" + self.offset_kind, offset + struct.calcsize(self.order + self.count_kind)
        size = struct.calcsize(self.order + head + self.offset_kind)
        fields: Fields = {}
        for entry in range(at, at + count * size, size):
            tag, kind, values = self.unpack(head, entry)
            if tag in (_NEW_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _PHOTOMETRIC, _SUB_DIRECTORIES) and kind in _KINDS:
                kinds = _KINDS[kind] * min(values, _MOST_VALUES)
                inside = entry + struct.calcsize(self.order + head)
                fits = struct.calcsize(self.order + kinds) <= struct.calcsize(self.order + self.offset_kind)
                fields[tag] = self.unpack(kinds, inside if fits else self.unpack(self.offset_kind, inside)[0])
        return fields, self.unpack(self.offset_kind, at + count * size)[0]


class StartingAt:
    """A read-only view of a TIFF in which a given directory is the first, for readers that only open the first.

    Args:
        file: the TIFF, open.
        offset: byte offset of the directory.
    """

    def __init__(self, file: BinaryIO, offset: int) -> None:
        layout = _Layout.of(file)
        file.seek(0)
        self._head = file.read(layout.start) + struct.pack(layout.order + layout.offset_kind, offset)
        self._file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """Read up to so many bytes, or all."""
        head = self._head[self._file.tell() :]
        data = self._file.read(size)
        return head[: len(data)] + data[len(head) :]
