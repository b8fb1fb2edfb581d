"""Many photos, one after the other: each is written, skipped or failed, and none ends the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from colorgan.colorize.rendering import Rendering
from colorgan.errors import PhotoError
from colorgan.media import reading, writing
from colorgan.media.files import Job, remove_leftovers
from colorgan.media.formats import PHOTO_SUFFIXES
from colorgan.media.writing import WriteOptions

if TYPE_CHECKING:
    from colorgan.colorize.colorizer import Colorizer


@dataclass(frozen=True)
class Outcome:
    """What became of a photo.

    Attributes:
        job: the photo and the place of its result.
        status: what became of it.
        words: why it failed, or what a user should know about the photo or its result.
    """

    job: Job
    status: Literal["written", "skipped", "failed"]
    words: tuple[str, ...] = ()


def colorize_all(
    colorizer: Colorizer,
    jobs: Iterable[Job],
    rendering: Rendering,
    *,
    check: Callable[[], None],
    quality: int = 95,
    overwrite: bool = False,
) -> Iterator[Outcome]:
    """Colour photos and write them, each when its outcome is asked for.

    Args:
        colorizer: the loaded model.
        jobs: photos and places; may be found while they are asked for.
        rendering: how to colour them.
        check: called between two photos; raises to stop there.
        quality: of JPEG and WebP, 1..100.
        overwrite: also where there is a result already.

    Yields:
        One outcome for each job, in their order.

    Raises:
        Whatever `check` raises; the photo under way has been finished.
        OutputError: the place for the results cannot be written.
    """
    folders = set()
    for job in jobs:
        check()
        if job.target.parent not in folders:
            folders.add(job.target.parent)
            remove_leftovers(job.target.parent)
        if job.problem:
            yield Outcome(job, "failed", (job.problem,))
        elif not overwrite and job.target.exists():
            yield Outcome(job, "skipped")
        else:
            yield _colorize_one(colorizer, job, rendering, quality)
    check()


def _colorize_one(colorizer: Colorizer, job: Job, rendering: Rendering, quality: int) -> Outcome:
    note = (job.note,) if job.note else ()
    try:
        photo = reading.read(job.source)
        rgb = colorizer.colorize_photo(photo, rendering)
        dropped = writing.write(
            job.target,
            PHOTO_SUFFIXES[job.target.suffix.lower()],
            rgb,
            alpha=photo.alpha,
            metadata=photo.metadata,
            options=WriteOptions(quality),
        )
    except PhotoError as error:
        return Outcome(job, "failed", (str(error),))
    except MemoryError:
        return Outcome(job, "failed", ("not enough memory for a photo of its size",))
    return Outcome(job, "written", note + photo.oddities + dropped)
