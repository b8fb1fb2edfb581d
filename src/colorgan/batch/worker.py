"""The worker of a run: reads, colors and writes groups of photos, and reports the outcome of each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from PIL import Image

from colorgan.addresses import shown_address
from colorgan.batch.addresses.storage import open_photo, read_object, write_result
from colorgan.batch.gallery import AFTER, BEFORE, SIDE_PX, Gallery
from colorgan.batch.jobs import Job
from colorgan.batch.journals.records import file_state
from colorgan.batch.options import BatchOptions
from colorgan.callbacks import PhotoOutcome, PhotoStatus
from colorgan.colorize.encoded import encode_result, with_hints
from colorgan.colorize.options import ColorizeOptions
from colorgan.errors import ColorganError, PhotoError, limit_reached
from colorgan.images import decode
from colorgan.images.discovery import split_name
from colorgan.images.hint_files import read_hints_file
from colorgan.images.lightness import Lightness
from colorgan.images.metadata.xmp import is_marked
from colorgan.images.photo import Photo

if TYPE_CHECKING:
    from torch import Tensor

    from colorgan.batch.album import Album
    from colorgan.colorize.colorizer import Colorizer
    from colorgan.colorize.prediction import PredictedColors

# One thread reads, writes and flushes while another computes; object stores have a longer latency.
THREADS_A_CORE, THREADS_A_CORE_FAR = 2, 4
MOST_MEGAPIXELS_AT_ONCE = 100.0  # about a gigabyte while they are worked on
_Put: TypeAlias = "Callable[[int, PhotoOutcome], None]"  # takes the outcome of the job at a position


class PixelBudget:
    """Bounds how many megapixels are held in memory at the same time.

    Args:
        most: megapixels of all photos together; a larger photo is admitted alone.
    """

    def __init__(self, most: float = MOST_MEGAPIXELS_AT_ONCE) -> None:
        self._most = most
        self._taken = 0.0
        self._users = 0
        self._change = threading.Condition()

    def take(self, megapixels: float, *, wait: bool) -> bool:
        """Reserve megapixels, waiting for room with `wait`; return whether they were reserved."""
        with self._change:
            while self._users and self._taken + megapixels > self._most:
                if not wait:
                    return False
                self._change.wait()
            self._taken += megapixels
            self._users += 1
            return True

    def give_back(self, megapixels: float) -> None:
        """Release megapixels that were reserved."""
        with self._change:
            self._taken -= megapixels
            self._users -= 1
            self._change.notify_all()


@dataclass(frozen=True, eq=False)
class _ReadPhoto:
    """A photo that was read and waits for its colors, with the network's input L as `Colorizer.shrink` returns it."""

    position: int
    job: Job
    megapixels: float
    photo: Photo
    L: Tensor


