"""Read photo files of any format: detect it by the first bytes, check type and size, and only then decode."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

from PIL import Image, ImageFile

from colorgan.errors import DamagedPhotoError, PhotoError, reason_of
from colorgan.images import openers
from colorgan.images.formats import A_PHOTO, PHOTO_SUFFIXES
from colorgan.images.icc import GRAY, RGB, SampleColors, colors_of
from colorgan.images.metadata.read import XMP_TAG, of_tags, orientation_of, packet_of
from colorgan.images.metadata.xmp import is_marked
from colorgan.images.openers import UnknownTiffError, open_image
from colorgan.images.photo import Photo, assemble_photo, from_image, rgb_from_image, rgb_from_raster
from colorgan.images.pixels import Raster
from colorgan.images.readers.jpeg import WITHOUT_END, completed
from colorgan.images.tiff import samples
from colorgan.images.tiff.pages import StartingAt, largest_instead, photos_of

MAX_MEGAPIXELS = 500.0
_ICC_TAG = 34675


@dataclass(frozen=True)
class ReadOptions:
    """How a photo is read.

    Attributes:
        max_megapixels: larger pictures are rejected before their pixels are decoded.
        page: index of the photo in the file, from 0; thumbnails and masks do not count. Photo 0 is replaced by the
            largest one if that has at least four times its pixels.
        every_page: whether the caller reads all photos of the file one by one: then exactly `page` is read.
    """

    max_megapixels: float = MAX_MEGAPIXELS
    page: int = 0
    every_page: bool = False


def read(source: Path | BinaryIO, options: ReadOptions = ReadOptions(), *, name: str = "") -> Photo:
    """Read a photo.

    Args:
        source: a path, or a seekable file open for reading; the format is detected by its content.
        options: what to accept.
        name: file name, if the source is no path; a suffix of another format gives a warning.

    Raises:
        PhotoError: it cannot be read, with the reason.
    """
    with _converting_errors(), _open_file(source) as file:
        photo = _decode_completing_jpeg(file, lambda whole: _decode(whole, options))
        return _warned_of_suffix(photo, source.name if isinstance(source, Path) else name)


def read_rgb(
    source: Path | BinaryIO, options: ReadOptions = ReadOptions(), *, short_side_px: int | None = None
) -> Image.Image:
    """Read a photo as 8-bit sRGB, upright: color-managed, reduced from 16 bits, composited on white.

    Args:
        source: as for `read`.
        options: what to accept.
        short_side_px: the size to which the caller will reduce it; a JPEG may then be decoded at 1/2, 1/4 or 1/8, but
            at no less than twice that size.

    Raises:
        PhotoError: it cannot be read, with the reason.
    """
    with _converting_errors(), _open_file(source) as file:
        return _decode_completing_jpeg(file, lambda whole: _decode_rgb(whole, options, short_side_px))


def _decode_rgb(file: BinaryIO, options: ReadOptions, short_side_px: int | None) -> Image.Image:
    location = _locate_photo(file, options)
    try:
        with location.open() as image:
            _check_size(options.max_megapixels, *image.size)
            short_side = min(image.size)
            if short_side_px and short_side >= 4 * short_side_px:
                # Lets libjpeg decode at a half, a quarter or an eighth, never below twice the size that is wanted.
                scale = 2 * short_side_px
                image.draft(None, (scale * image.width // short_side, scale * image.height // short_side))
            return rgb_from_image(image, location.open)
    except UnknownTiffError:
        raster, colors, tags = _unknown_tiff(location, options, [])
        return rgb_from_raster(raster, colors, orientation_of(lambda: tags), tags.get(_ICC_TAG))


def read_size(source: Path | BinaryIO, options: ReadOptions = ReadOptions()) -> tuple[int, int]:
    """Return a photo's width and height in pixels, before any EXIF rotation, without decoding; see `read` for `source`.

    Raises:
        PhotoError: it cannot be read, or is larger than what is accepted.
    """
    with _converting_errors(), _open_file(source) as file:
        location = _locate_photo(file, options)
        size = location.size
        if size is None:
            with location.open() as image:
                size = image.size
        _check_size(options.max_megapixels, *size)
        return size


def is_colorized(source: Path | BinaryIO) -> bool:
    """Whether a photo's XMP records that colorgan colored it, so that its colors are not true; no pixel is decoded.

    Raises:
        PhotoError: it cannot be read, with the reason.
    """
    with _converting_errors(), _open_file(source) as file:
        location = _locate_photo(file, ReadOptions())
        try:
            with location.open() as image:
                return is_marked(packet_of(image))
        except UnknownTiffError:
            return is_marked(samples.tags_at(file, location.directory, []).get(XMP_TAG))


def check_start(path: Path) -> None:
    """Check by its type, size and first bytes that a file can be a photo; nothing is decoded.

    Raises:
        PhotoError: it is none, or the package that reads it is not installed.
    """
    with _converting_errors(), _open_file(path) as file:
        openers.check_start(file.read(openers.MAGIC_BYTES))


def is_damaged(path: Path) -> bool:
    """Whether a file is a truncated or corrupted photo; one of another kind, or without read permission, is not."""
    try:
        return WITHOUT_END in read(path, ReadOptions(max_megapixels=math.inf)).warnings
    except DamagedPhotoError:
        return True
    except PhotoError:
        return False


def count_pages(source: Path | BinaryIO) -> int:
    """Count the photos in a TIFF; 1 for other formats, and for files that cannot be read."""
    try:
        with _open_file(source) as file:
            return max(1, len(photos_of(file)))
    except Exception:  # reading the photo will raise it again, with the reason
        return 1


def measure(source: Path | BinaryIO) -> float:
    """Return a photo's size in megapixels without decoding it; 0 if it cannot be read."""
    try:
        width, height = read_size(source, ReadOptions(max_megapixels=math.inf))
    except PhotoError:
        return 0.0
    return width * height / 1e6


