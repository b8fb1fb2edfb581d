"""Attach hints to a photo, and encode its result to bytes; no output file is touched."""

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
        suffix: of its format, with the dot.
        warnings: what a user should know about the photo or its result.
        had_color: whether the photo was in color already.
        sidecars: the bytes of further files (confidence, variants) by what is appended to the result's stem; `suffix`
            follows, unless the key has a file suffix itself.
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
    """Attach the hints of the options and of `files` to a photo; without `files`, of the file that the options name.

    Raises:
        PhotoError: hints cannot be read, or do not fit the photo.
    """
    if files is None:
        files = options.hints_files
    found = photo_hints(options.hints, files, photo.size, read)
    return replace(photo, hints=found) if found else photo


def result_suffix(name: str, photo: Photo, options: ColorizeOptions) -> str:
    """Return the suffix of a photo's result: by the options, else by its file's name, else by its format."""
    suffix = split_name(name)[1].lower()
    if options.suffix:
        return options.suffix
    return written_suffix(suffix if suffix in PHOTO_SUFFIXES else FORMATS[photo.format].suffixes[0])


def encode_result(
    colorizer: Colorizer, photo: Photo, colors: PredictedColors, options: ColorizeOptions, suffix: str
) -> ColorizedPhoto:
    """Render a photo, and encode it with the sidecars that the options ask for; `suffix` is a key of `PHOTO_SUFFIXES`.

    Raises:
        PhotoError: the picture does not fit the format, or memory does not suffice.
        OutputError: 16 bits need tifffile, which is not installed.
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
