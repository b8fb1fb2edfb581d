"""Whether a picture is gray, toned as old prints are, or in color: the one judgment of all commands.

In a gray or toned picture lightness alone decides the color, be it sepia, selenium, cyanotype or yellowed paper: all
pixels lie near one curve of ab over L. What is judged is how far they lie from it, relative to how strong the tone is.
"""

from __future__ import annotations

import math
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from colorgan.images.lightness import linear_from_srgb

# All set on 900 photos of COCO and their toned likes, other ones than those of `benchmarks/toning.py`'s table.
_SIDE_PX = 48  # of the picture that is judged: noise, grain and the chroma of JPEGs are averaged away
_EDGE = 0.1  # of each side is not looked at: borders, mounts and passe-partouts
_GROUPS = 16  # of pixels of like lightness, whose medians are the tone's curve ...
_GROUP_PIXELS = 12  # ... and the fewest pixels of each
_COUNTED = 0.85  # the share of pixels that have to lie on it: stains may cover the rest
_ACROSS, _ALONG = 0.035, 0.2  # by how much of the tone's chroma pixels may lie beside it, and lie further along it
_MOST_OFF = 1.4  # Lab units, and those shares of the chroma
_NOISE = 1.1  # Lab units in which noise of one level between red and green shows
_GRAY_CHROMA = 2.0  # Lab units: fainter tones are not seen
_TONE_CHROMA = 75.0  # Lab units: no toning is stronger at any lightness
_CONTRAST = 4.0  # Lab units, standard deviation of L: a plain sky is all of one color, and a photo in color
# A small thing of another color is one where it is none of the colors that stains have, or stronger than any.
_FAR, _FAR_BROWN, _FAR_SHARE, _FAREST = 12.0, 40.0, 0.3, 0.015
_BROWN_DEGREES = (15.0, 115.0)  # hues of stains
# Linear sRGB to XYZ over the white point, as in color/lab.py, which is torch's; a test holds the two together.
_XYZ_FROM_RGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
) / np.array([[0.95047], [1.0], [1.08883]])


class Toning(str, Enum):
    """What colors a picture has."""

    gray = "gray"
    toned = "toned"
    color = "color"


def toning_of(picture: Image.Image) -> Toning:
    """Judge an RGB picture of any size, in sRGB."""
    scale = min(1.0, _SIDE_PX / max(picture.size))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    small = picture.resize((width, height), Image.Resampling.BOX) if scale < 1 else picture
    lab = lab_of_rgb(_inside(small))
    return _judge(lab.reshape(-1, 3), math.hypot(_MOST_OFF, _NOISE * scale * _noise(_inside(picture))))


def _inside(picture: Image.Image) -> NDArray[np.uint8]:
    """A picture without what may be its border."""
    top, left = int(picture.height * _EDGE), int(picture.width * _EDGE)
    return np.asarray(picture)[top : picture.height - top, left : picture.width - left]


def _noise(rgb: NDArray[np.uint8]) -> float:
    """Standard deviation of the noise between red and green, levels: from neighbors where the picture is calm."""
    difference = rgb[..., 0].astype(np.int16) - rgb[..., 1]
    steps = np.abs(np.diff(difference, axis=1))
    return 1.4826 / math.sqrt(2) * float(np.median(steps)) if steps.size else 0.0


def lab_of_rgb(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """CIE Lab of sRGB, (H, W, 3) both."""
    xyz = linear_from_srgb(rgb / 255.0) @ _XYZ_FROM_RGB.T
    x, y, z = np.moveaxis(np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def _judge(lab: NDArray[np.float64], most_off: float) -> Toning:
    """Judge pixels, (N, 3), of which most are off their tone by no more than that."""
    lab = lab[np.argsort(lab[:, 0], kind="stable")]
    tone = _tone_curve(lab)
    chroma = np.hypot(tone[:, 0], tone[:, 1])
    rest = lab[:, 1:] - tone
    if chroma.max() > _TONE_CHROMA or _far_share(lab[:, 1:], rest, chroma) > _FAREST:
        return Toning.color
    direction = tone / np.maximum(chroma, 1e-6)[:, None]  # of a tone of no chroma there is none: all is across it
    along = (rest * direction).sum(1)
    across = np.sqrt(np.maximum((rest**2).sum(1) - along**2, 0.0))
    off = np.hypot(across / (1 + _ACROSS * chroma), along / (1 + _ALONG * chroma))
    if np.quantile(off, _COUNTED) > most_off:
        return Toning.color
    if chroma.mean() <= _GRAY_CHROMA:
        return Toning.gray
    return Toning.toned if lab[:, 0].std() >= _CONTRAST else Toning.color


def _tone_curve(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """The ab that a tone would have at each pixel's L, (N, 2), of pixels sorted by it."""
    groups = np.array_split(lab, min(_GROUPS, max(1, len(lab) // _GROUP_PIXELS)))
    medians = np.array([np.median(group, axis=0) for group in groups])
    if len(medians) > 2:  # a thing of one lightness may be a whole group
        beside = np.stack([medians[:-2], medians[1:-1], medians[2:]])
        medians[1:-1, 1:] = np.median(beside[..., 1:], axis=0)
    return np.stack([np.interp(lab[:, 0], medians[:, 0], medians[:, channel]) for channel in (1, 2)], -1)


def _far_share(ab: NDArray[np.float64], rest: NDArray[np.float64], chroma: NDArray[np.float64]) -> float:
    """The share of pixels of which neither tone nor stain makes the color."""
    own, hue = np.hypot(ab[:, 0], ab[:, 1]), np.degrees(np.arctan2(ab[:, 1], ab[:, 0]))
    is_brown = (hue > _BROWN_DEGREES[0]) & (hue < _BROWN_DEGREES[1]) & (own < _FAR_BROWN + _FAR_SHARE * chroma)
    is_far = np.hypot(rest[:, 0], rest[:, 1]) > _FAR + _FAR_SHARE * chroma
    return float((is_far & ~is_brown & (own > _FAR)).mean())
