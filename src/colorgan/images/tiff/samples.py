"""TIFFs beyond Pillow: reading and writing by tifffile of 16-bit colors and rare samples; EXIF and GPS directories."""

from __future__ import annotations

import io
import logging
import struct
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffTags
from PIL.ExifTags import IFD
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from colorgan.errors import DamagedPhotoError, MissingExtraError, OutputError, PhotoError
from colorgan.images.icc import SRGB_PROFILE
from colorgan.images.lightness import Plane, Samples
from colorgan.images.metadata.read import encoded
from colorgan.images.pixels import UNNAMED_CHANNEL, Raster, Scale, Strip, extremes, scale_of

_DESCRIPTION, _SOFTWARE = 270, 305
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _NO_UNIT, _INCH = 282, 283, 296, 1, 2
_BYTE, _ASCII = 1, 2
_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _SEPARATE = 0, 1, 2, 2
# PhotometricInterpretation in messages (TIFF 6.0 and its supplements, DNG).
_KINDS = {
    0: "gray",
    1: "gray",
    2: "RGB",
    3: "a palette",
    4: "a mask",
    5: "CMYK",
    6: "YCbCr",
    8: "CIE Lab",
    9: "ICC Lab",
    10: "ITU Lab",
    32803: "raw camera sensor data",
    32844: "LogL",
    32845: "LogLuv",
    34892: "linear raw camera data",
    51177: "a depth map",
}
_NEEDED = (256, 257, 258, 262)  # width, height, bits, photometric: without them, tifffile would guess

_INSTALL = 'To read and write deep and rare TIFFs: pip install "colorgan[tiff]"'


def _library() -> Any:
    try:
        import tifffile
    except ImportError as error:
        found = "needs tifffile, which is not installed"
        raise MissingExtraError("a TIFF of this kind", found, _INSTALL) from error
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # our errors and warnings cover what it logs
    return tifffile


# --- writing -------------------------------------------------------------------------------------------------


def write(buffer: io.BytesIO, rgb: NDArray[np.uint16], alpha: Plane | None, arguments: dict[str, Any]) -> None:
    """Write a picture with 16 bits a channel.

    Args:
        buffer: empty, written to.
        rgb: (H, W, 3), sRGB.
        alpha: (H, W), or None.
        arguments: as for Pillow's encoder: `dpi`, and the tags as `exif`.

    Raises:
        OutputError: tifffile is not installed.
    """
    try:
        tifffile = _library()
    except PhotoError as error:  # every photo would fail alike
        raise OutputError("to write 16 bits a channel", error.found, error.advice) from error
    tags = arguments.get("exif") or Image.Exif()
    in_tags = tuple(float(tags.get(tag, 1)) for tag in (_X_RESOLUTION, _Y_RESOLUTION))
    resolution = arguments.get("dpi", in_tags)
    tifffile.imwrite(
        buffer,
        rgb if alpha is None else np.dstack([rgb, alpha.astype(np.uint16) * np.uint16(257)]),
        photometric="rgb",
        extrasamples=None if alpha is None else ["unassalpha"],
        byteorder="<",
        compression="zlib",
        predictor=True,
        iccprofile=SRGB_PROFILE,
        resolution=resolution,
        resolutionunit=_INCH if "dpi" in arguments else tags.get(_RESOLUTION_UNIT, _NO_UNIT),
        metadata=None,
        description=_text(tags, _DESCRIPTION),
        software=_text(tags, _SOFTWARE) or False,
        extratags=[extra for tag in tags if (extra := _extra_tag(tags, tag))],
    )


def _text(tags: Image.Exif, tag: int) -> bytes | None:
    value = tags.get(tag)
    return value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else None


def _extra_tag(tags: Image.Exif, tag: int) -> tuple[int, int, int, bytes, bool] | None:
    value = _text(tags, tag)
    if value is None or tag in (_DESCRIPTION, _SOFTWARE):  # which are passed as arguments of their own
        return None
    is_text = TiffTags.lookup(tag).type == _ASCII
    content = value + b"\0" if is_text else value
    return tag, _ASCII if is_text else _BYTE, len(content), content, True


# --- reading -------------------------------------------------------------------------------------------------


def read(file: BinaryIO, page_number: int, check_size: Callable[[int, int], None], warnings: list[str]) -> Raster:
    """Decode a TIFF of a kind that Pillow cannot read: deeper or separate channels of gray or RGB.

    `check_size` is called with width and height before pixels are decoded.

    Raises:
        PhotoError: tifffile is not installed, or the picture is neither gray nor RGB.
    """
    with _library().TiffFile(file) as tiff:
        page = tiff.pages[page_number]
        if not all(page.tags.get(tag) for tag in _NEEDED):
            raise DamagedPhotoError(
                "a photo", "damaged or incomplete (parts of its directory are missing)", "Copy it again."
            )
        colors = {_MIN_IS_WHITE: 1, _MIN_IS_BLACK: 1, _RGB: 3}.get(int(page.photometric))
        kind = _KINDS.get(int(page.photometric), f"an unknown one, {int(page.photometric)}")
        if not page.size or colors is None or not colors <= page.samplesperpixel <= colors + 2 or page.imagedepth != 1:
            raise PhotoError(
                "a photo",
                f"a TIFF of an unsupported kind ({kind}, {page.samplesperpixel} channels)",
                "Save it as RGB or gray.",
            )
        check_size(page.imagewidth, page.imagelength)
        values = _decoded(page)
        if values.dtype.kind == "c":
            raise PhotoError("a photo", "a TIFF of complex numbers, as of radar or a transform", "Save it as gray.")
        if page.planarconfig == _SEPARATE and page.samplesperpixel > 1:
            values = np.moveaxis(values, 0, -1)
        values = values.reshape(page.imagelength, page.imagewidth, page.samplesperpixel)
        has_alpha = page.samplesperpixel > colors and int((page.extrasamples or (0,))[0]) in (1, 2)
        if page.samplesperpixel > colors and not has_alpha:
            warnings.append(UNNAMED_CHANNEL)
        scale = _scale(values[..., :colors], page.bitspersample, warnings)
        return _raster(values, colors, scale, has_alpha, inverted=page.photometric == _MIN_IS_WHITE)