@contextmanager
def _converting_errors() -> Iterator[None]:
    """Convert whatever a decoder raises into a `PhotoError`."""
    try:
        yield
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError(A_PHOTO, "not enough memory to decode it", "Make it smaller first.") from error
    except Exception as error:  # decoders raise almost anything on damaged bytes
        if isinstance(error, OSError) and error.errno is not None:
            raise PhotoError(A_PHOTO, reason_of(error), "Copy it again from its source.") from error
        raise openers.reason(error) from error


@contextmanager
def _open_file(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    if not isinstance(source, Path):
        yield source
        return
    _check_is_file(source)
    with source.open("rb") as file:
        yield file


def _check_is_file(path: Path) -> None:
    """Raise a `PhotoError` unless the path is a non-empty regular file; to open a fifo would block forever."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        found = "a broken link" if os.path.islink(path) else "no such file"
        raise PhotoError(A_PHOTO, found, "Check the name.") from error
    kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file (a pipe, socket or device)"
    if not stat.S_ISREG(status.st_mode):
        raise PhotoError(A_PHOTO, kind, "Give a photo file.")
    if status.st_size == 0:
        raise PhotoError(A_PHOTO, "the file is empty", "Copy it again from its source.")


_Decoded = TypeVar("_Decoded")


def _decode_completing_jpeg(file: BinaryIO, decode: Callable[[BinaryIO], _Decoded]) -> _Decoded:
    """Decode a file; if it is a JPEG that lacks no more than its last bytes, complete it and warn."""
    try:
        return decode(file)
    except OSError as error:
        if error.errno is not None or (whole := completed(file)) is None:
            raise
    decoded = decode(whole)
    return replace(decoded, warnings=(*decoded.warnings, WITHOUT_END)) if isinstance(decoded, Photo) else decoded


@dataclass(frozen=True)
class _PhotoLocation:
    """The location of the requested photo in its file.

    Attributes:
        file: the file, or a view of it in which the photo's directory is the first.
        index: the page's index for Pillow.
        directory: byte offset of a TIFF's directory; None for other formats.
        size: width and height of a TIFF's page in pixels; None for other formats.
        warnings: what a user should know about the choice.
    """

    file: BinaryIO
    index: int = 0
    directory: int | None = None
    size: tuple[int, int] | None = None
    warnings: tuple[str, ...] = ()

    def open(self) -> ImageFile.ImageFile:
        """Open the photo.

        Raises:
            UnknownTiffError: Pillow cannot read this kind of TIFF.
            Exception: whatever a plugin raises on damaged bytes.
        """
        self.file.seek(0)
        image = open_image(self.file)
        if self.index:
            try:
                image.seek(self.index)
            except SyntaxError as error:
                raise UnknownTiffError("a kind of page that Pillow cannot read") from error
        return image


def _locate_photo(file: BinaryIO, options: ReadOptions) -> _PhotoLocation:
    """Find the photo that the options ask for among a file's pictures."""
    photos = photos_of(file)
    if not photos:
        return _PhotoLocation(file, options.page)
    if options.page >= len(photos):
        raise PhotoError("a page of the file", f"no page {options.page + 1}, only {len(photos)}", "Name one of them.")
    page = photos[options.page]
    warnings: tuple[str, ...] = ()
    if not options.every_page and len(photos) > 1:
        page = page if options.page else largest_instead(photos)
        which = "first" if page is photos[0] else "largest"
        warnings = (f"several pictures inside; only the {which} was used, not all pages",)
    size = (page.width, page.height)
    before = photos[options.page - 1] if options.every_page and options.page else page
    if page.is_gray and not before.is_gray and size == (before.width, before.height):
        warnings = ("gray and as large as the page in color before it: perhaps a scanner's infrared channel",)
    if page.index is None:
        return _PhotoLocation(cast(BinaryIO, StartingAt(file, page.offset)), 0, page.offset, size, warnings)
    return _PhotoLocation(file, page.index, page.offset, size, warnings)


def _decode(file: BinaryIO, options: ReadOptions) -> Photo:
    location = _locate_photo(file, options)
    try:
        with location.open() as image:
            _check_size(options.max_megapixels, *image.size)
            photo = from_image(image, location.open)
            if not options.every_page and _is_animation(image):
                location = replace(location, warnings=("several pictures inside; only the first was used",))
    except UnknownTiffError:
        photo = _decode_unknown_tiff(location, options)
    return replace(photo, warnings=(*photo.warnings, *location.warnings))


def _is_animation(image: ImageFile.ImageFile) -> bool:
    """Whether a file has several pictures, as frames of a GIF; previews in JPEGs, and pages of TIFFs, do not count."""
    return image.format not in ("JPEG", "MPO", "TIFF") and bool(getattr(image, "is_animated", False))


def _check_size(most_megapixels: float, width: int, height: int) -> None:
    if width * height > most_megapixels * 1e6:
        found = f"{width} x {height} pixels, more than {most_megapixels:g} megapixels"
        advice = "Allow more, or make it smaller first."
        raise PhotoError(f"at most {most_megapixels:g} megapixels", found, advice, parameter="max_megapixels")


def _decode_unknown_tiff(location: _PhotoLocation, options: ReadOptions) -> Photo:
    """Read a TIFF of a kind that Pillow does not know."""
    warnings: list[str] = []
    raster, colors, tags = _unknown_tiff(location, options, warnings)
    orientation = orientation_of(lambda: tags)
    metadata = of_tags(tags, None, 16, swapped=orientation > 4, warnings=warnings)
    return assemble_photo(raster, colors, orientation, "TIFF", metadata, warnings, tags.get(_ICC_TAG))


def _unknown_tiff(
    location: _PhotoLocation, options: ReadOptions, warnings: list[str]
) -> tuple[Raster, SampleColors, Image.Exif]:
    """Return the samples of a TIFF that Pillow does not know, their color space and its tags."""
    file = location.file
    file.seek(0)
    raster = samples.read(file, location.index, partial(_check_size, options.max_megapixels), warnings)
    tags = samples.tags_at(file, location.directory, warnings)
    return raster, colors_of(tags.get(_ICC_TAG), GRAY if raster.channels == 1 else RGB, 16, warnings), tags


def _warned_of_suffix(photo: Photo, name: str) -> Photo:
    """Return the photo, with a warning if its file's suffix belongs to another format."""
    if PHOTO_SUFFIXES.get(Path(name).suffix.lower(), photo.format) == photo.format:
        return photo
    return replace(photo, warnings=(*photo.warnings, f"a {photo.format} picture, despite its name"))
