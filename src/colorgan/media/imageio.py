"""Decoding a photo to lightness, and encoding colours: what the formats know is here, what the eye sees is not.

ICC profiles are not read: every picture is taken for sRGB.
"""

from __future__ import annotations

import errno
import io
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The plugins are named so that Pillow does not import all of its forty at the first WebP or TIFF.
from PIL import (
    BmpImagePlugin,  # noqa: F401
    Image,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401
)
from PIL.ExifTags import Base as ExifTag

from colorgan.errors import OutputError, PhotoError
from colorgan.media.files import PHOTO_SUFFIXES, atomic_write

Plane = NDArray[np.uint8]

MAX_MEGAPIXELS = 500.0
_STRIP_PIXELS = 1 << 18  # a strip's working arrays stay in a core's cache
_A_PHOTO = "a JPEG, PNG, WebP, TIFF or BMP picture"


@dataclass(frozen=True)
class Metadata:
    """What a file says of its photo that is kept.

    Attributes:
        exif: an EXIF block without orientation and thumbnail, or None.
        dpi: horizontal and vertical resolution of the upright photo, or None.
    """

    exif: bytes | None = None
    dpi: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Photo:
    """One picture as the colorizer needs it: upright, and its lightness at full size and depth.

    Attributes:
        L: (H, W) float32, 0..100.
        alpha: (H, W) uint8, or None where the photo has no transparency.
        had_color: whether more than one pixel in a thousand was visibly not grey.
        format: Pillow's name of the file's format, empty for a picture from memory.
        metadata: what else the file said.
        oddities: what a user should know about the file, in words.
    """

    L: NDArray[np.float32]
    alpha: Plane | None
    had_color: bool
    format: str
    metadata: Metadata = field(default_factory=Metadata)
    oddities: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        height, width = self.L.shape
        return width, height


# --- lightness -----------------------------------------------------------------------------------------------

# The same constants as color/lab.py, which is torch's; a test holds the two together.
_Y_FROM_RGB = np.array([0.212671, 0.715160, 0.072169])


