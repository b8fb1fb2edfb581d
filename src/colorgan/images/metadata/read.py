"""Read metadata from files of any format into `Metadata`, which can be written to any other."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from PIL.ExifTags import IFD
from PIL.ExifTags import Base as ExifTag

from colorgan.images.metadata import xmp
from colorgan.images.metadata.exif import ExifBlock
from colorgan.images.metadata.iptc import normalized

XMP_TAG, _PHOTOSHOP_IPTC = 700, 0x0404
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _INCH = 282, 283, 296, 2
_PER_INCH = {_INCH: 1.0, 3: 2.54}
# The tags of a TIFF that describe the photo; most others describe the layout of the file.
_DESCRIPTIVE = (269, 270, 271, 272, 285, 305, 306, 315, 316, 33432, 36867, 36868, *range(40091, 40096))
_PNG_TITLES = ("Title", "Author", "Description", "Copyright", "Creation Time", "Disclaimer", "Source", "Warning")
_OF_THE_PNG = ("comment", "software", "signature")  # `Metadata.comment` has the first; two are of the gray file alone


@dataclass(frozen=True)
class Metadata:
    """A photo's metadata, without what is true of the gray file alone.

    Attributes:
        exif: an EXIF block without orientation and thumbnail, or None.
        xmp: an XMP packet, or None.
        iptc: IPTC records, as in Photoshop's resource 0x0404, or None.
        comment: of a JPEG, GIF or PNG, or None.
        titles: keywords and texts of a PNG.
        dpi: horizontal and vertical resolution of the upright photo, or None.
        bit_depth: bits a channel in its file, 8 or 16.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    comment: bytes | None = None
    titles: dict[str, str] = field(default_factory=dict)
    dpi: tuple[float, float] | None = None
    bit_depth: int = 8


def metadata_of(image: Image.Image, bit_depth: int, warnings: list[str]) -> tuple[int, Metadata]:
    """Return the EXIF orientation of a decoded picture's pixels, 1..8, and its metadata; warn of damaged fields."""
    if image.format == "TIFF":  # Pillow has turned it upright in decoding
        was_turned = image.info.get("orientation") in (5, 6, 7, 8)
        return 1, of_tags(image.getexif(), image.info.get("iptc"), bit_depth, swapped=was_turned, warnings=warnings)
    orientation = orientation_in(image)
    exif = None
    try:
        exif = _normalized_exif(_bytes(image.info.get("exif")), turned=orientation > 4)
    except (ValueError, struct.error):
        warnings.append("damaged EXIF data, left out")
    packet = _normalized_xmp(packet_of(image), warnings)
    dpi = _dpi(image, swapped=orientation > 4)
    comment = _bytes(image.info.get("comment")) or _bytes(image.info.get("Comment"))
    return orientation, Metadata(exif, packet, _photoshop_iptc(image), comment, _titles(image), dpi, bit_depth)


def of_tags(tags: Image.Exif, iptc: bytes | None, bit_depth: int, *, swapped: bool, warnings: list[str]) -> Metadata:
    """Build metadata from a TIFF's tags and its IPTC records, which Pillow does not keep among the tags.

    `swapped` is whether height and width were exchanged to turn the picture upright.
    """
    exif = packet = dpi = None
    try:
        packet = _bytes(tags.get(XMP_TAG))
        dpi = _tagged_resolution(tags, swapped=swapped)
        exif = _normalized_exif(_descriptive_exif(tags), turned=swapped)
    except Exception:  # Pillow raises almost anything on damaged tags, which must not cost the photo
        warnings.append("damaged EXIF data, left out")
    records = iptc and normalized(iptc)
    return Metadata(exif, _normalized_xmp(packet, warnings), records, dpi=dpi, bit_depth=bit_depth)


def _normalized_xmp(packet: bytes | None, warnings: list[str]) -> bytes | None:
    """Strip an XMP packet of what is true of the gray file alone; None if there is none, or a damaged one."""
    if not packet:
        return None
    try:
        kept, losses = xmp.normalized(packet)
    except ValueError:
        warnings.append("damaged XMP data, left out")
        return None
    warnings.extend(f"{loss}, left out" for loss in losses)
    return kept


