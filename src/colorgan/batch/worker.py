"""What a worker does with photos: reads, colors and writes them, and says what became of each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

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

# One of them reads, writes and flushes while another computes; stores of objects are waited for longer.
THREADS_A_CORE, THREADS_A_CORE_FAR = 2, 4
MOST_MEGAPIXELS_AT_ONCE = 100.0  # about a gigabyte while they are worked on


class PixelBudget:
    """Bounds how many megapixels are worked on at the same time.

    Args:
        most: of all photos together; a larger photo is worked on while no other is.
    """

    def __init__(self, most: float = MOST_MEGAPIXELS_AT_ONCE) -> None:
        self._most = most
        self._taken = 0.0
        self._users = 0
        self._change = threading.Condition()

    def take(self, megapixels: float, *, wait: bool) -> bool:
        """Take some, and tell whether there was room; with `wait`, once there is."""
        with self._change:
            while self._users and self._taken + megapixels > self._most:
                if not wait:
                    return False
                self._change.wait()
            self._taken += megapixels
            self._users += 1
            return True

    def give_back(self, megapixels: float) -> None:
        """Give back what was taken."""
        with self._change:
            self._taken -= megapixels
            self._users -= 1
            self._change.notify_all()


@dataclass(frozen=True, eq=False)
class _Opened:
    """A photo that is to be read."""

    position: int
    job: Job
    source: Path | BinaryIO
    megapixels: float


@dataclass(frozen=True, eq=False)
class _Held:
    """A photo that was read, and waits for its colors."""

    position: int
    job: Job
    megapixels: float
    photo: Photo
    L: Tensor


class PhotoWorker:
    """Colors groups of photos; safe in several threads at once.

    Args:
        colorizer: gives the loaded model.
        options: of the photos.
        batch: of the run; as many threads compute at the same time as it has cores.
        threads_a_core: that call it, and mostly wait.
        gallery: the page that photos are put on; None without one.
        album: by whose palette photos are colored; None without one.

    Attributes:
        threads: that call it at the same time.
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

    def __call__(self, jobs: Sequence[Job], put: Callable[[int, PhotoOutcome], None]) -> None:
        """Color photos and write them.

        Args:
            jobs: those of like shape share a batch.
            put: told the position of a job and its outcome.

        Raises:
            ColorganError: what would meet the next photo too: a full disk, damaged weights.
        """
        held: list[_Held] = []

        def tell(position: int, outcome: PhotoOutcome) -> None:
            put(position, jobs[position].already or outcome)  # which stands, even where it cannot be put on a page

        try:
            for position, job in enumerate(jobs):
                source = None
                with _saying_why(position, job, tell):
                    source = open_photo(job.source, job.source_state)
                if source is None:
                    continue
                megapixels = decode.measure(source)
                if not self._budget.take(megapixels, wait=not held):
                    self._finish(held, tell)
                    self._budget.take(megapixels, wait=True)
                self._read(_Opened(position, job, source, megapixels), held, tell)
            self._finish(held, tell)
        finally:
            for photo in held:
                self._budget.give_back(photo.megapixels)

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """Wait for a core, and give this thread's tensors as many as the other computing threads leave.

        Not held while a photo waits for a disk, a store or other photos' memory: then another is computed.
        """
        import torch

        with self._permits:
            with self._counting:
                self._busy += 1
                # More threads round sums otherwise, which could move the regions of an album.
                torch.set_num_threads(1 if self._album else max(1, self._cores // self._busy))
            try:
                yield
            finally:
                with self._counting:
                    self._busy -= 1

    def _read(self, opened: _Opened, held: list[_Held], put: Callable[[int, PhotoOutcome], None]) -> None:
        """Read a photo and hold it, or say why not and give its pixels back."""
        position, job, megapixels = opened.position, opened.job, opened.megapixels
        is_held = False
        try:
            with _saying_why(position, job, put), self._computing():
                reading = decode.ReadOptions(self._options.max_megapixels, job.page, self._batch.all_pages)
                photo = decode.read(opened.source, reading, name=Path(shown_address(job.source)).name)
                photo = with_hints(photo, self._options, job.hints, partial(_hints_bytes, job))
                if not job.is_named and is_marked(photo.metadata.xmp):
                    put(position, job.outcome(PhotoStatus.own))
                elif self._batch.skip_color and photo.had_color:
                    put(position, job.outcome(PhotoStatus.in_color))
                else:
                    L = self._colorizer().shrink(photo, self._options)
                    held.append(_Held(position, job, megapixels, photo, L))
                    is_held = True
        finally:
            if not is_held:
                self._budget.give_back(megapixels)

    def _finish(self, held: list[_Held], put: Callable[[int, PhotoOutcome], None]) -> None:
        """Color what is held, those of one size together, and let each go once it is written."""
        while held:
            alike = [photo for photo in held if photo.L.shape == held[0].L.shape]
            predicted = self._predict(alike)
            for one, colors in zip(alike, predicted, strict=True):
                with _saying_why(one.position, one.job, put):
                    put(one.position, self._write(one, colors))
                held.remove(one)
                self._budget.give_back(one.megapixels)

    def _predict(self, alike: list[_Held]) -> list[PredictedColors | PhotoError]:
        if self._album is None:
            return self._compute(alike)
        failed = self._keep(alike)
        with_edges = self._colorizer().ends_at_edges(self._options)
        return [
            failed.get(one.position) or self._album.colors(one.job, one.L, with_edges, self._options) for one in alike
        ]

    def _keep(self, alike: list[_Held]) -> dict[int, PhotoError]:
        """Keep what the network says of photos of an album, unless it is kept; those that failed by their position."""
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

    def _compute(self, alike: list[_Held]) -> list[PredictedColors | PhotoError]:
        """Run the network; photos of an album are steered by its palette later."""
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

    def _write(self, one: _Held, colors: PredictedColors | PhotoError) -> PhotoOutcome:
        """Write all that is asked for; the result itself last: where it stands, all that belongs to it does."""
        if isinstance(colors, PhotoError):
            raise colors
        job = one.job
        if job.already:
            self._show(one, colors)
            return job.already
        with self._computing():
            result = encode_result(self._colorizer(), one.photo, colors, self._options, split_name(job.name)[1].lower())
        for suffix, data in result.sidecars.items():
            write_result(job.sidecar(suffix), data, overwrite=job.overwrite)
        write_result(job.target, result.data, overwrite=job.overwrite)
        self._show(one, colors)
        note = (job.note,) if job.note else ()
        outcome = job.outcome(PhotoStatus.written, note + result.warnings)
        return replace(outcome, had_color=result.had_color)

    def _show(self, one: _Held, colors: PredictedColors) -> None:
        """Put a photo on the page."""
        if self._gallery is None:
            return
        sure = None if colors.confidence is None else round(float(colors.confidence.mean()), 4)
        with self._computing():
            pictures = small_pictures(self._colorizer(), one.photo, colors, self._options)
        self._gallery.add(one.job, file_state(one.job.source), sure, pictures)


def _hints_bytes(job: Job, file: str) -> bytes:
    if not job.hint_states:
        return read_hints_file(file)
    return read_object(file, job.hint_states[job.hints.index(file)])


class PredictionKeeper(PhotoWorker):
    """Runs the network on the photos of an album and keeps what it says; writes no results."""

    def _write(self, one: _Held, colors: PredictedColors | PhotoError) -> PhotoOutcome:
        if isinstance(colors, PhotoError):
            raise colors
        return one.job.outcome(PhotoStatus.written)


def small_pictures(
    colorizer: Colorizer, photo: Photo, colors: PredictedColors, options: ColorizeOptions
) -> dict[str, Image.Image]:
    """A photo before and after, and its further variants, at the size for a page."""
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
def _saying_why(position: int, job: Job, put: Callable[[int, PhotoOutcome], None]) -> Iterator[None]:
    """Turn what is wrong with one photo into its outcome."""
    try:
        yield
    except PhotoError as error:
        put(position, job.failed(error))
    except ColorganError:
        raise
    except MemoryError:
        put(position, job.outcome(PhotoStatus.failed, ("not enough memory for a photo of its size",)))
    except Exception as error:  # a million others should not wait for a bug that one photo meets
        if limit := limit_reached(error):
            raise limit from error
        words = f"unexpected {type(error).__name__}: {error} (a bug in colorgan; please report it with the photo)"
        put(position, job.outcome(PhotoStatus.failed, (words,)))
