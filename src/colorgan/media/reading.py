"""Reading a photo file of any kind: checked before it is opened, and measured before it is decoded."""

from __future__ import annotations

import stat
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

# The plugins are named so that Pillow does not import all of its forty at the first WebP or TIFF.
from PIL import (
    BmpImagePlugin,  # noqa: F401
    Image,
    ImageFile,
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    TiffImagePlugin,
    WebPImagePlugin,  # noqa: F401
)

from colorgan.errors import PhotoError
from colorgan.media.formats import FORMATS, PHOTO_SUFFIXES
from colorgan.media.photo import Photo, from_image

MAX_MEGAPIXELS = 500.0
_A_PHOTO = "a JPEG, PNG, WebP, TIFF or BMP picture"
_MAGIC_BYTES = 16  # as many as Pillow gives its plugins to tell a format


@dataclass(frozen=True)
class ReadOptions:
    """How a photo is read.

    Attributes:
        max_megapixels: pictures with more are refused before their pixels are decoded.
        page: which picture of the file, from 0.
    """

    max_megapixels: float = MAX_MEGAPIXELS
    page: int = 0


def read(source: Path | BinaryIO, options: ReadOptions = ReadOptions()) -> Photo:
    """Read a photo.

    Args:
        source: a file's path, or a file that is open for reading and seeking; its format is told by its content.
        options: what to accept.

    Raises:
        PhotoError: it cannot be read, with the reason.
    """
    try:
        if not isinstance(source, Path):
            return _decode(source, options)
        _check_is_file(source)
        with source.open("rb") as file:
            return _name_checked(_decode(file, options), source)
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError(_A_PHOTO, "not enough memory to decode it", "Make it smaller first.") from error
    except Exception as error:  # decoders raise almost anything on damaged bytes
        raise PhotoError(_A_PHOTO, _reason(error), "Copy it again from where it came from.") from error


def measure(path: Path) -> float:
    """How large a photo is, in megapixels, without its pixels being decoded; 0 of what cannot be read."""
    try:
        _check_is_file(path)
        with path.open("rb") as file, _opened(file) as image:
            return float(image.width * image.height / 1e6)
    except Exception:  # whatever it is, reading the photo will meet it again, and say so
        return 0.0


def count_pages(path: Path) -> int:
    """How many pages a TIFF has; 1 of anything else, and of what cannot be read."""
    try:
        _check_is_file(path)
        with path.open("rb") as file, _opened(file) as image:
            return int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1
    except Exception:  # whatever it is, reading the photo will meet it again, and say so
        return 1


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return (error.strerror or str(error)).lower()
    return f"damaged or incomplete ({str(error) or type(error).__name__})"


def _check_is_file(path: Path) -> None:
    """Refuse what cannot be a photo before it is opened: opening a fifo would wait for ever."""
    try:
        status = path.stat()
    except FileNotFoundError as error:
        found = "a link to nothing" if path.is_symlink() else "no such file"
        raise PhotoError(_A_PHOTO, found, "Check the name.") from error
    kind = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file (a pipe, socket or device)"
    if not stat.S_ISREG(status.st_mode):
        raise PhotoError(_A_PHOTO, kind, "Give a photo file.")
    if status.st_size == 0:
        raise PhotoError(_A_PHOTO, "the file is empty", "Copy it again from where it came from.")


def _decode(file: BinaryIO, options: ReadOptions) -> Photo:
    with _opened(file) as image:
        width, height = image.size
        if width * height > options.max_megapixels * 1e6:
            found = f"{width} x {height} pixels, more than {options.max_megapixels:g} megapixels"
            advice = "Allow more with --max-megapixels, or make it smaller first."
            raise PhotoError(f"at most {options.max_megapixels:g} megapixels", found, advice)
        if options.page:
            image.seek(options.page)
        return from_image(image)


class _UnlimitedTiff(TiffImagePlugin.TiffImageFile):
    """A TIFF that is not held to Pillow's limit once more when its pixels are decoded."""

    def load_prepare(self) -> None:
        """Make room for the pixels."""
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size, None).im
        ImageFile.ImageFile.load_prepare(self)


def _opened(file: BinaryIO) -> ImageFile.ImageFile:
    """Open a picture in one of the known formats; pixels are not decoded yet.

    `Image.open` would do, but for its limit on pixels, which belongs to the whole process and is lower than ours.
    """
    start = file.read(_MAGIC_BYTES)
    for name in FORMATS:
        factory, accepts = Image.OPEN[name]
        if accepts is None or accepts(start) is not True:
            continue
        file.seek(0)
        try:
            return _UnlimitedTiff(file) if name == "TIFF" else factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error):  # how plugins say that it is not theirs
            continue
    raise PhotoError(_A_PHOTO, f"not {_A_PHOTO}, or damaged from its start", "Open it elsewhere.")


def _name_checked(photo: Photo, path: Path) -> Photo:
    """The photo with a word where its file's name says another format."""
    if PHOTO_SUFFIXES.get(path.suffix.lower(), photo.format) == photo.format:
        return photo
    return replace(photo, oddities=(*photo.oddities, f"a {photo.format} picture in spite of its name"))
