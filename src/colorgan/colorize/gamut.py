"""Convert Lab to linear sRGB, in few passes over tensors that fit the CPU cache, and map colors into the gamut.

Lightness and ab are held as shares of Lab's f, "scaled": f less its knee (6/29), where the inverse of f changes from a
line to a cube, times the cube root of `LINEAR_STEPS`. So linear light comes out as 0..`LINEAR_STEPS`, the index in a
table of levels.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from colorgan.color.lab import RGB_FROM_XYZ, WHITE

LINEAR_STEPS = 65535  # of linear light, 0..1: near black, where sRGB is steepest, a level of 255 is 20 steps wide
_SCALE = LINEAR_STEPS ** (1 / 3)
_KNEE = 6 / 29  # CIE 15
_SLOPE = 3 * _KNEE**2 * _SCALE**2  # of the line, which applies below the knee
_THRICE_KNEE = 3 * _KNEE * _SCALE
_AT_KNEE = _KNEE**3 * LINEAR_STEPS
_F_OF_ZERO = -_KNEE * _SCALE  # scaled f of no light

_TOLERANCE = 0.5  # steps outside the gamut that truncation to integers absorbs
# Steps outside the gamut up to which channels are clipped: less than half a level of 255, which is 20 steps wide at
# black and 580 at white. Rounding alone can put a color of sRGB this far outside; to reduce its chroma could change it
# beyond recognition, since along some hues (yellow, at the light end) sRGB ends, and begins again.
_BELOW, _ABOVE = 9.0, 280.0

# Linear RGB = Y + _FROM_X (X - Y) + _FROM_Z (Z - Y), with XYZ relative to white. As each row of the matrix sums to 1,
# this is the whole matrix, and where X = Y = Z the three channels are equal to the last bit.
_RELATIVE = RGB_FROM_XYZ * WHITE
_RELATIVE = _RELATIVE / _RELATIVE.sum(dim=1, keepdim=True)
_FROM_X: tuple[float, ...] = tuple(_RELATIVE[:, 0].tolist())
_FROM_Z: tuple[float, ...] = tuple(_RELATIVE[:, 2].tolist())


def scaled_lightness(L: Tensor) -> Tensor:
    """Convert L, 0..100, to scaled f, for `Mixer`."""
    return L.add(16.0).mul_(1.0 / 116.0).sub_(_KNEE).mul_(_SCALE)


def scaled_ab(ab: Tensor) -> Tensor:
    """Convert ab in Lab units, (2, ...), to their scaled contributions to f, for `Mixer`."""
    shares = torch.tensor([_SCALE / 500.0, -_SCALE / 200.0], device=ab.device)
    return ab * shares.view(2, *[1] * (ab.dim() - 1))


def scaled_linear_model(fitted: Tensor) -> Tensor:
    """Convert the slopes and offsets, (4, ...), that give ab from L to those that give scaled ab from scaled lightness.

    L = 116 (light / scale + knee) - 16, so slope L + offset is linear in the scaled lightness too.
    """
    slopes, offsets = fitted[:2], fitted[2:]
    return torch.cat([scaled_ab(slopes) * (116.0 / _SCALE), scaled_ab(offsets + slopes * (116.0 * _KNEE - 16.0))])


class Mixer:
    """Converts scaled lightness and ab to linear sRGB, in preallocated buffers for up to `pixels` pixels."""

    def __init__(self, pixels: int, device: torch.device) -> None:
        self._planes = torch.empty(5, pixels, device=device)  # for steps in between
        self._linear = torch.empty(3, pixels, device=device)

    def mix(self, light: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Convert scaled lightness, a and b, (n,) each.

        Returns:
            (3, n) linear sRGB in steps; outside 0..LINEAR_STEPS if out of gamut. The next call overwrites it.
        """
        planes = self._planes[:, : len(light)]
        x, y, z, scratch = planes[0], planes[1], planes[2], planes[3:]
        _light_of(torch.add(light, a, out=x), x, scratch)
        # A negative Z is taken for 0, as scikit-image does; it matters for colors far out of gamut that are clipped.
        _light_of(torch.add(light, b, out=z).clamp_(min=_F_OF_ZERO), z, scratch)
        _light_of(light, y, scratch)
        x.sub_(y)
        z.sub_(y)
        y.add_(_AT_KNEE)
        linear = self._linear[:, : len(light)]
        for channel, from_x, from_z in zip(linear, _FROM_X, _FROM_Z, strict=True):
            torch.add(y, x, alpha=from_x, out=channel).add_(z, alpha=from_z)
        return linear


