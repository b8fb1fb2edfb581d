"""Encoding a picture with what is to be said about it, and writing its file whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from colorgan.errors import OutputError, PhotoError, UsageError, reason_of
from colorgan.files import atomic_write
from colorgan.images.formats import FORMATS, Format
from colorgan.images.icc import SRGB_PROFILE
from colorgan.images.lightness import Plane, strips
from colorgan.images.metadata.read import Metadata
from colorgan.images.metadata.write import described
from colorgan.images.photo import to_image
from colorgan.images.tiff import samples

# What is wrong with one name alone; every other failure to write would meet the next photo too.
_ONE_NAME = (errno.ENAMETOOLONG, errno.EISDIR, errno.EINVAL, errno.EILSEQ)

# Further arguments of Pillow's encoders. Colors at half resolution would bleed over the photo's own edges.
_ENCODING: dict[str, dict[str, Any]] = {
    "JPEG": {"subsampling": "4:4:4"},
    "AVIF": {"subsampling": "4:4:4", "speed": 9},  # an eighth of the usual speed's time, for 9% more bytes
    "PNG": {"compress_level": 3},  # two fifths of the usual level's time, for 9% more bytes
    "TIFF": {"compression": "tiff_lzw"},
}
_END_OF_JPEG = b"\xff\xd9"


@dataclass(frozen=True)
class WriteOptions:
    """How a picture is written.

    Attributes:
        quality: of lossy formats, 1..100.
        keep_metadata: whether what the photo's file said goes into the result.
        mark: the name of the model that colored it, where the result is to say so, or None.
        bit_depth: bits a channel, 8 or 16; 16 where the format is TIFF.
    """

    quality: int = 95
    keep_metadata: bool = True
    mark: str | None = None
    bit_depth: int = 8


def encode(
    format_name: str,
    rgb: Plane | NDArray[np.uint16],
    *,
    alpha: Plane | None = None,
    metadata: Metadata | None = None,
    options: WriteOptions = WriteOptions(),
) -> tuple[bytes, tuple[str, ...]]:
    """Encode a picture in memory.

    Args:
        format_name: a key of `FORMATS` that is written.
        rgb: (H, W, 3) uint8 or uint16, sRGB.
        alpha: (H, W) uint8, or None.
        metadata: what to say about it, as far as the format has a place for it.
        options: how.

    Returns:
        The bytes of its file, and what the format could not hold, in words.

    Raises:
        PhotoError: the picture does not fit the format.
        OutputError: 16 bits without tifffile.
        UsageError: the format is only read.
    """
    target = FORMATS[format_name]
    if target.written_as:
        advice = f"Choose another, such as {target.written_as}."
        raise UsageError("a format that is written", f"{format_name} is only read", advice)
    if max(rgb.shape) > target.most_side_px:
        found = f"too large for {format_name}, which ends at {target.most_side_px} pixels a side"
        raise PhotoError("a picture that fits its format", found, "Name it .png or .tif.")
    warnings = _words_on_depth(format_name, metadata, options.bit_depth)
    if alpha is not None and not target.keeps_alpha:
        if alpha.min() < 255:
            warnings.append(f"{format_name} has no transparency; it was dropped")
        alpha = None
    kept = metadata if metadata and options.keep_metadata else Metadata()
    try:
        data, lost = _encoded(target, rgb, alpha, kept, options)
    except (OutputError, MemoryError):
        raise
    except Exception:  # fields of damaged EXIF data, of which encoders raise whatever they like
        warnings.append("EXIF data that cannot be written anew, left out")
        data, lost = _encoded(target, rgb, alpha, replace(kept, exif=None), options)
    return data, (*warnings, *lost)


def write_bytes(data: bytes, target: Path | BinaryIO) -> None:
    """Write the bytes of a file, whole or not at all.

    A path's file is replaced, and a missing folder made; a file that is open for writing is written and flushed.

    Raises:
        PhotoError: the disk knows no such name.
        OutputError: the place cannot be written.
    """
    name = target.name if isinstance(target, Path) else "the output"
    try:
        if isinstance(target, Path):
            with atomic_write(target) as file:
                file.write(data)
        else:
            target.write(data)
            target.flush()
    except OSError as error:
        if error.errno in _ONE_NAME:
            found = f"cannot write {name}: {reason_of(error)}"
            raise PhotoError("a name that can be written", found, "Rename.") from error
        what = str(target) if isinstance(target, Path) else name
        elsewhere = "name another output folder; then do the same again"
        raise OutputError.of(what, error, elsewhere, parameter="output") from error


def _words_on_depth(format_name: str, metadata: Metadata | None, bit_depth: int) -> list[str]:
    if bit_depth == 16:
        return [] if format_name == "TIFF" else [f"{format_name} is written with 8 bits a channel; TIFF has 16"]
    had_more = metadata is not None and metadata.bit_depth > 8
    return ["16 bits a channel, written with 8; in a TIFF `bit_depth=16` keeps them"] if had_more else []


def _encoded(
    target: Format, rgb: NDArray[Any], alpha: Plane | None, metadata: Metadata, how: WriteOptions
) -> tuple[bytes, list[str]]:
    """The bytes of a file, and what of the metadata the format could not hold, in words."""
    arguments, lost = described(target.name, metadata, how.mark)
    buffer = io.BytesIO()
    nested = arguments.pop("nested", {})
    if how.bit_depth == 16 and target.name == "TIFF":
        samples.write(buffer, _with_depth(rgb, np.uint16), alpha, arguments)
    else:
        arguments |= _ENCODING.get(target.name, {}) | ({"quality": how.quality} if target.lossy else {})
        arguments["icc_profile"] = SRGB_PROFILE
        picture = to_image(_with_depth(rgb, np.uint8), alpha)
        if target.name == "JPEG" and (data := _jpeg_beside_others(picture, arguments)):
            return data, lost
        picture.save(buffer, target.name, **arguments)
    samples.append_directories(buffer, nested)
    return buffer.getvalue(), lost


def _jpeg_beside_others(picture: Image.Image, arguments: dict[str, Any]) -> bytes:
    """Encode a JPEG while other threads go on; nothing where this system cannot.

    Pillow lets go of Python's lock where what it writes into has a descriptor, and only there.
    """
    if sys.platform == "linux":
        with suppress(AttributeError, OSError), os.fdopen(os.memfd_create("colorgan"), "w+b") as file:
            picture.save(file, "JPEG", **arguments)
            file.seek(0)
            data = file.read()
            if data.endswith(_END_OF_JPEG):  # Pillow does not see that a limit of the process cut it short
                return data
    return b""


def _with_depth(rgb: NDArray[Any], dtype: type[np.uint8] | type[np.uint16]) -> NDArray[Any]:
    """The picture in samples of 8 or 16 bits."""
    if rgb.dtype == dtype:
        return rgb
    if dtype == np.uint16:
        return rgb.astype(np.uint16) * np.uint16(257)
    narrow = np.empty(rgb.shape, np.uint8)
    for rows in strips(*rgb.shape[:2]):
        narrow[rows] = (rgb[rows].astype(np.uint32) + 128) // 257
    return narrow
