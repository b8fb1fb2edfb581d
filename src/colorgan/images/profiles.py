"""ICC profiles built from other declarations of color spaces: PNG's gAMA, cHRM and cICP, HEIF's and AVIF's nclx."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colorgan.images.icc import gray_profile, rgb_profile
from colorgan.images.lightness import linear_from_srgb

GRAY_MODES = ("1", "L", "LA", "I;16", "I")  # of Pillow's pictures
Chromaticities = tuple[float, ...]  # x and y of white, red, green and blue

_D65, _C, _EQUAL, _DCI = (0.3127, 0.3290), (0.310, 0.316), (1 / 3, 1 / 3), (0.314, 0.351)
# ITU-T H.273, table 2.
_PRIMARIES: dict[int, Chromaticities] = {
    1: (*_D65, 0.640, 0.330, 0.300, 0.600, 0.150, 0.060),
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    10: (*_EQUAL, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    11: (*_DCI, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
_SRGB = _PRIMARIES[1]
ADOBE_RGB: Chromaticities = (*_D65, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
ADOBE_RGB_GAMMA = 563 / 256
_UNSPECIFIED = 2

_HDR_WHITE = 203.0  # cd/m2, reference white of HDR: ITU-R BT.2408
_HLG_PEAK, _HLG_SYSTEM_GAMMA = 1000.0, 1.2  # cd/m2 and gamma of HLG's nominal display: ITU-R BT.2100

Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def _pq(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply the EOTF of SMPTE ST 2084; 1 is reference white."""
    power = signal ** (32 / 2523)
    light = np.maximum(power - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * power)
    return 10000 / _HDR_WHITE * light ** (8192 / 1305)


def _hlg(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Apply HLG's EOTF (ITU-R BT.2100) for gray on its nominal display; 1 is reference white."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return _HLG_PEAK / _HDR_WHITE * scene**_HLG_SYSTEM_GAMMA


def _gamma(power: float) -> Curve:
    return lambda signal: signal**power


# ITU-T H.273, table 3. All viewers show still pictures with television's curves (1, 6, 14, 15) as sRGB.
_CURVES: dict[int, Curve] = {
    **dict.fromkeys((1, 6, 13, 14, 15), linear_from_srgb),
    4: _gamma(2.2),
    5: _gamma(2.8),
    8: _gamma(1.0),
    16: _pq,
    17: lambda signal: signal**2.6 * (52.37 / 48),
    18: _hlg,
}
_HDR = {16: "PQ", 18: "HLG"}
_CURVE_STEPS = 4096

_GAMMA_TOLERANCE = 0.05  # relative: a gAMA this close to 1 / 2.2 means sRGB, as in libpng
_CHROMATICITY_TOLERANCE = 0.002


@dataclass(frozen=True)
class DeclaredColors:
    """The color space that a file declares without an ICC profile.

    Attributes:
        profile: an equivalent ICC profile, or None for sRGB.
        warnings: what a user should know.
    """

    profile: bytes | None = None
    warnings: tuple[str, ...] = ()

    def apply_to(self, image: Any) -> None:
        """Set the profile in an open picture's `info`, and append the warnings to its own."""
        if self.profile:
            image.info["icc_profile"] = self.profile
        image.warnings = (*getattr(image, "warnings", ()), *self.warnings)


def of_code_points(
    primaries: int, transfer: int, *, is_full_range: bool = True, is_gray: bool = False
) -> DeclaredColors:
    """Return the color space given by ITU-T H.273's code points; without full range, black is 16 and white 235."""
    primaries, transfer = (1 if primaries == _UNSPECIFIED else primaries, 13 if transfer == _UNSPECIFIED else transfer)
    curve, corners = _CURVES.get(transfer), _PRIMARIES.get(primaries)
    if curve is None or corners is None:
        return DeclaredColors(warnings=(f"an unknown color space ({primaries}/{transfer}); sRGB is assumed",))
    if curve is linear_from_srgb and is_full_range and (is_gray or corners == _SRGB):
        return DeclaredColors()
    signal = np.linspace(0, 1, _CURVE_STEPS)
    if not is_full_range:
        signal = ((signal * 255 - 16) / 219).clip(0, 1)
    warnings = (f"HDR ({_HDR[transfer]}): what is brighter than white paper is clipped",) if transfer in _HDR else ()
    return DeclaredColors(_profile(_table(curve(signal)), corners, is_gray=is_gray), warnings)


def of_gamma(gamma: float | None, chromaticities: Chromaticities | None, *, is_gray: bool = False) -> DeclaredColors:
    """Return the color space given by PNG's gAMA and cHRM.

    Args:
        gamma: encoding gamma, light being sample ** (1 / gamma); None if not declared.
        chromaticities: of white, red, green and blue; None if not declared.
        is_gray: whether the samples are gray.
    """
    is_plain = gamma is None or abs(gamma * 2.2 - 1) < _GAMMA_TOLERANCE
    corners = chromaticities or _SRGB
    is_srgb = np.allclose(corners, _SRGB, atol=_CHROMATICITY_TOLERANCE)
    if is_plain and (is_gray or is_srgb):
        return DeclaredColors()
    if gamma is not None and not 0.01 <= gamma <= 10:
        return DeclaredColors(warnings=(f"an impossible gamma ({gamma:g}); sRGB is assumed",))
    curve = (
        _table(linear_from_srgb(np.linspace(0, 1, _CURVE_STEPS))) if is_plain or gamma is None else _power(1 / gamma)
    )
    try:
        return DeclaredColors(_profile(curve, corners, is_gray=is_gray))
    except (np.linalg.LinAlgError, ValueError, struct.error, ZeroDivisionError):
        return DeclaredColors(warnings=("impossible primary colors; sRGB is assumed",))


def adobe_rgb(*, is_gray: bool) -> bytes:
    """Return a profile of Adobe RGB (1998), which cameras declare in EXIF data alone."""
    return _profile(_power(ADOBE_RGB_GAMMA), ADOBE_RGB, is_gray=is_gray)


def _profile(curve: bytes, corners: Chromaticities, *, is_gray: bool) -> bytes:
    return gray_profile(curve) if is_gray else rgb_profile(curve, corners)


def _power(gamma: float) -> bytes:
    """Encode ICC's parametric curve of type 0 (ICC.1:2010, 10.15)."""
    return b"para" + bytes(8) + struct.pack(">i", round(gamma * 65536))


def _table(light: NDArray[np.float64]) -> bytes:
    """Encode ICC's sampled curve (ICC.1:2010, 10.5)."""
    samples = np.rint(light.clip(0, 1) * 65535).astype(">u2")
    return b"curv" + bytes(4) + struct.pack(">I", len(samples)) + bytes(samples.tobytes())
