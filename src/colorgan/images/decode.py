"""Reading a photo file of any kind: told by its first bytes, checked and measured, and only then decoded."""

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
from colorgan.images.photo import Photo, assembled, from_image, rgb_from_image, rgb_from_raster
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
        max_megapixels: pictures with more are refused before their pixels are decoded.
        page: which photo of the file, from 0; thumbnails and masks are none. The first gives way to a much larger one.
        every_page: whether each photo of the file is read by itself: then none gives way, and none is left out.
    """

    max_megapixels: float = MAX_MEGAPIXELS
    page: int = 0
    every_page: bool = False


def read(source: Path | BinaryIO, options: ReadOptions = ReadOptions(), *, name: str = "") -> Photo:
    """Read a photo.

    Args:
        source: a file's path, or a file that is open for reading and seeking; its format is told by its content.
        options: what to accept.
        name: of the file, where the source is no path; a word is said where its suffix tells another format.

    Raises:
        PhotoError: it cannot be read, with the reason.
    """
    with _reasons(), _open_file(source) as file:
        photo = _with_its_end(file, lambda whole: _decode(whole, options))
        return _name_checked(photo, source.name if isinstance(source, Path) else name)


def read_rgb(
    source: Path | BinaryIO, options: ReadOptions = ReadOptions(), *, short_side_px: int | None = None
) -> Image.Image:
    """Read a photo as 8-bit sRGB, upright: by its profile and its 16 bits, on white where it is transparent.

    Args:
        source: as for `read`.
        options: what to accept.
        short_side_px: the size to which the caller reduces it, where a JPEG may be decoded at a fraction that is still
            at least twice as large.

    Raises:
        PhotoError: it cannot be read, with the reason.
    """
    with _reasons(), _open_file(source) as file:
        return _with_its_end(file, lambda whole: _decode_rgb(whole, options, short_side_px))


def _decode_rgb(file: BinaryIO, options: ReadOptions, short_side_px: int | None) -> Image.Image:
    place = _located(file, options)
    try:
        with place.opened() as image:
            _check_size(options.max_megapixels, *image.size)
            short_side = min(image.size)
            if short_side_px and short_side >= 4 * short_side_px:
                # Lets libjpeg decode at a half, a quarter or an eighth, never below twice the size that is wanted.
                scale = 2 * short_side_px
                image.draft(None, (scale * image.width // short_side, scale * image.height // short_side))
            return rgb_from_image(image, place.opened)
    except UnknownTiffError:
        raster, colors, tags = _unknown_tiff(place, options, [])
        return rgb_from_raster(raster, colors, orientation_of(lambda: tags), tags.get(_ICC_TAG))


def read_size(source: Path | BinaryIO, options: ReadOptions = ReadOptions()) -> tuple[int, int]:
    """Width and height in pixels of a photo as its file has it, which is not decoded; the source is as for `read`.

    Raises:
        PhotoError: it cannot be read, or is larger than what is accepted.
    """
    with _reasons(), _open_file(source) as file:
        place = _located(file, options)
        size = place.size
        if size is None:
            with place.opened() as image:
                size = image.size
        _check_size(options.max_megapixels, *size)
        return size


def is_colorized(source: Path | BinaryIO) -> bool:
    """Whether a photo's file says that colorgan colored it, so that its colors are not true; no pixel is decoded.

    Raises:
        PhotoError: it cannot be read, with the reason.
    """
    with _reasons(), _open_file(source) as file:
        place = _located(file, ReadOptions())
        try:
            with place.opened() as image:
                return is_marked(packet_of(image))
        except UnknownTiffError:
            return is_marked(samples.tags_at(file, place.directory, []).get(XMP_TAG))


def check_start(path: Path) -> None:
    """See whether a file can be a photo, as far as its size and its first bytes tell: nothing is decoded.

    Raises:
        PhotoError: it is none, or what reads it is missing.
    """
    with _reasons(), _open_file(path) as file:
        openers.check_start(file.read(openers.MAGIC_BYTES))


def is_damaged(path: Path) -> bool:
    """Whether a file was a photo that was cut off or overwritten, and is neither of another kind nor unreadable."""
    try:
        return WITHOUT_END in read(path, ReadOptions(max_megapixels=math.inf)).warnings
    except DamagedPhotoError:
        return True
    except PhotoError:
        return False


def count_pages(source: Path | BinaryIO) -> int:
    """How many photos a TIFF has, each a page of its own; 1 of other formats, and of what cannot be read."""
    try:
        with _open_file(source) as file:
            return max(1, len(photos_of(file)))
    except Exception:  # whatever it is, reading the photo will meet it again, and say so
        return 1


def measure(source: Path | BinaryIO) -> float:
    """How large a photo is, in megapixels, without its pixels being decoded; 0 of what cannot be read."""
    try:
        width, height = read_size(source, ReadOptions(max_megapixels=math.inf))
    except PhotoError:
        return 0.0
    return width * height / 1e6


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
        if isinstance(error, OSError) and error.errno is not None:
            raise PhotoError(A_PHOTO, reason_of(error), "Copy it again from where it came from.") from error
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
    """Refuse what cannot be a photo before it is opened: opening a fifo would wait for ever."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        found = "a link to nothing" if os.path.islink(path) else "no such file"
        raise PhotoError(A_PHOTO, found, "Check the name.") from error
    kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file (a pipe, socket or device)"
    if not stat.S_ISREG(status.st_mode):
        raise PhotoError(A_PHOTO, kind, "Give a photo file.")
    if status.st_size == 0:
        raise PhotoError(A_PHOTO, "the file is empty", "Copy it again from where it came from.")