def orientation_of(tags: Callable[[], Image.Exif], packet: bytes | None = None) -> int:
    """Return the EXIF orientation, 1..8, by EXIF or a TIFF's tags, or else by XMP; 1 if none declares it.

    If no XMP packet is given, it is looked for among the tags.
    """
    try:
        found = tags()
        orientation = found.get(ExifTag.Orientation) or xmp.orientation_of(packet or _bytes(found.get(XMP_TAG))) or 1
    except Exception:  # damaged tags, as in `of_tags`
        return 1
    return orientation if orientation in range(1, 9) else 1


def orientation_in(image: Image.Image) -> int:
    """Return the EXIF orientation, 1..8, of a decoded picture's pixels; Pillow has turned TIFFs upright already."""
    return 1 if image.format == "TIFF" else orientation_of(image.getexif, _bytes(image.info.get("xmp")))


def _normalized_exif(data: bytes | None, *, turned: bool) -> bytes | None:
    if not data:
        return None
    block = ExifBlock(data)
    block.normalize(turned=turned)
    return None if block.is_empty else block.tobytes()


def _descriptive_exif(tags: Image.Exif) -> bytes | None:
    """Build an EXIF block from those of a TIFF's tags that describe the photo."""
    kept = Image.Exif()
    if dpi := _tagged_resolution(tags, swapped=False):
        kept[_X_RESOLUTION], kept[_Y_RESOLUTION], kept[_RESOLUTION_UNIT] = *dpi, _INCH
    for tag in _DESCRIPTIVE:
        if tag in tags:
            kept[tag] = encoded(tags[tag])
    for tag in (IFD.Exif, IFD.GPSInfo):
        if directory := tags.get_ifd(tag):
            # The interoperability directory is nested deeper, by an offset into the old file.
            kept[tag] = {key: encoded(value) for key, value in directory.items() if key != IFD.Interop}
    return kept.tobytes() if len(kept) else None


def encoded(value: Any) -> Any:
    """Restore a text tag's bytes: Pillow decodes all text as Latin-1, and writes what is not ASCII as "?"."""
    return value.encode("latin-1", "replace") if isinstance(value, str) and not value.isascii() else value


def _bytes(value: Any) -> bytes | None:
    return value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else None


def _photoshop_iptc(image: Image.Image) -> bytes | None:
    resources = image.info.get("photoshop")
    records = _bytes(resources.get(_PHOTOSHOP_IPTC)) if isinstance(resources, dict) else None
    return records and normalized(records)


def packet_of(image: Image.Image) -> bytes | None:
    """Return the XMP packet of an open picture, which may be inside its EXIF data; None if there is none."""
    try:
        return _bytes(image.info.get("xmp") or image.getexif().get(XMP_TAG))
    except Exception:  # damaged EXIF data, which was warned of
        return None


def _titles(image: Image.Image) -> dict[str, str]:
    """Return the texts of a PNG, without programs' internal ones, such as date:create and Raw profile type 8bim."""
    found = ((name, image.info.get(name)) for name in (*_PNG_TITLES, *getattr(image, "text", ())))
    return {
        name: str(text)
        for name, text in found
        if isinstance(text, str)
        and not (":" in name or name.lower() in _OF_THE_PNG or name.lower().startswith("raw profile"))
    }


def _dpi(image: Image.Image, *, swapped: bool) -> tuple[float, float] | None:
    """Return the resolution declared by the format itself, or else by EXIF."""
    if image.format == "JPEG" and image.info.get("jfif_unit") not in (1, 2):  # Pillow takes EXIF's x for x and y
        try:
            return _tagged_resolution(image.getexif(), swapped=swapped)
        except Exception:  # damaged EXIF data, which was warned of
            return None
    return _resolution(image.info.get("dpi"), swapped=swapped)


def _tagged_resolution(tags: Image.Exif, *, swapped: bool) -> tuple[float, float] | None:
    factor = _PER_INCH.get(tags.get(_RESOLUTION_UNIT, _INCH))
    return _resolution((tags.get(_X_RESOLUTION), tags.get(_Y_RESOLUTION)), swapped=swapped, factor=factor)


def _resolution(values: Any, *, swapped: bool, factor: float | None = 1.0) -> tuple[float, float] | None:
    try:
        across, down = (float(value) * (factor or 0.0) for value in values)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not (0 < across < 65536 and 0 < down < 65536):
        return None
    return (down, across) if swapped else (across, down)
