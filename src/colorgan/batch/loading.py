"""Loads the model of a run in a background thread."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from colorgan.batch.options import BatchOptions
from colorgan.callbacks import Callbacks
from colorgan.errors import Interrupted

if TYPE_CHECKING:
    from colorgan.colorize.colorizer import Colorizer

RESUME_ADVICE = "All results so far are complete; run the same command again to continue."
_LOOK_UP_S = 0.1


class Loading:
    """The model of a run, loaded in a background thread, so that a signal can stop the run while torch is imported.

    The reference photo `like`, if not empty, has to be in color.
    """

    def __init__(self, model: str, batch: BatchOptions, callbacks: Callbacks, like: str = "") -> None:
        self._model, self._batch, self._callbacks, self._like = model, batch, callbacks, like
        self._thread: threading.Thread | None = None
        self._colorizer: Colorizer | None = None
        self._error: BaseException | None = None

    def _run(self) -> None:
        try:
            from colorgan.colorize.colorizer import Colorizer

            self._colorizer = Colorizer.load(
                self._model,
                device=self._batch.device,
                precision=self._batch.precision,
                notify=self._callbacks.on_warning,
                progress=self._downloaded,
            )
        except BaseException as error:  # raised by `get`
            self._error = error

    def _downloaded(self, received_bytes: int, total_bytes: int | None) -> None:
        self._callbacks.on_download(self._model, received_bytes, total_bytes)
        self.check()

    def check(self) -> None:
        """Raise Interrupted if the callbacks ask to stop.

        Raises:
            Interrupted: the run is to stop; `leaves_thread` is set while the loading thread still runs.
        """
        number = self._callbacks.should_stop()
        if number is not None:
            is_under_way = self._thread is not None and self._thread.is_alive()
            raise Interrupted(number, RESUME_ADVICE, leaves_thread=is_under_way)

    def wait(self) -> None:
        """Load the model unless it is loaded, and log the device that it computes on.

        Raises:
            Interrupted: the run is to stop.
            Whatever the loading raised, and UsageError if the reference has no colors.
        """
        if self.is_done:
            return
        self._callbacks.on_log("loading", f"Loading {self._model} ...", model=self._model)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        while self._thread.is_alive():
            self._thread.join(_LOOK_UP_S)
            self.check()
        colorizer = self.get()
        from colorgan.devices import describe_device

        device, threads = str(colorizer.device), self._batch.cores
        words = f"cpu ({threads} thread{'s' * (threads > 1)})" if device == "cpu" else describe_device(colorizer.device)
        self._callbacks.on_log("computing", f"Computing on {words}.", device=device)
        if self._like:
            colorizer.palette_of(self._like)  # raises for a bad reference before any photo is read

    def get(self) -> Colorizer:
        """Return the loaded model, or raise the error that its loading raised."""
        if self._error is not None:
            raise self._error
        if self._colorizer is None:
            raise RuntimeError("`get` was called before the model was loaded")
        return self._colorizer

    @property
    def is_done(self) -> bool:
        """Whether the model has been loaded."""
        return self._colorizer is not None

    def digest(self, *, fetches: bool) -> str:
        """Return the digest of the weights; if they are not on this machine, download them if `fetches`, else empty."""
        from colorgan.models.registry import model_digest

        digest = model_digest(self._model)
        if not digest and fetches:
            self.wait()
            digest = model_digest(self._model)
        return digest
