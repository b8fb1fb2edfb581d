"""A photo with its hints, and its result as encoded bytes; no file of a result is touched."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from colorgan.colorize.options import CONFIDENCE, ColorizeOptions
from colorgan.images.discovery import split_name
from colorgan.images.encode import WriteOptions, encode
from colorgan.images.formats import FORMATS, PHOTO_SUFFIXES, written_suffix
from colorgan.images.hint_files import photo_hints, read_hints_file
from colorgan.images.photo import Photo

if TYPE_CHECKING:
    from colorgan.colorize.colorizer import Colorizer
    from colorgan.colorize.prediction import PredictedColors


@dataclass(frozen=True)
class ColorizedPhoto:
    """A photo in color, as the bytes of a file. It can be pickled.

    Attributes:
        data: of the file.
        suffix: of its format, with its full stop.
        warnings: what a user should know about the photo or its result, in words.
        had_color: whether the photo was in color already.
        sidecars: what else was asked for, as the bytes of further files: by the suffix of their names' stems, which has
            a file's suffix of its own where that is not `suffix`.
    """

    data: bytes
    suffix: str
    warnings: tuple[str, ...] = ()
    had_color: bool = False
    sidecars: Mapping[str, bytes] = field(default_factory=dict)


def with_hints(
    photo: Photo,
    options: ColorizeOptions,
    files: Sequence[str] | None = None,
    read: Callable[[str], bytes] = read_hints_file,
) -> Photo:
    """The photo with the hints of the options and of files; without `files`, of the one that the options name.

    Raises:
        PhotoError: hints that cannot be read, or do not fit it.
    """
    if files is None:
        files = options.hints_files
    found = photo_hints(options.hints, files, photo.size, read)
    return replace(photo, hints=found) if found else photo


def result_suffix(name: str, photo: Photo, options: ColorizeOptions) -> str:
    """The suffix of a photo's result: the one asked for, else by the name of its file, else by what it is."""
    suffix = split_name(name)[1].lower()
    if options.suffix:
        return options.suffix
    return written_suffix(suffix if suffix in PHOTO_SUFFIXES else FORMATS[photo.format].suffixes[0])


def encode_result(
    colorizer: Colorizer, photo: Photo, colors: PredictedColors, options: ColorizeOptions, suffix: str
) -> ColorizedPhoto:
    """Give a photo its colors, and encode it with all that is asked for; the suffix is a key of `PHOTO_SUFFIXES`.

    Raises:
        PhotoError: the picture does not fit the format, or the memory.
        OutputError: 16 bits without tifffile.
        UsageError: the format is only read.
    """
    format_name = PHOTO_SUFFIXES[suffix]
    mark = colorizer.info.name if options.mark else None
    how = WriteOptions(options.quality, options.keep_metadata, mark, options.bit_depth)
    depth = options.bit_depth if format_name == "TIFF" else 8
    paint = partial(colorizer.finish, photo, colors, options, depth)
    save = partial(encode, format_name, alpha=photo.alpha, metadata=photo.metadata, options=how)
    sidecars = {}
    if options.confidence and colors.confidence is not None:
        gray = (colors.confidence.numpy() * 255).round().astype(np.uint8)
        sidecars[CONFIDENCE] = encode("PNG", np.repeat(gray[..., None], 3, axis=2))[0]
    for variant, name in enumerate(options.variant_suffixes, start=1):
        sidecars[name] = save(paint(variant=variant))[0]
    data, lost = save(paint())
    return ColorizedPhoto(data, suffix, photo.warnings + lost, photo.had_color, sidecars)
