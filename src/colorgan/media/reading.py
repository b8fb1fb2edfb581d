"""Reading a photo file of any kind: checked before it is opened, and measured before it is decoded."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageFile

from colorgan.errors import PhotoError
from colorgan.media import deep_tiff
from colorgan.media.formats import PHOTO_SUFFIXES
from colorgan.media.metadata import of_tags, orientation_of
from colorgan.media.opening import A_PHOTO, UnknownTiffError, opened
from colorgan.media.photo import Photo, assembled, from_image
from colorgan.media.profiles import GREY, RGB, colours_of

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


def count_pages(source: Path | BinaryIO) -> int:
    """How many pictures a TIFF has, each a page of its own; 1 of other formats, and of what cannot be read."""
    try:
        with _open_file(source) as file, opened(file) as image:
            return int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1
    except Exception:  # whatever it is, reading the photo will meet it again, and say so
        return 1


def measure(source: Path | BinaryIO) -> float:
    """How large a photo is, in megapixels, without its pixels being decoded; 0 of what cannot be read."""
    try:
        with _open_file(source) as file, opened(file) as image:
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
    words = " ".join((str(error) or type(error).__name__).split())
    return f"damaged or incomplete ({words})"


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
        found = f"{width} x {height} pixels, more than {most_megapixels:g} megapixels (--max-megapixels)"
        advice = "Allow more with --max-megapixels, or make it smaller first."
        raise PhotoError(f"at most {most_megapixels:g} megapixels", found, advice)


def _page(file: BinaryIO, page: int) -> ImageFile.ImageFile:
    file.seek(0)
    image = opened(file)
    if page:
        image.seek(page)
    return image


def _others_told(photo: Photo, image: ImageFile.ImageFile) -> Photo:
    """The photo with a word where its file has other pictures; a camera's preview inside a JPEG is none."""
    if image.format in ("JPEG", "MPO") or not getattr(image, "is_animated", False):
        return photo
    hint = " (--all-pages takes each)" if image.format == "TIFF" else ""
    return replace(photo, oddities=(*photo.oddities, f"more than one picture inside; the first was taken{hint}"))


def _decode_unknown_tiff(file: BinaryIO, options: ReadOptions) -> Photo:
    """Read a TIFF of a kind that Pillow does not know."""
    words: list[str] = []
    file.seek(0)
    raster = deep_tiff.read(file, options.page, partial(_check_size, options.max_megapixels), words)
    file.seek(0)
    tags = Image.Exif()
    tags.load_from_fp(file)
    orientation = orientation_of(lambda: tags)
    colours = colours_of(tags.get(_ICC_TAG), GREY if raster.channels == 1 else RGB, 16, words)
    metadata = of_tags(tags, None, 16, swapped=orientation > 4, words=words)
    return assembled(raster, colours, orientation, "TIFF", metadata, words)


def _name_checked(photo: Photo, path: Path) -> Photo:
    """The photo with a word where its file's name says another format."""
    if PHOTO_SUFFIXES.get(path.suffix.lower(), photo.format) == photo.format:
        return photo
    return replace(photo, oddities=(*photo.oddities, f"a {photo.format} picture in spite of its name"))
