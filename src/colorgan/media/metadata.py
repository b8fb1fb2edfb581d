"""What a file says of its photo beside the pixels."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image
from PIL.ExifTags import Base as ExifTag


@dataclass(frozen=True)
class Metadata:
    """What a file says of its photo that is kept.

    Attributes:
        exif: an EXIF block without orientation and thumbnail, or None.
        dpi: horizontal and vertical resolution of the upright photo, or None.
    """

    exif: bytes | None = None
    dpi: tuple[float, float] | None = None


def metadata_of(image: Image.Image, words: list[str]) -> tuple[int, Metadata]:
    """The orientation, 1..8, and what is kept; damaged fields are left out, with a word.

    Args:
        image: an open picture.
        words: to which what a user should know is added.
    """
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
    orientation = orientation if 1 <= orientation <= 8 else 1
    return orientation, Metadata(exif_block, _dpi(image, swapped=orientation > 4))


def _dpi(image: Image.Image, *, swapped: bool) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    if not (0 < across < 65536 and 0 < down < 65536):
        return None
    return (down, across) if swapped else (across, down)
