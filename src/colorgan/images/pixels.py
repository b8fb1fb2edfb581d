"""Convert Pillow's pixel modes to planes of 8- or 16-bit samples, strip by strip, without a copy of the whole."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from colorgan.errors import PhotoError
from colorgan.images.lightness import Plane, Samples, strips

# The mode that each mode of at most 8 bits a channel is converted to, without and with a transparent color key.
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
_CONVERTED_WHOLE = ("CMYK", "LAB")  # modes that their profile converts to RGB, all channels at once

Strip = tuple[list[Samples], Plane | None]


@dataclass(frozen=True, eq=False)
class Raster:
    """A decoded picture, not turned upright yet.

    Attributes:
        height: pixels.
        width: pixels.
        channels: 1 (gray) or 3 (RGB).
        depth: bits of a sample, 8 or 16.
        has_alpha: whether strips have alpha.
        strip: returns the planes of some rows, each (rows, width), and their alpha, uint8 or None.
    """

    height: int
    width: int
    channels: int
    depth: int
    has_alpha: bool
    strip: Callable[[slice], Strip]


def crop_rows(image: Image.Image, rows: slice) -> Image.Image:
    """Crop some rows of a picture."""
    return image.crop((0, rows.start, image.width, rows.stop))


def planes_of(image: Image.Image) -> list[Plane]:
    """Split a picture into its channels, each (H, W)."""
    return [np.asarray(band) for band in image.split()]


def merged(planes: Sequence[Samples]) -> Image.Image:
    """Merge red, green and blue, each (H, W) uint8, into a picture."""
    return Image.merge("RGB", [Image.fromarray(plane) for plane in planes])


def common_raster(image: Image.Image, to_srgb: Callable[[Image.Image], Image.Image] | None) -> Raster:
    """Return the samples of a decoded picture of at most 8 bits a channel, which is not changed.

    `to_srgb` converts pixels in the picture's color space to sRGB; None if they are sRGB.

    Raises:
        PhotoError: an unknown mode.
    """
    if image.mode not in _READ_AS:
        raise PhotoError("a picture", f"pixels of the unknown kind {image.mode}", "Save it as RGB or gray.")
    mode = _READ_AS[image.mode]["transparency" in image.info]

    def strip(rows: slice) -> Strip:
        part = crop_rows(image, rows)
        if to_srgb and image.mode in _CONVERTED_WHOLE:
            return [*planes_of(to_srgb(part))], None
        planes = planes_of(part if part.mode == mode else part.convert(mode))
        alpha = planes.pop() if mode.endswith("A") else None
        if to_srgb:
            planes = planes_of(to_srgb(merged(planes)))
        return [*planes], alpha

    channels = 1 if mode in ("L", "LA") else 3
    return Raster(image.height, image.width, channels, 8, mode.endswith("A"), strip)


DEEP_GRAY = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")  # modes of Pillow

# By the byte order at the end of a raw mode, by which Pillow unpacks the high byte of 16-bit samples: that for the low.
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANAR_CONFIGURATION = 258, 262, 284  # TIFF tags, and values of the last two
_MIN_IS_WHITE, _SEPARATE = 0, 2
UNNAMED_CHANNEL = "an unexplained extra channel (infrared?), left out"
_TWO_BYTES = ("RGB;16", "RGBX;16", "RGBA;16")

_MOST_OF = 0.75  # of the bits' range: a picture with values above it is taken to use the whole range
_FAINT = 1 / 16  # of the highest value: negative values down to this are noise around black


@dataclass(frozen=True)
class Scale:
    """The sample values of black and white.

    Attributes:
        black: sample value of black.
        white: sample value of white.
    """

    black: float
    white: float

    def applied(self, values: NDArray[np.generic]) -> NDArray[np.uint16]:
        """Scale values to 16-bit samples; values outside are clipped, NaN becomes black."""
        exact = np.clip(np.nan_to_num(values.astype(np.float64), nan=self.black), self.black, self.white)
        codes: NDArray[np.uint16] = np.rint((exact - self.black) * (65535.0 / (self.white - self.black))).astype(
            np.uint16
        )
        return codes


def scale_of(least: float, greatest: float, kind: str, bits: int, warnings: list[str]) -> Scale:
    """Guess the values of black and white, which the file does not state, from the least and greatest value.

    `kind` is NumPy's kind of the dtype: u, i or f. The guess is appended to the warnings.
    """
    fulls: tuple[tuple[float, float], ...]
    if kind == "f":  # floats may overshoot white a little
        name, fulls = "float", ((2.0, 1.0), (256.0, 255.0), (65536.0, 65535.0))
    else:
        name, full = f"{'signed ' if kind == 'i' else ''}{bits}-bit", 2.0 ** (bits - (kind == "i")) - 1
        if kind == "i" and least < -_FAINT * max(greatest, 1.0):  # values about zero, as of a scan less 32768
            warnings.append(f"{name} values, read with {-full - 1:g} as black and {full:g} as white")
            return Scale(-full - 1, full)
        # All bits, where the picture uses most of them; else 16 bits, unless it shows more.
        fulls = ((full, full),) if bits <= 16 or greatest > _MOST_OF * full else ((65535.0, 65535.0),)
    white = next((white for limit, white in fulls if greatest <= limit), greatest)
    warnings.append(f"{name} values, read with {white:g} as white")
    return Scale(0.0, white if white > 0 else 1.0)


def extremes(parts: Iterable[NDArray[Any]], warnings: list[str]) -> tuple[float, float]:
    """Return the lowest and highest finite values (at most and at least 0); NaN gives a warning."""
    lowest, highest, has_nan = 0.0, 0.0, False
    for values in parts:
        finite = values if values.dtype.kind in "iu" else values[np.isfinite(values)]
        has_nan |= finite.size < values.size and bool(np.isnan(values).any())
        if finite.size:
            lowest, highest = min(lowest, float(finite.min())), max(highest, float(finite.max()))
    if has_nan:
        warnings.append("values that are not numbers, read as 0")
    return lowest, highest


# Samples that Pillow returns with the wrong sign: signed 8 bits as unsigned, unsigned 32 bits as signed.
_SEEN_AS: dict[tuple[str, bool, int], type[np.generic]] = {("L", True, 8): np.int8, ("I", False, 32): np.uint32}


def _values_of(image: Image.Image, part: Image.Image) -> NDArray[Any]:
    """Return the samples of a part of a single-channel picture, with their true sign."""
    values = np.asarray(part)
    is_signed = getattr(image, "is_signed", None)  # an attribute of TIFFs alone
    kind = None if is_signed is None else _SEEN_AS.get((image.mode, is_signed, _bits_of(image, 0)))
    return values if kind is None else values.view(kind)


def _bits_of(image: Image.Image, otherwise: int) -> int:
    return int(getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (otherwise,))[0])


def _scale_of_mode(image: Image.Image, warnings: list[str]) -> Scale:
    if image.mode.startswith("I;16"):
        return Scale(0.0, float((1 << min(_bits_of(image, 16), 16)) - 1))
    parts = [crop_rows(image, rows) for rows in strips(image.height, image.width)]
    lowest, highest = extremes((_values_of(image, part) for part in parts), warnings)
    kind = "f" if image.mode == "F" else "i" if getattr(image, "is_signed", False) else "u"
    return scale_of(lowest, highest, kind, _bits_of(image, 32), warnings)


def gray_raster(image: Image.Image, warnings: list[str]) -> Raster:
    """Return the samples of decoded 16-bit, 32-bit, signed or float gray, which Pillow itself would clip to white."""
    scale = _scale_of_mode(image, warnings)
    # Pillow inverts min-is-white TIFFs of 8 bits only.
    inverted = getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _MIN_IS_WHITE
    transparent = image.info.get("transparency")

    def strip(rows: slice) -> Strip:
        values = _values_of(image, crop_rows(image, rows))
        alpha = np.where(values == transparent, 0, 255).astype(np.uint8) if has_alpha else None
        codes = values if scale.white == 65535 and values.dtype == np.uint16 else scale.applied(values)
        return [65535 - codes if inverted else codes], alpha

    has_alpha = isinstance(transparent, int)
    return Raster(image.height, image.width, 1, 16, has_alpha, strip)


def color_raster(image: Image.Image, reopen: Callable[[], Image.Image]) -> Raster | None:
    """Decode RGB or gray with alpha of 16 bits a channel; return None for other pictures.

    Pillow decodes only one byte of each sample, so the open picture is reopened for the other one.
    """
    raw = raw_mode(image)
    if getattr(image, "tag_v2", {}).get(_PLANAR_CONFIGURATION) == _SEPARATE:
        return None
    if raw == "LA;16B":  # four bytes a pixel, unpacked as if RGBA
        _unpack_with(image, "RGBA")
        image.load()
        return _of_bytes(image, None, None)
    if raw is None or raw[:-1] not in _TWO_BYTES or raw[-1] not in _OTHER_BYTE:
        return None
    image.load()
    other = reopen()
    _unpack_with(other, raw[:-1] + _OTHER_BYTE[raw[-1]])
    other.load()
    return _of_bytes(image, other, image.info.get("transparency"))


def raw_mode(image: Image.Image) -> str | None:
    """Return Pillow's raw mode of an open picture, if all its tiles have the same; else None."""
    tiles = getattr(image, "tile", ())
    raw = {tile.args if isinstance(tile.args, str) else str((tile.args or ("",))[0]) for tile in tiles}
    return raw.pop() if len(raw) == 1 else None


