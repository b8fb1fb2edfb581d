"""What a photo's lightness would look like on an old print: drawn for training, so that a network knows both.

Only L ages: the colours that a network is to find stay those of the new photo.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Shares of red, green and blue light. Plates before about 1905 saw no red; film of the 1930s saw as the eye does.
EYE = (0.2126, 0.7152, 0.0722)
_ORTHOCHROMATIC = (0.02, 0.48, 0.50)

_MOST_FADED = 0.55  # the share of the range from black to white that the most faded print has lost
_MOST_GRAIN = 4.0  # Lab units, standard deviation
_MOST_STAIN = 10.0  # Lab units, of a slow change of lightness over the whole print
_MOST_SCRATCHES = 3


@dataclass(frozen=True, eq=False)
class Age:
    """How a photo has aged.

    Attributes:
        film: the film's sensitivity to linear red, green and blue, (3,), summing to 1.
        light: the factor by which L spreads around 50, and its shift in Lab units.
        texture: (S, S) float32, Lab units, added to L: grain, stains and scratches.
    """

    film: tuple[float, float, float]
    light: tuple[float, float]
    texture: npt.NDArray[np.float32]


def draw_age(random: np.random.Generator, size: int) -> Age:
    """Draw how a photo has aged.

    Args:
        random: decides everything.
        size: pixels, the side of the square.
    """
    share = random.uniform(0, 1)
    red, green, blue = (eye + share * (old - eye) for eye, old in zip(EYE, _ORTHOCHROMATIC, strict=True))
    spread = 1 - random.uniform(0, _MOST_FADED)
    # A faded print keeps its paper white or its black, or something between.
    shift = random.uniform(-0.5, 0.5) * 100 * (1 - spread)
    texture = random.normal(0, random.uniform(0, _MOST_GRAIN), (size, size)) + _stain(random, size)
    _scratch(texture, random)
    return Age((red, green, blue), (spread, shift), texture.astype(np.float32))


def _stain(random: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    """A plane of the first waves that fit the square."""
    x = np.linspace(0, np.pi, size)
    waves = [np.ones(size), np.cos(x), np.cos(2 * x)]
    factors = random.normal(0, random.uniform(0, _MOST_STAIN) / 3, (3, 3))
    factors[0, 0] = 0
    plane: npt.NDArray[np.float64] = np.einsum("ij,iy,jx->yx", factors, waves, waves)
    return plane


def _scratch(texture: npt.NDArray[np.float64], random: np.random.Generator) -> None:
    """Draw a few light or dark lines of one pixel's width."""
    size = len(texture)
    for _ in range(random.integers(0, _MOST_SCRATCHES + 1)):
        ends = random.uniform(0, size - 1, (2, 2))
        steps = np.linspace(0, 1, 2 * size)[:, None]
        rows, columns = np.rint(ends[0] + (ends[1] - ends[0]) * steps).astype(int).T
        texture[rows, columns] += random.uniform(-25, 25)
