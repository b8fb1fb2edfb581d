"""How whoever called a long piece of work is told what goes on, and says when it is to stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from colorgan.errors import Interrupted


class PhotoStatus(str, Enum):
    """What became of a photo, in the words that are printed."""

    written = "written"
    skipped = "skipped"
    in_color = "in colour"  # old spelling, of the JSON Lines of `colorize`
    own = "own result"
    changed = "changed"
    failed = "failed"


@dataclass(frozen=True, slots=True)
class PhotoOutcome:
    """What became of a photo.

    Attributes:
        source: the photo's path.
        page: of a file of several, from 0.
        target: the path of its result.
        status: what became of it.
        words: why it failed, or what a user should know about the photo or its result.
        parameter: the option whose value it failed for, in Python's spelling; or empty.
        had_color: whether the photo was in color already, where it was read.
        advice: what would let this photo, and all of its kind, be read; or empty.
    """

    source: str
    page: int
    target: str
    status: PhotoStatus
    words: tuple[str, ...] = ()
    parameter: str = ""
    had_color: bool = False
    advice: str = ""


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """Where a training stands after a step.

    Attributes:
        epoch: of the step, from 1.
        batch: of the epoch, from 1.
        batches: how many an epoch has.
        seen_photos: of the whole run, each as often as it was seen.
        elapsed_s: seconds of training, over all sittings.
        share: of the run that is done, 0..1.
        losses: the terms of the loss when they were last read off the device.
    """

    epoch: int
    batch: int
    batches: int
    seen_photos: int
    elapsed_s: float
    share: float
    losses: Mapping[str, float]


class Callbacks:
    """Is told what goes on; a subclass overrides what it wants to hear. Nothing here does anything.

    All are called from the thread that does the work, but for `on_download` and `on_warning`, which a thread of the
    library's own may call.
    """

    def on_start(self) -> None:
        """What was asked for makes sense, and the work begins."""

    def on_log(self, state: str, text: str, **fields: str) -> None:
        """Something began that takes a while, or was decided.

        Args:
            state: what, in a word for a program.
            text: the same for a person.
            fields: what belongs to it, for a program.
        """

    def on_warning(self, text: str) -> None:
        """Something went otherwise than a user may think."""

    def on_progress(self, done: int, total: int) -> None:
        """So much of the work is done, of so much."""

    def on_download(self, name: str, received_bytes: int, total_bytes: int | None) -> None:
        """A part of a file has come.

        Args:
            name: of what is fetched.
            received_bytes: so far.
            total_bytes: of the whole file, where that is known.
        """

    def on_photo(self, outcome: PhotoOutcome) -> None:
        """A photo is done, or will not be."""

    def on_step(self, step: TrainingStep) -> None:
        """A training took a step."""

    def on_validation(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """A training measured its validation photos.

        Args:
            epoch: that is done; 0 for the model that the run starts from.
            metrics: by name, with `photos`, how many were measured; those that are no numbers are left out.
        """

    def on_end(self, lines: Sequence[str]) -> None:
        """The work is over, and this is how it went."""

    def should_stop(self) -> int | None:
        """Whether to stop: the number of the signal that came, or None. Asked between two pieces of work."""
        return None


class NullCallbacks(Callbacks):
    """Tell nobody, and ask another whether to stop: what a process has that does not speak for all.

    Args:
        asked: the other.
    """

    def __init__(self, asked: Callbacks) -> None:
        self._asked = asked

    def should_stop(self) -> int | None:
        """What the other says."""
        return self._asked.should_stop()


@dataclass(frozen=True, eq=False)
class StopCheck:
    """Asks whether to stop, and raises where that is so; what is long under way calls it between two pieces of work.

    Attributes:
        callbacks: are asked.
        advice: how to go on, for the error's last part.
    """

    callbacks: Callbacks
    advice: str

    def __call__(self) -> None:
        """Ask.

        Raises:
            Interrupted: a signal came; its exit code is 130 or 143.
        """
        number = self.callbacks.should_stop()
        if number is not None:
            raise Interrupted(number, self.advice)

    def downloaded(self, name: str, received_bytes: int, total_bytes: int | None) -> None:
        """Hand on how far a download is, and ask."""
        self.callbacks.on_download(name, received_bytes, total_bytes)
        self()
