"""The options of a comparison; importable without torch, for the command line."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from colorgan.errors import UsageError
from colorgan.options import DEVICE, OVERWRITE, SEED, Checked, Option

RESTART_ADVICE = "There are no results; run the same command to start over."
_WHAT = "What is compared"


def parse_models(given: Sequence[str]) -> tuple[str, ...]:
    """Split comma-separated names and paths of models; an existing path that contains commas is not split.

    Raises:
        UsageError: there is no name among them.
    """
    models: list[str] = []
    for part in given:
        models += [part] if os.path.exists(part) else [name for piece in part.split(",") if (name := piece.strip())]
    if not models:
        advice = "Give names or paths separated by commas, or leave it out."
        raise UsageError("`models` to name weights", repr(",".join(given)), advice, parameter="models")
    return tuple(models)


@dataclass(frozen=True)
class CompareOptions(Checked):
    """How models are compared.

    Attributes:
        precision: numeric precision of the networks.
    """

    models: Annotated[
        tuple[str, ...],
        Option(
            "Names or paths of weights, separated by commas; can be repeated.",
            _WHAT,
            flags="--models --model",
            metavar="NAMES|PATHS",
            unset="every available model",
            completes="models",
            parse=parse_models,
            repeated=True,
        ),
    ] = ()
    size: Annotated[
        int, Option("Side of the square crop that is measured.", _WHAT, minimum=32, maximum=2048, unit="pixels")
    ] = 256
    examples: Annotated[
        int,
        Option(
            "Maximum number of example photos with true colors to write in every model's colors, and of those without.",
            _WHAT,
            minimum=0,
            unit="photos",
            flags="--photos",
        ),
    ] = 12
    device: Annotated[str, DEVICE] = "auto"
    precision: str = "fp32"
    seed: Annotated[int, SEED] = 0
    previous: Annotated[
        tuple[Path, ...],
        Option(
            "Add the models of an earlier comparison; it must be of the same photos and protocol.",
            _WHAT,
            flags="--with",
            metavar="RESULTS.JSON",
            unset="none",
        ),
    ] = ()
    perceptual: Annotated[
        bool,
        Option(
            "Also measure FID, KID and LPIPS, on 50 photos or more (extra metrics; fetches two networks once).", _WHAT
        ),
    ] = False
    overwrite: Annotated[bool, OVERWRITE] = False
