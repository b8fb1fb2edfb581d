"""The photos of a comparison: find them in folders, archives and single files, and read them as square crops."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from colorgan.comparison.results import Failure
from colorgan.data.filters import Reason
from colorgan.data.sources import Check, Entry, FileSource, Source, open_source
from colorgan.errors import PhotoError, UsageError, reason_of
from colorgan.images.decode import is_colorized, read_rgb
from colorgan.images.discovery import has_photo_suffix
from colorgan.images.toning import Toning, toning_of
from colorgan.ordered_pool import map_in_order

_READERS = 2  # threads
_LONGEST = 8  # times the short side: longer photos are cropped before resizing

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Crop:
    """The center square of a photo, on which metrics are measured.

    Attributes:
        entry: the photo in its source.
        sha256: of its file.
        rgb: (S, S, 3) uint8, sRGB.
        colorless: why it has no true colors (gray, toned, colored by colorgan), or "" if it has.
        enlarged: whether the photo was smaller than the square.
    """

    entry: Entry
    sha256: str
    rgb: Pixels
    colorless: str
    enlarged: bool

    @property
    def pixel_digest(self) -> bytes:
        """SHA-256 of its pixels, by which copies of one photo are recognized."""
        return hashlib.sha256(self.rgb.tobytes()).digest()


def failure(entry: Entry, reason: str) -> Failure:
    """Return the record of a photo that could not be read or colored."""
    return Failure(entry.name, entry.source.label, reason)


def open_inputs(inputs: Sequence[Path], check: Check = lambda: None) -> list[Source]:
    """Open folders, archives and single photos; `check` is called repeatedly, and raises to stop.

    Raises:
        UsageError: an input does not exist or is none of these, or there is no photo in any.
    """
    sources = [
        FileSource(path) if os.path.isfile(path) and has_photo_suffix(path.name) else open_source(path, check)
        for path in inputs
    ]
    if not any(source.entries for source in sources):
        where = ", ".join(map(str, inputs))
        advice = "Give photos, or folders or archives of them."
        raise UsageError("photos to compare models on", f"none in {where}", advice)
    return sources


def crop(image: Image.Image, size_px: int) -> Pixels:
    """Resize a photo to that short side (bicubic), and crop the center square: (S, S, 3) uint8."""
    short_side = min(image.size)
    if max(image.size) > _LONGEST * short_side:  # a long strip would be enlarged to gigabytes
        left, top = (max(0, (side - _LONGEST * short_side) // 2) for side in image.size)
        image = image.crop((left, top, image.width - left, image.height - top))
    scale = size_px / short_side
    width, height = (max(size_px, round(side * scale)) for side in image.size)
    left, top = (width - size_px) // 2, (height - size_px) // 2
    resized = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized.crop((left, top, left + size_px, top + size_px)))


def colorless_reason(rgb: Pixels, data: bytes) -> str:
    """Return why a photo has no true colors to compare with, by its crop and its file's bytes; empty if it has."""
    if is_colorized(io.BytesIO(data)):
        return Reason.COLORIZED.value
    toning = toning_of(Image.fromarray(rgb))
    return "" if toning is Toning.color else toning.value


def read_crop(entry: Entry, size_px: int) -> Crop | Failure:
    """Read a photo's center square, or return why it cannot be read."""
    try:
        data = entry.read()
        image = read_rgb(io.BytesIO(data))
        rgb = crop(image, size_px)
        colorless = colorless_reason(rgb, data)
    except PhotoError as error:
        return failure(entry, error.found)
    except Exception as error:  # whatever a damaged archive makes its reader raise
        return failure(entry, reason_of(error))
    return Crop(entry, hashlib.sha256(data).hexdigest(), rgb, colorless, min(image.size) < size_px)


def read_crops(
    entries: Sequence[Entry],
    size_px: int,
    check: Check = lambda: None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Crop | Failure]:
    """Read photos in order, prefetching a few in threads.

    Args:
        entries: the photos in their sources.
        size_px: side of the square that is cropped from each.
        check: called before each; raises to stop.
        on_progress: called with the number of photos read, and of all.
    """
    for done, found in enumerate(map_in_order(lambda entry: read_crop(entry, size_px), entries, _READERS)):
        check()
        on_progress(done, len(entries))
        yield found
    on_progress(len(entries), len(entries))
