"""The standard streams, whatever they are: closed, full, without the letters, or with a reader that takes nothing."""

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

_LOOK_UP_S = 0.5
_MOST_AFTER_SIGNAL_S = 2.0
_LETTERS_AT_ONCE = 1000  # at most 4096 bytes: what a pipe that takes any takes whole


def open_missing_streams() -> None:
    """Open those that the process was started without: nothing comes from there, and what is written is lost.

    Otherwise the next file to be opened would take their numbers.
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
    """Standard output or error, as `sys` has it at each moment; writing waits for a reader, and hears signals."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_given_up = False

    @property
    def _stream(self) -> IO[str]:
        return cast(IO[str], getattr(sys, self._name))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write all of the text.

        Raises:
            OSError: it cannot be written.
            Interrupted: a signal came, and nobody reads.
        """
        if not text:  # whoever asks by it what kind of a stream this is gets that one's answer
            return self._stream.write(text)
        for start in range(0, len(text), _LETTERS_AT_ONCE):
            self._wait_for_reader()
            self._stream.write(text[start : start + _LETTERS_AT_ONCE])
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Flush what others wrote."""
        self._stream.flush()

    def _wait_for_reader(self) -> None:
        waited_s = _MOST_AFTER_SIGNAL_S if self._is_given_up else 0.0
        while not self._is_writable():
            number = received()
            if number is not None and waited_s >= _MOST_AFTER_SIGNAL_S:
                self._is_given_up = True
                advice = "Whoever reads what is printed takes nothing; the same command again goes on with the rest."
                raise Interrupted(number, advice)
            waited_s = waited_s + _LOOK_UP_S if number is not None else 0.0

    def _is_writable(self) -> bool:
        if os.name == "nt":  # it looks at sockets alone
            return True
        try:
            wait_s = 0.0 if self._is_given_up else _LOOK_UP_S
            return bool(select.select([], [self._stream.fileno()], [], wait_s)[1])
        except (OSError, ValueError):  # no file of the system's, or closed: writing says what is wrong
            return True


class Words(Stream):
    """Standard error: what nobody can or will read is lost, and breaks nothing.

    A training that ends since its terminal was closed still has to be saved, and its bar to be taken down.
    """

    def __init__(self) -> None:
        super().__init__("stderr")

    @property
    def _stream(self) -> IO[str]:
        # Rich puts a file of its own there while a bar is drawn, which would print through this one again.
        return cast(IO[str], getattr(sys.stderr, "rich_proxied_file", sys.stderr))

    def write(self, text: str) -> int:
        """Write, or lose, the text."""
        with contextlib.suppress(OSError, ValueError, Interrupted):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Flush what is written."""
        with contextlib.suppress(OSError, ValueError):
            super().flush()


class ReaderGoneError(OutputError):
    """Whoever read standard output has closed it, as `head` does.

    Of what a command only tells, such as its help, that one has had enough; of work it is an error.
    """

    def __init__(self) -> None:
        advice = "Give the command again: it goes on with the rest."
        super().__init__("to print results", "whoever read them has gone", advice)

    def of_work(self) -> OutputError:
        """The error that it is where the command does more than tell."""
        return OutputError(self.expected, self.found, self.advice)


class Results(Stream):
    """Standard output as it was: what cannot be written is an error, and is not tried once more when Python ends."""

    def __init__(self, stream: IO[str]) -> None:
        super().__init__("stdout")
        self._original = stream

    @property
    def _stream(self) -> IO[str]:
        return self._original

    def write(self, text: str) -> int:
        """Write all of the text.

        Raises:
            ReaderGoneError: nobody reads it any more.
            OutputError: it cannot be written.
            Interrupted: a signal came, and nobody reads.
        """
        with self._saying_why():
            return super().write(text)

    def flush(self) -> None:
        """Flush what others wrote.

        Raises:
            ReaderGoneError: nobody reads it any more.
            OutputError: it cannot be written.
        """
        with self._saying_why():
            super().flush()

    @contextmanager
    def _saying_why(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._original.fileno())
            if isinstance(error, BrokenPipeError):
                raise ReaderGoneError from error
            elsewhere = "send them elsewhere; the same command again goes on with the rest"
            raise OutputError.of("results to standard output", error, elsewhere) from error


@contextmanager
def checked_results() -> Iterator[Results]:
    """Have standard output checked meanwhile."""
    original = sys.stdout
    results = Results(original)
    sys.stdout = cast(Any, results)
    try:
        yield results
    finally:
        sys.stdout = original


class InterruptibleReader:
    """Reads what comes, and calls a check that may raise while nothing does."""

    def __init__(self, file: IO[bytes], check: Any) -> None:
        self._file, self._check = file, check

    def read1(self, size: int) -> bytes:
        """Some bytes, once there are any; none at the end."""
        try:
            number = self._file.fileno()
        except OSError:  # in memory
            return self._file.read(size)
        while True:
            if os.name == "nt" or select.select([number], [], [], _LOOK_UP_S)[0]:
                with contextlib.suppress(BlockingIOError):
                    return os.read(number, size)
            self._check()
