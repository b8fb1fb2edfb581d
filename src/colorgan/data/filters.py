"""What is left out of a set and why: decodes a photo, and decides on it by its size and a small version of it."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from colorgan.color.bins import nearest_bin
from colorgan.color.lab import rgb_to_lab
from colorgan.data.shards import Encoding
from colorgan.data.sources import Entry
from colorgan.errors import PhotoError, reason_of
from colorgan.images.decode import is_colorized, read_rgb, read_size
from colorgan.images.toning import Toning, toning_of

BINS_PER_PHOTO = 256
BINS_DTYPE = np.dtype("<u2")

_THUMB_SIDE = 32
_COUNTED = slice(None, None, 2)  # the rows and columns of the thumb whose bins are counted


class Reason(str, Enum):
    """The reason why a photo is left out of a set."""

    UNREADABLE = "unreadable"
    TINY = "tiny"
    GRAY = "gray"
    TONED = "toned"
    COLORIZED = "colored by colorgan"
    DUPLICATE = "duplicate"
    CLASS_NOT_CHOSEN = "class not chosen"
    OVER_PER_CLASS = "over per-class"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A photo that is not in the set.

    Attributes:
        reason: its category.
        detail: the particulars, as a message; may be empty.
    """

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Reduced:
    """A photo as the set stores it.

    Attributes:
        encoded: its file's bytes, in the encoding of the set.
        height: pixels.
        width: pixels.
        digest: the hash of its pixels before they were encoded.
        toning: whether it is gray, toned or in color.
        chroma: the mean over its pixels, Lab units.
        hash: its `_perceptual_hash`.
        bins: (BINS_PER_PHOTO,), the color bins of evenly spaced pixels.
    """

    encoded: bytes
    height: int
    width: int
    digest: str
    toning: Toning
    chroma: float
    hash: int
    bins: npt.NDArray[np.uint16]


def reduce_photo(entry: Entry, size: int, min_side: int, encoding: Encoding) -> Reduced | Rejected:
    """Read a photo, reduce it to a short side of at most `size` pixels, and encode it anew.

    A smaller photo keeps its own size; one with a side below `min_side` pixels is left out.
    """
    try:
        picture = _decode(entry.read(), size, min_side)
    except PhotoError as error:
        return Rejected(Reason.UNREADABLE, error.found)
    except Exception as error:  # damaged files make decoders and archives raise whatever they like
        return Rejected(Reason.UNREADABLE, reason_of(error))
    return picture if isinstance(picture, Rejected) else _encode(picture, encoding)


def _decode(data: bytes, size: int, min_side: int) -> Image.Image | Rejected:
    """Decode to sRGB, upright and reduced; dimensions are checked before pixels are decoded."""
    width, height = read_size(io.BytesIO(data))
    if min(width, height) < min_side:
        return Rejected(Reason.TINY, f"{width} x {height}")
    if is_colorized(io.BytesIO(data)):
        return Rejected(Reason.COLORIZED)
    picture = read_rgb(io.BytesIO(data), short_side_px=size)
    short_side = min(picture.size)
    if short_side <= size:
        return picture
    width, height = (round(side * size / short_side) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)


def _encode(picture: Image.Image, encoding: Encoding) -> Reduced | Rejected:
    pixels = picture.tobytes()
    digest = hashlib.sha256(f"{picture.size}".encode() + pixels).hexdigest()[:32]
    buffer = io.BytesIO()
    try:
        picture.save(buffer, encoding.pillow_format, quality=encoding.quality, **encoding.save_options)
    except (OSError, ValueError):
        return Rejected(
            Reason.UNREADABLE, f"{picture.width} x {picture.height} is too long for {encoding.pillow_format}"
        )
    thumb = np.array(picture.resize((_THUMB_SIDE, _THUMB_SIDE), Image.Resampling.BOX))
    L, ab = rgb_to_lab(torch.from_numpy(thumb).permute(2, 0, 1)[None].float() / 255).split((1, 2), dim=1)
    return Reduced(
        buffer.getvalue(),
        picture.height,
        picture.width,
        digest,
        toning_of(picture),
        chroma=float(ab.norm(dim=1).mean()),
        hash=_perceptual_hash(L),
        bins=nearest_bin(ab[..., _COUNTED, _COUNTED]).flatten().numpy().astype(BINS_DTYPE),
    )


def _perceptual_hash(L: Tensor) -> int:
    """Return a 64-bit difference hash: whether L, (1, 1, H, W), rises between neighbors in each row of 8 x 9 cells."""
    cells = F.adaptive_avg_pool2d(L, (8, 9))[0, 0]
    rises = (cells[:, 1:] > cells[:, :-1]).numpy()
    return int.from_bytes(np.packbits(rises).tobytes(), "big")


def rejected_for_colors(photo: Reduced, min_chroma: float) -> Rejected | None:
    """Return the rejection of a gray or toned photo, or None.

    One whose mean chroma is below `min_chroma`, Lab units, is gray; a limit of 0 lets everything pass.
    """
    if min_chroma == 0:
        return None
    if photo.chroma < min_chroma or photo.toning is Toning.gray:
        return Rejected(Reason.GRAY, f"mean chroma {photo.chroma:.2f}")
    return Rejected(Reason.TONED, f"mean chroma {photo.chroma:.2f}, one tone") if photo.toning is Toning.toned else None
