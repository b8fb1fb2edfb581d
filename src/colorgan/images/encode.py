"""Encode a picture with its metadata, and write its file atomically."""

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
from colorgan.images.metadata.write import encoder_arguments
from colorgan.images.photo import to_image
from colorgan.images.tiff import samples

# Errors of one name alone; every other failure to write would hit the next photo too.
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
        keep_metadata: whether the photo's metadata is copied into the result.
        mark: name of the model, to be recorded in the result's XMP as the one that colored it; None to record nothing.
        bit_depth: bits a channel, 8 or 16; 16 applies to TIFF only, others are written with 8.
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
        metadata: of the photo's file; fields that the format cannot hold are dropped.
        options: quality, depth and what metadata to write.

    Returns:
        The bytes of the file, and warnings about what the format could not hold.

    Raises:
        PhotoError: the picture does not fit the format.
        OutputError: 16 bits without tifffile.
        UsageError: the format is only read.
    """
    target = FORMATS[format_name]
    if target.written_as:
        advice = f"Choose another, such as {target.written_as}."
        raise UsageError("a format that can be written", f"{format_name} can only be read", advice)
    if max(rgb.shape) > target.most_side_px:
        found = f"too large for {format_name}, which allows {target.most_side_px} pixels a side"
        raise PhotoError("a picture that fits its format", found, "Name it .png or .tif.")
    warnings = _depth_warnings(format_name, metadata, options.bit_depth)
    if alpha is not None and not target.keeps_alpha:
        if alpha.min() < 255:
            warnings.append(f"{format_name} has no transparency; it was dropped")
        alpha = None
    kept = metadata if metadata and options.keep_metadata else Metadata()
    try:
        data, lost = _encoded(target, rgb, alpha, kept, options)
    except (OutputError, MemoryError):
        raise
    except Exception:  # encoders raise almost anything on damaged EXIF fields
        warnings.append("EXIF data that cannot be rewritten, left out")
        data, lost = _encoded(target, rgb, alpha, replace(kept, exif=None), options)
    return data, (*warnings, *lost)


def write_bytes(data: bytes, target: Path | BinaryIO) -> None:
    """Write the bytes of a file, whole or not at all.

    A path is replaced atomically, and its folder created; a file that is open for writing is written and flushed.

    Raises:
        PhotoError: the file system does not accept the name.
        OutputError: writing failed otherwise.
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
        elsewhere = "name another output folder, and run the same command again"
        raise OutputError.of(what, error, elsewhere, parameter="output") from error


def _depth_warnings(format_name: str, metadata: Metadata | None, bit_depth: int) -> list[str]:
    if bit_depth == 16:
        return [] if format_name == "TIFF" else [f"{format_name} has 8 bits a channel; TIFF has 16"]
    had_more = metadata is not None and metadata.bit_depth > 8
    return ["16 bits a channel, reduced to 8; `bit_depth=16` keeps them in a TIFF"] if had_more else []


def _encoded(
    target: Format, rgb: NDArray[Any], alpha: Plane | None, metadata: Metadata, how: WriteOptions
) -> tuple[bytes, list[str]]:
    """Return the bytes of a file, and warnings about metadata that the format could not hold."""
    arguments, lost = encoder_arguments(target.name, metadata, how.mark)
    buffer = io.BytesIO()
    nested = arguments.pop("nested", {})
    if how.bit_depth == 16 and target.name == "TIFF":
        samples.write(buffer, _with_depth(rgb, np.uint16), alpha, arguments)
    else:
        arguments |= _ENCODING.get(target.name, {}) | ({"quality": how.quality} if target.lossy else {})
        arguments["icc_profile"] = SRGB_PROFILE
        picture = to_image(_with_depth(rgb, np.uint8), alpha)
        if target.name == "JPEG" and (data := _jpeg_without_gil(picture, arguments)):
            return data, lost
        picture.save(buffer, target.name, **arguments)
    samples.append_directories(buffer, nested)
    return buffer.getvalue(), lost


def _jpeg_without_gil(picture: Image.Image, arguments: dict[str, Any]) -> bytes:
    """Encode a JPEG with the GIL released; return nothing if this system cannot.

    Pillow releases the GIL only when it writes to a file descriptor.
    """
    if sys.platform == "linux":
        with suppress(AttributeError, OSError), os.fdopen(os.memfd_create("colorgan"), "w+b") as file:
            picture.save(file, "JPEG", **arguments)
            file.seek(0)
            data = file.read()
            if data.endswith(_END_OF_JPEG):  # Pillow does not notice if RLIMIT_FSIZE truncated it
                return data
    return b""


def _with_depth(rgb: NDArray[Any], dtype: type[np.uint8] | type[np.uint16]) -> NDArray[Any]:
    """Convert the samples to 8 or 16 bits."""
    if rgb.dtype == dtype:
        return rgb
    if dtype == np.uint16:
        return rgb.astype(np.uint16) * np.uint16(257)
    narrow = np.empty(rgb.shape, np.uint8)
    for rows in strips(*rgb.shape[:2]):
        narrow[rows] = (rgb[rows].astype(np.uint32) + 128) // 257
    return narrow
