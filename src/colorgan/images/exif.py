"""An EXIF block kept byte for byte, but for what a turned and colored photo makes untrue."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_PREFIX = b"Exif\0\0"
_ORIENTATION, _EXIF_IFD, _COLOR_SPACE = 0x0112, 0x8769, 0xA001
_SWAPPED = ((0x011A, 0x011B), (0xA002, 0xA003))  # resolution and size in pixels, across and down
_THUMBNAIL_START, _THUMBNAIL_LENGTH = 0x0201, 0x0202
_SHORT, _LONG, _SRGB = 3, 4, 1
_ENTRY_BYTES = 12


@dataclass(frozen=True)
class _Entry:
    place: int
    type: int
    count: int


class ExifBlock:
    """An EXIF block that is changed in place, so that all else in it stays as it is, the offsets of makers' notes too.

    Args:
        data: the block, with or without its prefix.

    Raises:
        struct.error, ValueError: it is damaged.
    """

    def __init__(self, data: bytes) -> None:
        while data.startswith(_PREFIX):
            data = data[len(_PREFIX) :]
        self._data = bytearray(data)
        if data[:4] not in (b"II*\0", b"MM\0*"):
            raise ValueError("no EXIF")
        self._order = "<" if data[:2] == b"II" else ">"
        self._root = self._read("I", 4)
        self._entries(self._root)

    @property
    def is_empty(self) -> bool:
        """Whether no field is left."""
        return not self._read("H", self._root)

    def tobytes(self) -> bytes:
        """The block with its prefix."""
        return _PREFIX + bytes(self._data)

    def _read(self, kind: str, place: int) -> int:
        value: int = struct.unpack_from(self._order + kind, self._data, place)[0]
        return value

    def _write(self, kind: str, place: int, value: int) -> None:
        struct.pack_into(self._order + kind, self._data, place, value)

    def _entries(self, directory: int) -> dict[int, _Entry]:
        found = {}
        for index in range(self._read("H", directory)):
            place = directory + 2 + index * _ENTRY_BYTES
            tag, kind, count = struct.unpack_from(self._order + "HHI", self._data, place)
            found[tag] = _Entry(place, kind, count)
        return found

    def _value(self, entry: _Entry | None) -> int | None:
        """A single integer that stands in its entry."""
        if entry is None or entry.count != 1 or entry.type not in (_SHORT, _LONG):
            return None
        return self._read("H" if entry.type == _SHORT else "I", entry.place + 8)

    def make_true(self, *, turned: bool) -> None:
        """Take out orientation and thumbnail, and say what the colored photo is.

        Args:
            turned: whether height and width were exchanged.
        """
        self._drop_thumbnail()
        directories = [self._entries(self._root)]
        if (place := self._value(directories[0].get(_EXIF_IFD))) is not None:
            directories.append(self._entries(place))
        for entries in directories:
            if (color_space := entries.get(_COLOR_SPACE)) and color_space.type == _SHORT:
                self._write("H", color_space.place + 8, _SRGB)
            for across, down in _SWAPPED if turned else ():
                if across in entries and down in entries:
                    self._swap(entries[across].place, entries[down].place)
        if _ORIENTATION in directories[0]:
            self._remove(directories[0][_ORIENTATION])

    def _swap(self, one: int, other: int) -> None:
        """Exchange type, count and value of two entries."""
        first, second = slice(one + 2, one + _ENTRY_BYTES), slice(other + 2, other + _ENTRY_BYTES)
        self._data[first], self._data[second] = self._data[second], self._data[first]

    def _remove(self, entry: _Entry) -> None:
        """Take an entry out of the first directory; nothing outside the directory moves."""
        count = self._read("H", self._root)
        end = self._root + 2 + count * _ENTRY_BYTES
        following = self._data[entry.place + _ENTRY_BYTES : end + 4]
        self._data[entry.place : end + 4] = following + bytes(_ENTRY_BYTES)
        self._write("H", self._root, count - 1)

    def _drop_thumbnail(self) -> None:
        """Unlink the second directory, and take the picture that it shows out of the block."""
        link = self._root + 2 + self._read("H", self._root) * _ENTRY_BYTES
        directory = self._read("I", link) if link + 4 <= len(self._data) else 0
        if not directory:
            return
        self._write("I", link, 0)
        try:
            entries = self._entries(directory)
            start = self._value(entries.get(_THUMBNAIL_START)) or 0
            length = self._value(entries.get(_THUMBNAIL_LENGTH)) or 0
        except struct.error:
            return
        if directory < start and start + length >= len(self._data):
            del self._data[start:]
        elif start and start + length <= len(self._data):
            self._data[start : start + length] = bytes(length)
