"""Reading a photo file of any kind: told by its first bytes, checked and measured, and only then decoded."""

from __future__ import annotations

import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from colorgan.errors import PhotoError
from colorgan.images import tiff
from colorgan.images.formats import PHOTO_SUFFIXES
from colorgan.images.icc import GRAY, RGB, SampleColors, colors_of
from colorgan.images.metadata import of_tags, orientation_of
from colorgan.images.photo import Photo, assembled, from_image, rgb_from_image, rgb_from_raster
from colorgan.images.pixels import Raster

A_PHOTO = "a photo that can be read"
_KNOWN = "a JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or HEIC picture"
_MAGIC_BYTES = 16
_COMPRESSION, _BITS_PER_SAMPLE, _PLANAR_CONFIGURATION, _IPTC, _ORIENTATION = 259, 258, 284, 33723, 274  # tags of a TIFF
_DECODED_ELSEWHERE = (1, 8, 32773, 32946)  # none, Deflate and PackBits, which tifffile decodes by itself
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_NOT_MINE = (SyntaxError, IndexError, TypeError, KeyError, struct.error)  # how plugins say so


class UnknownTiffError(Exception):
    """A TIFF, but of a kind that Pillow does not know."""


class _UnlimitedTiff(TiffImagePlugin.TiffImageFile):
    """A TIFF that is not held to Pillow's limit on pixels when it is decoded: it was held to ours; its IPTC is kept."""

    def _open(self) -> None:
        super()._open()
        bits, compression = self.tag_v2.get(_BITS_PER_SAMPLE, (8,)), self.tag_v2.get(_COMPRESSION, 1)
        if self.tag_v2.get(_PLANAR_CONFIGURATION) == 2 and max(bits) > 8 and compression in _DECODED_ELSEWHERE:
            raise SyntaxError("Pillow mixes up the bytes of deep channels that stand one after the other")

    def _setup(self) -> None:
        # Pillow turns the picture and forgets how it lay; of IPTC that is written as integers it would keep the first.
        self.info["orientation"] = self.tag_v2.get(_ORIENTATION)
        self.info["iptc"] = self.tag_v2._tagdata.get(_IPTC)
        super()._setup()

    def load_prepare(self) -> None:
        """Make room for the pixels."""
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        ImageFile.ImageFile.load_prepare(self)


def _heif(file: BinaryIO) -> ImageFile.ImageFile:
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        found = "a HEIC photo, for which pillow-heif is not installed"
        raise PhotoError(A_PHOTO, found, "Install it: pip install 'colorgan[heif]'") from error
    image: ImageFile.ImageFile = HeifImageFile(file)  # type: ignore[no-untyped-call]
    return image


_Factory = Callable[[Any], ImageFile.ImageFile]
# The start of a file, and what opens it. HEIF stands behind AVIF, whose files can begin alike.
_OPENERS: tuple[tuple[Callable[[bytes], bool | str], _Factory], ...] = (
    (lambda start: start.startswith(b"\xff\xd8\xff"), JpegImagePlugin.jpeg_factory),
    (lambda start: start.startswith(b"\x89PNG\r\n\x1a\n"), PngImagePlugin.PngImageFile),
    (lambda start: start.startswith(b"RIFF") and start[8:12] == b"WEBP", WebPImagePlugin.WebPImageFile),
    (lambda start: start[:4] in TiffImagePlugin.PREFIXES or start[:4] in (b"II+\0", b"MM\0+"), _UnlimitedTiff),
    (lambda start: start.startswith(b"BM"), BmpImagePlugin.BmpImageFile),
    (lambda start: start.startswith((b"GIF87a", b"GIF89a")), GifImagePlugin.GifImageFile),
    (lambda start: start[4:12] in (b"ftypavif", b"ftypavis", b"ftypmif1", b"ftypmsf1"), AvifImagePlugin.AvifImageFile),
    (lambda start: start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS, _heif),
)


