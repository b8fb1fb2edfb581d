"""A decoded photo, ready for colorizing, and its construction from a Pillow image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from colorgan.errors import PhotoError
from colorgan.images import pixels
from colorgan.images.hint_files import PhotoHints
from colorgan.images.icc import CMYK, GRAY, LAB, RGB, SRGB8, SampleColors, colors_of
from colorgan.images.lightness import (
    L_OF_CODE,
    L_OF_GRAY8,
    Lightness,
    Plane,
    Samples,
    codes_of_lightness,
    strips,
)
from colorgan.images.metadata.read import Metadata, metadata_of, orientation_in
from colorgan.images.pixels import Raster, common_raster, merged, planes_of
from colorgan.images.toning import Toning, toning_of

_SAMPLED_PX = 192  # rows and columns, about, that are sampled to tell toned photos from those in color

_SPACES = {"1": GRAY, "L": GRAY, "LA": GRAY, "La": GRAY, "CMYK": CMYK, "LAB": LAB}

# By EXIF orientation, a view of an upright array in the file's order of rows and columns.
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
_TRANSPOSED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded photo, upright, with its lightness at full size and depth.

    Attributes:
        lightness: L of each pixel.
        alpha: (H, W) uint8, or None if the photo has no transparency.
        toning: whether it was gray, toned or in color.
        format: a key of `FORMATS`, empty for a picture from memory.
        metadata: EXIF, XMP, IPTC and the like from its file.
        warnings: what a user should know about the file.
        hints: the user's color hints, each inside the photo.
    """

    lightness: Lightness
    alpha: Plane | None
    toning: Toning
    format: str
    metadata: Metadata = field(default_factory=Metadata)
    warnings: tuple[str, ...] = ()
    hints: PhotoHints | None = None

    @property
    def had_color(self) -> bool:
        """Whether it was in color, and not merely toned."""
        return self.toning is Toning.color

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        height, width = self.lightness.shape
        return width, height


def from_image(image: Image.Image, reopen: Callable[[], Image.Image] | None = None) -> Photo:
    """Convert a Pillow image of any mode, which is not changed, to a photo, turned upright by its EXIF orientation.

    Args:
        image: decoded, or open.
        reopen: opens the same picture once more, if it comes from a file and is not decoded yet.

    Raises:
        PhotoError: it has no pixels, or an unknown mode.
    """
    if not image.width or not image.height:
        raise PhotoError("a picture", "no pixels in it", "Copy it again from its source.")
    warnings: list[str] = []
    raster, colors, is_cut = _raster_of(image, reopen, warnings)
    warnings[:0] = getattr(image, "warnings", ())
    orientation, metadata = metadata_of(image, 16 if raster.depth == 16 or is_cut else 8, warnings)
    format_name = "JPEG" if image.format == "MPO" else image.format or ""
    icc = image.info.get("icc_profile")
    return assemble_photo(raster, colors, orientation, format_name, metadata, warnings, icc)


def _raster_of(
    image: Image.Image, reopen: Callable[[], Image.Image] | None, warnings: list[str]
) -> tuple[Raster, SampleColors, bool]:
    """Return the samples of a picture, their color conversion, and whether it has more bits than are read."""
    raster = pixels.color_raster(image, reopen) if reopen else None
    is_cut = raster is None and not image.mode.startswith("I") and ";16" in (pixels.raw_mode(image) or "")
    if is_cut:
        warnings.append("16 bits a channel, read as 8")
    image.load()
    if raster is None and (image.mode in pixels.DEEP_GRAY or getattr(image, "is_signed", False)):
        raster = pixels.gray_raster(image, warnings)
    colors = colors_of(image.info.get("icc_profile"), _space_of(image, raster), raster.depth if raster else 8, warnings)
    raster = raster or common_raster(image, colors.to_srgb)
    if getattr(image, "has_unnamed_channel", False):
        raster = replace(raster, has_alpha=False)
    return raster, colors, is_cut


def rgb_from_image(image: Image.Image, reopen: Callable[[], Image.Image] | None = None) -> Image.Image:
    """Convert a Pillow image to 8-bit sRGB by its profile, upright, composited on white.

    The arguments are those of `from_image`.

    Raises:
        PhotoError: an unknown mode.
    """
    raster, colors, _ = _raster_of(image, reopen, [])
    orientation = orientation_in(image)
    if colors is SRGB8 and raster.depth == 8 and not raster.has_alpha:  # Pillow's conversion is the same, and faster
        plain = image.convert("RGB")
        return plain.transpose(_TRANSPOSED[orientation]) if orientation > 1 else plain
    return rgb_from_raster(raster, colors, orientation, image.info.get("icc_profile"))


