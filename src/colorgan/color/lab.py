"""sRGB <-> CIE Lab (D65, 2 degrees) on tensors: batched, differentiable, float32.

The formulas are IEC 61966-2-1 (sRGB) and CIE 15 (Lab), with the constants that scikit-image uses.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

# Linear sRGB -> XYZ, IEC 61966-2-1; the inverse is computed from it so that round trips close.
XYZ_FROM_RGB = torch.tensor(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
RGB_FROM_XYZ = torch.linalg.inv(XYZ_FROM_RGB.double()).float()
# White of D65 at 2 degrees, CIE 15.
WHITE = torch.tensor([0.95047, 1.0, 1.08883])

_EPSILON = 0.008856  # CIE 15: below this the cube root gives way to a line
_SLOPE = 7.787
_OFFSET = 16.0 / 116.0


def _where_safe(condition: Tensor, above: Tensor, floor: float) -> Tensor:
    """Return `above` with its unselected entries set to `floor`, so that the power's gradient stays finite there."""
    return torch.where(condition, above, torch.full_like(above, floor))


def linear_from_srgb(srgb: Tensor) -> Tensor:
    """Undo the transfer curve of sRGB, of any shape, 0..1: linear light of the same shape, 0..1."""
    high = srgb > 0.04045
    return torch.where(high, ((_where_safe(high, srgb, 1.0) + 0.055) / 1.055) ** 2.4, srgb / 12.92)


@cache
def _linear_of_bytes(device: torch.device) -> Tensor:
    return linear_from_srgb(torch.arange(256) / 255).to(device)


def linear_from_bytes(srgb: Tensor) -> Tensor:
    """Undo the transfer curve of sRGB bytes, of any shape: linear light of the same shape, float32, 0..1.

    It uses a table, since a power for each pixel takes six times as long.
    """
    table = _linear_of_bytes(srgb.device)
    return table.index_select(0, srgb.flatten().int()).view(srgb.shape)


def srgb_from_linear(linear: Tensor) -> Tensor:
    """Apply the transfer curve of sRGB, to any shape; values outside 0..1 pass through it unclipped."""
    high = linear > 0.0031308
    return torch.where(high, 1.055 * _where_safe(high, linear, 1.0) ** (1 / 2.4) - 0.055, 12.92 * linear)


@cache
def _constants(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the matrices and `WHITE` on a device, cached, as each copy would synchronize with a GPU."""
    with torch.inference_mode(False):  # or training could not use what a prediction cached
        return XYZ_FROM_RGB.to(device), RGB_FROM_XYZ.to(device), WHITE.to(device)[:, None, None]


def _mix(matrix: Tensor, planes: Tensor) -> Tensor:
    """Multiply the channel axis of (..., 3, H, W) by a 3 x 3 matrix."""
    return torch.einsum("ij,...jhw->...ihw", matrix.to(planes.dtype), planes)


def _cube_root(light: Tensor) -> Tensor:
    """Compress light relative to white as Lab does, with a straight piece near black (CIE 15)."""
    high = light > _EPSILON
    # This takes half the time of a power of 1 / 3, and agrees to the last digit.
    root = torch.exp2(torch.log2(_where_safe(high, light, 1.0)) / 3)
    return torch.where(high, root, _SLOPE * light + _OFFSET)


def lightness(luminance: Tensor) -> Tensor:
    """Return L (0..100) of a luminance relative to white (0..1), of the same shape."""
    return 116.0 * _cube_root(luminance) - 16.0


def rgb_to_lab(rgb: Tensor) -> Tensor:
    """Convert sRGB, (..., 3, H, W) of 0..1, to Lab of the same shape: L in 0..100, a and b in Lab units."""
    return linear_to_lab(linear_from_srgb(rgb))


def linear_to_lab(linear: Tensor) -> Tensor:
    """Convert linear sRGB, (..., 3, H, W) of 0..1, to Lab of the same shape: L in 0..100, a and b in Lab units."""
    xyz_from_rgb, _, white = _constants(linear.device)
    xyz = _mix(xyz_from_rgb, linear) / white.to(linear.dtype)
    x, y, z = _cube_root(xyz).unbind(-3)
    return torch.stack([116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)], dim=-3)


def lab_to_linear(lab: Tensor) -> Tensor:
    """Convert Lab, (..., 3, H, W), L in 0..100, to linear sRGB, unclipped: below 0 or above 1 outside the gamut.

    If b is so large that Z would have a negative cube root, the root is 0, as in scikit-image's `lab2xyz`.
    """
    L, a, b = lab.unbind(-3)
    y = (L + 16.0) / 116.0
    f = torch.stack([y + a / 500.0, y, (y - b / 200.0).clamp(min=0.0)], dim=-3)
    # 0.2068966 is the cube root of epsilon, where the two branches meet.
    high = f > 0.2068966
    xyz = torch.where(high, _where_safe(high, f, 1.0) ** 3, (f - _OFFSET) / _SLOPE)
    _, rgb_from_xyz, white = _constants(lab.device)
    return _mix(rgb_from_xyz, xyz * white.to(lab.dtype))


def lab_to_rgb(lab: Tensor) -> Tensor:
    """Convert Lab, (..., 3, H, W), L in 0..100, to sRGB of the same shape, clipped to 0..1."""
    return srgb_from_linear(lab_to_linear(lab)).clamp(0.0, 1.0)