def _decoded(page: Any) -> NDArray[Any]:
    """Decode the samples of a page; a `MissingExtraError` if that needs imagecodecs, which is not installed."""
    try:
        values: NDArray[Any] = page.asarray()
    except Exception as error:
        if "imagecodecs" not in str(error):
            raise
        compression = getattr(page.compression, "name", str(page.compression))
        found = f"{page.bitspersample} bits a channel, {compression}: needs imagecodecs, which is not installed"
        raise MissingExtraError("a TIFF of this kind", found, _INSTALL) from error
    return values


def tags_at(file: BinaryIO, directory: int | None, warnings: list[str]) -> Image.Exif:
    """Read the tags of the directory at a byte offset, or of the first; a warning names those that cannot be read."""
    file.seek(0)
    tags = Image.Exif()
    if directory is None:
        tags.load_from_fp(file)
        return tags
    start = file.read(4)
    tags.endian, tags.bigtiff = "<" if start[:2] == b"II" else ">", b"+" in start[2:]
    if start == b"MM\0+":
        return _of_big_endian(file, tags, directory, warnings)
    tags.load_from_fp(file, directory)
    return tags


def _of_big_endian(file: BinaryIO, tags: Image.Exif, directory: int, warnings: list[str]) -> Image.Exif:
    """Read the tags of a big-endian BigTIFF, which Pillow takes for a 32-bit one; without EXIF and GPS directories."""
    found = ImageFileDirectory_v2(b"MM\0*" + bytes(4))
    found._bigtiff = True
    file.seek(directory)
    found.load(file)
    deeper = {IFD.Exif, IFD.GPSInfo} & set(found)
    if deeper:
        warnings.append("directories of EXIF and GPS data in a big-endian BigTIFF, left out")
    for tag in set(found) - deeper:
        value = found[tag]
        tags[tag] = value[0] if isinstance(value, tuple) and len(value) == 1 else value
    return tags


def _scale(values: NDArray[Any], bits: int, warnings: list[str]) -> Scale:
    if values.dtype.kind == "u" and bits <= 16:
        return Scale(0.0, float((1 << bits) - 1))
    return scale_of(*extremes([values], warnings), values.dtype.kind, bits, warnings)


def _raster(values: NDArray[Any], colors: int, scale: Scale, has_alpha: bool, *, inverted: bool) -> Raster:
    height, width = values.shape[:2]

    def strip(rows: slice) -> Strip:
        planes: list[Samples] = [scale.applied(values[rows, :, channel]) for channel in range(colors)]
        if inverted:
            planes = [np.uint16(65535) - plane for plane in planes]
        alpha = (scale.applied(values[rows, :, colors]) >> 8).astype(np.uint8) if has_alpha else None
        return planes, alpha

    return Raster(height, width, colors, 16, has_alpha, strip)


_HEADER = b"II*\0"
_ENTRY_BYTES = 12
_LONG = 4


def append_directories(buffer: io.BytesIO, directories: Mapping[int, Mapping[int, Any]]) -> None:
    """Add directories to the first picture of a little-endian TIFF, whose own one is rewritten at the end of the file.

    `directories` maps the tag of each, `IFD.Exif` or `IFD.GPSInfo`, to its fields.
    """
    data = buffer.getbuffer()
    if not directories or bytes(data[:4]) != _HEADER:
        return
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    end = start + 2 + count * _ENTRY_BYTES
    entries = [bytes(data[place : place + _ENTRY_BYTES]) for place in range(start + 2, end, _ENTRY_BYTES)]
    following = bytes(data[end : end + 4])
    del data  # a BytesIO with an exported buffer cannot grow
    for tag, fields in directories.items():
        entries.append(struct.pack("<HHII", tag, _LONG, 1, _append_directory(buffer, tag, fields)))
    place = _end(buffer)
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry))
    buffer.write(struct.pack("<H", len(entries)) + b"".join(entries) + following)
    buffer.seek(4)
    buffer.write(struct.pack("<I", place))


def _append_directory(buffer: io.BytesIO, tag: int, fields: Mapping[int, Any]) -> int:
    """Append a directory to the file, and return its byte offset."""
    directory = ImageFileDirectory_v2(ifh=_HEADER + bytes(4), group=tag)
    for key, value in fields.items():
        # Directories nested deeper (interoperability) are dropped.
        if not isinstance(value, dict) and key != IFD.Interop:
            directory[key] = encoded(value)
    place = _end(buffer)
    buffer.write(directory.tobytes(place))
    return place


def _end(buffer: io.BytesIO) -> int:
    """Pad the file to an even size, as the format requires of offsets, and return that."""
    if buffer.seek(0, io.SEEK_END) % 2:
        buffer.write(b"\0")
    return buffer.tell()