def _unpack_with(image: Image.Image, raw: str) -> None:
    assert isinstance(image, ImageFile.ImageFile)
    image.tile = [
        tile._replace(args=raw if isinstance(tile.args, str) else (raw, *(tile.args or ())[1:])) for tile in image.tile
    ]


def _of_bytes(high: Image.Image, low: Image.Image | None, transparent: object) -> Raster:
    """Join 16-bit samples of their bytes: gray and alpha from one RGBA picture, or RGB from high and low bytes."""
    color_key = transparent if isinstance(transparent, tuple) and len(transparent) == 3 else None

    def strip(rows: slice) -> Strip:
        upper = planes_of(crop_rows(high, rows))
        if low is None:
            return [_joined(upper[0], upper[1])], upper[2]
        lower = planes_of(crop_rows(low, rows))
        planes: list[Samples] = [_joined(*pair) for pair in zip(upper[:3], lower[:3], strict=True)]
        if color_key is None:
            return planes, upper[3] if has_alpha else None
        is_key = np.logical_and.reduce([plane == key for plane, key in zip(planes, color_key, strict=True)])
        return planes, np.where(is_key, 0, 255).astype(np.uint8)

    has_alpha = color_key is not None or high.mode == "RGBA"
    return Raster(high.height, high.width, 3 if low else 1, 16, has_alpha, strip)


def _joined(high: Plane, low: Plane) -> NDArray[np.uint16]:
    joined: NDArray[np.uint16] = high.astype(np.uint16) * np.uint16(256) + low
    return joined
