"""Open a picture in any known format: the reader is chosen by the file's first bytes."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

from PIL import BmpImagePlugin, Image, TiffImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile

from colorgan.errors import DamagedPhotoError, PhotoError
from colorgan.images.formats import A_PHOTO, advice_for, kind_of
from colorgan.images.readers.gif import GifFile
from colorgan.images.readers.heif import heif_reader, open_avif, open_heif
from colorgan.images.readers.jpeg import open_jpeg
from colorgan.images.readers.png import open_png
from colorgan.images.tiff.reader import TiffFile

_KNOWN = "a JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or HEIC picture"
_ELSEWHERE = "Open it with another program, and save it as PNG there."
MAGIC_BYTES = 256
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_PLUGIN_ERRORS = (SyntaxError, IndexError, TypeError, KeyError, struct.error)  # by which plugins reject a file
# Parts of readers' messages about undamaged files of a kind that they do not support.
_UNSUPPORTED = ("cannot handle", "not a known", "not supported", "unsupported")
_PILLOWS_COUNT = re.compile(r" \(\d+ bytes not processed\)")  # misleading: it is not what is missing

# A test of a file's first bytes, and its reader. AVIF comes before HEIF, since their files can begin alike.
_OPENERS: tuple[tuple[Callable[[bytes], bool | str], Callable[[Any], ImageFile]], ...] = (
    (lambda start: start.startswith(b"\xff\xd8\xff"), open_jpeg),
    (lambda start: start.startswith(b"\x89PNG\r\n\x1a\n"), open_png),
    (lambda start: start.startswith(b"RIFF") and start[8:12] == b"WEBP", WebPImagePlugin.WebPImageFile),
    (lambda start: start[:4] in TiffImagePlugin.PREFIXES or start[:4] in (b"II+\0", b"MM\0+"), TiffFile),
    (lambda start: start.startswith(b"BM"), BmpImagePlugin.BmpImageFile),
    (lambda start: start.startswith((b"GIF87a", b"GIF89a")), GifFile),
    (lambda start: start[4:12] in (b"ftypavif", b"ftypavis", b"ftypmif1", b"ftypmsf1"), open_avif),
    (lambda start: start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS, open_heif),
)


class UnknownTiffError(Exception):
    """A TIFF of a kind that Pillow cannot read."""


def open_image(file: BinaryIO) -> ImageFile:
    """Open a picture in one of the known formats.

    `Image.open` is not used because its limit on pixels is global to the process and lower than ours.

    Args:
        file: positioned at its start.

    Raises:
        PhotoError: it is in none of the formats, or pillow-heif is missing.
        UnknownTiffError: Pillow cannot read this kind of TIFF.
        Exception: whatever a plugin raises on damaged bytes.
    """
    start = file.read(MAGIC_BYTES)
    found: Exception | None = None
    for accepts, opener in _OPENERS:
        if not accepts(start):
            continue
        file.seek(0)
        try:
            return opener(file)
        except Image.DecompressionBombError as error:
            raise PhotoError(A_PHOTO, "too many pixels", "Make it smaller first.") from error
        except _PLUGIN_ERRORS as error:
            if opener is TiffFile:
                raise UnknownTiffError("a kind of TIFF that Pillow cannot read") from error
            found = error
    raise reason(found) if found else _unknown(start)


def check_start(start: bytes) -> None:
    """Check by its first 256 bytes (or all there are) that a file can be in a known format.

    Raises:
        PhotoError: it is of another kind, or the package that reads it is not installed.
    """
    opener = next((opener for accepts, opener in _OPENERS if accepts(start)), None)
    if opener is None:
        raise _unknown(start)
    if opener is open_heif:
        heif_reader()


def reason(error: Exception) -> PhotoError:
    """Convert a reader's error to a `PhotoError`: the file is damaged, or of an unsupported kind."""
    words = _PILLOWS_COUNT.sub("", " ".join((str(error) or type(error).__name__).split()))
    if any(each in words.lower() for each in _UNSUPPORTED):
        return PhotoError(A_PHOTO, f"of an unsupported kind ({words})", _ELSEWHERE)
    return DamagedPhotoError(A_PHOTO, f"damaged or incomplete ({words})", "Copy it again from its source.")


def _unknown(start: bytes) -> PhotoError:
    kind = kind_of(start)
    if not kind:
        return DamagedPhotoError(A_PHOTO, f"not {_KNOWN}, or damaged at its start", _ELSEWHERE)
    advice = advice_for(kind)
    return PhotoError(A_PHOTO, f"{kind}, not {_KNOWN}{advice and f'; {advice}'}", _ELSEWHERE)
