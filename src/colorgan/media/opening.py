"""Telling a picture's format by its first bytes, from a fixed list, and opening it; no pixel is decoded here."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, BinaryIO

# Plugins are named, so that Pillow does not import all of its forty, of which some hand files to other programs.
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from colorgan.errors import PhotoError

A_PHOTO = "a photo that can be read"
_KNOWN = "a JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or HEIC picture"
_MAGIC_BYTES = 16
_COMPRESSION, _BITS_PER_SAMPLE, _PLANAR_CONFIGURATION, _IPTC, _ORIENTATION = 259, 258, 284, 33723, 274  # tags of a TIFF
_DECODED_ELSEWHERE = (1, 8, 32773, 32946)  # none, Deflate and PackBits, which tifffile decodes by itself
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_NOT_MINE = (SyntaxError, IndexError, TypeError, KeyError, struct.error)  # how plugins say so


class UnknownTiffError(Exception):
    """A TIFF, but of a kind that Pillow does not know."""


class _UnlimitedTiff(TiffImagePlugin.TiffImageFile):
    """A TIFF that is not held to Pillow's limit on pixels when it is decoded: it was held to ours; its IPTC is kept."""

    def _open(self) -> None:
        super()._open()
        bits, compression = self.tag_v2.get(_BITS_PER_SAMPLE, (8,)), self.tag_v2.get(_COMPRESSION, 1)
        if self.tag_v2.get(_PLANAR_CONFIGURATION) == 2 and max(bits) > 8 and compression in _DECODED_ELSEWHERE:
            raise SyntaxError("Pillow mixes up the bytes of deep channels that stand one after the other")

    def _setup(self) -> None:
        # Pillow turns the picture and forgets how it lay; of IPTC that is written as integers it would keep the first.
        self.info["orientation"] = self.tag_v2.get(_ORIENTATION)
        self.info["iptc"] = self.tag_v2._tagdata.get(_IPTC)
        super()._setup()

    def load_prepare(self) -> None:
        """Make room for the pixels."""
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        ImageFile.ImageFile.load_prepare(self)


def _heif(file: BinaryIO) -> ImageFile.ImageFile:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        found = "a HEIC photo, for which pillow-heif is not installed"
        raise PhotoError(A_PHOTO, found, "Install it: pip install 'colorgan[heif]'") from error
    image: ImageFile.ImageFile = HeifImageFile(file)  # type: ignore[no-untyped-call]
    return image


_Factory = Callable[[Any], ImageFile.ImageFile]
# The start of a file, and what opens it. HEIF stands behind AVIF, whose files can begin alike.
_OPENERS: tuple[tuple[Callable[[bytes], bool | str], _Factory], ...] = (
    (lambda start: start.startswith(b"\xff\xd8\xff"), JpegImagePlugin.jpeg_factory),
    (lambda start: start.startswith(b"\x89PNG\r\n\x1a\n"), PngImagePlugin.PngImageFile),
    (lambda start: start.startswith(b"RIFF") and start[8:12] == b"WEBP", WebPImagePlugin.WebPImageFile),
    (lambda start: start[:4] in TiffImagePlugin.PREFIXES or start[:4] in (b"II+\0", b"MM\0+"), _UnlimitedTiff),
    (lambda start: start.startswith(b"BM"), BmpImagePlugin.BmpImageFile),
    (lambda start: start.startswith((b"GIF87a", b"GIF89a")), GifImagePlugin.GifImageFile),
    (lambda start: start[4:12] in (b"ftypavif", b"ftypavis", b"ftypmif1", b"ftypmsf1"), AvifImagePlugin.AvifImageFile),
    (lambda start: start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS, _heif),
)


def opened(file: BinaryIO) -> ImageFile.ImageFile:
    """Open a picture in one of the known formats.

    `Image.open` would do, but for its limit on pixels, which belongs to the whole process and is lower than ours.

    Args:
        file: at its start.

    Raises:
        PhotoError: it is in none of the formats, or pillow-heif is missing.
        UnknownTiffError: what it says.
        Exception: whatever a plugin raises on damaged bytes.
    """
    start = file.read(_MAGIC_BYTES)
    reason = f"not {_KNOWN}, or damaged from its start"
    for accepts, factory in _OPENERS:
        if not accepts(start):
            continue
        file.seek(0)
        try:
            return factory(file)
        except Image.DecompressionBombError as error:
            raise PhotoError(A_PHOTO, "more pixels than are ever read", "Make it smaller first.") from error
        except _NOT_MINE as error:
            if factory is _UnlimitedTiff:
                raise UnknownTiffError("a kind of TIFF that Pillow does not know") from error
            reason = f"damaged or incomplete ({str(error) or type(error).__name__})"
    raise PhotoError(A_PHOTO, reason, "See whether another program opens it, and save it from there.")
