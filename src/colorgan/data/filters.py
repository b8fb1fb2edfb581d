"""What is left out of a set and why: decoding one photo, and judging many by small pictures of them."""

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

from colorgan.color.lab import rgb_to_lab
from colorgan.data.shards import Encoding
from colorgan.data.sources import Entry
from colorgan.errors import PhotoError
from colorgan.images.decode import read_rgb, read_size

THUMB_SIDE = 32

# What makes a photo a tinted grey one: all hues point one way, all ab lie on one line, and lightness alone tells the
# colour. Set by looking at what is left out of ImageNet, Caltech-101 and UTKFace photos: of 10,000 some 60, nearly all
# sepia, blue or green; looser limits begin to take sand, snow and sky, and miss fewer of the tinted.
_TINT_MIN_HUE_AGREEMENT = 0.95  # length of the mean ab over the mean length of ab
_TINT_MAX_ACROSS = 1.2  # Lab units, standard deviation across the line
_TINT_MAX_UNEXPLAINED = 1.8  # Lab units, root mean square distance from the best cubic in L ...
_TINT_MAX_UNEXPLAINED_SHARE = 0.05  # ... to which strong tints add so much of their mean chroma
_TINT_MIN_CONTRAST = 12.0  # standard deviation of L: a plain sky is all of one colour, and a photo


class Reason(str, Enum):
    """Why a photo is not in a set."""

    UNREADABLE = "unreadable"
    TINY = "tiny"
    GREY = "grey"
    TINTED = "tinted"
    DUPLICATE = "duplicate"
    CLASS_NOT_CHOSEN = "class not chosen"
    OVER_PER_CLASS = "over per-class"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A photo that is not in the set.

    Attributes:
        reason: one of a few.
        detail: what exactly, in words; may be empty.
    """

    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Reduced:
    """A photo as the set stores it.

    Attributes:
        encoded: its file, in the encoding of the set.
        height: pixels.
        width: pixels.
        digest: of its pixels before they were encoded.
        thumb: (THUMB_SIDE, THUMB_SIDE, 3), uint8 sRGB.
    """

    encoded: bytes
    height: int
    width: int
    digest: str
    thumb: npt.NDArray[np.uint8]


def reduce_photo(entry: Entry, size: int, min_side: int, encoding: Encoding) -> Reduced | Rejected:
    """Read a photo, reduce it to a short side of at most `size` pixels, and encode it anew.

    Args:
        entry: the photo.
        size: pixels; a smaller photo keeps its own size.
        min_side: pixels; a photo with a shorter side is left out.
        encoding: of the set.
    """
    try:
        picture = _decode(entry.read(), size, min_side)
    except PhotoError as error:
        return Rejected(Reason.UNREADABLE, error.found)
    except Exception as error:  # damaged files make decoders and archives raise whatever they like
        return Rejected(Reason.UNREADABLE, f"{type(error).__name__}: {error}".splitlines()[0])
    return picture if isinstance(picture, Rejected) else _encode(picture, encoding)


def _decode(data: bytes, size: int, min_side: int) -> Image.Image | Rejected:
    """Decode into sRGB, the right way up, reduced; dimensions are checked before pixels are decoded."""
    width, height = read_size(io.BytesIO(data))
    if min(width, height) < min_side:
        return Rejected(Reason.TINY, f"{width} x {height}")
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
    thumb = picture.resize((THUMB_SIDE, THUMB_SIDE), Image.Resampling.BOX)
    return Reduced(buffer.getvalue(), picture.height, picture.width, digest, np.asarray(thumb))


def thumbs_to_lab(photos: list[Reduced]) -> Tensor:
    """The photos' thumbs as Lab, (B, 3, THUMB_SIDE, THUMB_SIDE)."""
    thumbs = np.array([photo.thumb for photo in photos], np.uint8).reshape(-1, THUMB_SIDE, THUMB_SIDE, 3)
    rgb = torch.from_numpy(thumbs)
    return rgb_to_lab(rgb.permute(0, 3, 1, 2).contiguous().float() / 255)


def judge_colours(lab: Tensor, min_chroma: float) -> list[Rejected | None]:
    """Tell grey and tinted photos from coloured ones.

    Args:
        lab: (B, 3, H, W).
        min_chroma: Lab units; photos whose mean chroma is below are grey. 0 lets everything pass.

    Returns:
        For each photo, why it is left out, or None.
    """
    if min_chroma == 0:
        return [None] * len(lab)
    chroma = lab[:, 1:].norm(dim=1).mean(dim=(1, 2)).tolist()
    tinted = _is_tinted(lab).tolist()
    verdicts: list[Rejected | None] = []
    for mean, tint in zip(chroma, tinted, strict=True):
        if mean < min_chroma:
            verdicts.append(Rejected(Reason.GREY, f"mean chroma {mean:.2f}"))
        else:
            verdicts.append(Rejected(Reason.TINTED, f"mean chroma {mean:.2f}, one hue") if tint else None)
    return verdicts


def _is_tinted(lab: Tensor) -> Tensor:
    """Whether each photo's colour is one hue that lightness alone decides, (B,) bool."""
    L, ab = lab[:, 0].flatten(1), lab[:, 1:].flatten(2).mT  # (B, N), (B, N, 2)
    chroma = ab.norm(dim=-1).mean(1)
    agreement = ab.mean(1).norm(dim=-1) / chroma.clamp(min=1e-6)
    centred = ab - ab.mean(1, keepdim=True)
    covariance = centred.mT @ centred / ab.shape[1]
    across = torch.linalg.eigvalsh(covariance)[:, 0].clamp(min=0).sqrt()
    unexplained = (ab - _best_cubic(L, ab)).square().sum(-1).mean(1).sqrt()
    one_hue = (agreement >= _TINT_MIN_HUE_AGREEMENT) & (across <= _TINT_MAX_ACROSS)
    explained = unexplained <= _TINT_MAX_UNEXPLAINED + _TINT_MAX_UNEXPLAINED_SHARE * chroma
    tinted: Tensor = explained & one_hue & (L.std(dim=1) >= _TINT_MIN_CONTRAST)
    return tinted


def _best_cubic(L: Tensor, ab: Tensor) -> Tensor:
    """The ab that the least-squares cubic in L gives, (B, N, 2)."""
    powers: Tensor = (L[..., None] / 50 - 1) ** torch.arange(4)  # (B, N, 4)
    # A photo of one lightness makes the equations singular; the little ridge keeps them solvable.
    normal = powers.mT @ powers + 1e-3 * torch.eye(4)
    coefficients: Tensor = torch.linalg.solve(normal, powers.mT @ ab)
    return powers @ coefficients


def perceptual_hashes(lab: Tensor) -> npt.NDArray[np.uint64]:
    """A 64-bit hash of each photo that small changes hardly change: whether L rises from each cell to the next.

    Args:
        lab: (B, 3, H, W).

    Returns:
        (B,), uint64.
    """
    cells = F.adaptive_avg_pool2d(lab[:, :1], (8, 9))[:, 0]
    rises = (cells[:, :, 1:] > cells[:, :, :-1]).flatten(1).numpy()
    return np.packbits(rises, axis=1).view(">u8")[:, 0].astype(np.uint64)
