"""Convert a photo's metadata to arguments of Pillow's encoders, as far as each format can hold it."""

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
_WIDTH, _HEIGHT = 256, 257  # which the encoder sets itself
_MOST_SEGMENT_BYTES = 65533  # of a JPEG, with its identifier
_XMP_IDENTIFIER_BYTES = 29

_NAMES = {"exif": "EXIF data", "xmp": "XMP data", "iptc": "IPTC data", "comment": "a comment", "titles": "PNG texts"}


def encoder_arguments(format_name: str, metadata: Metadata, model: str | None) -> tuple[dict[str, Any], list[str]]:
    """Convert metadata to keyword arguments of Pillow's encoder.

    Args:
        format_name: a key of `FORMATS`.
        metadata: of the photo's file.
        model: name of the model that colored it, to be recorded in XMP; None to record nothing.

    Returns:
        The arguments, with a TIFF's nested directories as `nested`, and warnings about what the format cannot hold.
    """
    warnings: list[str] = []
    fields = {name: value for name in _NAMES if (value := getattr(metadata, name))}
    if model:
        fields["xmp"] = _marked(fields.get("xmp"), model, warnings)
    names, arguments_of = _PLACES[format_name]
    placed = {name: value for name, value in fields.items() if name in names}
    too_long = [name for name, value in placed.items() if format_name == "JPEG" and _is_too_long(name, value)]
    for name in too_long:
        del placed[name]
    if too_long:
        left_out = " and ".join(_NAMES[name] for name in too_long)
        warnings.append(f"more {left_out} than a {format_name} can hold, left out")
    if no_place := [_NAMES[name] for name in fields if name not in names]:
        warnings.append(f"{' and '.join(no_place)} left out, which {format_name} cannot hold")
    return arguments_of(placed, metadata.dpi), warnings


def _marked(packet: bytes | None, model: str, warnings: list[str]) -> bytes:
    software = xmp.MADE_BY + model
    try:
        return xmp.marked(packet, software, __version__)
    except ValueError:
        warnings.append("damaged XMP data, left out")
        return xmp.marked(None, software, __version__)


Fields = dict[str, Any]
Resolution = tuple[float, float] | None


def _is_too_long(name: str, value: bytes) -> bool:
    """Whether a field exceeds a segment of a JPEG."""
    size = len(_photoshop(value)) if name == "iptc" else len(value) + (_XMP_IDENTIFIER_BYTES if name == "xmp" else 0)
    return size > _MOST_SEGMENT_BYTES


def _for_jpeg(fields: Fields, dpi: Resolution) -> Fields:
    arguments = {name: value for name, value in fields.items() if name != "iptc"}
    if "iptc" in fields:
        segment = _photoshop(fields["iptc"])
        arguments["extra"] = b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment
    return arguments | _resolution(dpi)


def _photoshop(iptc: bytes) -> bytes:
    """Wrap IPTC records into the Photoshop resource of a JPEG's segment APP13."""
    return b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(iptc)) + iptc + bytes(len(iptc) % 2)


def _for_png(fields: Fields, dpi: Resolution) -> Fields:
    info = PngInfo()
    if "xmp" in fields:
        info.add_itxt("XML:com.adobe.xmp", fields["xmp"].decode("utf-8", "replace"))
    if "comment" in fields:
        info.add_text("Comment", fields["comment"].decode("utf-8", "replace"))
    for title, text in fields.get("titles", {}).items():
        info.add_text(title, text)
    exif = {"exif": fields["exif"]} if "exif" in fields else {}
    return {"pnginfo": info} | exif | _resolution(dpi)


def _for_container(fields: Fields, dpi: Resolution) -> Fields:
    """Return the arguments for WebP and AVIF, which hold the resolution in EXIF data."""
    if dpi and "exif" not in fields:
        exif = Image.Exif()
        exif[_X_RESOLUTION], exif[_Y_RESOLUTION], exif[_RESOLUTION_UNIT] = *dpi, _INCH
        return fields | {"exif": exif.tobytes()}
    return fields


def _for_tiff(fields: Fields, dpi: Resolution) -> Fields:
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
    return {"exif": tags, "nested": nested} | _resolution(None if _X_RESOLUTION in tags else dpi)


def _resolution(dpi: Resolution) -> Fields:
    return {"dpi": dpi} if dpi else {}


# By format, the fields of `Metadata` that it can hold, and the function that converts them to encoder arguments.
_PLACES: dict[str, tuple[tuple[str, ...], Callable[[Fields, Resolution], Fields]]] = {
    "JPEG": (("exif", "xmp", "iptc", "comment"), _for_jpeg),
    "PNG": (("exif", "xmp", "comment", "titles"), _for_png),
    "WEBP": (("exif", "xmp"), _for_container),
    "AVIF": (("exif", "xmp"), _for_container),
    "TIFF": (("exif", "xmp", "iptc"), _for_tiff),
    "BMP": ((), lambda fields, dpi: _resolution(dpi)),
}
