"""What became of a photo."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from colorgan.batch.jobs import Job


class Status(str, Enum):
    """What became of a photo, in the words that are printed."""

    written = "written"
    skipped = "skipped"
    in_colour = "in colour"
    failed = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a photo.

    Attributes:
        job: the photo and the place of its result.
        status: what became of it.
        words: why it failed, or what a user should know about the photo or its result.
    """

    job: Job
    status: Status
    words: tuple[str, ...] = ()
