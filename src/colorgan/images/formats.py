"""The image formats that are read and written: one table of their names, suffixes and limits."""

from __future__ import annotations

from dataclasses import dataclass

A_PHOTO = "a photo that can be read"  # what errors say was expected


@dataclass(frozen=True)
class Format:
    """Suffixes and limits of an image format.

    Attributes:
        name: Pillow's name for it.
        suffixes: of its files, lowercase, the usual one first.
        written_as: suffix of the format that its results are written in, if the format is read-only; else empty.
        most_side_px: the longest side that it can hold.
        keeps_alpha: whether it has transparency.
        lossy: whether the quality option applies.
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
    """Return the suffix of a result in the photo's own format, or of its substitute if that format is read-only."""
    name = PHOTO_SUFFIXES.get(suffix.lower())
    return (FORMATS[name].written_as if name else "") or suffix


# Magic numbers, each with its offset, of files that are found in place of photos; the first match counts.
_OTHER_KINDS: dict[str, tuple[tuple[int, bytes], ...]] = {
    "a JPEG 2000 picture": ((0, b"\0\0\0\x0cjP  \r\n\x87\n"), (0, b"\xff\x4f\xff\x51")),
    "a JPEG XL picture": ((0, b"\0\0\0\x0cJXL \r\n\x87\n"), (0, b"\xff\x0a")),
    "a JPEG XR picture": ((0, b"II\xbc\1"),),
    "a Photoshop document": ((0, b"8BPS"),),
    "a GIMP document": ((0, b"gimp xcf"),),
    "a PDF document": ((0, b"%PDF"),),
    "a PostScript document": ((0, b"%!PS"), (0, b"\xc5\xd0\xd3\xc6")),
    "a DjVu document": ((0, b"AT&TFORM"),),
    "a camera's raw photo": (
        *((4, b"ftypcrx "), (0, b"FUJIFILMCCD-RAW"), (0, b"IIRO"), (0, b"IIRS")),
        *((0, b"IIU\0"), (0, b"\0MRM"), (0, b"FOVb"), (8, b"CR\2\0")),
    ),
    "an OpenEXR picture": ((0, b"v/1\1"),),
    "a Radiance HDR picture": ((0, b"#?R"),),
    "a DDS texture": ((0, b"DDS "),),
    "a QOI picture": ((0, b"qoif"),),
    "a FLIF picture": ((0, b"FLIF"),),
    "a BPG picture": ((0, b"BPG\xfb"),),
    "an icon": ((0, b"\0\0\1\0"), (0, b"icns")),
    "a FITS picture": ((0, b"SIMPLE  ="),),
    "a DICOM picture": ((128, b"DICM"),),
    "a Windows metafile": ((0, b"\xd7\xcd\xc6\x9a"),),
    "a PBM picture": ((0, b"P1\n"), (0, b"P4\n")),
    "a PGM picture": ((0, b"P2\n"), (0, b"P5\n")),
    "a PPM picture": ((0, b"P3\n"), (0, b"P6\n")),
    "a video, or a picture of an unknown kind,": ((4, b"ftyp"),),
    "a video": ((8, b"AVI "), (0, b"\x1aE\xdf\xa3")),
    "a zip archive": ((0, b"PK\3\4"),),
    "a RAR archive": ((0, b"Rar!"),),
    "a 7-Zip archive": ((0, b"7z\xbc\xaf"),),
    "a gzip archive": ((0, b"\x1f\x8b"),),
    "a macOS metadata file": ((0, b"\0\5\x16\7"),),
    "a Git LFS pointer, not the file itself": ((0, b"version https://git-lfs"),),
}
# How to get photos out of such files.
_ADVICE = (
    (("a PDF document", "a DjVu document"), "extract its pictures first, as with `pdfimages -all`"),
    (("a zip archive", "a RAR archive", "a 7-Zip archive", "a gzip archive"), "unpack it first, and name the folder"),
    (("a camera's raw photo",), "develop it to a TIFF first, as with darktable or RawTherapee"),
    (("a video", "a video, or a picture of an unknown kind,"), "extract pictures from it first, as with ffmpeg"),
    (
        ("a JPEG 2000 picture", "a JPEG XL picture", "a Photoshop document", "a GIMP document"),
        "save it as a TIFF first",
    ),
)
_RAW_SUFFIXES = (
    *(".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".iiq", ".kdc", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf"),
    *(".raw", ".rw2", ".sr2", ".srf", ".srw", ".x3f"),
)
_TEXTS = ((b"<!doctype html", "a web page"), (b"<html", "a web page"), (b"<svg", "an SVG drawing"))


def advice_for(kind: str) -> str:
    """Return how to get photos out of a file of that kind, in the imperative; empty if unknown."""
    return next((advice for kinds, advice in _ADVICE if kind in kinds), "")


def kind_by_suffix(suffix: str) -> str:
    """Return the kind of a file that begins like a TIFF but is none by its suffix (raw photos); empty for others."""
    return "a camera's raw photo" if suffix.lower() in _RAW_SUFFIXES else ""


def kind_of(start: bytes) -> str:
    """Return what kind of file begins with these bytes (the first 256), if it is no known photo; empty if unknown."""
    text = start.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    for mark, kind in _TEXTS:
        if text.startswith(mark) or (text.startswith(b"<?xml") and mark in text):
            return kind
    for kind, marks in _OTHER_KINDS.items():
        if any(start.startswith(mark, place) for place, mark in marks):
            return kind
    return ""
