"""ICC profiles: from a photo's samples to lightness and sRGB by LittleCMS, and the sRGB profile that results carry."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from colorgan.images.lightness import (
    L_OF_GRAY8,
    L_OF_GRAY16,
    LUMINANCE_OF_RGB8,
    LUMINANCE_OF_RGB16,
    Samples,
    lightness_of_rgb,
    linear_from_srgb,
)
from colorgan.images.pixels import merged

_CLOSE = 2  # levels of 255 by which a profile may move a color and still be taken for sRGB
_DATE = slice(24, 36)  # in a profile's header: fixed, so that outputs are reproducible
_D65_Y_FROM_D50 = np.array([-0.028370, 1.009960, 0.021041])  # Bradford adaptation, the row of Y

GRAY, RGB, CMYK, LAB = "GRAY", "RGB ", "CMYK", "Lab "  # color space signatures (ICC.1:2010, 7.2.6)

Convert = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True, eq=False)
class SampleColors:
    """Conversion of samples to lightness and sRGB.

    Attributes:
        gray: (256,) or (65536,) float32, the L of each gray sample.
        luminance: (3, 256) or (3, 65536) float32, what each sample of red, green and blue adds to luminance.
        to_srgb: converts a picture in the profile's color space to sRGB; None if it is sRGB already.
        to_gray_axis: converts 8-bit RGB to positions on sRGB's gray axis, 0..65535; set only for 16-bit samples whose
            luminance is no sum over the channels, as with LUT profiles.
    """

    gray: NDArray[np.float32]
    luminance: NDArray[np.float32]
    to_srgb: Convert | None = None
    to_gray_axis: Convert | None = None

    def lightness(self, planes: Sequence[Samples]) -> NDArray[np.float32]:
        """Return the L, (H, W), of three planes of samples, each (H, W)."""
        if self.to_gray_axis is None:
            return lightness_of_rgb(planes, self.luminance)
        return L_OF_GRAY16[_interpolate_codes(planes, self.to_gray_axis)]


def _interpolate_codes(planes: Sequence[Samples], to_gray_axis: Convert) -> NDArray[np.uint16]:
    """Convert 16-bit samples by an 8-bit converter, interpolated linearly along each channel from the level below."""
    below = [(plane // 257).astype(np.uint8) for plane in planes]
    base = np.asarray(to_gray_axis(merged(below))).astype(np.float32)
    place = base.copy()
    for channel, plane in enumerate(planes):
        above = [np.minimum(level, 254) + 1 if index == channel else level for index, level in enumerate(below)]
        step = np.asarray(to_gray_axis(merged([level.astype(np.uint8) for level in above]))).astype(np.float32) - base
        place += step * ((plane % 257).astype(np.float32) / 257)
    codes: NDArray[np.uint16] = np.rint(place.clip(0, 65535)).astype(np.uint16)
    return codes


SRGB8 = SampleColors(L_OF_GRAY8, LUMINANCE_OF_RGB8)
SRGB16 = SampleColors(L_OF_GRAY16, LUMINANCE_OF_RGB16)


def _srgb_profile() -> bytes:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[_DATE] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    return bytes(profile)


_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def gray_profile(curve: bytes) -> bytes:
    """Build a gray ICC profile from an encoded tone curve (ICC.1:2010, 7.2 and 10.5)."""
    return _profile(b"GRAY", {b"wtpt": _xyz(_D50), b"kTRC": curve})


def rgb_profile(curve: bytes, chromaticities: Sequence[float]) -> bytes:
    """Build a matrix/TRC profile of RGB from one encoded tone curve, and x and y of white, red, green and blue.

    Raises:
        ValueError, ZeroDivisionError, LinAlgError: the chromaticities are impossible.
    """
    white, *primaries = ((x / y, 1.0, (1 - x - y) / y) for x, y in np.reshape(chromaticities, (4, 2)).tolist())
    corners = np.array(primaries).T
    corners = corners * np.linalg.solve(corners, np.array(white))
    # Chromatic adaptation from the file's white to ICC's D50 (ICC.1:2010, annex E).
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _D50 / (_BRADFORD @ white)) @ _BRADFORD @ corners
    tags = {b"wtpt": _xyz(_D50)} | {name + b"TRC": curve for name in (b"r", b"g", b"b")}
    tags |= {name + b"XYZ": _xyz(column) for name, column in zip((b"r", b"g", b"b"), adapted.T, strict=True)}
    return _profile(b"RGB ", tags)


def _xyz(values: Sequence[float] | NDArray[np.float64]) -> bytes:
    if not np.all(np.isfinite(values)):
        raise ValueError("no colors")
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    table, data, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    size = struct.pack(">I", start + len(data))
    header = size + b"lcms" + b"\x04\x20\0\0" + b"mntr" + space + b"XYZ "
    header += struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp"
    return header.ljust(68, b"\0") + _xyz(_D50)[8:] + bytes(48) + table + data


# The gray axis of sRGB: the curve of IEC 61966-2-1 as ICC's parametric curve of type 3.
_SRGB_CURVE = b"para\0\0\0\0\0\3\0\0" + struct.pack(
    ">5i", *(round(value * 65536) for value in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
)
SRGB_PROFILE = _srgb_profile()
_GRAY_AXIS = gray_profile(_SRGB_CURVE)


def colors_of(icc: bytes | None, space: str, depth: int, warnings: list[str]) -> SampleColors:
    """Return how samples are converted by the embedded profile; without a usable one they are taken for sRGB.

    Args:
        icc: the embedded profile, or None.
        space: ICC's signature for the pixels' color space: `GRAY`, `RGB`, `CMYK` or `LAB`.
        depth: bits of a sample, 8 or 16.
        warnings: a warning is appended if the profile is damaged or for another color space.
    """
    plain = SRGB8 if depth == 8 else SRGB16
    if space == LAB:
        return _lab()
    if not icc:
        return plain
    try:
        found = _colors(icc, space, depth)
    except Exception:  # a damaged profile; LittleCMS and Pillow raise several kinds of errors
        warnings.append("a damaged color profile; sRGB is assumed")
        return plain
    if found is None:
        warnings.append("a color profile for another kind of pixels; sRGB is assumed")
    return found or plain


@lru_cache(maxsize=8)
def _colors(icc: bytes, space: str, depth: int) -> SampleColors | None:
    """Return the conversion by a profile, or None if it is for another color space."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
    if profile.profile.xcolor_space != space:
        return None
    plain = SRGB8 if depth == 8 else SRGB16
    if space == GRAY:
        return SampleColors(_gray_table(profile, depth), plain.luminance)
    to_srgb = _converter(profile, space.strip(), SRGB_PROFILE, "RGB")
    if space == RGB and _is_srgb(to_srgb):
        return plain
    if depth == 16 and space == RGB and profile.profile.is_matrix_shaper:
        return _deep_colors(profile)
    if depth == 16 and space == RGB:
        gray = L_OF_GRAY16[_deep_gray(profile)]
        return SampleColors(gray, plain.luminance, to_srgb, _converter(profile, "RGB", _GRAY_AXIS, "I;16"))
    return SampleColors(plain.gray, plain.luminance, to_srgb)


