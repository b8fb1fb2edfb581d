"""Colors at the network's size onto the photo's own lightness, strip by strip.

Each step multiplies, adds and looks up, and nothing else: a pixel then has the same bits in whichever strip it is.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from colorgan.color.lab import srgb_from_linear
from colorgan.colorize.gamut import (
    LINEAR_STEPS,
    Mixer,
    clip,
    is_inside,
    reduce_chroma,
    scaled_ab,
    scaled_lightness,
    scaled_lines,
)
from colorgan.colorize.guided_filter import lines
from colorgan.images.lightness import Lightness, Samples

CPU = torch.device("cpu")

# On a CPU the dozen planes of a strip stay in a core's cache, and torch takes no second thread for a single step, as it
# would for more; the strips are shared out instead, twice as large among threads that have no second. A GPU wants few
# and large ones.
_STRIP_PIXELS = 1 << 15
_LARGE_STRIP_PIXELS = 1 << 22
_PIXELS_PER_THREAD = 1 << 19  # a thread for less than this costs more than it brings


def render(
    lightness: Lightness,
    ab: Tensor,
    saturation: float = 1.0,
    *,
    guide: Tensor | None = None,
    bit_depth: int = 8,
    is_clipped: bool = False,
    device: torch.device = CPU,
) -> Samples:
    """Give a photo its colors.

    Args:
        lightness: of the photo.
        ab: (2, h, w) on the CPU, Lab units, of any size.
        saturation: multiplies ab; 0 is gray.
        guide: (h, w), the L that ab was predicted from, for colors to follow the photo's edges; None for colors that
            are only interpolated.
        bit_depth: of the result, 8 or 16.
        is_clipped: whether a color that sRGB does not have is clipped channel by channel, in place of losing chroma.
        device: where to compute.

    Returns:
        (H, W, 3) sRGB, uint8 or uint16.
    """
    height, width = lightness.shape
    most_threads, threads, strip_pixels = torch.get_num_threads(), 1, _LARGE_STRIP_PIXELS
    if device.type == "cpu":
        threads = min(most_threads, 1 + height * width // _PIXELS_PER_THREAD)
        strip_pixels = _STRIP_PIXELS * (2 if threads > 1 or most_threads == 1 else 1)
    rows_per_strip = max(1, strip_pixels // width)
    strips = [slice(top, min(top + rows_per_strip, height)) for top in range(0, height, rows_per_strip)]
    with torch.inference_mode():
        table = scaled_lightness(torch.from_numpy(lightness.table)).to(device)
        ab = ab * saturation
        planes = scaled_ab(ab) if guide is None else scaled_lines(lines(guide, ab))
        wide = resize_width(planes.to(device), height, width)
        between = RowInterpolator(wide.shape[1], height, device)
    shape = height, width, 3
    rgb: Samples = np.empty(shape, np.uint8) if bit_depth == 8 else np.empty(shape, np.uint16)
    painting = _Painting(lightness.samples, table, wide[-2:], wide[:-2], between, is_clipped, rgb)

    def paint_share(first: int) -> None:
        workspace = _Workspace(min(rows_per_strip, height), width, device)
        for rows in strips[first::threads]:
            painting.paint(rows, workspace)

    if threads == 1:
        paint_share(0)
    else:
        try:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                list(pool.map(paint_share, range(threads)))
        finally:
            torch.set_num_threads(most_threads)  # of threads to come, which take what was said last
    return rgb


class _Workspace:
    """What the steps of one strip after the other are written into: one thread's own."""

    def __init__(self, rows: int, width: int, device: torch.device) -> None:
        pixels = rows * width
        self.codes = np.empty(pixels, np.int32)
        self.light = torch.empty(pixels, device=device)
        self.ab = torch.empty(2, rows, width, device=device)
        self.slopes = torch.empty_like(self.ab)
        self.spare = torch.empty_like(self.ab)
        self.steps = torch.empty(pixels, dtype=torch.int32, device=device)
        self.levels = torch.empty(pixels, dtype=torch.uint8, device=device)
        self.mixer = Mixer(pixels, device)


