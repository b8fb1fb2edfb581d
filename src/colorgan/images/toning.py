"""Classify a picture as gray, toned as old prints are, or in color; used by all commands.

In a gray or toned picture the color is a function of lightness alone, be it sepia, selenium, cyanotype or yellowed
paper: all pixels lie near one curve of ab over L. The classifier measures how far they lie from it, relative to the
chroma of the tone.
"""

from __future__ import annotations

import math
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from colorgan.images.lightness import linear_from_srgb

# All tuned on 900 photos of COCO and toned versions of them, none of which `benchmarks/toning.py` measures.
_SIDE_PX = 48  # of the reduced picture: averages noise, grain and JPEG's chroma artifacts away
_EDGE = 0.1  # of each side is ignored: borders, mounts and passe-partouts
_GROUPS = 16  # of pixels of similar lightness, whose medians are the tone's curve ...
_GROUP_PIXELS = 12  # ... and the fewest pixels of each
_COUNTED = 0.85  # the share of pixels that have to lie on the curve: stains may cover the rest
_ACROSS, _ALONG = 0.035, 0.2  # tolerance relative to the tone's chroma, across its hue and along it
_MOST_OFF = 1.4  # Lab units: the tolerance is this times (1 + the relative one times chroma)
_NOISE = 1.1  # Lab units of error for each level of noise between red and green
_GRAY_CHROMA = 2.0  # Lab units: fainter tones are invisible
_TONE_CHROMA = 75.0  # Lab units: no toning is stronger at any lightness
_CONTRAST = 4.0  # Lab units, standard deviation of L: below, a toned picture is a photo in color of, say, a plain sky
# A small object makes a photo one in color if no stain has its hue, or none is as strong.
_FAR, _FAR_BROWN, _FAR_SHARE, _FAREST = 12.0, 40.0, 0.3, 0.015
_BROWN_DEGREES = (15.0, 115.0)  # hues of stains
# Linear sRGB to XYZ over the white point, as in color/lab.py, which needs torch; a test compares the two.
_XYZ_FROM_RGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
) / np.array([[0.95047], [1.0], [1.08883]])


class Toning(str, Enum):
    """Whether a picture is gray, toned or in color."""

    gray = "gray"
    toned = "toned"
    color = "color"


def toning_of(picture: Image.Image) -> Toning:
    """Classify an sRGB picture of any size."""
    scale = min(1.0, _SIDE_PX / max(picture.size))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    small = picture.resize((width, height), Image.Resampling.BOX) if scale < 1 else picture
    lab = lab_of_rgb(_inside(small))
    return _classify(lab.reshape(-1, 3), math.hypot(_MOST_OFF, _NOISE * scale * _noise(_inside(picture))))


def _inside(picture: Image.Image) -> NDArray[np.uint8]:
    """Crop the margins, which may be a border."""
    top, left = int(picture.height * _EDGE), int(picture.width * _EDGE)
    return np.asarray(picture)[top : picture.height - top, left : picture.width - left]


def _noise(rgb: NDArray[np.uint8]) -> float:
    """Estimate the noise between red and green, as a standard deviation in levels, by the median step to a neighbor."""
    difference = rgb[..., 0].astype(np.int16) - rgb[..., 1]
    steps = np.abs(np.diff(difference, axis=1))
    return 1.4826 / math.sqrt(2) * float(np.median(steps)) if steps.size else 0.0


def lab_of_rgb(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Convert sRGB, (H, W, 3) uint8, to CIE Lab, (H, W, 3)."""
    xyz = linear_from_srgb(rgb / 255.0) @ _XYZ_FROM_RGB.T
    x, y, z = np.moveaxis(np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def _classify(lab: NDArray[np.float64], most_off: float) -> Toning:
    """Classify pixels, (N, 3), that may lie so many Lab units off the tone's curve."""
    lab = lab[np.argsort(lab[:, 0], kind="stable")]
    tone = _tone_curve(lab)
    chroma = np.hypot(tone[:, 0], tone[:, 1])
    rest = lab[:, 1:] - tone
    if chroma.max() > _TONE_CHROMA or _far_share(lab[:, 1:], rest, chroma) > _FAREST:
        return Toning.color
    direction = tone / np.maximum(chroma, 1e-6)[:, None]  # about zero for a neutral tone: then all counts as across
    along = (rest * direction).sum(1)
    across = np.sqrt(np.maximum((rest**2).sum(1) - along**2, 0.0))
    off = np.hypot(across / (1 + _ACROSS * chroma), along / (1 + _ALONG * chroma))
    if np.quantile(off, _COUNTED) > most_off:
        return Toning.color
    if chroma.mean() <= _GRAY_CHROMA:
        return Toning.gray
    return Toning.toned if lab[:, 0].std() >= _CONTRAST else Toning.color


def _tone_curve(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ab of the tone's curve at each pixel's L, (N, 2); the pixels, (N, 3), are sorted by L."""
    groups = np.array_split(lab, min(_GROUPS, max(1, len(lab) // _GROUP_PIXELS)))
    medians = np.array([np.median(group, axis=0) for group in groups])
    if len(medians) > 2:  # an object of one lightness may fill a whole group
        beside = np.stack([medians[:-2], medians[1:-1], medians[2:]])
        medians[1:-1, 1:] = np.median(beside[..., 1:], axis=0)
    return np.stack([np.interp(lab[:, 0], medians[:, 0], medians[:, channel]) for channel in (1, 2)], -1)


def _far_share(ab: NDArray[np.float64], rest: NDArray[np.float64], chroma: NDArray[np.float64]) -> float:
    """Return the share of pixels whose color neither the tone nor a stain explains."""
    own, hue = np.hypot(ab[:, 0], ab[:, 1]), np.degrees(np.arctan2(ab[:, 1], ab[:, 0]))
    is_brown = (hue > _BROWN_DEGREES[0]) & (hue < _BROWN_DEGREES[1]) & (own < _FAR_BROWN + _FAR_SHARE * chroma)
    is_far = np.hypot(rest[:, 0], rest[:, 1]) > _FAR + _FAR_SHARE * chroma
    return float((is_far & ~is_brown & (own > _FAR)).mean())
