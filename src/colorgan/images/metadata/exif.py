"""Edit an EXIF block in place: only what no longer holds for the rotated, colored photo is changed."""

from __future__ import annotations

import struct
from dataclasses import dataclass

_PREFIX = b"Exif\0\0"
_ORIENTATION, _EXIF_IFD, _COLOR_SPACE = 0x0112, 0x8769, 0xA001
_INTEROP_IFD = 0xA005
# Resolution and sizes in pixels, horizontal and vertical: exchanged if the photo is turned by 90 degrees.
_SWAPPED = ((0x0100, 0x0101), (0x011A, 0x011B), (0xA002, 0xA003), (0xA20E, 0xA20F))
# Tags that describe the gray pixels or their file, by directory (Exif 3.0, 4.6; TIFF 6.0).
_OF_THE_FILE = {
    "root": frozenset(
        (
            *(0x00FE, 0x00FF),  # kind of picture
            *(0x0102, 0x0103, 0x0106, 0x0107, 0x0108, 0x0109, 0x010A),  # bits, compression, photometric, halftones
            *(0x0111, 0x0115, 0x0116, 0x0117, 0x0118, 0x0119, 0x011C),  # strips, samples a pixel, extremes, planes
            *(0x0120, 0x0121, 0x0122, 0x0123, 0x0124, 0x0125),  # free space, gray response, fax options
            *(0x012D, 0x013D, 0x013E, 0x013F, 0x0140, 0x0141),  # transfer, predictor, white, primaries, palette
            *(0x0142, 0x0143, 0x0144, 0x0145, 0x014A, 0x014C, 0x014E),  # tiles, sub-directories, inks
            *(0x0150, 0x0151, 0x0152, 0x0153, 0x0154, 0x0155, 0x015B),  # extra samples, sample format, JPEG tables
            *(0x0200, 0x0201, 0x0202, 0x0203, 0x0205, 0x0206, 0x0207, 0x0208, 0x0209),  # old JPEG, thumbnail
            *(0x0211, 0x0212, 0x0213, 0x0214),  # YCbCr
            *(0x8773, 0x8649),  # the profile, Photoshop's resources with their preview
            *(0x02BC, 0x83BB),  # XMP and IPTC, which `Metadata` holds separately
            _ORIENTATION,
        )
    ),
    "exif": frozenset((0x9101, 0x9102, 0xA20C, 0xA500)),  # components, bits a pixel, spatial response, gamma
}
_SAYS_ADOBE_RGB = b"R03"  # index of the interoperability directory (DCF 2.0)
_THUMBNAIL_START, _THUMBNAIL_LENGTH = 0x0201, 0x0202
_SHORT, _LONG, _SRGB = 3, 4, 1
_ENTRY_BYTES = 12


@dataclass(frozen=True)
class _Entry:
    place: int
    type: int
    count: int


class ExifBlock:
    """An EXIF block that is edited in place, so that everything else stays valid, offsets in maker notes included.

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
        """Return the block with its prefix."""
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
        """Return the value of an entry that holds a single integer; else None."""
        if entry is None or entry.count != 1 or entry.type not in (_SHORT, _LONG):
            return None
        return self._read("H" if entry.type == _SHORT else "I", entry.place + 8)

    def normalize(self, *, turned: bool) -> None:
        """Remove what is true of the gray file alone, set sRGB; swap sizes if the photo was turned by 90 degrees."""
        self._drop_thumbnail()
        places = {"root": self._root}
        if (place := self._value(self._entries(self._root).get(_EXIF_IFD))) is not None:
            places["exif"] = place
        for name, place in places.items():
            entries = self._entries(place)
            if (color_space := entries.get(_COLOR_SPACE)) and color_space.type == _SHORT:
                self._write("H", color_space.place + 8, _SRGB)
            for across, down in _SWAPPED if turned else ():
                if across in entries and down in entries:
                    self._swap(entries[across].place, entries[down].place)
            self._remove(place, _OF_THE_FILE[name] | self._wrong_interoperability(entries))

    def _wrong_interoperability(self, entries: dict[int, _Entry]) -> frozenset[int]:
        """Return the tag of the interoperability directory, if that is missing or declares Adobe RGB; else nothing."""
        place = self._value(entries.get(_INTEROP_IFD))
        if place is None:
            return frozenset()
        try:
            index = self._entries(place).get(1)
        except struct.error:  # a link to nowhere
            return frozenset((_INTEROP_IFD,))
        is_wrong = index is not None and self._data[index.place + 8 :].startswith(_SAYS_ADOBE_RGB)
        return frozenset((_INTEROP_IFD,)) if is_wrong else frozenset()

    def _swap(self, one: int, other: int) -> None:
        """Exchange type, count and value of two entries."""
        first, second = slice(one + 2, one + _ENTRY_BYTES), slice(other + 2, other + _ENTRY_BYTES)
        self._data[first], self._data[second] = self._data[second], self._data[first]

    def _remove(self, directory: int, tags: frozenset[int]) -> None:
        """Remove entries from a directory; nothing outside the directory moves."""
        count = self._read("H", directory)
        start, end = directory + 2, directory + 2 + count * _ENTRY_BYTES
        places = range(start, end, _ENTRY_BYTES)
        kept = [self._data[place : place + _ENTRY_BYTES] for place in places if self._read("H", place) not in tags]
        entries = b"".join(kept) + self._data[end : end + 4]
        self._data[start : end + 4] = entries.ljust(len(self._data[start : end + 4]), b"\0")
        self._write("H", directory, len(kept))

    def _drop_thumbnail(self) -> None:
        """Unlink the second directory, and remove or zero the thumbnail to which it points."""
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
