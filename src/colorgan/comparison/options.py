"""What a comparison is asked to do; known without torch, for the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RESTART_ADVICE = "There are no results; the same command starts anew."


@dataclass(frozen=True)
class CompareOptions:
    """How models are compared.

    Attributes:
        models: names, or paths of weights; empty for every available model.
        size: pixels, the side of the square that is measured.
        examples: the most photos with true colors that are written out in every row's colors, and likewise the most
            without.
        device: where networks compute.
        precision: of their convolutions.
        seed: decides the bootstrap's draws and which photos are examples.
        previous: `results.json` of other comparisons, whose models are put beside these.
        perceptual: measure FID, KID and LPIPS too.
        overwrite: replace results that are in the folder.
    """

    models: tuple[str, ...] = ()
    size: int = 256
    examples: int = 12
    device: str = "auto"
    precision: str = "fp32"
    seed: int = 0
    previous: tuple[Path, ...] = ()
    perceptual: bool = False
    overwrite: bool = False