def open_image(file: BinaryIO) -> ImageFile.ImageFile:
    """Open a picture in one of the known formats.

    `Image.open` would do, but for its limit on pixels, which belongs to the whole process and is lower than ours.

    Args:
        file: at its start.

    Raises:
        PhotoError: it is in none of the formats, or pillow-heif is missing.
        UnknownTiffError: what it says.
        Exception: whatever a plugin raises on damaged bytes.
    """
    start = file.read(_MAGIC_BYTES)
    reason = f"not {_KNOWN}, or damaged from its start"
    for accepts, factory in _OPENERS:
        if not accepts(start):
            continue
        file.seek(0)
        try:
            return factory(file)
        except Image.DecompressionBombError as error:
            raise PhotoError(A_PHOTO, "more pixels than are ever read", "Make it smaller first.") from error
        except _NOT_MINE as error:
            if factory is _UnlimitedTiff:
                raise UnknownTiffError("a kind of TIFF that Pillow does not know") from error
            reason = f"damaged or incomplete ({str(error) or type(error).__name__})"
    raise PhotoError(A_PHOTO, reason, "See whether another program opens it, and save it from there.")


MAX_MEGAPIXELS = 500.0
_ICC_TAG = 34675


@dataclass(frozen=True)
class ReadOptions:
    """How a photo is read.

    Attributes:
        max_megapixels: pictures with more are refused before their pixels are decoded.
        page: which picture of the file, from 0.
        every_page: whether each picture of the file is read by itself: the others are then not left out.
    """

    max_megapixels: float = MAX_MEGAPIXELS
    page: int = 0
    every_page: bool = False


def read(source: Path | BinaryIO, options: ReadOptions = ReadOptions()) -> Photo:
    """Read a photo.

    Args:
        source: a file's path, or a file that is open for reading and seeking; its format is told by its content.
        options: what to accept.

    Raises:
        PhotoError: it cannot be read, with the reason.
    """
    with _reasons(), _open_file(source) as file:
        photo = _decode(file, options)
        return _name_checked(photo, source) if isinstance(source, Path) else photo


