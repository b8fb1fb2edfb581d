"""What each format has a place for of a photo's metadata, as arguments of Pillow's encoders."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from PIL import Image
from PIL.ExifTags import IFD
from PIL.PngImagePlugin import PngInfo

from colorgan import __version__
from colorgan.images.metadata import xmp
from colorgan.images.metadata.read import Metadata, encoded

_XMP_TAG, _IPTC_TAG = 700, 33723
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _INCH = 282, 283, 296, 2
_WIDTH, _HEIGHT = 256, 257  # which the encoder says itself
_MOST_SEGMENT_BYTES = 65533  # of a JPEG, with its identifier
_XMP_IDENTIFIER_BYTES = 29

_NAMES = {"exif": "EXIF data", "xmp": "XMP data", "iptc": "IPTC data", "comment": "a comment", "titles": "PNG texts"}


def described(format_name: str, metadata: Metadata, model: str | None) -> tuple[dict[str, Any], list[str]]:
    """Put what is to be said of a picture into arguments of an encoder.

    Args:
        format_name: a key of `FORMATS`.
        metadata: what its photo's file said.
        model: the name of the model that colored it, where the result is to say so.

    Returns:
        The arguments, with a TIFF's directories as `nested`, and words about what the format has no place for.
    """
    warnings: list[str] = []
    fields = {name: value for name in _NAMES if (value := getattr(metadata, name))}
    if model:
        fields["xmp"] = _marked(fields.get("xmp"), model, warnings)
    arguments, left_over = _PLACES[format_name](fields, metadata.dpi)
    too_long = [_NAMES[name] for name in left_over if name in _PLACED[format_name]]
    no_place = [_NAMES[name] for name in left_over if name not in _PLACED[format_name]]
    if too_long:
        warnings.append(f"more {' and '.join(too_long)} than a {format_name} can hold, left out")
    if no_place:
        warnings.append(f"the result is without {' and '.join(no_place)}, for which {format_name} has no place")
    return arguments, warnings


def _marked(packet: bytes | None, model: str, warnings: list[str]) -> bytes:
    software = xmp.MADE_BY + model
    try:
        return xmp.marked(packet, software, __version__)
    except ValueError:
        warnings.append("damaged XMP data, left out")
        return xmp.marked(None, software, __version__)


Fields = dict[str, Any]
Resolution = tuple[float, float] | None


def _for_jpeg(fields: Fields, dpi: Resolution) -> tuple[Fields, list[str]]:
    sizes = {name: len(value) for name, value in fields.items()}
    sizes["xmp"] = sizes.get("xmp", 0) + _XMP_IDENTIFIER_BYTES
    segment = _photoshop(fields["iptc"]) if "iptc" in fields else b""
    sizes["iptc"] = len(segment)
    fitting = {name: value for name, value in fields.items() if sizes[name] <= _MOST_SEGMENT_BYTES}
    arguments: Fields = {name: fitting[name] for name in ("exif", "xmp", "comment") if name in fitting}
    if "iptc" in fitting:
        arguments["extra"] = b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment
    left_over = [name for name in fields if name not in fitting or name == "titles"]
    return arguments | ({"dpi": dpi} if dpi else {}), left_over


def _photoshop(iptc: bytes) -> bytes:
    """IPTC records as Photoshop's resource of a JPEG's segment APP13."""
    return b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc + bytes(len(iptc) % 2)


def _for_png(fields: Fields, dpi: Resolution) -> tuple[Fields, list[str]]:
    info = PngInfo()
    if "xmp" in fields:
        info.add_itxt("XML:com.adobe.xmp", fields["xmp"].decode("utf-8", "replace"))
    if "comment" in fields:
        info.add_text("Comment", fields["comment"].decode("utf-8", "replace"))
    for title, text in fields.get("titles", {}).items():
        info.add_text(title, text)
    arguments: Fields = {"pnginfo": info} | {name: fields[name] for name in ("exif",) if name in fields}
    return arguments | ({"dpi": dpi} if dpi else {}), [name for name in fields if name == "iptc"]


def _for_container(fields: Fields, dpi: Resolution) -> tuple[Fields, list[str]]:
    """WebP and AVIF, where the resolution stands in the EXIF data."""
    arguments: Fields = {name: fields[name] for name in ("exif", "xmp") if name in fields}
    if dpi and "exif" not in fields:
        exif = Image.Exif()
        exif[_X_RESOLUTION], exif[_Y_RESOLUTION], exif[_RESOLUTION_UNIT] = *dpi, _INCH
        arguments["exif"] = exif.tobytes()
    return arguments, [name for name in fields if name not in arguments]


def _for_tiff(fields: Fields, dpi: Resolution) -> tuple[Fields, list[str]]:
    tags, nested = Image.Exif(), {}
    if "exif" in fields:
        tags.load(fields["exif"])
        nested = {int(tag): directory for tag in (IFD.Exif, IFD.GPSInfo) if (directory := tags.get_ifd(tag))}
        for tag in (_WIDTH, _HEIGHT, *nested):
            tags.pop(tag, None)
        for tag, value in list(tags.items()):
            tags[tag] = encoded(value)
    for name, tag in (("xmp", _XMP_TAG), ("iptc", _IPTC_TAG)):
        if name in fields:
            tags[tag] = fields[name]
    arguments: Fields = {"exif": tags, "nested": nested}
    if dpi and _X_RESOLUTION not in tags:
        arguments["dpi"] = dpi
    return arguments, [name for name in fields if name in ("comment", "titles")]


def _for_bmp(fields: Fields, dpi: Resolution) -> tuple[Fields, list[str]]:
    return ({"dpi": dpi} if dpi else {}), list(fields)


_PLACES: dict[str, Callable[[Fields, Resolution], tuple[Fields, list[str]]]] = {
    "JPEG": _for_jpeg,
    "PNG": _for_png,
    "WEBP": _for_container,
    "AVIF": _for_container,
    "TIFF": _for_tiff,
    "BMP": _for_bmp,
}
_PLACED = {
    "JPEG": ("exif", "xmp", "iptc", "comment"),
    "PNG": ("exif", "xmp", "comment", "titles"),
    "WEBP": ("exif", "xmp"),
    "AVIF": ("exif", "xmp"),
    "TIFF": ("exif", "xmp", "iptc"),
    "BMP": (),
}
