"""Upsample predicted colors and combine them with the photo's own lightness, strip by strip.

Each step only multiplies, adds and looks up, so that a pixel's bits do not depend on how the photo is cut into strips.
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
    scaled_linear_model,
)
from colorgan.colorize.guided_filter import fit_linear_model
from colorgan.images.lightness import Lightness, Samples

CPU = torch.device("cpu")

# On a CPU the dozen planes of a strip fit a core's cache, and are too small for torch to parallelize an operation;
# instead threads take strips, which are twice as large if torch may not use further threads. On a GPU, few large ones.
_STRIP_PIXELS = 1 << 15
_LARGE_STRIP_PIXELS = 1 << 22
_PIXELS_PER_THREAD = 1 << 19  # for less than this, starting a thread costs more than it saves


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
    """Render a photo's lightness in predicted colors.

    Args:
        lightness: of the photo.
        ab: (2, h, w) on the CPU, Lab units, of any size.
        saturation: multiplies ab; 0 is gray.
        guide: (h, w), the L that ab was predicted from, for the guided filter; None to only interpolate ab.
        bit_depth: of the result, 8 or 16.
        is_clipped: whether colors out of gamut are clipped channel by channel, in place of reducing their chroma.
        device: on which to compute.

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
        planes = scaled_ab(ab) if guide is None else scaled_linear_model(fit_linear_model(guide, ab))
        wide = resize_width(planes.to(device), height, width)
        between = RowInterpolator(wide.shape[1], height, device)
    shape = height, width, 3
    rgb: Samples = np.empty(shape, np.uint8) if bit_depth == 8 else np.empty(shape, np.uint16)
    job = _RenderJob(lightness.samples, table, wide[-2:], wide[:-2], between, is_clipped, rgb)

    def render_share(first: int) -> None:
        workspace = _Workspace(min(rows_per_strip, height), width, device)
        for rows in strips[first::threads]:
            job.render_rows(rows, workspace)

    if threads == 1:
        render_share(0)
    else:
        try:
            with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
                list(pool.map(render_share, range(threads)))
        finally:
            torch.set_num_threads(most_threads)  # new threads inherit the last value that was set
    return rgb


class _Workspace:
    """One thread's buffers for the intermediate results of a strip."""

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
class _RenderJob:
    """Inputs of rendering a photo, and its result; "scaled" is as in `gamut`.

    Attributes:
        samples: (H, W), the photo's samples.
        table: (256,) or (65536,), on the device: the scaled lightness of each sample.
        ab: (2, h, W), scaled, on the device: the colors, or their offsets if there are slopes.
        slopes: (2, h, W), of scaled ab over scaled lightness, on the device; or (0, h, W).
        between: interpolates the rows of these to the photo's.
        is_clipped: whether colors out of gamut are clipped.
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
    def render_rows(self, rows: slice, workspace: _Workspace) -> None:
        """Compute some rows of the result."""
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
    """Tabulate the 8-bit level of each step of linear light, at the step's middle, since steps are truncated."""
    middles = (torch.arange(LINEAR_STEPS + 1) + 0.5) * (1.0 / LINEAR_STEPS)
    return (srgb_from_linear(middles.clamp_(max=1.0)) * 255.0).round().to(device, torch.uint8)


def resize_width(planes: Tensor, height: int, width: int) -> Tensor:
    """Resize planes, (N, h, w), to the photo's width, and down to its height if they have more rows.

    Returns:
        (N, min(h, height), width).
    """
    size = (min(planes.shape[1], height), width)
    return F.interpolate(planes[None], size, mode="bilinear", align_corners=False, antialias=True)[0]


class RowInterpolator:
    """Linear interpolation of ab's rows to the photo's, which are at least as many; as with align_corners=False."""

    def __init__(self, ab_rows: int, height: int, device: torch.device) -> None:
        position = (torch.arange(height, dtype=torch.float32) + 0.5) * (ab_rows / height) - 0.5
        position = position.clamp_(0.0, ab_rows - 1.0)
        above = position.to(torch.int64)
        self._above = above.to(device)
        self._below = (above + 1).clamp_(max=ab_rows - 1).to(device)
        self._weight = (position - above)[:, None].to(device)  # of the row below, 0..1

    def interpolate_rows(self, ab: Tensor, rows: slice, out: Tensor, spare: Tensor) -> Tensor:
        """Interpolate some of the photo's rows from ab, (2, h, W), into `out`, and return it; `spare` is scratch."""
        above, below, weight = self._above[rows], self._below[rows], self._weight[rows]
        for plane, upper, lower in zip(ab, out, spare, strict=True):
            torch.index_select(plane, 0, above, out=upper)
            torch.index_select(plane, 0, below, out=lower)
            torch.lerp(upper, lower, weight, out=upper)
        return out