def read_rgb(
    source: Path | BinaryIO, options: ReadOptions = ReadOptions(), *, short_side_px: int | None = None
) -> Image.Image:
    """Read a photo as 8-bit sRGB, upright: its profile and its 16 bits are honored, transparency is not.

    Args:
        source: as for `read`.
        options: what to accept.
        short_side_px: the size to which the caller reduces it, where a JPEG may be decoded at a fraction that is still
            at least twice as large.

    Raises:
        PhotoError: it cannot be read, with the reason.
    """
    with _reasons(), _open_file(source) as file:
        try:
            with _page(file, options.page) as image:
                _check_size(options.max_megapixels, *image.size)
                short_side = min(image.size)
                if short_side_px and short_side >= 4 * short_side_px:
                    # Lets libjpeg decode at a half, a quarter or an eighth, never below twice the size that is wanted.
                    scale = 2 * short_side_px
                    image.draft(None, (scale * image.width // short_side, scale * image.height // short_side))
                return rgb_from_image(image, partial(_page, file, options.page))
        except UnknownTiffError:
            raster, colors, tags = _unknown_tiff(file, options, [])
            return rgb_from_raster(raster, colors, orientation_of(lambda: tags), tags.get(_ICC_TAG))


def count_pages(source: Path | BinaryIO) -> int:
    """How many pictures a TIFF has, each a page of its own; 1 of other formats, and of what cannot be read."""
    try:
        with _open_file(source) as file, open_image(file) as image:
            return int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1
    except Exception:  # whatever it is, reading the photo will meet it again, and say so
        return 1


def measure(source: Path | BinaryIO) -> float:
    """How large a photo is, in megapixels, without its pixels being decoded; 0 of what cannot be read."""
    try:
        with _open_file(source) as file, open_image(file) as image:
            return float(image.width * image.height / 1e6)
    except Exception:  # as above
        return 0.0


@contextmanager
def _reasons() -> Iterator[None]:
    """Turn whatever a decoder raises into a photo's reason."""
    try:
        yield
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError(A_PHOTO, "not enough memory to decode it", "Make it smaller first.") from error
    except Exception as error:  # decoders raise almost anything on damaged bytes
        raise PhotoError(A_PHOTO, _reason(error), "Copy it again from where it came from.") from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return (error.strerror or str(error)).lower()
    warnings = " ".join((str(error) or type(error).__name__).split())
    return f"damaged or incomplete ({warnings})"


@contextmanager
def _open_file(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(source, Path):
        yield source
        return
    _check_is_file(source)
    with source.open("rb") as file:
        yield file


def _check_is_file(path: Path) -> None:
    """Refuse what cannot be a photo before it is opened: opening a fifo would wait for ever."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        found = "a link to nothing" if path.is_symlink() else "no such file"
        raise PhotoError(A_PHOTO, found, "Check the name.") from error
    kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file (a pipe, socket or device)"
    if not stat.S_ISREG(status.st_mode):
        raise PhotoError(A_PHOTO, kind, "Give a photo file.")
    if status.st_size == 0:
        raise PhotoError(A_PHOTO, "the file is empty", "Copy it again from where it came from.")


def _decode(file: BinaryIO, options: ReadOptions) -> Photo:
    check = partial(_check_size, options.max_megapixels)
    try:
        with _page(file, options.page) as image:
            check(*image.size)
            photo = from_image(image, partial(_page, file, options.page))
            return photo if options.every_page else _others_told(photo, image)
    except UnknownTiffError:
        return _decode_unknown_tiff(file, options)


def _check_size(most_megapixels: float, width: int, height: int) -> None:
    if width * height > most_megapixels * 1e6:
        found = f"{width} x {height} pixels, more than {most_megapixels:g} megapixels"
        advice = "Allow more, or make it smaller first."
        raise PhotoError(f"at most {most_megapixels:g} megapixels", found, advice, parameter="max_megapixels")


def _page(file: BinaryIO, page: int) -> ImageFile.ImageFile:
    file.seek(0)
    image = open_image(file)
    if page:
        image.seek(page)
    return image


def _others_told(photo: Photo, image: ImageFile.ImageFile) -> Photo:
    """The photo with a word where its file has other pictures; a camera's preview inside a JPEG is none."""
    if image.format in ("JPEG", "MPO") or not getattr(image, "is_animated", False):
        return photo
    hint = ", not all pages" if image.format == "TIFF" else ""
    return replace(photo, warnings=(*photo.warnings, f"more than one picture inside; the first was taken{hint}"))


def _decode_unknown_tiff(file: BinaryIO, options: ReadOptions) -> Photo:
    """Read a TIFF of a kind that Pillow does not know."""
    warnings: list[str] = []
    raster, colors, tags = _unknown_tiff(file, options, warnings)
    orientation = orientation_of(lambda: tags)
    metadata = of_tags(tags, None, 16, swapped=orientation > 4, warnings=warnings)
    return assembled(raster, colors, orientation, "TIFF", metadata, warnings)


def _unknown_tiff(file: BinaryIO, options: ReadOptions, warnings: list[str]) -> tuple[Raster, SampleColors, Image.Exif]:
    """The samples of such a TIFF, what they stand for, and its tags."""
    file.seek(0)
    raster = tiff.read(file, options.page, partial(_check_size, options.max_megapixels), warnings)
    file.seek(0)
    tags = Image.Exif()
    tags.load_from_fp(file)
    return raster, colors_of(tags.get(_ICC_TAG), GRAY if raster.channels == 1 else RGB, 16, warnings), tags


def _name_checked(photo: Photo, path: Path) -> Photo:
    """The photo with a word where its file's name says another format."""
    if PHOTO_SUFFIXES.get(path.suffix.lower(), photo.format) == photo.format:
        return photo
    return replace(photo, warnings=(*photo.warnings, f"a {photo.format} picture in spite of its name"))