def _linear_from_srgb(srgb: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(srgb > 0.04045, ((srgb + 0.055) / 1.055) ** 2.4, srgb / 12.92)


def _lightness_of_luminance(y: NDArray[Any]) -> NDArray[Any]:
    L: NDArray[Any] = 116.0 * np.cbrt(y) - 16.0
    dark = y <= 0.008856
    L[dark] = 116.0 * 7.787 * y[dark]
    np.clip(L, 0.0, 100.0, out=L)
    return L


def _grey_table(codes: int) -> NDArray[np.float32]:
    return _lightness_of_luminance(_linear_from_srgb(np.linspace(0.0, 1.0, codes))).astype(np.float32)


_L_OF_GREY8 = _grey_table(1 << 8)
_L_OF_GREY16 = _grey_table(1 << 16)
_LUMINANCE = (_Y_FROM_RGB[:, None] * _linear_from_srgb(np.linspace(0.0, 1.0, 256))).astype(np.float32)


def _lightness_of_rgb(red: Plane, green: Plane, blue: Plane) -> tuple[NDArray[np.float32], int]:
    """L of three planes, and how many of the pixels are visibly not grey (16 levels between two channels)."""
    if np.array_equal(red, green) and np.array_equal(green, blue):
        return _L_OF_GREY8[green], 0
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    y = _LUMINANCE[0][red] + _LUMINANCE[1][green] + _LUMINANCE[2][blue]
    return _lightness_of_luminance(y), int(np.count_nonzero(spread > 16))


# --- from Pillow's modes to lightness ------------------------------------------------------------------------

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


def _strips(height: int, width: int) -> Iterator[slice]:
    rows = max(1, _STRIP_PIXELS // width)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def _crop_rows(image: Image.Image, rows: slice) -> Image.Image:
    return image.crop((0, rows.start, image.width, rows.stop))


def _decode_common(image: Image.Image, L: NDArray[np.float32], alpha: Plane | None) -> bool:
    """Fill `L` and `alpha` from a picture of at most 8 bits a channel, and tell whether it has colour."""
    mode = _READ_AS[image.mode]["transparency" in image.info]
    coloured = 0
    for rows in _strips(image.height, image.width):
        part = _crop_rows(image, rows)
        planes = [np.asarray(band) for band in (part if part.mode == mode else part.convert(mode)).split()]
        if alpha is not None:
            alpha[rows] = planes.pop()
        if mode == "LAB":
            L[rows] = planes[0] * np.float32(100 / 255)
            coloured += planes[0].size
        elif len(planes) == 1:
            L[rows] = _L_OF_GREY8[planes[0]]
        else:
            L[rows], count = _lightness_of_rgb(*planes)
            coloured += count
    return coloured * 1000 > L.size


def _highest(image: Image.Image) -> float:
    values = np.asarray(image)
    return float(np.max(values, initial=0, where=np.isfinite(values)))


def _white_of(image: Image.Image, words: list[str]) -> float:
    """The value that stands for white in a picture of more than 8 bits of grey."""
    if image.mode.startswith("I;16"):
        bits = getattr(image, "tag_v2", {}).get(258, (16,))[0]
        return float((1 << min(bits, 16)) - 1)
    highest = max(_highest(_crop_rows(image, rows)) for rows in _strips(image.height, image.width))
    # A float picture may overshoot its white a little; integers have 16 bits unless they show more.
    scales = ((2.0, 1.0), (256.0, 255.0), (65536.0, 65535.0)) if image.mode == "F" else ((65535, 65535.0),)
    white = next((white for limit, white in scales if highest <= limit), highest)
    words.append(f"{'float' if image.mode == 'F' else '32-bit'} values, read with {white:g} as white")
    return white


def _decode_deep_grey(image: Image.Image, L: NDArray[np.float32], alpha: Plane | None, words: list[str]) -> None:
    """Fill `L` and `alpha` from 16-bit, 32-bit or float grey, which Pillow itself would clip to white."""
    scale = np.float32(65535.0 / _white_of(image, words))
    # Pillow inverts min-is-white TIFFs of 8 bits, and leaves deeper ones as they are.
    inverted = getattr(image, "tag_v2", {}).get(262) == 0
    for rows in _strips(image.height, image.width):
        values = np.asarray(_crop_rows(image, rows))
        if alpha is not None:
            alpha[rows] = np.where(values == image.info["transparency"], 0, 255)
        scaled = np.nan_to_num(values.astype(np.float32) * scale, nan=0.0)
        codes = np.rint(np.clip(scaled, 0.0, 65535.0)).astype(np.uint16)
        L[rows] = _L_OF_GREY16[65535 - codes if inverted else codes]


def from_image(image: Image.Image) -> Photo:
    """Read a Pillow picture of any mode; it is turned upright as its EXIF says, and is left as it is.

    Raises:
        PhotoError: a mode that is no picture.
    """
    words: list[str] = []
    if not image.mode.startswith("I") and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())):
        words.append("16 bits a channel, read as 8")
    image.load()
    if image.mode not in _READ_AS and image.mode not in _DEEP_GREY:
        raise PhotoError(_A_PHOTO, f"pixels of the unknown kind {image.mode}", "Save it as RGB or grey.")
    if getattr(image, "is_animated", False) and image.format != "MPO":
        words.append("more than one picture inside; the first was taken")
    orientation, metadata = _metadata(image, words)
    upright = (image.height, image.width) if orientation <= 4 else (image.width, image.height)
    L = np.empty(upright, np.float32)
    alpha = np.empty(upright, np.uint8) if _has_alpha(image) else None
    in_file_order = _UNTURNED[orientation]
    planes = in_file_order(L), None if alpha is None else in_file_order(alpha)
    had_color = False
    if image.mode in _DEEP_GREY:
        _decode_deep_grey(image, *planes, words)
    else:
        had_color = _decode_common(image, *planes)
    file_format = "JPEG" if image.format == "MPO" else image.format or ""
    return Photo(L, alpha, had_color, file_format, metadata, tuple(words))


def _has_alpha(image: Image.Image) -> bool:
    if image.mode in _DEEP_GREY:
        return isinstance(image.info.get("transparency"), int)
    return _READ_AS[image.mode]["transparency" in image.info].endswith("A")


