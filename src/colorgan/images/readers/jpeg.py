"""A reader of JPEGs: color spaces that only EXIF declares, and files that lack their last bytes."""

from __future__ import annotations

import io
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import JpegImagePlugin
from PIL.ExifTags import IFD
from PIL.ImageFile import ImageFile

from colorgan.images import profiles
from colorgan.images.profiles import DeclaredColors

_END = b"\xff\xd9"
_MOST_NOISE_BYTES = 1 << 24
_MOST_MISSING = 0.01  # share of the samples that may depend on what is missing ...
_FAINT = 24  # ... by more than these levels: the last scan of a progressive JPEG, which touches all, only refines
WITHOUT_END = "its last bytes are missing; the rest was read"


def open_jpeg(file: BinaryIO) -> ImageFile:
    """Open a JPEG, with the profile of Adobe RGB if EXIF alone declares it, as cameras do (DCF 2.0)."""
    image: ImageFile = JpegImagePlugin.jpeg_factory(file)  # type: ignore[no-untyped-call, unused-ignore]
    if image.mode == "CMYK" and "adobe" not in image.info:
        DeclaredColors(warnings=("its inks are assumed inverted, as Adobe's are; it does not say",)).apply_to(image)
    if "icc_profile" not in image.info and image.mode in ("L", "RGB") and b"R03\0" in image.info.get("exif", b""):
        try:
            index = image.getexif().get_ifd(IFD.Interop).get(1)
        except Exception:  # damaged EXIF data, of which `metadata_of` warns
            return image
        if index == "R03":
            image.info["icc_profile"] = profiles.adobe_rgb(is_gray=image.mode == "L")
    return image


def completed(file: BinaryIO) -> io.BytesIO | None:
    """Append the end marker that a JPEG lacks; return None if pixels are missing too.

    The file is decoded twice: as it is, and with noise appended in place of what may be missing. If the pictures are
    alike, the file holds every pixel.
    """
    file.seek(0)
    data = file.read()
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    # No byte of the noise is 0xFF, which would begin a marker.
    noise = np.random.default_rng(0).integers(0, 255, min(len(data), _MOST_NOISE_BYTES), np.uint8).tobytes()
    try:
        plain, noisy = _pixels(data + _END), _pixels(data + noise + _END)
    except Exception:  # damaged in another way, of which the first decoding's error informs
        return None
    differs = np.abs(plain.astype(np.int16) - noisy) > _FAINT
    missing = np.count_nonzero(differs) / differs.size
    return io.BytesIO(data + _END) if missing <= _MOST_MISSING else None


def _pixels(data: bytes) -> NDArray[np.uint8]:
    with JpegImagePlugin.JpegImageFile(io.BytesIO(data)) as image:
        return np.asarray(image)
