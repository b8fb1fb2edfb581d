"""Which pictures of a TIFF are photos of their own: its directories, without thumbnails, masks and smaller copies."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_NEW_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _PHOTOMETRIC, _SUB_DIRECTORIES = 254, 255, 256, 257, 262, 330
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_WHITE_IS_ZERO, _BLACK_IS_ZERO = 0, 1  # of PhotometricInterpretation
_OLD_REDUCED, _TRANSPARENCY_MASK = 2, 4  # of SubfileType, and of PhotometricInterpretation
_KINDS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # of integers, as `struct` has them
_MOST_DIRECTORIES, _MOST_VALUES = 100_000, 64
_LARGER = 4  # times as many pixels as the first picture has: then that one is a preview which nothing calls so


@dataclass(frozen=True)
class TiffPage:
    """A picture of a TIFF.

    Attributes:
        place: of its directory in the file.
        index: its number among the file's pages; None where it hangs below one of them.
        width: pixels.
        height: pixels.
        is_part: whether it is a smaller copy or the mask of another picture.
        is_gray: whether its samples are gray.
    """

    place: int
    index: int | None
    width: int
    height: int
    is_part: bool
    is_gray: bool

    @property
    def pixels(self) -> int:
        """How many it has."""
        return self.width * self.height


def photos_of(file: BinaryIO) -> list[TiffPage]:
    """The pictures of a TIFF that are photos; all of them where each is called a part of another."""
    groups = list(_pages(file))
    photos = [photo for group in groups if (photo := _photo_among(group))]
    return photos or [group[0] for group in groups]


def largest_instead(photos: list[TiffPage]) -> TiffPage:
    """The first photo, or the largest where the first is so much smaller that it must be a preview."""
    largest = max(photos, key=lambda page: page.pixels)
    return largest if largest.pixels >= _LARGER * photos[0].pixels else photos[0]


def _photo_among(group: list[TiffPage]) -> TiffPage | None:
    """Of a page and what hangs below it, the page, or the photo of which it is only the thumbnail."""
    photos = [page for page in group if not page.is_part]
    return max(photos, key=lambda page: page.pixels) if photos else None


def _pages(file: BinaryIO) -> Iterator[list[TiffPage]]:
    """Each page and the pictures that hang below it; as far as the file is sound."""
    seen: set[int] = set()
    index = 0
    try:
        layout = _Layout.of(file)
        (following,) = layout.unpack(layout.place, layout.first_place)
        while following and following not in seen and len(seen) < _MOST_DIRECTORIES:
            seen.add(following)
            place = following
            fields, following = layout.directory(place)
            group = [_page(fields, place, index)]
            for below in fields.get(_SUB_DIRECTORIES, ()):
                if below not in seen:
                    seen.add(below)
                    group.append(_page(layout.directory(below)[0], below, None))
            yield group
            index += 1
    except (struct.error, ValueError, OSError):
        return


Fields = dict[int, tuple[int, ...]]


def _page(fields: Fields, place: int, index: int | None) -> TiffPage:
    def value(tag: int) -> int:
        return (fields.get(tag) or (0,))[0]

    is_part = bool(value(_NEW_SUBFILE) & (_REDUCED | _MASK))
    is_part |= value(_OLD_SUBFILE) == _OLD_REDUCED or value(_PHOTOMETRIC) == _TRANSPARENCY_MASK
    is_gray = value(_PHOTOMETRIC) in (_WHITE_IS_ZERO, _BLACK_IS_ZERO)
    return TiffPage(place, index, value(_WIDTH), value(_HEIGHT), is_part, is_gray)


@dataclass(frozen=True)
class _Layout:
    """How a TIFF, or a BigTIFF, writes its directories.

    Attributes:
        file: open.
        order: of bytes, as `struct` has it.
        place: the kind of a place in the file.
        first_place: where the first directory's place stands.
        count: the kind of the number of entries.
    """

    file: BinaryIO
    order: str
    place: str
    first_place: int
    count: str

    @classmethod
    def of(cls, file: BinaryIO) -> _Layout:
        """Read a file's header."""
        file.seek(0)
        start = file.read(4)
        order = {b"II": "<", b"MM": ">"}[start[:2]] if start[:2] in (b"II", b"MM") else ""
        if not order:
            raise ValueError("no TIFF")
        is_big = struct.unpack(order + "H", start[2:])[0] == 43
        return cls(file, order, "Q", 8, "Q") if is_big else cls(file, order, "I", 4, "H")

    def unpack(self, kinds: str, place: int) -> tuple[int, ...]:
        """Read integers."""
        self.file.seek(place)
        return struct.unpack(self.order + kinds, self.file.read(struct.calcsize(self.order + kinds)))

    def directory(self, place: int) -> tuple[Fields, int]:
        """The fields of a directory that are integers, and the place of the next one."""
        (count,) = self.unpack(self.count, place)
        head, at = "HH" + self.place, place + struct.calcsize(self.order + self.count)
        size = struct.calcsize(self.order + head + self.place)
        fields: Fields = {}
        for entry in range(at, at + count * size, size):
            tag, kind, values = self.unpack(head, entry)
            if tag in (_NEW_SUBFILE, _OLD_SUBFILE, _WIDTH, _HEIGHT, _PHOTOMETRIC, _SUB_DIRECTORIES) and kind in _KINDS:
                kinds = _KINDS[kind] * min(values, _MOST_VALUES)
                inside = entry + struct.calcsize(self.order + head)
                fits = struct.calcsize(self.order + kinds) <= struct.calcsize(self.order + self.place)
                fields[tag] = self.unpack(kinds, inside if fits else self.unpack(self.place, inside)[0])
        return fields, self.unpack(self.place, at + count * size)[0]


class StartingAt:
    """A TIFF as if one of its directories were the first, for readers that know no others.

    Args:
        file: the TIFF, open.
        place: of the directory.
    """

    def __init__(self, file: BinaryIO, place: int) -> None:
        layout = _Layout.of(file)
        file.seek(0)
        self._head = file.read(layout.first_place) + struct.pack(layout.order + layout.place, place)
        self._file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        """Read up to so many bytes, or all."""
        head = self._head[self._file.tell() :]
        data = self._file.read(size)
        return head[: len(data)] + data[len(head) :]