def _metadata(image: Image.Image, words: list[str]) -> tuple[int, Metadata]:
    """The orientation, 1..8, and what is kept; damaged fields are left out, with a word."""
    orientation, exif_block = 1, None
    try:
        exif = image.getexif()
        orientation = int(exif.get(ExifTag.Orientation, 1))
        # A TIFF's own tags come as EXIF too, and describe the layout of the file that they stand in.
        if "exif" in image.info:
            kept = Image.Exif()
            kept.load(image.info["exif"])
            kept.pop(ExifTag.Orientation, None)
            exif_block = kept.tobytes() if len(kept) else None
    except Exception:  # Pillow raises almost anything on damaged EXIF, and a photo is worth more than its tags
        words.append("damaged EXIF data, left out")
    orientation = orientation if orientation in _UNTURNED else 1
    return orientation, Metadata(exif_block, _dpi(image, swapped=orientation > 4))


def _dpi(image: Image.Image, *, swapped: bool) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    if not (0 < across < 65536 and 0 < down < 65536):
        return None
    return (down, across) if swapped else (across, down)


# --- reading -------------------------------------------------------------------------------------------------

_limit_lock = threading.Lock()


@contextmanager
def _own_limit() -> Iterator[list[str]]:
    """Set Pillow's limit on pixels and its warnings aside, which belong to the whole process; ours is checked instead.

    Yields:
        A list that holds Pillow's warnings as words once the block has ended.
    """
    words: list[str] = []
    with _limit_lock:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                yield words
        finally:
            Image.MAX_IMAGE_PIXELS = limit
            words.extend(dict.fromkeys(str(warning.message).strip() for warning in caught))


