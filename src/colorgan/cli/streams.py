"""The standard streams, also if they are closed, full, of a narrow encoding, or not read at the other end."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from colorgan.errors import Interrupted, OutputError
from colorgan.signals import received

_POLL_S = 0.5
_TIMEOUT_AFTER_SIGNAL_S = 2.0
_CHARACTERS_AT_ONCE = 1000  # at most 4096 bytes, which a writable pipe takes whole


def open_missing_streams() -> None:
    """Open the standard streams that the process was started without on the null device.

    Otherwise the next opened files would get their file descriptors. Characters that an encoding lacks are escaped.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 (open to the end)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            cast(Any, stream).reconfigure(errors="backslashreplace")


class Stream:
    """Wraps the current standard output or error; writing waits until it is writable, and polls for signals."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._has_timed_out = False

    @property
    def _stream(self) -> IO[str]:
        return cast(IO[str], getattr(sys, self._name))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write all of the text.

        Raises:
            OSError: it cannot be written.
            Interrupted: a signal was received, and the pipe is not read.
        """
        if not text:  # an empty write probes the kind of the stream, as click does: pass its answer on
            return self._stream.write(text)
        for start in range(0, len(text), _CHARACTERS_AT_ONCE):
            self._wait_for_reader()
            self._stream.write(text[start : start + _CHARACTERS_AT_ONCE])
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Flush the wrapped stream."""
        self._stream.flush()

    def _wait_for_reader(self) -> None:
        waited_s = _TIMEOUT_AFTER_SIGNAL_S if self._has_timed_out else 0.0
        while not self._is_writable():
            number = received()
            if number is not None and waited_s >= _TIMEOUT_AFTER_SIGNAL_S:
                self._has_timed_out = True
                advice = "The reader of standard output has stalled; run the same command again to continue."
                raise Interrupted(number, advice)
            waited_s = waited_s + _POLL_S if number is not None else 0.0

    def _is_writable(self) -> bool:
        if os.name == "nt":  # select takes only sockets on Windows
            return True
        try:
            wait_s = 0.0 if self._has_timed_out else _POLL_S
            return bool(select.select([], [self._stream.fileno()], [], wait_s)[1])
        except (OSError, ValueError):  # not a file of the system, or closed: the write raises the reason
            return True


class MessageStream(Stream):
    """Standard error, on which errors of writing are ignored.

    A training that ends because its terminal was closed still has to be saved, and its bar to be closed.
    """

    def __init__(self) -> None:
        super().__init__("stderr")

    @property
    def _stream(self) -> IO[str]:
        # While a bar is shown, rich replaces sys.stderr by a proxy that would write to this stream again.
        return cast(IO[str], getattr(sys.stderr, "rich_proxied_file", sys.stderr))

    def write(self, text: str) -> int:
        """Write the text, ignoring errors."""
        with contextlib.suppress(OSError, ValueError, Interrupted):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream, ignoring errors."""
        with contextlib.suppress(OSError, ValueError):
            super().flush()


class ReaderGoneError(OutputError):
    """The reader of standard output has closed it, as `head` does.

    This is no error for a command that only prints, such as help; for one that works it is, see `of_work`.
    """

    def __init__(self) -> None:
        advice = "Run the same command again to continue."
        super().__init__("to print results", "their reader has closed the pipe", advice)

    def of_work(self) -> OutputError:
        """Return the error for a command that does more than print."""
        return OutputError(self.expected, self.found, self.advice)


class Results(Stream):
    """Wraps the original standard output; a failed write raises our error, and is not retried when Python exits."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__("stdout")
        self._original = stream

    @property
    def _stream(self) -> IO[str]:
        return self._original

    def write(self, text: str) -> int:
        """Write all of the text.

        Raises:
            ReaderGoneError: the reader has closed it.
            OutputError: it cannot be written.
            Interrupted: a signal was received, and the pipe is not read.
        """
        with self._converting_errors():
            return super().write(text)

    def flush(self) -> None:
        """Flush the stream.

        Raises:
            ReaderGoneError: the reader has closed it.
            OutputError: it cannot be written.
        """
        with self._converting_errors():
            super().flush()

    @contextmanager
    def _converting_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._original.fileno())
            if isinstance(error, BrokenPipeError):
                raise ReaderGoneError from error
            elsewhere = "send them elsewhere, and run the same command again to continue"
            raise OutputError.of("results to standard output", error, elsewhere) from error


@contextmanager
def checked_results() -> Iterator[Results]:
    """Replace `sys.stdout` by `Results` within the block."""
    original = sys.stdout
    results = Results(original)
    sys.stdout = cast(Any, results)
    try:
        yield results
    finally:
        sys.stdout = original


class InterruptibleReader:
    """Reads from a file or pipe, and while waiting for input calls `check`, which may raise to stop."""

    def __init__(self, file: IO[bytes], check: Any) -> None:
        self._file, self._check = file, check

    def read1(self, size: int) -> bytes:
        """Wait for input, and return at most `size` bytes; empty at the end."""
        try:
            number = self._file.fileno()
        except OSError:  # in memory
            return self._file.read(size)
        while True:
            if os.name == "nt" or select.select([number], [], [], _POLL_S)[0]:
                with contextlib.suppress(BlockingIOError):
                    return os.read(number, size)
            self._check()
