"""The lightness of a photo: one integer sample a pixel, and a lookup table from samples to L."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.uint8]
Samples = NDArray[np.uint8] | NDArray[np.uint16]

STRIP_PIXELS = 1 << 18  # a strip's working arrays stay in a core's cache
_STEPS = 65535  # of L, 0..100, of color photos: a hundredth of a visible difference, at half the memory of float32


@dataclass(frozen=True, eq=False)
class Lightness:
    """L of each pixel, held as integers: a gray photo's own samples, or L in steps of 100/65535.

    Attributes:
        samples: (H, W) uint8 or uint16, contiguous.
        table: (256,) or (65536,) float32, 0..100: the L of each sample.
    """

    samples: Samples
    table: NDArray[np.float32]

    @classmethod
    def from_plane(cls, L: NDArray[np.float32]) -> Lightness:
        """Quantize (H, W) values of L, 0..100."""
        return cls(codes_of_lightness(L), L_OF_CODE)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, pixels."""
        height, width = self.samples.shape
        return height, width

    def rows(self, rows: slice) -> NDArray[np.float32]:
        """Return the L of some rows, (rows, W), 0..100."""
        L: NDArray[np.float32] = self.table[self.samples[rows]]
        return L

    def reduced(
        self, height: int, width: int, resample: Image.Resampling = Image.Resampling.LANCZOS
    ) -> NDArray[np.float32]:
        """Return L resampled to (height, width), smaller or larger, antialiased; 0..100.

        Samples are resampled, then looked up, as for training. The default filter is sharp: networks that were trained
        on small photos are more confident on sharp input.
        """
        small = Image.fromarray(self.samples).resize((width, height), resample)
        L: NDArray[np.float32] = self.table[np.asarray(small)]
        return L


def strips(height: int, width: int) -> Iterator[slice]:
    """Cut a picture into strips: groups of rows of about `STRIP_PIXELS` pixels."""
    rows = max(1, STRIP_PIXELS // width)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


# --- CIE L -----------------------------------------------------------------------------------------------------

# The same constants as in color/lab.py, which needs torch; a test compares the two.
_Y_FROM_RGB = np.array([0.212671, 0.715160, 0.072169])


def linear_from_srgb(srgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Undo the transfer curve of sRGB (IEC 61966-2-1), 0..1."""
    return np.where(srgb > 0.04045, ((srgb + 0.055) / 1.055) ** 2.4, srgb / 12.92)


def _lightness_of_luminance(y: NDArray[Any]) -> NDArray[Any]:
    L: NDArray[Any] = 116.0 * np.cbrt(y) - 16.0
    dark = y <= 0.008856
    L[dark] = 116.0 * 7.787 * y[dark]
    np.clip(L, 0.0, 100.0, out=L)
    return L


def _gray_table(codes: int) -> NDArray[np.float32]:
    return _lightness_of_luminance(linear_from_srgb(np.linspace(0.0, 1.0, codes))).astype(np.float32)


def _luminance_tables(codes: int) -> NDArray[np.float32]:
    return (_Y_FROM_RGB[:, None] * linear_from_srgb(np.linspace(0.0, 1.0, codes))).astype(np.float32)


# L of sRGB gray with 8 and 16 bits, and of the codes of `codes_of_lightness`.
L_OF_GRAY8 = _gray_table(1 << 8)
L_OF_GRAY16 = _gray_table(1 << 16)
L_OF_CODE = np.linspace(0.0, 100.0, _STEPS + 1, dtype=np.float32)
# What each sample of red, green and blue adds to luminance, 0..1.
LUMINANCE_OF_RGB8 = _luminance_tables(1 << 8)
LUMINANCE_OF_RGB16 = _luminance_tables(1 << 16)


def codes_of_lightness(L: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Quantize L, 0..100, to codes, 0..65535, which `L_OF_CODE` maps back."""
    codes: NDArray[np.uint16] = np.rint(L * np.float32(_STEPS / 100)).astype(np.uint16)
    return codes


def lightness_of_rgb(planes: Sequence[Samples], luminance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the L of red, green and blue planes, by tables of luminance, (3, 256) or (3, 65536)."""
    red, green, blue = (table[plane] for table, plane in zip(luminance, planes, strict=True))
    L: NDArray[np.float32] = _lightness_of_luminance(red + green + blue)
    return L
