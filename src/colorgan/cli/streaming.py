"""The request of `colorgan colorize`, and the coloring of one photo through a pipe."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from colorgan.addresses import is_address, printable, shown_address
from colorgan.batch.loading import Loading
from colorgan.batch.options import BatchOptions
from colorgan.batch.planner import count_photos
from colorgan.cli.callbacks import CommandCallbacks
from colorgan.colorize.options import ColorizeOptions
from colorgan.errors import UsageError
from colorgan.images.formats import PHOTO_SUFFIXES

STREAM = Path("-")


@dataclass(frozen=True)
class Request:
    """The arguments of the command as given; `output` keeps its trailing slash."""

    inputs: Sequence[str]
    output: str | None
    from_file: Path | None
    options: ColorizeOptions
    batch: BatchOptions
    model: str
    ray: str
    json_lines: bool
    quiet: bool

    @property
    def output_path(self) -> Path | None:
        """The output as a path, without its trailing slash; None if there is none."""
        return Path(self.output) if self.output else None

    @property
    def may_have_page(self) -> bool:
        """Whether the run could have written a page, but `--page` was not given."""
        output = self.output_path
        return not self.batch.page and not self.batch.dry_run and output is not None and os.path.isdir(output)

    @property
    def where(self) -> str:
        """The place of the results, for messages."""
        if self.output and is_address(self.output):
            return shown_address(self.output).rstrip("/")
        return printable(self.output_path) if self.output_path else "beside the photos, as NAME-color"

    @property
    def inputs_label(self) -> str:
        """The first three inputs and the number of further ones, for messages."""
        named = [printable(path if is_address(path) else Path(path)) for path in map(shown_address, self.inputs)]
        if self.from_file:
            named.append(f"the photos listed in {printable(self.from_file)}")
        return ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")

    def count_photos(self) -> Iterator[int] | None:
        """Return numbers of photos whose sum is their total; None if only the run itself can find them."""
        if self.from_file or any(map(is_address, self.inputs)):
            return None
        return count_photos([Path(path) for path in self.inputs], self.output_path)

    @property
    def is_stream(self) -> bool:
        """Whether a photo comes from standard input, or goes to standard output."""
        return str(STREAM) in self.inputs or self.output_path == STREAM


def _check(request: Request) -> None:
    if len(request.inputs) != 1 or request.from_file:
        raise UsageError("one photo through a pipe", "several inputs", "Name folders and files without -.")
    if request.json_lines or request.batch.dry_run or request.batch.all_pages or request.batch.page:
        raise UsageError("one photo through a pipe", "--json, --dry-run, --all-pages or --page", "Leave it out.")
    if any(map(is_address, (*request.inputs, request.output or ""))):
        raise UsageError("one photo through a pipe", "an address", "Name a folder or an address as output.")
    source, target = Path(request.inputs[0]), request.output_path or STREAM
    if os.path.isdir(source):
        raise UsageError("one photo for standard output", f"{source} is a folder", "Name a folder as output.")
    if target == STREAM:
        if sys.stdout.isatty():
            advice = "Redirect it (> color.jpg, | program), or name a file with --output."
            raise UsageError("a file or pipe for the picture", "a terminal", advice)
    elif target.suffix.lower() not in PHOTO_SUFFIXES:
        raise UsageError("an output file", f"{target} has no photo suffix", f"Use one of {' '.join(PHOTO_SUFFIXES)}.")
    elif os.path.lexists(target) and not request.batch.overwrite:
        raise UsageError("a new output file", f"{target} already exists", "Give --overwrite to replace it.")


def colorize_stream(request: Request, callbacks: CommandCallbacks) -> int:
    """Color one photo from or to a standard stream, and return the exit code.

    Raises:
        UsageError: the request has several inputs, or options that a stream does not allow.
        PhotoError: the photo cannot be read or colored.
        OutputError: the result cannot be written.
    """
    _check(request)
    loading = Loading(request.model, request.batch, callbacks, request.options.like)
    with callbacks:
        loading.wait()
    colorizer = loading.get()
    from colorgan.colorize.encoded import encode_result, result_suffix, with_hints
    from colorgan.images.decode import ReadOptions, read
    from colorgan.images.encode import write_bytes

    source, target = Path(request.inputs[0]), request.output_path or STREAM
    reading = ReadOptions(request.options.max_megapixels)
    photo = read(_standard_input() if source == STREAM else source, reading)
    photo = with_hints(photo, request.options)
    if request.batch.skip_color and photo.had_color:
        raise UsageError("a photo without colors", f"{printable(source)} is in color", "Leave --skip-color out.")
    suffix = result_suffix("", photo, request.options) if target == STREAM else target.suffix.lower()
    colors = colorizer.predict(photo, request.options)
    result = encode_result(colorizer, photo, colors, request.options, suffix)
    write_bytes(result.data, sys.stdout.buffer if target == STREAM else target)
    for warning in result.warnings:
        callbacks.console.note(f"{printable(source)}: {warning}")
    return 0


def _standard_input() -> BinaryIO:
    data = sys.stdin.buffer.read()
    if not data:
        raise UsageError("a photo from standard input", "it was empty", "Check the program before the pipe.")
    return io.BytesIO(data)