@lru_cache(maxsize=1)
def _lab() -> SampleColors:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    return SampleColors(SRGB8.gray, SRGB8.luminance, _converter(profile, "LAB", SRGB_PROFILE, "RGB"))


def _converter(profile: ImageCms.ImageCmsProfile, mode: str, target: bytes, target_mode: str) -> Convert:
    # Threads share a transform, so its one-pixel cache must be off. And its optimization for 16-bit samples is off by
    # several units of L near black.
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.NOCACHE
    transform = ImageCms.buildTransform(
        profile,
        ImageCms.ImageCmsProfile(io.BytesIO(target)),
        mode,
        target_mode,
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags | (ImageCms.Flags.NOOPTIMIZE if target_mode == "I;16" else 0),
    )

    def convert(image: Image.Image) -> Image.Image:
        converted = ImageCms.applyTransform(image, transform)
        assert converted is not None  # None is returned only with inPlace=True
        return converted

    return convert


def _is_srgb(to_srgb: Convert) -> bool:
    levels = np.linspace(0, 255, 6).astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(6, -1, 3)
    moved = np.asarray(to_srgb(Image.fromarray(cube))).astype(int) - cube
    return bool(np.abs(moved).max() <= _CLOSE)


def _gray_table(profile: ImageCms.ImageCmsProfile, depth: int) -> NDArray[np.float32]:
    codes = np.arange(256, dtype=np.uint16) * np.uint16(257) if depth == 8 else np.arange(65536, dtype=np.uint16)
    on_axis = _converter(profile, "I;16", _GRAY_AXIS, "I;16")(Image.fromarray(codes.reshape(256, -1)))
    table: NDArray[np.float32] = L_OF_GRAY16[np.asarray(on_axis).ravel()]
    return table


def _deep_colors(profile: ImageCms.ImageCmsProfile) -> SampleColors:
    """Tabulate a matrix/TRC profile for 16 bits from 256 points of its curves: Pillow cannot convert 16-bit RGB."""
    primaries = (profile.profile.red_primary, profile.profile.green_primary, profile.profile.blue_primary)
    weights = np.array([_D65_Y_FROM_D50 @ np.array(primary[0]) for primary in primaries if primary])
    luminance = []
    for channel, weight in zip(np.eye(3, dtype=np.uint8), weights / weights.sum(), strict=True):
        codes = np.interp(np.arange(65536), np.arange(256) * 257.0, _ramp(profile, tuple(channel)))
        light = linear_from_srgb(codes / 65535)
        luminance.append(light / light[-1] * weight)
    return SampleColors(L_OF_GRAY16[_deep_gray(profile)], np.array(luminance, dtype=np.float32))


def _deep_gray(profile: ImageCms.ImageCmsProfile) -> NDArray[np.uint16]:
    """Return the positions on sRGB's gray axis of all 65536 neutral 16-bit RGB samples."""
    places = np.interp(np.arange(65536), np.arange(256) * 257.0, _ramp(profile, (1, 1, 1)))
    codes: NDArray[np.uint16] = np.rint(places).astype(np.uint16)
    return codes


def _ramp(profile: ImageCms.ImageCmsProfile, channels: tuple[Any, ...]) -> NDArray[np.float64]:
    """Return positions on sRGB's gray axis, 0..65535, of the 256 levels of the channels that are 1, others being 0."""
    rgb = np.arange(256, dtype=np.uint8)[None, :, None] * np.array(channels, np.uint8)
    converted = _converter(profile, "RGB", _GRAY_AXIS, "I;16")(Image.fromarray(rgb))
    return np.asarray(converted).ravel().astype(np.float64)