class PhotoWorker:
    """Colors groups of photos; may be called from several threads at once.

    At most as many threads compute at the same time as the run has cores; `threads_a_core` times as many call it, and
    mostly wait for disks. With an album, photos are colored by its palette; with a gallery, they are added to its page.

    Attributes:
        threads: number of threads that should call it.
    """

    def __init__(
        self,
        colorizer: Callable[[], Colorizer],
        options: ColorizeOptions,
        batch: BatchOptions,
        *,
        threads_a_core: int = THREADS_A_CORE,
        gallery: Gallery | None = None,
        album: Album | None = None,
    ) -> None:
        self._colorizer = colorizer
        self._options, self._batch, self._gallery, self._album = options, batch, gallery, album
        self._is_sure_wanted = batch.page or options.confidence or options.unsure == "gray"
        self._cores = batch.cores
        self.threads = threads_a_core * self._cores
        self._budget = PixelBudget()
        self._permits = threading.BoundedSemaphore(self._cores)
        self._busy = 0
        self._counting = threading.Lock()
        self._device_turn = threading.Lock()

    def __call__(self, jobs: Sequence[Job], put: _Put) -> None:
        """Color photos, those of like shape in a batch, and write them; `put` takes each one's position and outcome.

        Raises:
            ColorganError: an error that the next photo would meet too: a full disk, damaged weights.
        """
        held: list[_ReadPhoto] = []

        def report(position: int, outcome: PhotoOutcome) -> None:
            put(position, jobs[position].already or outcome)  # the earlier outcome holds even if the page entry fails

        try:
            for position, job in enumerate(jobs):
                source = None
                with _errors_as_outcomes(position, job, report):
                    source = open_photo(job.source, job.source_state)
                if source is None:
                    continue
                megapixels = decode.measure(source)
                if not self._budget.take(megapixels, wait=not held):
                    self._finish(held, report)
                    self._budget.take(megapixels, wait=True)
                if photo := self._read(position, job, source, megapixels, report):
                    held.append(photo)
            self._finish(held, report)
        finally:
            for photo in held:
                self._budget.give_back(photo.megapixels)

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """Wait for one of the run's cores, and set torch to as many threads as the other computing threads leave free.

        Not entered while a photo waits for a disk, a store or the pixel budget: another photo is computed meanwhile.
        """
        import torch

        with self._permits:
            with self._counting:
                self._busy += 1
                # Sums round differently with another number of threads, which could shift the regions of an album.
                torch.set_num_threads(1 if self._album else max(1, self._cores // self._busy))
            try:
                yield
            finally:
                with self._counting:
                    self._busy -= 1

    def _read(
        self, position: int, job: Job, source: Path | BinaryIO, megapixels: float, put: _Put
    ) -> _ReadPhoto | None:
        """Read a photo; if it is skipped or fails, report that, release its megapixels and return None."""
        result = None
        try:
            with _errors_as_outcomes(position, job, put), self._computing():
                reading = decode.ReadOptions(self._options.max_megapixels, job.page, self._batch.all_pages)
                photo = decode.read(source, reading, name=Path(shown_address(job.source)).name)
                photo = with_hints(photo, self._options, job.hints, partial(_hints_bytes, job))
                if not job.is_named and is_marked(photo.metadata.xmp):
                    put(position, job.outcome(PhotoStatus.own))
                elif self._batch.skip_color and photo.had_color:
                    put(position, job.outcome(PhotoStatus.in_color))
                else:
                    L = self._colorizer().shrink(photo, self._options)
                    result = _ReadPhoto(position, job, megapixels, photo, L)
        finally:
            if result is None:
                self._budget.give_back(megapixels)
        return result

    def _finish(self, held: list[_ReadPhoto], put: _Put) -> None:
        """Color and write the held photos, those of one size in a batch, removing each from `held` once written."""
        while held:
            alike = [photo for photo in held if photo.L.shape == held[0].L.shape]
            predicted = self._predict(alike)
            for one, colors in zip(alike, predicted, strict=True):
                with _errors_as_outcomes(one.position, one.job, put):
                    put(one.position, self._write(one, colors))
                held.remove(one)
                self._budget.give_back(one.megapixels)

    def _predict(self, alike: list[_ReadPhoto]) -> list[PredictedColors | PhotoError]:
        if self._album is None:
            return self._compute(alike)
        failed = self._keep(alike)
        with_edges = self._colorizer().ends_at_edges(self._options)
        return [
            failed.get(one.position) or self._album.colors(one.job, one.L, with_edges, self._options) for one in alike
        ]

    def _keep(self, alike: list[_ReadPhoto]) -> dict[int, PhotoError]:
        """Store the predictions that the album lacks; return the errors of photos that failed, by position."""
        assert self._album is not None
        states = {one.position: file_state(one.job.source) for one in alike}
        missing = [one for one in alike if not self._album.has(one.job, states[one.position])]
        failed = {}
        for one, colors in zip(missing, self._compute(missing) if missing else (), strict=True):
            if isinstance(colors, PhotoError):
                failed[one.position] = colors
            else:
                self._album.keep(one.job, states[one.position], colors)
        return failed

    def _compute(self, alike: list[_ReadPhoto]) -> list[PredictedColors | PhotoError]:
        """Run the network on photos of one size; the palette of an album is applied later."""
        import torch

        colorizer = self._colorizer()
        options = self._options if self._album is None else replace(self._options, unsure="keep", like="")
        with self._computing(), nullcontext() if colorizer.device.type == "cpu" else self._device_turn:
            return colorizer.predict_batch(
                torch.stack([one.L for one in alike]),
                options,
                with_confidence=self._is_sure_wanted,
                with_regions=self._album is not None,
            )

    def _write(self, one: _ReadPhoto, colors: PredictedColors | PhotoError) -> PhotoOutcome:
        """Write the sidecars and then the result: if the result exists, its sidecars do."""
        if isinstance(colors, PhotoError):
            raise colors
        job = one.job
        if job.already:
            self._show(one, colors)
            return job.already
        with self._computing():
            result = encode_result(self._colorizer(), one.photo, colors, self._options, split_name(job.name)[1].lower())
        for suffix, data in result.sidecars.items():
            write_result(job.sidecar(suffix), data, overwrite=self._batch.overwrite)
        write_result(job.target, result.data, overwrite=self._batch.overwrite)
        self._show(one, colors)
        note = (job.note,) if job.note else ()
        outcome = job.outcome(PhotoStatus.written, note + result.warnings)
        return replace(outcome, had_color=result.had_color)

    def _show(self, one: _ReadPhoto, colors: PredictedColors) -> None:
        if self._gallery is None:
            return
        confidence = None if colors.confidence is None else round(float(colors.confidence.mean()), 4)
        with self._computing():
            pictures = small_pictures(self._colorizer(), one.photo, colors, self._options)
        self._gallery.add(one.job, file_state(one.job.source), confidence, pictures)


def _hints_bytes(job: Job, file: str) -> bytes:
    if not job.hint_states:
        return read_hints_file(file)
    return read_object(file, job.hint_states[job.hints.index(file)])


class PredictionKeeper(PhotoWorker):
    """Runs the network on the photos of an album and stores its predictions; writes no results."""

    def _write(self, one: _ReadPhoto, colors: PredictedColors | PhotoError) -> PhotoOutcome:
        if isinstance(colors, PhotoError):
            raise colors
        return one.job.outcome(PhotoStatus.written)


def small_pictures(
    colorizer: Colorizer, photo: Photo, colors: PredictedColors, options: ColorizeOptions
) -> dict[str, Image.Image]:
    """Return a photo before and after coloring, and its further variants, with sides of at most `SIDE_PX`."""
    from colorgan.colorize.upsample import render

    height, width = photo.lightness.shape
    scale = min(1.0, SIDE_PX / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    small = replace(photo, lightness=Lightness.from_plane(photo.lightness.reduced(*size)))
    names = [AFTER, *(f"variant {number}" for number in range(2, options.variants + 1))]
    pictures = {BEFORE: Image.fromarray(render(small.lightness, colors.ab, 0.0))}
    for variant, name in enumerate(names):
        pictures[name] = Image.fromarray(colorizer.finish(small, colors, options, variant=variant))
    return pictures


@contextmanager
def _errors_as_outcomes(position: int, job: Job, put: _Put) -> Iterator[None]:
    """Report an error that concerns one photo as its outcome; let those that concern all photos through."""
    try:
        yield
    except PhotoError as error:
        put(position, job.failed(error))
    except ColorganError:
        raise
    except MemoryError:
        put(position, job.outcome(PhotoStatus.failed, ("not enough memory for a photo of its size",)))
    except Exception as error:  # a bug met by one photo must not end a run over a million
        if limit := limit_reached(error):
            raise limit from error
        words = f"unexpected {type(error).__name__}: {error} (a bug in colorgan; please report it with the photo)"
        put(position, job.outcome(PhotoStatus.failed, (words,)))