def _light_of(f: Tensor, out: Tensor, scratch: Tensor) -> None:
    """Invert scaled f, less the light at the knee: t^2 (t + 3 knee) + slope f, with t = max(f, 0). `out` may be `f`."""
    above = torch.clamp(f, min=0.0, out=scratch[0])
    line = torch.mul(f, _SLOPE, out=out)
    square = torch.mul(above, above, out=scratch[1])
    line.addcmul_(square, above.add_(_THRICE_KNEE))


def is_inside(linear: Tensor) -> bool:
    """Whether all colors of (3, n) are in the gamut of sRGB."""
    for channel in linear:
        low, high = channel.aminmax()
        if float(low) < -_TOLERANCE or float(high) > LINEAR_STEPS + _TOLERANCE:
            return False
    return True


def _is_outside(linear: Tensor, below: float = 0.0, above: float = 0.0) -> Tensor:
    """Return which colors of (3, n) are out of gamut by more than so many steps: (n,) bool."""
    return (linear.amin(dim=0) < -below) | (linear.amax(dim=0) > LINEAR_STEPS + above)


def reduce_chroma(linear: Tensor, light: Tensor, a: Tensor, b: Tensor) -> None:
    """Reduce the chroma of colors out of gamut until they are in it, at constant L and hue.

    Clipping each channel instead would shift hues, and give flat blotches. `linear`, (3, n), mixed of the scaled
    lightness, a and b, (n,) each, is changed in place.
    """
    outside = torch.nonzero(_is_outside(linear, _BELOW, _ABOVE))[:, 0]
    clip(linear)
    if not len(outside):
        return
    light, a, b = (plane.index_select(0, outside) for plane in (light, a, b))
    size = a.abs() + b.abs()
    factor = _most_chroma(light, a, b, size).div_(size)
    mixer = Mixer(len(outside), linear.device)
    mixed = mixer.mix(light, a.mul_(factor), b.mul_(factor))
    clip(mixed)  # the table is interpolated, so some remain slightly outside
    for channel, inside in zip(linear, mixed, strict=True):
        channel.index_copy_(0, outside, inside)


def clip(linear: Tensor) -> None:
    """Clip each channel of (3, n) to the gamut."""
    for channel in linear:
        channel.clamp_(0.0, float(LINEAR_STEPS))


# --- the boundary of the gamut -------------------------------------------------------------------------------

# Chroma is measured as |a| + |b|, both scaled, and hue as the position on that diamond, 0..4. This only multiplies and
# adds, and any measure does as long as the table is made with the same.
_LIGHTS, _HUES = 129, 512  # with so many no channel is off by more than a level, but where the boundary has a crack
_FAR = 32.0  # outside the gamut, whatever the hue
_HALVINGS = 14
_BLACK, _WHITE = scaled_lightness(torch.tensor([0.0, 100.0])).tolist()


@cache
def _edge(device: torch.device) -> Tensor:
    """Tabulate the most chroma in gamut by lightness (evenly, 0..100) and hue (the first repeated at the end), flat."""
    hue = torch.arange(_HUES + 1) * (4 / _HUES)
    a = torch.where(hue < 2, 1 - hue, hue - 3)
    b = torch.where(hue < 2, 1 - a.abs(), a.abs() - 1)
    light = torch.linspace(_BLACK, _WHITE, _LIGHTS).repeat_interleave(_HUES + 1)
    a, b = a.repeat(_LIGHTS), b.repeat(_LIGHTS)
    mixer = Mixer(len(light), torch.device("cpu"))
    inside, outside = torch.zeros_like(light), torch.full_like(light, _FAR)
    for _ in range(_HALVINGS):
        middle = (inside + outside) * 0.5
        is_outside = _is_outside(mixer.mix(light, a * middle, b * middle))
        inside, outside = torch.where(is_outside, inside, middle), torch.where(is_outside, middle, outside)
    return inside.to(device)


def _most_chroma(light: Tensor, a: Tensor, b: Tensor, size: Tensor) -> Tensor:
    """Return the most chroma in gamut at the lightness and hue of colors, (n,); `size` is their own chroma."""
    edge = _edge(light.device)
    hue = torch.where(b < 0, 3.0, 1.0) + torch.where(b < 0, a, -a) / size
    hue = hue.mul_(_HUES / 4).clamp_(0.0, _HUES - 1e-3)
    row = ((light - _BLACK) * ((_LIGHTS - 1) / (_WHITE - _BLACK))).clamp_(0.0, _LIGHTS - 1.001)
    hue_before, row_before = hue.to(torch.int32), row.to(torch.int32)
    corner = row_before * (_HUES + 1) + hue_before
    hue, row = hue - hue_before, row - row_before
    upper = torch.lerp(edge.index_select(0, corner), edge.index_select(0, corner + 1), hue)
    corner += _HUES + 1
    lower = torch.lerp(edge.index_select(0, corner), edge.index_select(0, corner + 1), hue)
    return torch.lerp(upper, lower, row)
