"""What `colorgan colorize` was asked for, before torch or any photo is touched."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from colorgan.colorize.options import Rendering

if TYPE_CHECKING:
    from colorgan.batch.worker import Treatment

STREAM = Path("-")


def shown(path: str | os.PathLike[str]) -> str:
    """A path as text that any terminal takes, also where its name is not UTF-8."""
    return os.fsencode(path).decode(errors="replace")


@dataclass(frozen=True)
class Request:
    """What was asked for.

    Attributes:
        inputs: files and folders.
        output: a folder, a file, or None for beside the photos.
        names_folder: the output has a slash at its end.
        from_file: a file with the paths of further photos, or None.
        suffix: of the results; empty keeps each photo's.
        rendering: how to colour.
        model: its name or path.
        device: where to compute.
        precision: of the convolutions.
        batch_size: photos of like shape that are computed together, or None for what the device likes.
        max_megapixels: of the largest photo that is accepted.
        quality: of lossy results, 1..100.
        keep_metadata: of the photos, in their results.
        mark: say in the results that they were coloured.
        bit_depth: of the results, 8 or 16.
        all_pages: each page of a file is a photo.
        skip_color: leave out what is in colour.
        overwrite: do again what is done.
        dry_run: write nothing.
        workers: threads, or None for one per core.
        json_lines: print for a program.
        quiet: no progress and notes.
    """

    inputs: Sequence[Path]
    output: Path | None
    names_folder: bool
    from_file: Path | None
    suffix: str
    rendering: Rendering
    model: str
    device: str
    precision: str
    batch_size: int | None
    max_megapixels: float
    quality: int
    keep_metadata: bool
    mark: bool
    bit_depth: int
    all_pages: bool
    skip_color: bool
    overwrite: bool
    dry_run: bool
    workers: int | None
    json_lines: bool
    quiet: bool

    @property
    def where(self) -> str:
        """Where the results are, in words."""
        return shown(self.output) if self.output else "beside the photos, as NAME-color"

    def treatment(self) -> Treatment:
        """How photos are read, coloured and written."""
        from colorgan.batch.worker import Treatment
        from colorgan.images.decode import ReadOptions
        from colorgan.images.encode import WriteOptions

        reading = ReadOptions(self.max_megapixels, every_page=self.all_pages)
        writing = WriteOptions(self.quality, self.keep_metadata, bit_depth=self.bit_depth)
        return Treatment(self.rendering, reading, writing, self.mark, self.skip_color)
