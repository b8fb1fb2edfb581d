"""Encoding a picture into a file, whole or not at all, with what is to be said about it."""

from __future__ import annotations

import errno
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from colorgan.errors import OutputError, PhotoError
from colorgan.media.files import atomic_write
from colorgan.media.formats import FORMATS
from colorgan.media.lightness import Plane
from colorgan.media.metadata import Metadata
from colorgan.media.photo import to_image

_MOST_JPEG_EXIF_BYTES = 65533

# What is wrong with one name alone; every other failure to write would meet the next photo too.
_ONE_NAME = (errno.ENAMETOOLONG, errno.EISDIR, errno.EINVAL, errno.EILSEQ)

# Further arguments of Pillow's encoders. A JPEG's colours at half resolution would bleed over the photo's own edges.
_ENCODING: dict[str, dict[str, Any]] = {"JPEG": {"subsampling": "4:4:4"}, "TIFF": {"compression": "tiff_lzw"}}
# The fields of `Metadata` that each format has a place for.
_METADATA = {"JPEG": ("exif", "dpi"), "PNG": ("exif", "dpi"), "WEBP": ("exif",), "TIFF": ("dpi",), "BMP": ("dpi",)}


@dataclass(frozen=True)
class WriteOptions:
    """How a picture is written.

    Attributes:
        quality: of lossy formats, 1..100.
        keep_metadata: whether what the photo's file said goes into the result.
    """

    quality: int = 95
    keep_metadata: bool = True


def write(
    target: Path | BinaryIO,
    format_name: str,
    rgb: Plane,
    *,
    alpha: Plane | None = None,
    metadata: Metadata | None = None,
    options: WriteOptions = WriteOptions(),
) -> tuple[str, ...]:
    """Write a picture; a file is written whole or not at all.

    Args:
        target: a path, where a file is replaced and a missing folder made, or a file that is open for writing.
        format_name: a key of `FORMATS`.
        rgb: (H, W, 3) uint8, sRGB.
        alpha: (H, W) uint8, or None.
        metadata: what to say about it, as far as the format has a place for it.
        options: how.

    Returns:
        What the format could not hold, in words.

    Raises:
        PhotoError: the picture does not fit the format, or its name the disk.
        OutputError: the place cannot be written.
    """
    kept = metadata if metadata and options.keep_metadata else Metadata()
    data, words = _encode(format_name, rgb, alpha, kept, options)
    name = target.name if isinstance(target, Path) else "the output"
    try:
        if isinstance(target, Path):
            with atomic_write(target) as file:
                file.write(data)
        else:
            target.write(data)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        if error.errno in _ONE_NAME:
            raise PhotoError("a name that can be written", f"cannot write {name}: {reason}", "Rename.") from error
        advice = "Make room there, or name another folder with --output; then give the command again."
        raise OutputError(f"writing {target if isinstance(target, Path) else name}", reason, advice) from error
    return words


def _encode(
    format_name: str, rgb: Plane, alpha: Plane | None, metadata: Metadata, how: WriteOptions
) -> tuple[memoryview, tuple[str, ...]]:
    """Encode in memory, so that a failing disk is not mistaken for a failing encoder."""
    target = FORMATS[format_name]
    if max(rgb.shape) > target.most_side_px:
        found = f"too large for {target.name}, which ends at {target.most_side_px} pixels a side"
        raise PhotoError("a picture that fits its format", found, "Name it .png or .tif.")
    words = []
    picture = to_image(rgb, alpha if target.keeps_alpha else None)
    if alpha is not None and not target.keeps_alpha and alpha.min() < 255:
        words.append(f"{target.name} has no transparency; it was dropped")
    arguments = _ENCODING.get(target.name, {}) | ({"quality": how.quality} if target.lossy else {})
    for key in _METADATA[target.name]:
        if (value := getattr(metadata, key)) is not None:
            arguments[key] = value
    if target.name == "JPEG" and len(arguments.get("exif", b"")) > _MOST_JPEG_EXIF_BYTES:
        del arguments["exif"]
        words.append("more EXIF data than a JPEG can hold, left out")
    buffer = io.BytesIO()
    picture.save(buffer, target.name, **arguments)
    return buffer.getbuffer(), tuple(words)
