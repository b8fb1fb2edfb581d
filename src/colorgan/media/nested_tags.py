"""Directories of EXIF and GPS fields in a finished TIFF: neither libtiff nor tifffile writes them."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from typing import Any

from PIL.ExifTags import IFD
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from colorgan.media.metadata import encoded

_HEADER = b"II*\0"
_ENTRY_BYTES = 12
_LONG = 4


def append(buffer: io.BytesIO, directories: Mapping[int, Mapping[int, Any]]) -> None:
    """Add directories to the first picture of a little-endian TIFF, whose own is written anew at the end of the file.

    Args:
        buffer: the file.
        directories: fields by the tag under which they hang, `IFD.Exif` or `IFD.GPSInfo`.
    """
    data = buffer.getbuffer()
    if not directories or bytes(data[:4]) != _HEADER:
        return
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    end = start + 2 + count * _ENTRY_BYTES
    entries = [bytes(data[place : place + _ENTRY_BYTES]) for place in range(start + 2, end, _ENTRY_BYTES)]
    following = bytes(data[end : end + 4])
    del data  # a buffer that is looked at cannot grow
    for tag, fields in directories.items():
        entries.append(struct.pack("<HHII", tag, _LONG, 1, _append_directory(buffer, tag, fields)))
    place = _end(buffer)
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry))
    buffer.write(struct.pack("<H", len(entries)) + b"".join(entries) + following)
    buffer.seek(4)
    buffer.write(struct.pack("<I", place))


def _append_directory(buffer: io.BytesIO, tag: int, fields: Mapping[int, Any]) -> int:
    """Write a directory behind everything else, and return its place."""
    directory = ImageFileDirectory_v2(ifh=_HEADER + bytes(4), group=tag)
    for key, value in fields.items():
        # What is deeper still (the names of interoperability rules) has no place here.
        if not isinstance(value, dict) and key != IFD.Interop:
            directory[key] = encoded(value)
    place = _end(buffer)
    buffer.write(directory.tobytes(place))
    return place


def _end(buffer: io.BytesIO) -> int:
    """The end of the file, at an even place as the format asks for."""
    if buffer.seek(0, io.SEEK_END) % 2:
        buffer.write(b"\0")
    return buffer.tell()
