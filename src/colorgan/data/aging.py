"""Augmentation that makes a photo's lightness look like an old print's, so that a network learns both.

Only L ages: the colors to predict stay those of the new photo.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from colorgan.color.lab import lightness
from colorgan.data.reading import Piped

# Shares of red, green and blue light. Plates before about 1905 saw no red; film of the 1930s saw as the eye does.
EYE = (0.2126, 0.7152, 0.0722)
_ORTHOCHROMATIC = (0.02, 0.48, 0.50)

_MOST_FADED = 0.55  # the share of the range from black to white that the most faded print has lost
_MOST_GRAIN = 4.0  # Lab units, standard deviation
_MOST_STAIN = 10.0  # Lab units, of a slow change of lightness over the whole print
_MOST_SCRATCHES = 3
_MOST_SCRATCH = 25.0  # Lab units


@dataclass(frozen=True, eq=False)
class Aged(Piped):
    """The photos of a batch to age, and how.

    Attributes:
        rows: (A,), int64: their rows in the batch.
        film: (A, 3), their films' sensitivities to linear red, green and blue, each summing to 1.
        light: (A, 2), the factor by which L spreads around 50, and its shift in Lab units.
        texture: (A, 1, S, S), Lab units, added to L: grain, stains and scratches.
    """

    rows: Tensor
    film: Tensor
    light: Tensor
    texture: Tensor

    def to(self, device: torch.device) -> Aged:
        """Copy to a device."""
        return Aged(*(tensor.to(device, non_blocking=True) for tensor in vars(self).values()))

    def lightness_of(self, linear: Tensor) -> Tensor:
        """Return the L that their films saw: (B, 3, S, S) linear light of the whole batch -> (A, 1, S, S), 0..100."""
        seen = linear[self.rows] * self.film[:, :, None, None]
        return lightness(seen.sum(1, keepdim=True))

    def faded(self, light: Tensor) -> Tensor:
        """Return the factors and shifts of L of the whole batch, (B, 2), combined with the fading of these photos."""
        spread, shift = light[self.rows].unbind(1)
        since_spread, since_shift = self.light.unbind(1)
        return light.index_copy(0, self.rows, torch.stack([spread * since_spread, shift + since_shift], 1))


def draw_ages(random: torch.Generator, count: int, size: int) -> Aged:
    """Draw the aging of all photos of a batch, on the generator's device.

    Args:
        random: the source of randomness.
        count: the number of photos.
        size: pixels, the side of the squares.
    """

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=random, device=random.device)

    eye, orthochromatic = (torch.tensor(film, device=random.device) for film in (EYE, _ORTHOCHROMATIC))
    film = torch.lerp(eye, orthochromatic, uniform(count, 1))
    spread = 1 - _MOST_FADED * uniform(count)
    # A faded print keeps its paper white or its black, or something between.
    shift = (uniform(count) - 0.5) * 100 * (1 - spread)
    grain = torch.randn((count, size, size), generator=random, device=random.device)
    texture = grain * (_MOST_GRAIN * uniform(count, 1, 1)) + _stains(random, count, size)
    texture += _scratches(uniform(count, _MOST_SCRATCHES, 6), size)
    rows = torch.arange(count, device=random.device)
    return Aged(rows, film, torch.stack([spread, shift], 1), texture[:, None])


def _stains(random: torch.Generator, count: int, size: int) -> Tensor:
    """Return a random sum of the lowest cosine waves for each photo: (A, S, S), Lab units."""
    x = torch.linspace(0, math.pi, size, device=random.device)
    waves = torch.stack([torch.ones_like(x), x.cos(), (2 * x).cos()])  # (3, S)
    strength = torch.rand((count, 1, 1), generator=random, device=random.device) * _MOST_STAIN / 3
    factors = torch.randn((count, 3, 3), generator=random, device=random.device) * strength
    factors[:, 0, 0] = 0
    plane: Tensor = waves.T @ factors @ waves
    return plane


def _scratches(drawn: Tensor, size: int) -> Tensor:
    """Return light or dark lines one pixel wide, up to three a photo.

    Args:
        drawn: (A, 3, 6), 0..1: whether there is a line, how light it is, and its two ends.
        size: pixels.

    Returns:
        (A, S, S), Lab units.
    """
    ends = drawn[..., 2:] * (size - 1)
    y0, x0, y1, x1 = (end[..., None, None] for end in ends.unbind(-1))  # (A, 3, 1, 1)
    y, x = torch.meshgrid(*[torch.arange(size, device=drawn.device, dtype=drawn.dtype)] * 2, indexing="ij")
    down, right = y1 - y0, x1 - x0
    length = (down.square() + right.square()).clamp(min=1e-6)
    along = (((y - y0) * down + (x - x0) * right) / length).clamp(0, 1)
    distance = torch.hypot(y - y0 - along * down, x - x0 - along * right)  # (A, 3, S, S)
    strength = torch.where(drawn[..., 0] < 0.5, (2 * drawn[..., 1] - 1) * _MOST_SCRATCH, 0.0)
    return ((distance < 0.5) * strength[..., None, None]).sum(1)
