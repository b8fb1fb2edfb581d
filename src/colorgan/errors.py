"""The errors a user can meet, each with its exit code and three parts: expected, found, what to do."""

from __future__ import annotations

import errno

_SIGNALS = {
    1: "by its terminal closing (SIGHUP)",
    2: "by Ctrl-C",
    15: "by a request to stop (SIGTERM)",
}

EXIT_BUG = 1
EXIT_USAGE = 2
EXIT_SOME_FAILED = 3
EXIT_CANNOT = 4
EXIT_SIGINT = 130


class ColorganError(Exception):
    """Anything that goes wrong for a reason the user can act on.

    Attributes:
        expected: what was expected or tried.
        found: what was found instead.
        advice: what to do about it.
        parameter: the name of the parameter or option field whose value is to blame, in Python's spelling; or empty.
    """

    exit_code = EXIT_CANNOT

    def __init__(self, expected: str, found: str, advice: str, *, parameter: str = "") -> None:
        super().__init__(expected, found, advice)
        self.expected = expected
        self.found = found
        self.advice = advice
        self.parameter = parameter

    @property
    def statement(self) -> str:
        """What was expected and what was found, as a sentence without its full stop."""
        return f"expected {self.expected}: {self.found}"

    def __str__(self) -> str:
        return f"{self.statement}. {self.advice}"


def reason_of(error: BaseException) -> str:
    """Return why something failed, for the middle of a sentence: the system's message in lower case, or the error's."""
    words: str | None = getattr(error, "strerror", None)
    return words.lower() if words else f"{type(error).__name__}: {error}".splitlines()[0]


class UsageError(ColorganError, ValueError):
    """A wrong option or a missing input; for Python callers also a ValueError."""

    exit_code = EXIT_USAGE


def missing_extra(needed: str, extra: str, *, parameter: str = "") -> UsageError:
    """Return the error for an extra whose packages are not installed.

    Args:
        needed: the packages, for the message, as "what the app needs".
        extra: name of the extra.
        parameter: as in `ColorganError`.
    """
    advice = f'Install it: pip install "colorgan[{extra}]"'
    return UsageError(needed, f"the extra {extra} is not installed", advice, parameter=parameter)


class PhotoError(ColorganError):
    """One photo cannot be read, colored or written; the others go on."""

    exit_code = EXIT_SOME_FAILED

    def __str__(self) -> str:
        return self.found


class MissingExtraError(PhotoError):
    """A photo whose format needs a package that is not installed; the advice is the same for all such photos."""


class DamagedPhotoError(PhotoError):
    """A photo's bytes violate its format: the file is truncated or overwritten."""


class WeightsError(ColorganError):
    """Weights that are missing, damaged, or of another network."""


class SetError(ColorganError):
    """A training set that is missing, incomplete or damaged."""


class CheckpointError(ColorganError):
    """A run or checkpoint that is missing, damaged, or of another training."""


class DeviceError(ColorganError):
    """A device that is not available, or has too little memory."""


class OutputError(ColorganError):
    """A place that cannot be written: full, read-only, or not a folder."""

    @classmethod
    def of(cls, what: str, error: Exception, elsewhere: str, *, parameter: str = "") -> OutputError:
        """Return the error for a failed write, with advice for the system's reason.

        Args:
            what: what could not be written, as "the journal x".
            error: the error of the system or of SQLite.
            elsewhere: advice that helps in any case, as "name another output folder".
            parameter: as in `ColorganError`.
        """
        number = getattr(error, "errno", None) or 0
        reason = _REASONS.get(number) or (getattr(error, "strerror", None) or str(error)).lower()
        remedy = _REMEDIES.get(errno.ENOSPC if "disk is full" in reason else number)
        advice = f"{remedy}, or {elsewhere}." if remedy else f"{elsewhere[:1].upper()}{elsewhere[1:]}."
        return cls(f"to write {what}", reason, advice, parameter=parameter)


# Clearer reasons than the system's own messages.
_REASONS = {errno.EEXIST: "a file has that name", errno.ENOTDIR: "a folder above it is a file"}
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "Make room there"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "Get permission to write there"),
    errno.EROFS: "Make that disk writable",
    errno.EFBIG: "Allow larger files (ulimit -f)",
}


class StorageError(ColorganError):
    """An object store that denies access, is full, or does not answer."""


class Interrupted(ColorganError):  # noqa: N818 (no error, as KeyboardInterrupt is none)
    """A stop by SIGINT, SIGTERM or SIGHUP, after the work under way was finished and saved.

    Args:
        signal_number: 1, 2 or 15; the exit code is 128 more.
        advice: how to go on.
        leaves_thread: whether a thread still runs, for which the process should not wait when it exits.
    """

    def __init__(self, signal_number: int, advice: str, *, leaves_thread: bool = False) -> None:
        super().__init__("interrupted", _SIGNALS.get(signal_number, f"by signal {signal_number}"), advice)
        self.exit_code = 128 + signal_number
        self.leaves_thread = leaves_thread

    def __reduce__(self) -> tuple[object, ...]:
        """Return how to pickle it, since the arguments of `__init__` are not those of `Exception`."""
        return type(self), (self.exit_code - 128, self.advice)

    @property
    def statement(self) -> str:
        """Which signal interrupted the work, as a sentence without its full stop."""
        return f"{self.expected} {self.found}"


class TrainingError(ColorganError):
    """A training that cannot go on, such as one whose loss is no longer a number."""


# Parts of the messages of Python and of the dynamic loader when the system gives no more memory.
_NO_MEMORY = ("failed to map segment", "cannot allocate memory", "not enough memory", "unable to allocate")
_READER_GONE = "dataloader worker"
_NO_THREADS = ("can't start new thread", "resource temporarily unavailable")


def limit_reached(error: BaseException) -> DeviceError | None:
    """Return a DeviceError for an exception caused by a limit of the system or container; None for any other."""
    words, number = str(error).lower(), getattr(error, "errno", None)
    if isinstance(error, MemoryError) or number == errno.ENOMEM or any(each in words for each in _NO_MEMORY):
        advice = "Allow more (ulimit -v, the container's limit), or use fewer workers and a smaller batch."
        return DeviceError("enough memory", "the system has no more", advice)
    if number in (errno.EMFILE, errno.ENFILE):
        return DeviceError(
            "more open files", "the system allows no more", "Allow more (ulimit -n), or use fewer workers."
        )
    if isinstance(error, RuntimeError) and _READER_GONE in words:
        found = "one was killed, probably because memory ran out"
        advice = (
            "Allow more memory (the container's limit), or use fewer workers; `resume` continues from what is saved."
        )
        return DeviceError("processes that read photos", found, advice, parameter="workers")
    if isinstance(error, RuntimeError | OSError) and any(each in words for each in _NO_THREADS):
        advice = "Allow more (ulimit -u, the container's limit of processes), or use one worker."
        return DeviceError("more threads", "the system starts no more", advice)
    return None
