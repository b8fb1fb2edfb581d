"""Readers of HEIC and AVIF photos, which may declare their color space by code points in place of a profile."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, BinaryIO

from PIL import AvifImagePlugin
from PIL.ImageFile import ImageFile

from colorgan.errors import MissingExtraError
from colorgan.images import profiles
from colorgan.images.formats import A_PHOTO
from colorgan.images.profiles import GRAY_MODES

_META_BYTES = 1 << 16
_TELEVISION = (1, 2, 5, 6)  # primaries that are sRGB's, or so near that in still pictures the difference is a mistake


def open_heif(file: BinaryIO) -> ImageFile:
    """Open a HEIC photo.

    Raises:
        MissingExtraError: pillow-heif is not installed.
    """
    return _with_code_points(heif_reader(), file)


def heif_reader() -> Any:
    """Return pillow-heif's image class; a `MissingExtraError` if the package is not installed."""
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        found = "a HEIC photo, for which pillow-heif is not installed"
        raise MissingExtraError(A_PHOTO, found, 'To read HEIC photos: pip install "colorgan[heif]"') from error
    return HeifImageFile


def open_avif(file: BinaryIO) -> ImageFile:
    """Open an AVIF photo."""
    return _with_code_points(AvifImagePlugin.AvifImageFile, file)


def _with_code_points(reader: Callable[[Any], ImageFile], file: BinaryIO) -> ImageFile:
    """Open a picture, and if it has no profile, apply the code points in its box `colr`."""
    image = reader(file)
    if image.info.get("icc_profile"):
        return image
    position = file.tell()
    file.seek(0)
    _, mark, following = file.read(_META_BYTES).partition(b"colrnclx")
    file.seek(position)
    if mark and len(following) >= 4:
        primaries, transfer = struct.unpack_from(">HH", following)
        primaries = 1 if primaries in _TELEVISION else primaries
        profiles.of_code_points(primaries, transfer, is_gray=image.mode in GRAY_MODES).apply_to(image)
    return image
