"""Opening a picture of any known kind: its reader is chosen by the file's first bytes."""

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
_ELSEWHERE = "See whether another program opens it, and save it from there."
MAGIC_BYTES = 256
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_NOT_MINE = (SyntaxError, IndexError, TypeError, KeyError, struct.error)  # how plugins say so
# How readers say of a sound file that they do not know its kind.
_NOT_KNOWN = ("cannot handle", "not a known", "not supported", "unsupported")
_PILLOWS_COUNT = re.compile(r" \(\d+ bytes not processed\)")  # which says nothing of how much is lost

# The start of a file, and what opens it. HEIF stands behind AVIF, whose files can begin alike.
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
    """A TIFF, but of a kind that Pillow does not know."""


def open_image(file: BinaryIO) -> ImageFile:
    """Open a picture in one of the known formats.

    `Image.open` would do, but for its limit on pixels, which belongs to the whole process and is lower than ours.

    Args:
        file: at its start.

    Raises:
        PhotoError: it is in none of the formats, or pillow-heif is missing.
        UnknownTiffError: what it says.
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
            raise PhotoError(A_PHOTO, "more pixels than are ever read", "Make it smaller first.") from error
        except _NOT_MINE as error:
            if opener is TiffFile:
                raise UnknownTiffError("a kind of TIFF that Pillow does not know") from error
            found = error
    raise reason(found) if found else _unknown(start)


def check_start(start: bytes) -> None:
    """See whether a file can be one of the known formats by its first 256 bytes, or all there are.

    Raises:
        PhotoError: it is of another kind, or what reads it is missing.
    """
    opener = next((opener for accepts, opener in _OPENERS if accepts(start)), None)
    if opener is None:
        raise _unknown(start)
    if opener is open_heif:
        heif_reader()


def reason(error: Exception) -> PhotoError:
    """What a reader's error says of a photo: that it is damaged, or that it is of a kind which nobody here reads."""
    words = _PILLOWS_COUNT.sub("", " ".join((str(error) or type(error).__name__).split()))
    if any(each in words.lower() for each in _NOT_KNOWN):
        return PhotoError(A_PHOTO, f"of a kind that is not read ({words})", _ELSEWHERE)
    return DamagedPhotoError(A_PHOTO, f"damaged or incomplete ({words})", "Copy it again from where it came from.")


def _unknown(start: bytes) -> PhotoError:
    kind = kind_of(start)
    if not kind:
        return DamagedPhotoError(A_PHOTO, f"not {_KNOWN}, or damaged from its start", _ELSEWHERE)
    advice = advice_for(kind)
    return PhotoError(A_PHOTO, f"{kind}, not {_KNOWN}{advice and f'; {advice}'}", _ELSEWHERE)
