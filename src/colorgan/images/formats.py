"""The formats of pictures that are read and written: their names, suffixes and limits, in one table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """What a format can hold.

    Attributes:
        name: Pillow's name of it.
        suffixes: of its files, in small letters, the usual one first.
        written_as: the suffix of a result that is to be of a read photo's own kind, where that is not written here.
        most_side_px: the longest side that it can hold.
        keeps_alpha: whether it has transparency.
        lossy: whether a quality applies.
    """

    name: str
    suffixes: tuple[str, ...]
    written_as: str = ""
    most_side_px: int = 2**31 - 1
    keeps_alpha: bool = False
    lossy: bool = False


FORMATS = {
    row.name: row
    for row in (
        Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), most_side_px=65500, lossy=True),
        Format("PNG", (".png",), keeps_alpha=True),
        Format("WEBP", (".webp",), most_side_px=16383, keeps_alpha=True, lossy=True),
        Format("TIFF", (".tif", ".tiff"), keeps_alpha=True),
        Format("BMP", (".bmp", ".dib")),
        Format("AVIF", (".avif",), most_side_px=65536, keeps_alpha=True, lossy=True),
        Format("HEIF", (".heic", ".heif", ".hif"), written_as=".jpg"),
        Format("GIF", (".gif",), written_as=".png"),
    )
}

# Suffix to the name of the format that files with it should have.
PHOTO_SUFFIXES = {suffix: row.name for row in FORMATS.values() for suffix in row.suffixes}


def written_suffix(suffix: str) -> str:
    """The suffix of a result of a photo's own kind: its own, or that of another kind where its own is not written."""
    name = PHOTO_SUFFIXES.get(suffix.lower())
    return (FORMATS[name].written_as if name else "") or suffix
