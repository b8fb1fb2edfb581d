"""A photo as it is worked on, and how it is taken from a Pillow picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from colorgan.errors import PhotoError
from colorgan.images import pixels
from colorgan.images.icc import CMYK, GREY, LAB, RGB, Colours, colours_of
from colorgan.images.lightness import (
    L_OF_CODE,
    L_OF_GREY8,
    Lightness,
    Plane,
    Samples,
    codes_of_lightness,
    lightness_of_rgb,
    strips,
)
from colorgan.images.metadata import Metadata, metadata_of, orientation_in
from colorgan.images.pixels import Raster, common_raster, planes_of

_VISIBLE = 16  # levels of 255 between two channels from which on a pixel counts as coloured

_SPACES = {"1": GREY, "L": GREY, "LA": GREY, "La": GREY, "CMYK": CMYK, "LAB": LAB}

# A view of an upright array in the order of the file's rows and columns, by EXIF orientation.
_UNTURNED: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.T,
    6: lambda upright: upright[:, ::-1].T,
    7: lambda upright: upright[::-1, ::-1].T,
    8: lambda upright: upright[::-1].T,
}


@dataclass(frozen=True, eq=False)
class Photo:
    """One picture as the colorizer needs it: upright, and its lightness at full size and depth.

    Attributes:
        lightness: of each pixel.
        alpha: (H, W) uint8, or None where the photo has no transparency.
        had_color: whether more than one pixel in a thousand was visibly not grey.
        format: a key of `FORMATS`, empty for a picture from memory.
        metadata: what else the file said.
        oddities: what a user should know about the file, in words.
    """

    lightness: Lightness
    alpha: Plane | None
    had_color: bool
    format: str
    metadata: Metadata = field(default_factory=Metadata)
    oddities: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        height, width = self.lightness.shape
        return width, height


def from_image(image: Image.Image, again: Callable[[], Image.Image] | None = None) -> Photo:
    """Read a Pillow picture of any mode; it is turned upright as its EXIF says, and is left as it is.

    Args:
        image: decoded, or open.
        again: opens the same picture once more, where it comes from a file and is not decoded yet.

    Raises:
        PhotoError: it has no pixels, or a mode that is no picture.
    """
    if not image.width or not image.height:
        raise PhotoError("a picture", "no pixels in it", "Copy it again from where it came from.")
    words: list[str] = []
    raster, colours, is_cut = _raster_of(image, again, words)
    words[:0] = getattr(image, "oddities", ())
    orientation, metadata = metadata_of(image, 16 if raster.depth == 16 or is_cut else 8, words)
    format_name = "JPEG" if image.format == "MPO" else image.format or ""
    return assembled(raster, colours, orientation, format_name, metadata, words)


def _raster_of(
    image: Image.Image, again: Callable[[], Image.Image] | None, words: list[str]
) -> tuple[Raster, Colours, bool]:
    """The samples of a picture, what they stand for, and whether it has more bits than are read."""
    raster = pixels.colour_raster(image, again) if again else None
    is_cut = raster is None and not image.mode.startswith("I") and ";16" in (pixels.raw_mode(image) or "")
    if is_cut:
        words.append("16 bits a channel, read as 8")
    image.load()
    if raster is None and (image.mode in pixels.DEEP_GREY or getattr(image, "is_signed", False)):
        raster = pixels.grey_raster(image, words)
    colours = colours_of(image.info.get("icc_profile"), _space_of(image, raster), raster.depth if raster else 8, words)
    raster = raster or common_raster(image, colours.to_srgb)
    if getattr(image, "has_unnamed_channel", False):
        raster = replace(raster, has_alpha=False)
    return raster, colours, is_cut


def rgb_from_image(image: Image.Image, again: Callable[[], Image.Image] | None = None) -> Image.Image:
    """Read a Pillow picture of any mode into 8-bit sRGB by its profile, upright; what is transparent is not kept.

    Args:
        image: decoded, or open.
        again: opens the same picture once more, where it comes from a file and is not decoded yet.

    Raises:
        PhotoError: a mode that is no picture.
    """
    raster, colours, _ = _raster_of(image, again, [])
    orientation = orientation_in(image)
    return rgb_from_raster(raster, colours, orientation, image.info.get("icc_profile"))


def rgb_from_raster(raster: Raster, colours: Colours, orientation: int, icc: bytes | None) -> Image.Image:
    """Make 8-bit sRGB, upright, of decoded pixels.

    Args:
        raster: as the file has it.
        colours: what its samples stand for.
        orientation: EXIF's, 1..8.
        icc: the embedded profile, which 16-bit colors are still to be converted by; None where they are sRGB.
    """
    turn = _UNTURNED[orientation]
    size = (raster.height, raster.width) if orientation <= 4 else (raster.width, raster.height)
    rgb = np.empty((*size, 3), np.uint8)
    is_deep = raster.depth == 16 and raster.channels == 3
    to_srgb = colours_of(icc, RGB, 8, []).to_srgb if is_deep else None
    level_of_gray = np.interp(colours.grey, L_OF_GREY8, np.arange(256)).round().astype(np.uint8)
    for rows in strips(raster.height, raster.width):
        planes, _ = raster.strip(rows)
        if raster.channels == 1:
            planes = [level_of_gray[planes[0]]] * 3
        elif is_deep:
            planes = [((plane.astype(np.uint32) + 128) // 257).astype(np.uint8) for plane in planes]
        if to_srgb:
            planes = [*planes_of(to_srgb(Image.merge("RGB", [Image.fromarray(plane) for plane in planes])))]
        for channel, plane in enumerate(planes):
            turn(rgb[..., channel])[rows] = plane
    return Image.fromarray(rgb)


def _space_of(image: Image.Image, raster: Raster | None) -> str:
    """What kind of pixels a picture's profile has to be for."""
    if raster:
        return GREY if raster.channels == 1 else RGB
    return _SPACES.get(image.mode, RGB)