def rgb_from_raster(raster: Raster, colors: SampleColors, orientation: int, icc: bytes | None) -> Image.Image:
    """Convert decoded pixels to 8-bit sRGB, turned upright from their EXIF orientation, 1..8.

    `icc` is the embedded profile, by which 16-bit colors are still to be converted; None if they are sRGB.
    """
    turn = _UNTURNED[orientation]
    size = (raster.height, raster.width) if orientation <= 4 else (raster.width, raster.height)
    rgb = np.empty((*size, 3), np.uint8)
    is_deep = raster.depth == 16 and raster.channels == 3
    to_srgb = colors_of(icc, RGB, 8, []).to_srgb if is_deep else None
    level_of_gray = np.interp(colors.gray, L_OF_GRAY8, np.arange(256)).round().astype(np.uint8)
    for rows in strips(raster.height, raster.width):
        planes, alpha = raster.strip(rows)
        if raster.channels == 1:
            planes = [level_of_gray[planes[0]]] * 3
        elif is_deep:
            planes = [((plane.astype(np.uint32) + 128) // 257).astype(np.uint8) for plane in planes]
        if to_srgb:
            planes = [*planes_of(to_srgb(merged(planes)))]
        for channel, plane in enumerate(planes):
            turn(rgb[..., channel])[rows] = plane if alpha is None or not raster.has_alpha else _on_white(plane, alpha)
    return Image.fromarray(rgb)


def _on_white(plane: Samples, alpha: Plane) -> Plane:
    """Composite an 8-bit channel on white."""
    shown: Plane = 255 - ((255 - plane.astype(np.uint16)) * alpha + 127) // 255
    return shown.astype(np.uint8)


def _space_of(image: Image.Image, raster: Raster | None) -> str:
    """Return ICC's signature of the color space that an embedded profile has to be for."""
    if raster:
        return GRAY if raster.channels == 1 else RGB
    return _SPACES.get(image.mode, RGB)


def assemble_photo(
    raster: Raster,
    colors: SampleColors,
    orientation: int,
    format_name: str,
    metadata: Metadata,
    warnings: list[str],
    icc: bytes | None = None,
) -> Photo:
    """Build a photo of decoded pixels, turned upright from their EXIF orientation, 1..8, and of their file's metadata.

    `icc` is the embedded profile, by which the toning of 16-bit colors is judged; None if they are sRGB.
    """
    turn = _UNTURNED[orientation]
    upright = (raster.height, raster.width) if orientation <= 4 else (raster.width, raster.height)
    gray: Samples = np.empty(upright, np.uint8) if raster.depth == 8 else np.empty(upright, np.uint16)
    alpha = np.empty(upright, np.uint8) if raster.has_alpha else None
    code_of_gray = codes_of_lightness(colors.gray)
    codes: NDArray[np.uint16] | None = None
    for rows in strips(raster.height, raster.width):
        planes, transparency = raster.strip(rows)
        if alpha is not None:
            turn(alpha)[rows] = transparency
        if _is_gray(planes):
            if codes is None:
                turn(gray)[rows] = planes[0]
            else:
                turn(codes)[rows] = code_of_gray[planes[0]]
            continue
        if codes is None:  # the first strip in color: the gray rows so far become codes of lightness
            codes = code_of_gray[gray]
        turn(codes)[rows] = codes_of_lightness(colors.lightness(planes))
    if codes is None:
        return Photo(Lightness(gray, colors.gray), alpha, Toning.gray, format_name, metadata, tuple(warnings))
    toning = toning_of(_subsampled(raster, icc))
    return Photo(Lightness(codes, L_OF_CODE), alpha, toning, format_name, metadata, tuple(warnings))


def _subsampled(raster: Raster, icc: bytes | None) -> Image.Image:
    """Return every n-th pixel of a picture, as 8-bit sRGB on white; `icc` is as for `assemble_photo`."""
    step = max(1, max(raster.height, raster.width) // _SAMPLED_PX)
    sampled = []
    for row in range(0, raster.height, step):
        planes, alpha = raster.strip(slice(row, row + 1))
        few = [plane[:, ::step] for plane in planes]
        if raster.depth == 16:
            few = [(plane >> 8).astype(np.uint8) for plane in few]
        if alpha is not None and raster.has_alpha:
            few = [_on_white(plane, alpha[:, ::step]) for plane in few]
        sampled.append(np.stack(few * (3 // len(few)), -1).astype(np.uint8))
    picture = Image.fromarray(np.concatenate(sampled))
    to_srgb = colors_of(icc, RGB, 8, []).to_srgb if raster.depth == 16 else None
    return to_srgb(picture) if to_srgb else picture


def _is_gray(planes: list[Samples]) -> bool:
    return len(planes) == 1 or (np.array_equal(planes[0], planes[1]) and np.array_equal(planes[1], planes[2]))


def to_image(rgb: Plane, alpha: Plane | None = None) -> Image.Image:
    """Make a Pillow image, RGB or RGBA, of (H, W, 3) and alpha, (H, W)."""
    picture = Image.fromarray(rgb)
    if alpha is not None:
        picture.putalpha(Image.fromarray(alpha))
    return picture
