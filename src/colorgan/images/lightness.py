"""The lightness of a photo: one sample a pixel, and a table that says which L each sample stands for."""

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
_STEPS = 65535  # of L from 0 to 100 in a color photo: a hundredth of what the eye can tell, and half of float32


@dataclass(frozen=True, eq=False)
class Lightness:
    """L of each pixel, held as small integers: a gray photo's own samples, or L in steps of 1/655.

    Attributes:
        samples: (H, W) uint8 or uint16, contiguous.
        table: (256,) or (65536,) float32, 0..100: the L of each sample.
    """

    samples: Samples
    table: NDArray[np.float32]

    @classmethod
    def from_plane(cls, L: NDArray[np.float32]) -> Lightness:
        """Hold (H, W) values of L, 0..100."""
        return cls(codes_of_lightness(L), L_OF_CODE)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width, pixels."""
        height, width = self.samples.shape
        return height, width

    def rows(self, rows: slice) -> NDArray[np.float32]:
        """L of some rows, (rows, W), 0..100."""
        L: NDArray[np.float32] = self.table[self.samples[rows]]
        return L

    def reduced(
        self, height: int, width: int, resample: Image.Resampling = Image.Resampling.LANCZOS
    ) -> NDArray[np.float32]:
        """L at another size, also a larger one, antialiased: (height, width), 0..100.

        Samples are averaged, then looked up, as pictures for training were. The filter is a sharp one: networks that
        learned from small photos are surer of a sharp one.
        """
        small = Image.fromarray(self.samples).resize((width, height), resample)
        L: NDArray[np.float32] = self.table[np.asarray(small)]
        return L


def strips(height: int, width: int) -> Iterator[slice]:
    """Cut a picture into groups of rows."""
    rows = max(1, STRIP_PIXELS // width)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


# --- what L is -----------------------------------------------------------------------------------------------

# The same constants as color/lab.py, which is torch's; a test holds the two together.
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


# L of sRGB gray with 8 and 16 bits, and of the steps in which the L of colors is held.
L_OF_GRAY8 = _gray_table(1 << 8)
L_OF_GRAY16 = _gray_table(1 << 16)
L_OF_CODE = np.linspace(0.0, 100.0, _STEPS + 1, dtype=np.float32)
# The luminance that each sample of red, green and blue adds.
LUMINANCE_OF_RGB8 = _luminance_tables(1 << 8)
LUMINANCE_OF_RGB16 = _luminance_tables(1 << 16)


def codes_of_lightness(L: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Steps of L, which `L_OF_CODE` turns back, of values in 0..100."""
    codes: NDArray[np.uint16] = np.rint(L * np.float32(_STEPS / 100)).astype(np.uint16)
    return codes


def lightness_of_rgb(planes: Sequence[Samples], luminance: NDArray[np.float32]) -> NDArray[np.float32]:
    """L of red, green and blue by what each of their samples adds to luminance, (3, 256) or (3, 65536)."""
    red, green, blue = (table[plane] for table, plane in zip(luminance, planes, strict=True))
    L: NDArray[np.float32] = _lightness_of_luminance(red + green + blue)
    return L
