"""Callbacks by which long work reports its progress to its caller and asks whether to stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from colorgan.errors import Interrupted


class PhotoStatus(str, Enum):
    """The status of a photo after a run; the values are those of JSON Lines."""

    written = "written"
    skipped = "skipped"
    in_color = "in colour"  # old spelling, of the JSON Lines of `colorize`
    own = "own result"
    changed = "changed"
    failed = "failed"


@dataclass(frozen=True, slots=True)
class PhotoOutcome:
    """The outcome of a photo.

    Attributes:
        source: path of the photo.
        page: page of a multi-page file, from 0.
        target: path of its result.
        status: whether it was written, skipped or failed, and the like.
        words: messages to the user: why it failed, or warnings about the photo or its result.
        parameter: Python name of the option whose value made it fail, or empty.
        had_color: whether the photo was in color already; only known if it was read.
        advice: how to make this photo, and all of its format, readable; or empty.
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
    """The progress of a training after a step.

    Attributes:
        epoch: the epoch, from 1.
        batch: the batch in the epoch, from 1.
        batches: number of batches in an epoch.
        seen_photos: number of photos over the whole run, each counted as often as it was seen.
        elapsed_s: seconds of training, over all sessions of the run.
        share: fraction of the run that is done, 0..1.
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
    """Receives events of a piece of work; subclasses override the methods of interest, which all do nothing here.

    All are called from the thread that does the work, except `on_download` and `on_warning`, which a background thread
    of the library may call.
    """

    def on_start(self) -> None:
        """Called when the arguments have been checked and the work begins."""

    def on_log(self, state: str, text: str, **fields: str) -> None:
        """Called when a step that takes a while begins, or something was decided.

        Args:
            state: a one-word key of the event for programs.
            text: the message for the user.
            fields: details of the event for programs.
        """

    def on_warning(self, text: str) -> None:
        """Called with a message about something that the user may not expect."""

    def on_progress(self, done: int, total: int) -> None:
        """Called when `done` of `total` units of the work are done."""

    def on_download(self, name: str, received_bytes: int, total_bytes: int | None) -> None:
        """Called when a part of a file was received.

        Args:
            name: name of the model that is downloaded.
            received_bytes: number of bytes so far.
            total_bytes: size of the whole file; None if unknown.
        """

    def on_photo(self, outcome: PhotoOutcome) -> None:
        """Called when a photo is done, was skipped or failed."""

    def on_step(self, step: TrainingStep) -> None:
        """Called after a step of a training."""

    def on_validation(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Called when a training has measured its validation photos.

        Args:
            epoch: number of epochs done; 0 for the model that the run starts from.
            metrics: values by name, and the number of photos as `photos`; those that are not a number are left out.
        """

    def on_end(self, lines: Sequence[str]) -> None:
        """Called when the work is over, with the lines of its verdict."""

    def should_stop(self) -> int | None:
        """Return the number of the signal for which to stop, or None to go on; called between two pieces of work."""
        return None


class NullCallbacks(Callbacks):
    """Callbacks of a process that is not the primary one: it reports nothing, but asks others whether to stop.

    Args:
        asked: the callbacks whose `should_stop` counts.
    """

    def __init__(self, asked: Callbacks) -> None:
        self._asked = asked

    def should_stop(self) -> int | None:
        """Return what the other callbacks return."""
        return self._asked.should_stop()


@dataclass(frozen=True, eq=False)
class StopCheck:
    """Callable that raises Interrupted if the callbacks ask to stop; long work calls it between two pieces.

    Attributes:
        callbacks: the callbacks to ask.
        advice: how to go on, for the error's last part.
    """

    callbacks: Callbacks
    advice: str

    def __call__(self) -> None:
        """Raise if the callbacks ask to stop.

        Raises:
            Interrupted: they do; its exit code is 128 plus the signal's number.
        """
        number = self.callbacks.should_stop()
        if number is not None:
            raise Interrupted(number, self.advice)

    def downloaded(self, name: str, received_bytes: int, total_bytes: int | None) -> None:
        """Report the progress of a download, and raise if the callbacks ask to stop."""
        self.callbacks.on_download(name, received_bytes, total_bytes)
        self()
