"""Options of `prepare`, without torch; `cli` makes its parameters from them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from colorgan.errors import UsageError
from colorgan.options import FILES, RUNNING, SEED, Checked, Option

RESTART_ADVICE = "Nothing was written; run the same command to start over."
_CHOICE = "Choice of photos"


def parse_classes(text: str) -> int | tuple[str, ...]:
    """Parse a number of classes, or their names with commas between.

    Raises:
        UsageError: the text is no number and holds no name.
    """
    if text.strip().isdecimal():
        return int(text)
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    if not names:
        advice = "Give a number, or names separated by commas."
        raise UsageError("`classes` to be a number or names", repr(text), advice, parameter="classes")
    return names


@dataclass(frozen=True)
class PrepareOptions(Checked):
    """Options of a set, which depends on all of them but `workers` and `overwrite`."""

    size: Annotated[
        int,
        Option("Short side to which larger photos are reduced.", _CHOICE, minimum=8, maximum=4096, unit="pixels"),
    ] = 256
    classes: Annotated[
        int | tuple[str, ...] | None,
        Option(
            "Class folders to keep: a number of them, chosen by the seed, or names separated by commas.",
            _CHOICE,
            metavar="N|NAMES",
            unset="all",
            parse=parse_classes,
        ),
    ] = None
    per_class: Annotated[
        int | None, Option("Maximum photos kept of each class.", _CHOICE, minimum=1, unit="photos", unset="all")
    ] = None
    val_fraction: Annotated[
        float, Option("Share of the photos held back for validation.", _CHOICE, minimum=0, maximum=0.9)
    ] = 0.05
    min_chroma: Annotated[
        float,
        Option(
            "Leave out photos with a lower mean chroma (Lab units) as gray; 0 keeps gray and toned ones.",
            _CHOICE,
            minimum=0,
        ),
    ] = 2.0
    min_side: Annotated[
        int, Option("Leave out photos whose shorter side is below this.", _CHOICE, minimum=8, unit="pixels")
    ] = 64
    encoding: Annotated[
        Literal["jpeg", "webp"],
        Option("How photos are stored: jpeg at quality 95, or webp at quality 65 in a third of the bytes.", FILES),
    ] = "jpeg"
    workers: Annotated[
        int | None,
        Option("Threads that read and reduce photos.", RUNNING, minimum=1, maximum=256, unset="one per core"),
    ] = None
    seed: Annotated[int, SEED] = 0
    overwrite: Annotated[bool, Option("Replace an existing set once the new one is complete.", FILES)] = False
