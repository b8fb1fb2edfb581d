"""What a worker does with photos: reads, colours and writes them, and says what became of each."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from colorgan.batch.jobs import Job, Outcome, Status
from colorgan.colorize.options import CONFIDENCE, Rendering
from colorgan.errors import ColorganError, PhotoError
from colorgan.images import decode, encode
from colorgan.images.decode import ReadOptions
from colorgan.images.encode import WriteOptions
from colorgan.images.formats import PHOTO_SUFFIXES
from colorgan.images.photo import Photo

if TYPE_CHECKING:
    from torch import Tensor

    from colorgan.colorize.colorizer import Colorizer, Colours

MOST_MEGAPIXELS_AT_ONCE = 100.0  # about a gigabyte while they are worked on


@dataclass(frozen=True)
class Treatment:
    """How photos are read, coloured and written.

    Attributes:
        rendering: their colours.
        reading: their files.
        writing: their results.
        mark: say in the results which model coloured them.
        skip_color: leave those out that are in colour already.
    """

    rendering: Rendering = field(default_factory=Rendering)
    reading: ReadOptions = field(default_factory=ReadOptions)
    writing: WriteOptions = field(default_factory=WriteOptions)
    mark: bool = True
    skip_color: bool = False

    def digest(self, model: str) -> bytes:
        """What tells results of different settings, or of different models, apart.

        Args:
            model: a digest of its weights.
        """
        settings = {
            "model": model,
            "rendering": asdict(self.rendering),
            "writing": asdict(self.writing),
            "mark": self.mark,
        }
        return hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=16).digest()

    def written_by(self, model: str) -> WriteOptions:
        """How results of a model of that name are written."""
        return replace(self.writing, mark=model if self.mark else None)

    def bit_depth(self, format_name: str) -> int:
        """Bits a channel of results in that format."""
        return self.writing.bit_depth if format_name == "TIFF" else 8


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
class _Held:
    """A photo that was read, and waits for its colours."""

    position: int
    job: Job
    megapixels: float
    photo: Photo
    L: Tensor


class Painter:
    """Colours groups of photos; safe in several threads at once.

    Args:
        colorizer: gives the loaded model.
        treatment: how.
        cores: of the CPU that are this process's; the threads share them.
        budget: of the photos that are in memory at the same time.
    """

    def __init__(
        self, colorizer: Callable[[], Colorizer], treatment: Treatment, *, cores: int, budget: PixelBudget
    ) -> None:
        self._colorizer = colorizer
        self._treatment = treatment
        self._cores, self._budget = cores, budget
        self._busy = 0
        self._counting = threading.Lock()
        self._device_turn = threading.Lock()

    def __call__(self, jobs: Sequence[Job], put: Callable[[int, Outcome], None]) -> None:
        """Colour photos and write them.

        Args:
            jobs: those of like shape share a batch.
            put: told the position of a job and its outcome.

        Raises:
            ColorganError: what would meet the next photo too: a full disk, damaged weights.
        """
        held: list[_Held] = []
        with self._sharing_cores():
            try:
                for position, job in enumerate(jobs):
                    megapixels = decode.measure(Path(job.source))
                    if not self._budget.take(megapixels, wait=not held):
                        self._finish(held, put)
                        self._budget.take(megapixels, wait=True)
                    self._read(position, job, megapixels, held, put)
                self._finish(held, put)
            finally:
                for photo in held:
                    self._budget.give_back(photo.megapixels)

    @contextmanager
    def _sharing_cores(self) -> Iterator[None]:
        """Give this thread's tensors as many of the cores as the other busy threads leave."""
        import torch

        with self._counting:
            self._busy += 1
            torch.set_num_threads(max(1, self._cores // self._busy))
        try:
            yield
        finally:
            with self._counting:
                self._busy -= 1

    def _read(
        self, position: int, job: Job, megapixels: float, held: list[_Held], put: Callable[[int, Outcome], None]
    ) -> None:
        """Read a photo and hold it, or say why not and give its pixels back."""
        is_held = False
        try:
            with _saying_why(position, job, put):
                photo = decode.read(Path(job.source), replace(self._treatment.reading, page=job.page))
                if self._treatment.skip_color and photo.had_color:
                    put(position, Outcome(job, Status.in_colour))
                else:
                    L = self._colorizer().shrink(photo, self._treatment.rendering)
                    held.append(_Held(position, job, megapixels, photo, L))
                    is_held = True
        finally:
            if not is_held:
                self._budget.give_back(megapixels)

    def _finish(self, held: list[_Held], put: Callable[[int, Outcome], None]) -> None:
        """Colour what is held, those of one size together, and let each go once it is written."""
        while held:
            alike = [photo for photo in held if photo.L.shape == held[0].L.shape]
            predicted = self._predict(alike)
            for one, colours in zip(alike, predicted, strict=True):
                with _saying_why(one.position, one.job, put):
                    put(one.position, self._write(one, colours))
                held.remove(one)
                self._budget.give_back(one.megapixels)

    def _predict(self, alike: list[_Held]) -> list[Colours | PhotoError]:
        import torch

        colorizer = self._colorizer()
        with nullcontext() if colorizer.device.type == "cpu" else self._device_turn:
            return colorizer.predict_batch(torch.stack([one.L for one in alike]), self._treatment.rendering)

    def _write(self, one: _Held, colours: Colours | PhotoError) -> Outcome:
        """Write all that is asked for; the result itself last: where it stands, all that belongs to it does."""
        if isinstance(colours, PhotoError):
            raise colours
        if colours.confidence is not None:
            grey = (colours.confidence.numpy() * 255).round().astype(np.uint8)
            encode.write(Path(one.job.folder, one.job.beside(CONFIDENCE)), "PNG", np.repeat(grey[..., None], 3, axis=2))
        for variant, ending in enumerate(self._treatment.rendering.variant_endings, start=1):
            self._write_colours(one, Path(one.job.folder, one.job.beside(ending)), colours, variant)
        lost = self._write_colours(one, Path(one.job.target), colours)
        note = (one.job.note,) if one.job.note else ()
        return Outcome(one.job, Status.written, note + one.photo.oddities + lost)

    def _write_colours(self, one: _Held, target: Path, colours: Colours, variant: int = 0) -> tuple[str, ...]:
        """Write the photo in one of its colourings, and give what was lost, in words."""
        colorizer, photo = self._colorizer(), one.photo
        format_name = PHOTO_SUFFIXES[target.suffix.lower()]
        depth = self._treatment.bit_depth(format_name)
        rgb = colorizer.finish(photo, colours, self._treatment.rendering, depth, variant=variant)
        options = self._treatment.written_by(colorizer.info.name)
        return encode.write(target, format_name, rgb, alpha=photo.alpha, metadata=photo.metadata, options=options)


@contextmanager
def _saying_why(position: int, job: Job, put: Callable[[int, Outcome], None]) -> Iterator[None]:
    """Turn what is wrong with one photo into its outcome."""
    try:
        yield
    except PhotoError as error:
        put(position, Outcome(job, Status.failed, (str(error),)))
    except ColorganError:
        raise
    except MemoryError:
        put(position, Outcome(job, Status.failed, ("not enough memory for a photo of its size",)))
    except Exception as error:  # a million others should not wait for a bug that one photo meets
        words = f"unexpected {type(error).__name__}: {error} (a bug in colorgan; please report it with the photo)"
        put(position, Outcome(job, Status.failed, (words,)))