def _check_is_file(path: Path) -> None:
    """Refuse what cannot be a photo before it is opened: opening a fifo would wait for ever."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        found = "a link to nothing" if path.is_symlink() else "no such file"
        raise PhotoError(_A_PHOTO, found, "Check the name.") from error
    kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file (a pipe, socket or device)"
    if not stat.S_ISREG(status.st_mode):
        raise PhotoError(_A_PHOTO, kind, "Give a photo file.")
    if status.st_size == 0:
        raise PhotoError(_A_PHOTO, "the file is empty", "Copy it again from where it came from.")


def _decode(path: Path, max_megapixels: float) -> Photo:
    with path.open("rb") as file, Image.open(file, formats=tuple(_FORMATS)) as image:
        width, height = image.size
        if width * height > max_megapixels * 1e6:
            found = f"{width} x {height} pixels, more than {max_megapixels:g} megapixels"
            raise PhotoError(f"at most {max_megapixels:g} megapixels", found, "Make it smaller first.")
        return from_image(image)


def read(path: Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> Photo:
    """Read a photo file.

    Args:
        path: the file; its format is told by its content.
        max_megapixels: pictures with more are refused before their pixels are decoded.

    Raises:
        PhotoError: it cannot be read, with the reason.
    """
    try:
        _check_is_file(path)
        with _own_limit() as words:
            photo = _decode(path, max_megapixels)
    except PhotoError:
        raise
    except UnidentifiedImageError as error:
        raise PhotoError(_A_PHOTO, f"not {_A_PHOTO}, or damaged from its start", "Open it elsewhere.") from error
    except MemoryError as error:
        raise PhotoError(_A_PHOTO, "not enough memory to decode it", "Make it smaller first.") from error
    except Exception as error:  # decoders raise almost anything on damaged bytes
        if isinstance(error, OSError) and error.errno is not None:
            reason = (error.strerror or str(error)).lower()
        else:
            reason = f"damaged or incomplete ({str(error) or type(error).__name__})"
        raise PhotoError(_A_PHOTO, reason, "Copy it again from where it came from.") from error
    return _with_words(photo, path, words)


def _with_words(photo: Photo, path: Path, words: list[str]) -> Photo:
    named = PHOTO_SUFFIXES.get(path.suffix.lower(), photo.format)
    if named != photo.format:
        words = [*words, f"a {photo.format} picture in spite of its name"]
    return replace(photo, oddities=photo.oddities + tuple(words))


# --- writing -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Format:
    """How a format is written.

    Attributes:
        most_side_px: the longest side that it can hold.
        keeps_alpha: whether it has transparency.
        lossy: whether a quality applies.
        metadata: the fields of `Metadata` that it has a place for.
        options: further arguments of Pillow's encoder.
    """

    most_side_px: int
    keeps_alpha: bool
    lossy: bool
    metadata: tuple[str, ...]
    options: dict[str, Any]


_FORMATS = {
    # Colours at full resolution: halved ones would bleed over the photo's own edges.
    "JPEG": _Format(65500, False, True, ("exif", "dpi"), {"subsampling": "4:4:4"}),
    "PNG": _Format(2**31 - 1, True, False, ("exif", "dpi"), {}),
    "WEBP": _Format(16383, True, True, ("exif",), {}),
    "TIFF": _Format(2**31 - 1, True, False, ("dpi",), {"compression": "tiff_lzw"}),
    "BMP": _Format(2**31 - 1, False, False, ("dpi",), {}),
}
_MOST_JPEG_EXIF_BYTES = 65533

# What is wrong with one name alone; every other failure to write would meet the next photo too.
_ONE_NAME = (errno.ENAMETOOLONG, errno.EISDIR, errno.EINVAL, errno.EILSEQ)


def to_image(rgb: Plane, alpha: Plane | None = None) -> Image.Image:
    """Make a Pillow picture, RGB or RGBA, of (H, W, 3) and (H, W)."""
    picture = Image.fromarray(rgb)
    if alpha is not None:
        picture.putalpha(Image.fromarray(alpha))
    return picture


def write(
    path: Path, rgb: Plane, *, alpha: Plane | None = None, metadata: Metadata | None = None, quality: int = 95
) -> tuple[str, ...]:
    """Write a picture, whole or not at all, in the format that the suffix of its name says.

    Args:
        path: where to; a file there is replaced, a missing folder is made.
        rgb: (H, W, 3) uint8, sRGB.
        alpha: (H, W) uint8, or None.
        metadata: what to say about it, as far as the format has a place for it.
        quality: of JPEG and WebP, 1..100.

    Returns:
        What the format could not hold, in words.

    Raises:
        PhotoError: the picture does not fit the format, or its name the disk.
        OutputError: the place cannot be written.
    """
    data, words = _encode(PHOTO_SUFFIXES[path.suffix.lower()], rgb, alpha, metadata or Metadata(), quality)
    try:
        with atomic_write(path) as file:
            file.write(data)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        if error.errno in _ONE_NAME:
            raise PhotoError("a name that can be written", f"cannot write {path.name}: {reason}", "Rename.") from error
        advice = "Make room there, or name another folder with --output; then give the command again."
        raise OutputError(f"writing {path}", reason, advice) from error
    return words


def _encode(
    name: str, rgb: Plane, alpha: Plane | None, metadata: Metadata, quality: int
) -> tuple[memoryview, tuple[str, ...]]:
    """Encode in memory, so that a failing disk is not mistaken for a failing encoder."""
    target = _FORMATS[name]
    if max(rgb.shape) > target.most_side_px:
        found = f"too large for {name}, which ends at {target.most_side_px} pixels a side"
        raise PhotoError("a picture that fits its format", found, "Name it .png or .tif.")
    words = []
    picture = to_image(rgb, alpha if target.keeps_alpha else None)
    if alpha is not None and not target.keeps_alpha and alpha.min() < 255:
        words.append(f"{name} has no transparency; it was dropped")
    options = target.options | ({"quality": quality} if target.lossy else {})
    for key in target.metadata:
        if (value := getattr(metadata, key)) is not None:
            options[key] = value
    if name == "JPEG" and len(options.get("exif", b"")) > _MOST_JPEG_EXIF_BYTES:
        del options["exif"]
        words.append("more EXIF data than a JPEG can hold, left out")
    buffer = io.BytesIO()
    picture.save(buffer, name, **options)
    return buffer.getbuffer(), tuple(words)
