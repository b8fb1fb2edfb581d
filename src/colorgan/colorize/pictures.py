"""Convert what Python callers pass to `Colorizer` (paths, bytes, images, arrays), and the results to the same type."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from colorgan.errors import PhotoError, UsageError
from colorgan.images.decode import read, read_rgb
from colorgan.images.hint_files import photo_hints
from colorgan.images.hints import Hint
from colorgan.images.icc import SRGB8, SRGB16, SRGB_PROFILE
from colorgan.images.lightness import Samples
from colorgan.images.metadata.read import Metadata
from colorgan.images.photo import Photo, assemble_photo, from_image, rgb_from_image, to_image
from colorgan.images.pixels import Raster

Picture: TypeAlias = "Image.Image | str | os.PathLike[str] | bytes | BinaryIO | NDArray[Any]"

_TAKEN = (
    "a path, the bytes of a file, an open file, a PIL image, or an array of (H, W), (H, W, 1) or (H, W, 3) "
    "in uint8, uint16 or floats of 0 to 1"
)
_MOST = {8: 255, 16: 65535}


@dataclass(frozen=True, eq=False)
class LoadedPicture:
    """A caller's picture, converted to a photo.

    Attributes:
        photo: the photo.
        bit_depth: of the result, 8 or 16.
        to_output: converts the result, (H, W, 3) sRGB of that depth, to what is returned to the caller.
    """

    photo: Photo
    bit_depth: int
    to_output: Callable[[Samples], Any]


def load_picture(picture: Picture, hints: Sequence[Hint] = ()) -> LoadedPicture:
    """Load a picture of any supported type, with its hints.

    Raises:
        TypeError: another type.
        PhotoError: a file that cannot be read, with the reason; a hint outside the picture.
        UsageError: an array without pixels, or floats outside 0 to 1.
    """
    for hint in hints:
        if not isinstance(hint, Hint):
            raise TypeError(f"a hint must be a Hint(x, y, color), not {type(hint).__name__}")
    loaded = _load(picture)
    found = photo_hints(hints, (), loaded.photo.size)
    return replace(loaded, photo=replace(loaded.photo, hints=found)) if found else loaded


def _load(picture: Picture) -> LoadedPicture:
    if isinstance(picture, np.ndarray):
        return _of_array(picture)
    if isinstance(picture, Image.Image):
        return _of_photo(from_image(picture))
    source = _file(picture)
    try:
        return _of_photo(read(source))
    except PhotoError as error:
        if not isinstance(source, Path):
            raise
        found = f"{source}: {error.found}"  # the command's report adds the path itself
        raise type(error)(error.expected, found, error.advice, parameter=error.parameter) from error


def _file(picture: str | os.PathLike[str] | bytes | BinaryIO) -> Path | BinaryIO:
    """Return the path of a picture, or a seekable file open for reading.

    Raises:
        TypeError: another type.
    """
    if isinstance(picture, bytes | bytearray | memoryview):
        return io.BytesIO(picture)
    if isinstance(picture, str | os.PathLike):
        return Path(picture)
    if hasattr(picture, "read") and hasattr(picture, "seek"):
        return picture
    raise TypeError(f"a picture must be {_TAKEN}, not {type(picture).__name__}")


def color_image(picture: Picture) -> Image.Image:
    """Load a picture of any supported type as RGB; errors are those of `load_picture`."""
    if isinstance(picture, np.ndarray):
        loaded = _of_array(picture)
        deepest = _MOST[loaded.bit_depth] if picture.dtype.kind == "u" else 1.0
        return Image.fromarray(np.rint(picture * (255 / deepest)).astype(np.uint8).squeeze()).convert("RGB")
    if isinstance(picture, Image.Image):
        return rgb_from_image(picture)
    return read_rgb(_file(picture))


def _of_photo(photo: Photo) -> LoadedPicture:
    def to_output(rgb: Samples) -> Image.Image:
        image = to_image(np.asarray(rgb, np.uint8), photo.alpha)
        image.info["icc_profile"] = SRGB_PROFILE
        if photo.metadata.dpi:
            image.info["dpi"] = photo.metadata.dpi
        return image

    return LoadedPicture(photo, 8, to_output)


def _of_array(array: NDArray[Any]) -> LoadedPicture:
    is_picture = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3))
    is_float = np.issubdtype(array.dtype, np.floating)
    if not is_picture or not (is_float or array.dtype in (np.uint8, np.uint16)):
        raise TypeError(f"a picture must be {_TAKEN}, not an array of {array.shape} in {array.dtype}")
    if not array.size:
        raise UsageError("an array with pixels", f"one of {array.shape}", "Give a picture.")
    if is_float and not bool(((array >= 0) & (array <= 1)).all()):
        found = f"values from {array.min()} to {array.max()}"
        advice = "Divide them by the largest possible value; none may be negative or NaN."
        raise UsageError("floats of 0 to 1", found, advice)
    depth = 8 if array.dtype == np.uint8 else 16
    samples = np.rint(array * _MOST[16]).astype(np.uint16) if is_float else array
    photo = _photo_of(samples if samples.ndim == 3 else samples[..., None], depth)

    def to_output(rgb: Samples) -> NDArray[Any]:
        return (rgb / _MOST[16]).astype(array.dtype) if is_float else rgb

    return LoadedPicture(photo, depth, to_output)


def _photo_of(samples: NDArray[Any], depth: int) -> Photo:
    """Make a photo of (H, W, 1 or 3) sRGB samples of 8 or 16 bits."""
    height, width, channels = samples.shape

    def strip(rows: slice) -> tuple[list[Samples], None]:
        return [np.ascontiguousarray(samples[rows, :, channel]) for channel in range(channels)], None

    raster = Raster(height, width, channels, depth, has_alpha=False, strip=strip)
    return assemble_photo(raster, SRGB8 if depth == 8 else SRGB16, 1, "", Metadata(bit_depth=depth), [])