@dataclass(frozen=True, eq=False)
class _Painting:
    """A photo and its result.

    Attributes:
        samples: (H, W), which `table` turns into lightness as carried.
        table: (256,) or (65536,), on the device.
        ab: (2, h, W), as carried, on the device: the colors, or their offsets where there are slopes.
        slopes: (2, h, W), of ab over lightness, as carried, on the device; or (0, h, W).
        between: where the photo's rows are among those.
        is_clipped: whether channels are clipped.
        rgb: (H, W, 3), written strip by strip.
    """

    samples: Samples
    table: Tensor
    ab: Tensor
    slopes: Tensor
    between: RowInterpolator
    is_clipped: bool
    rgb: Samples

    @torch.inference_mode()
    def paint(self, rows: slice, workspace: _Workspace) -> None:
        """Fill some rows of the result."""
        width, count = self.samples.shape[1], rows.stop - rows.start
        pixels = count * width
        codes = workspace.codes[:pixels]
        np.copyto(codes.reshape(count, width), self.samples[rows])
        light = workspace.light[:pixels]
        torch.index_select(self.table, 0, torch.from_numpy(codes).to(self.table.device), out=light)
        ab, spare = workspace.ab[:, :count], workspace.spare[:, :count]
        colors = self.between.interpolate_rows(self.ab, rows, ab, spare).view(2, pixels)
        if len(self.slopes):
            slopes = self.between.interpolate_rows(self.slopes, rows, workspace.slopes[:, :count], spare)
            colors.addcmul_(slopes.view(2, pixels), light)
        a, b = colors
        linear = workspace.mixer.mix(light, a, b)
        if self.is_clipped:
            clip(linear)
        elif not is_inside(linear):
            reduce_chroma(linear, light, a, b)
        if self.rgb.dtype == np.uint8:
            self._write_levels(rows, linear, workspace)
        else:
            self._write_deep(rows, linear)

    def _write_deep(self, rows: slice, linear: Tensor) -> None:
        for channel, plane in enumerate(linear):
            levels = srgb_from_linear(plane.mul_(1.0 / LINEAR_STEPS).clamp_(0.0, 1.0)).mul_(65535.0).round_()
            self.rgb[rows, :, channel] = levels.cpu().numpy().reshape(-1, self.rgb.shape[1])

    def _write_levels(self, rows: slice, linear: Tensor, workspace: _Workspace) -> None:
        steps, levels = workspace.steps[: linear.shape[1]], workspace.levels[: linear.shape[1]]
        for channel, plane in enumerate(linear):
            torch.index_select(_levels(plane.device), 0, steps.copy_(plane), out=levels)
            self.rgb[rows, :, channel] = levels.cpu().numpy().reshape(-1, self.rgb.shape[1])


@cache
def _levels(device: torch.device) -> Tensor:
    """The level of 255 of each step of linear light, at the middle of the step, since what is between was cut off."""
    middles = (torch.arange(LINEAR_STEPS + 1) + 0.5) * (1.0 / LINEAR_STEPS)
    return (srgb_from_linear(middles.clamp_(max=1.0)) * 255.0).round().to(device, torch.uint8)


def resize_width(planes: Tensor, height: int, width: int) -> Tensor:
    """Bring planes (N, h, w) to the photo's width, and down to its height where they have more rows.

    Returns:
        (N, min(h, height), width).
    """
    size = (min(planes.shape[1], height), width)
    return F.interpolate(planes[None], size, mode="bilinear", align_corners=False, antialias=True)[0]


class RowInterpolator:
    """Between which rows of ab each of a photo's lies, with the centers of the outer pixels half a pixel in.

    The photo has at least as many rows.
    """

    def __init__(self, ab_rows: int, height: int, device: torch.device) -> None:
        position = (torch.arange(height, dtype=torch.float32) + 0.5) * (ab_rows / height) - 0.5
        position = position.clamp_(0.0, ab_rows - 1.0)
        above = position.to(torch.int64)
        self._above = above.to(device)
        self._below = (above + 1).clamp_(max=ab_rows - 1).to(device)
        self._weight = (position - above)[:, None].to(device)  # of the row below, 0..1

    def interpolate_rows(self, ab: Tensor, rows: slice, out: Tensor, spare: Tensor) -> Tensor:
        """Interpolate some of the photo's rows, of ab (2, h, W), into `out`, which is returned; `spare` is like it."""
        above, below, weight = self._above[rows], self._below[rows], self._weight[rows]
        for plane, upper, lower in zip(ab, out, spare, strict=True):
            torch.index_select(plane, 0, above, out=upper)
            torch.index_select(plane, 0, below, out=lower)
            torch.lerp(upper, lower, weight, out=upper)
        return out
