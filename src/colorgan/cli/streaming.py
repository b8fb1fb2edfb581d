"""One photo from standard input, or to standard output."""

from __future__ import annotations

import io
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from colorgan.cli.console import Console
from colorgan.cli.request import STREAM, Request, shown
from colorgan.errors import UsageError
from colorgan.images.formats import FORMATS, PHOTO_SUFFIXES

if TYPE_CHECKING:
    from colorgan.colorize.colorizer import Colorizer
    from colorgan.images.photo import Photo


def is_stream(request: Request) -> bool:
    """Whether a photo comes from standard input, or goes to standard output."""
    return STREAM in request.inputs or request.output == STREAM


def check_stream(request: Request) -> None:
    """Refuse what cannot be meant.

    Raises:
        UsageError: it cannot.
    """
    if len(request.inputs) != 1 or request.from_file:
        raise UsageError("one photo through a pipe", "several inputs", "Name folders and files without -.")
    if request.json_lines or request.dry_run or request.all_pages:
        raise UsageError("one photo through a pipe", "--json, --dry-run or --all-pages", "Leave it out.")
    source, target = request.inputs[0], request.output or STREAM
    if source.is_dir():
        raise UsageError("one photo for standard output", f"{source} is a folder", "Name a folder as output.")
    if target == STREAM:
        if sys.stdout.isatty():
            advice = "Send it on: > colour.jpg, | another program, or name a file with --output."
            raise UsageError("standard output that can take a picture", "a terminal", advice)
    elif target.suffix.lower() not in PHOTO_SUFFIXES:
        raise UsageError("an output file", f"{target} has no photo's suffix", f"Known are {' '.join(PHOTO_SUFFIXES)}.")
    elif target.exists() and not request.overwrite:
        raise UsageError("a new output file", f"{target} stands there already", "--overwrite replaces it.")


def colorize_stream(request: Request, console: Console, colorizer: Colorizer) -> None:
    """Colour the photo.

    Raises:
        PhotoError: it cannot be read or coloured.
        OutputError: the result cannot be written.
    """
    from colorgan.images import decode, encode

    treatment = request.treatment()
    source, target = request.inputs[0], request.output or STREAM
    photo = decode.read(_standard_input() if source == STREAM else source, treatment.reading)
    if request.skip_color and photo.had_color:
        raise UsageError("a photo without colours", f"{shown(source)} is in colour", "Leave --skip-color out.")
    format_name = _format(request, target, photo)
    rgb = colorizer.colorize_photo(photo, request.rendering, treatment.bit_depth(format_name))
    with nullcontext(sys.stdout.buffer if target == STREAM else target) as place:
        lost = encode.write(
            place,
            format_name,
            rgb,
            alpha=photo.alpha,
            metadata=photo.metadata,
            options=treatment.written_by(colorizer.info.name),
        )
    for word in photo.oddities + lost:
        console.note(f"{shown(source)}: {word}")


def _standard_input() -> BinaryIO:
    data = sys.stdin.buffer.read()
    if not data:
        raise UsageError("a photo from standard input", "nothing came", "See what the program before the pipe says.")
    return io.BytesIO(data)


def _format(request: Request, target: Path, photo: Photo) -> str:
    if target != STREAM:
        return PHOTO_SUFFIXES[target.suffix.lower()]
    suffix = request.suffix or FORMATS[photo.format].written_as
    return PHOTO_SUFFIXES[suffix] if suffix else photo.format
