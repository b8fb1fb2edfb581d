"""JPEGs without their last bytes: told from damaged ones by whether any pixel depends on what is missing."""

from __future__ import annotations

import io
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import JpegImagePlugin

_END = b"\xff\xd9"
_MOST_NOISE_BYTES = 1 << 24
_MOST_MISSING = 0.01  # share of the samples that may depend on what is missing ...
_FAINT = 24  # ... by more than these levels: the last scan of a progressive JPEG only refines, and its end all of it
WITHOUT_END = "its last bytes are missing; what was left of it was read"


def completed(file: BinaryIO) -> io.BytesIO | None:
    """A JPEG with the end that it lacks; None where pixels are missing too.

    It is decoded with two ends: nothing, and noise in place of what may be missing. Where the pictures are alike, every
    pixel stood in the file.

    Args:
        file: open for reading and seeking.
    """
    file.seek(0)
    data = file.read()
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    # No byte of it is 0xFF, which would begin a marker.
    noise = np.random.default_rng(0).integers(0, 255, min(len(data), _MOST_NOISE_BYTES), np.uint8).tobytes()
    try:
        plain, noisy = _pixels(data + _END), _pixels(data + noise + _END)
    except Exception:  # damaged in another way, as the first try to decode it says
        return None
    differs = np.abs(plain.astype(np.int16) - noisy) > _FAINT
    missing = np.count_nonzero(differs) / differs.size
    return io.BytesIO(data + _END) if missing <= _MOST_MISSING else None


def _pixels(data: bytes) -> NDArray[np.uint8]:
    with JpegImagePlugin.JpegImageFile(io.BytesIO(data)) as image:
        return np.asarray(image)
