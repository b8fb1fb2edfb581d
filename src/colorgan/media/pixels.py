"""From Pillow's many kinds of pixels to planes of samples, strip by strip, without a copy of the whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from colorgan.errors import PhotoError
from colorgan.media.lightness import Plane, Samples

# What each mode of at most 8 bits a channel is read as, without and with a transparent colour beside it.
_READ_AS = {
    "1": ("L", "LA"),
    "L": ("L", "LA"),
    "LA": ("LA", "LA"),
    "La": ("LA", "LA"),
    "P": ("RGB", "RGBA"),
    "PA": ("RGBA", "RGBA"),
    "RGB": ("RGB", "RGBA"),
    "RGBX": ("RGB", "RGB"),
    "RGBA": ("RGBA", "RGBA"),
    "RGBa": ("RGBA", "RGBA"),
    "CMYK": ("RGB", "RGB"),
    "YCbCr": ("RGB", "RGB"),
    "HSV": ("RGB", "RGB"),
    "LAB": ("LAB", "LAB"),
}
_CONVERTED_WHOLE = ("CMYK", "LAB")  # kinds of pixels that only their profile turns into RGB


Strip = tuple[list[Samples], Plane | None]


@dataclass(frozen=True, eq=False)
class Raster:
    """A decoded picture as its file has it, not turned.

    Attributes:
        height: pixels.
        width: pixels.
        channels: 1 of grey, or 3 of RGB.
        depth: bits of a sample, 8 or 16.
        has_alpha: whether strips come with transparency.
        strip: gives the planes of some rows, each (rows, width), and their transparency.
    """

    height: int
    width: int
    channels: int
    depth: int
    has_alpha: bool
    strip: Callable[[slice], Strip]


def crop_rows(image: Image.Image, rows: slice) -> Image.Image:
    """Some rows of a picture."""
    return image.crop((0, rows.start, image.width, rows.stop))


def planes_of(image: Image.Image) -> list[Plane]:
    """The channels of a picture, each (H, W)."""
    return [np.asarray(band) for band in image.split()]


def common_raster(image: Image.Image, to_srgb: Callable[[Image.Image], Image.Image] | None) -> Raster:
    """Take the samples of a decoded picture of at most 8 bits a channel.

    Args:
        image: it is left as it is.
        to_srgb: gives sRGB of pixels of the picture's own kind, where they are not sRGB.

    Raises:
        PhotoError: a mode that is no picture.
    """
    if image.mode not in _READ_AS:
        raise PhotoError("a picture", f"pixels of the unknown kind {image.mode}", "Save it as RGB or grey.")
    mode = _READ_AS[image.mode]["transparency" in image.info]

    def strip(rows: slice) -> Strip:
        part = crop_rows(image, rows)
        if to_srgb and image.mode in _CONVERTED_WHOLE:
            return [*planes_of(to_srgb(part))], None
        planes = planes_of(part if part.mode == mode else part.convert(mode))
        alpha = planes.pop() if mode.endswith("A") else None
        if to_srgb:
            planes = planes_of(to_srgb(Image.merge("RGB", [Image.fromarray(plane) for plane in planes])))
        return [*planes], alpha

    channels = 1 if mode in ("L", "LA") else 3
    return Raster(image.height, image.width, channels, 8, mode.endswith("A"), strip)