def assembled(
    raster: Raster, colours: Colours, orientation: int, format_name: str, metadata: Metadata, words: list[str]
) -> Photo:
    """Make a photo of decoded pixels and what their file said.

    Args:
        raster: as the file has it.
        colours: what its samples stand for.
        orientation: EXIF's, 1..8.
        format_name: as for `Photo`.
        metadata: likewise.
        words: what a user should know so far.
    """
    turn = _UNTURNED[orientation]
    upright = (raster.height, raster.width) if orientation <= 4 else (raster.width, raster.height)
    grey: Samples = np.empty(upright, np.uint8) if raster.depth == 8 else np.empty(upright, np.uint16)
    alpha = np.empty(upright, np.uint8) if raster.has_alpha else None
    code_of_grey = codes_of_lightness(colours.grey)
    codes: NDArray[np.uint16] | None = None
    coloured = 0
    for rows in strips(raster.height, raster.width):
        planes, transparency = raster.strip(rows)
        if alpha is not None:
            turn(alpha)[rows] = transparency
        if _is_grey(planes):
            if codes is None:
                turn(grey)[rows] = planes[0]
            else:
                turn(codes)[rows] = code_of_grey[planes[0]]
            continue
        if codes is None:  # what was grey so far goes on as lightness
            codes = code_of_grey[grey]
        turn(codes)[rows] = codes_of_lightness(lightness_of_rgb(planes, colours.luminance))
        coloured += _count_coloured(planes, raster.depth)
    lightness = Lightness(grey, colours.grey) if codes is None else Lightness(codes, L_OF_CODE)
    had_color = coloured * 1000 > raster.height * raster.width
    return Photo(lightness, alpha, had_color, format_name, metadata, tuple(words))


def _is_grey(planes: list[Samples]) -> bool:
    return len(planes) == 1 or (np.array_equal(planes[0], planes[1]) and np.array_equal(planes[1], planes[2]))


def _count_coloured(planes: list[Samples], depth: int) -> int:
    red, green, blue = planes
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return int(np.count_nonzero(spread > _VISIBLE * (1 if depth == 8 else 257)))


def to_image(rgb: Plane, alpha: Plane | None = None) -> Image.Image:
    """Make a Pillow picture, RGB or RGBA, of (H, W, 3) and (H, W)."""
    picture = Image.fromarray(rgb)
    if alpha is not None:
        picture.putalpha(Image.fromarray(alpha))
    return picture
