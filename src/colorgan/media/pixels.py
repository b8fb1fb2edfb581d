"""From Pillow's many kinds of pixels to lightness and transparency, strip by strip, turned upright on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from colorgan.errors import PhotoError
from colorgan.media.lightness import (
    L_OF_CODE,
    L_OF_GREY8,
    L_OF_GREY16,
    Lightness,
    Plane,
    codes_of_lightness,
    lightness_of_rgb,
    strips,
)

# What each mode is read as, without and with a transparent colour beside it.
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
_DEEP_GREY = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
_CODE_OF_GREY8 = codes_of_lightness(L_OF_GREY8)
_VISIBLE = 16  # levels between two channels from which on a pixel counts as coloured

# A view of an upright array in the order of the file's rows and columns, by EXIF orientation.
Turn = Callable[[NDArray[Any]], NDArray[Any]]
_UNTURNED: dict[int, Turn] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.T,
    6: lambda upright: upright[:, ::-1].T,
    7: lambda upright: upright[::-1, ::-1].T,
    8: lambda upright: upright[::-1].T,
}


def decode(image: Image.Image, orientation: int, words: list[str]) -> tuple[Lightness, Plane | None, int]:
    """Take a loaded picture's lightness.

    Args:
        image: of any mode; it is left as it is.
        orientation: EXIF's, 1..8.
        words: to which what a user should know is added.

    Returns:
        The lightness and the transparency, upright, and how many pixels are visibly not grey.

    Raises:
        PhotoError: a mode that is no picture.
    """
    if image.mode not in _READ_AS and image.mode not in _DEEP_GREY:
        raise PhotoError("a picture", f"pixels of the unknown kind {image.mode}", "Save it as RGB or grey.")
    turn = _UNTURNED[orientation]
    upright = (image.height, image.width) if orientation <= 4 else (image.width, image.height)
    alpha = np.empty(upright, np.uint8) if _has_alpha(image) else None
    alpha_in_file = None if alpha is None else turn(alpha)
    if image.mode in _DEEP_GREY:
        return _decode_deep_grey(image, np.empty(upright, np.uint16), turn, alpha_in_file, words), alpha, 0
    lightness, coloured = _decode_common(image, np.empty(upright, np.uint8), turn, alpha_in_file)
    return lightness, alpha, coloured


def _has_alpha(image: Image.Image) -> bool:
    if image.mode in _DEEP_GREY:
        return isinstance(image.info.get("transparency"), int)
    return _READ_AS[image.mode]["transparency" in image.info].endswith("A")


def _crop_rows(image: Image.Image, rows: slice) -> Image.Image:
    return image.crop((0, rows.start, image.width, rows.stop))


def _decode_common(image: Image.Image, grey: Plane, turn: Turn, alpha: Plane | None) -> tuple[Lightness, int]:
    """Fill `grey` and `alpha` from a picture of at most 8 bits a channel; give a plane of L where it has colours."""
    mode = _READ_AS[image.mode]["transparency" in image.info]
    codes: NDArray[np.uint16] | None = None
    coloured = 0
    for rows in strips(image.height, image.width):
        part = _crop_rows(image, rows)
        planes = [np.asarray(band) for band in (part if part.mode == mode else part.convert(mode)).split()]
        if alpha is not None:
            alpha[rows] = planes.pop()
        is_grey = mode != "LAB" and _is_grey(planes)
        if not is_grey and codes is None:
            codes = _CODE_OF_GREY8[grey]
        if codes is None:
            turn(grey)[rows] = planes[0]
        elif is_grey:
            turn(codes)[rows] = _CODE_OF_GREY8[planes[0]]
        elif mode == "LAB":
            turn(codes)[rows] = planes[0] * np.uint16(257)
            coloured += planes[0].size
        else:
            turn(codes)[rows] = codes_of_lightness(lightness_of_rgb(*planes))
            coloured += _count_coloured(*planes)
    return (Lightness(grey, L_OF_GREY8) if codes is None else Lightness(codes, L_OF_CODE)), coloured


def _is_grey(planes: list[Plane]) -> bool:
    return len(planes) == 1 or (np.array_equal(planes[0], planes[1]) and np.array_equal(planes[1], planes[2]))


def _count_coloured(red: Plane, green: Plane, blue: Plane) -> int:
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    return int(np.count_nonzero(spread > _VISIBLE))


def _highest(image: Image.Image) -> float:
    values = np.asarray(image)
    return float(np.max(values, initial=0, where=np.isfinite(values)))


def _white_of(image: Image.Image, words: list[str]) -> float:
    """The value that stands for white in a picture of more than 8 bits of grey."""
    if image.mode.startswith("I;16"):
        bits = getattr(image, "tag_v2", {}).get(258, (16,))[0]
        return float((1 << min(bits, 16)) - 1)
    highest = max(_highest(_crop_rows(image, rows)) for rows in strips(image.height, image.width))
    # A float picture may overshoot its white a little; integers have 16 bits unless they show more.
    scales = ((2.0, 1.0), (256.0, 255.0), (65536.0, 65535.0)) if image.mode == "F" else ((65535, 65535.0),)
    white = next((white for limit, white in scales if highest <= limit), highest)
    words.append(f"{'float' if image.mode == 'F' else '32-bit'} values, read with {white:g} as white")
    return white


def _decode_deep_grey(
    image: Image.Image, codes: NDArray[np.uint16], turn: Turn, alpha: Plane | None, words: list[str]
) -> Lightness:
    """Fill `codes` and `alpha` from 16-bit, 32-bit or float grey, which Pillow itself would clip to white."""
    scale = np.float32(65535.0 / _white_of(image, words))
    # Pillow inverts min-is-white TIFFs of 8 bits, and leaves deeper ones as they are.
    inverted = getattr(image, "tag_v2", {}).get(262) == 0
    for rows in strips(image.height, image.width):
        values = np.asarray(_crop_rows(image, rows))
        if alpha is not None:
            alpha[rows] = np.where(values == image.info["transparency"], 0, 255)
        scaled = np.nan_to_num(values.astype(np.float32) * scale, nan=0.0)
        part = np.rint(np.clip(scaled, 0.0, 65535.0)).astype(np.uint16)
        turn(codes)[rows] = 65535 - part if inverted else part
    return Lightness(codes, L_OF_GREY16)