_Decoded = TypeVar("_Decoded")


def _with_its_end(file: BinaryIO, decode: Callable[[BinaryIO], _Decoded]) -> _Decoded:
    """Decode a file, or where it is a JPEG that lacks no more than its last bytes, what it was."""
    try:
        return decode(file)
    except OSError as error:
        if error.errno is not None or (whole := completed(file)) is None:
            raise
    decoded = decode(whole)
    return replace(decoded, warnings=(*decoded.warnings, WITHOUT_END)) if isinstance(decoded, Photo) else decoded


@dataclass(frozen=True)
class _Place:
    """Where in a file the photo is that is to be read.

    Attributes:
        file: it, or a view of it in which the photo's directory is the first.
        index: the number of the page.
        directory: of a TIFF, the place of the directory; None elsewhere.
        size: of a TIFF, width and height in pixels; None elsewhere.
        warnings: what a user should know of the choice.
    """

    file: BinaryIO
    index: int = 0
    directory: int | None = None
    size: tuple[int, int] | None = None
    warnings: tuple[str, ...] = ()

    def opened(self) -> ImageFile.ImageFile:
        """Open the photo.

        Raises:
            UnknownTiffError: what it says.
            Exception: whatever a plugin raises on damaged bytes.
        """
        self.file.seek(0)
        image = open_image(self.file)
        if self.index:
            try:
                image.seek(self.index)
            except SyntaxError as error:
                raise UnknownTiffError("a page of a kind that Pillow does not know") from error
        return image


def _located(file: BinaryIO, options: ReadOptions) -> _Place:
    """Find the photo that is meant among a file's pictures."""
    photos = photos_of(file)
    if not photos:
        return _Place(file, options.page)
    if options.page >= len(photos):
        raise PhotoError("a page of the file", f"no page {options.page + 1}, only {len(photos)}", "Name one of them.")
    page = photos[options.page]
    warnings: tuple[str, ...] = ()
    if not options.every_page and len(photos) > 1:
        page = page if options.page else largest_instead(photos)
        which = "first" if page is photos[0] else "largest"
        warnings = (f"more than one picture inside; the {which} was taken, not all pages",)
    size = (page.width, page.height)
    before = photos[options.page - 1] if options.every_page and options.page else page
    if page.is_gray and not before.is_gray and size == (before.width, before.height):
        warnings = ("gray and as large as the page in color before it: perhaps a scanner's infrared channel",)
    if page.index is None:
        return _Place(cast(BinaryIO, StartingAt(file, page.place)), 0, page.place, size, warnings)
    return _Place(file, page.index, page.place, size, warnings)


def _decode(file: BinaryIO, options: ReadOptions) -> Photo:
    place = _located(file, options)
    try:
        with place.opened() as image:
            _check_size(options.max_megapixels, *image.size)
            photo = from_image(image, place.opened)
            if not options.every_page and _is_animation(image):
                place = replace(place, warnings=("more than one picture inside; the first was taken",))
    except UnknownTiffError:
        photo = _decode_unknown_tiff(place, options)
    return replace(photo, warnings=(*photo.warnings, *place.warnings))


def _is_animation(image: ImageFile.ImageFile) -> bool:
    """Whether a file other than a TIFF has several pictures; a camera's preview inside a JPEG is none."""
    return image.format not in ("JPEG", "MPO", "TIFF") and bool(getattr(image, "is_animated", False))


def _check_size(most_megapixels: float, width: int, height: int) -> None:
    if width * height > most_megapixels * 1e6:
        found = f"{width} x {height} pixels, more than {most_megapixels:g} megapixels"
        advice = "Allow more, or make it smaller first."
        raise PhotoError(f"at most {most_megapixels:g} megapixels", found, advice, parameter="max_megapixels")


def _decode_unknown_tiff(place: _Place, options: ReadOptions) -> Photo:
    """Read a TIFF of a kind that Pillow does not know."""
    warnings: list[str] = []
    raster, colors, tags = _unknown_tiff(place, options, warnings)
    orientation = orientation_of(lambda: tags)
    metadata = of_tags(tags, None, 16, swapped=orientation > 4, warnings=warnings)
    return assembled(raster, colors, orientation, "TIFF", metadata, warnings, tags.get(_ICC_TAG))


def _unknown_tiff(place: _Place, options: ReadOptions, warnings: list[str]) -> tuple[Raster, SampleColors, Image.Exif]:
    """The samples of such a TIFF, what they stand for, and its tags."""
    file = place.file
    file.seek(0)
    raster = samples.read(file, place.index, partial(_check_size, options.max_megapixels), warnings)
    tags = samples.tags_at(file, place.directory, warnings)
    return raster, colors_of(tags.get(_ICC_TAG), GRAY if raster.channels == 1 else RGB, 16, warnings), tags


def _name_checked(photo: Photo, name: str) -> Photo:
    """The photo with a word where its file's name says another format."""
    if PHOTO_SUFFIXES.get(Path(name).suffix.lower(), photo.format) == photo.format:
        return photo
    return replace(photo, warnings=(*photo.warnings, f"a {photo.format} picture in spite of its name"))
