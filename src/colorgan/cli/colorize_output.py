"""What `colorize` says of photos: lines for a person, JSON Lines for another program."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping

from colorgan.addresses import printable
from colorgan.batch.run import Summary
from colorgan.callbacks import PhotoOutcome, PhotoStatus
from colorgan.cli.console import Console
from colorgan.cli.options import option_of, spelled
from colorgan.errors import ColorganError

SCHEMA = 2  # of the JSON Lines; docs/reference/many-photos.md describes it
# What a program reads in the line of the type summary, and a person of photos that are done, and that are planned.
_WORDS = {
    PhotoStatus.written: ("written", "written", "to do"),
    PhotoStatus.skipped: ("skipped", "skipped", "done before"),
    PhotoStatus.in_color: ("in_colour", "in color", "in color"),  # old spelling
    PhotoStatus.own: ("own_results", "own results", "own results"),
    PhotoStatus.changed: ("changed", "changed", "changed"),
    PhotoStatus.failed: ("failed", "failed", "would fail"),
}
_ONLY_WHERE_THERE_ARE_SOME = (PhotoStatus.in_color, PhotoStatus.own, PhotoStatus.changed)


class Reporter(ABC):
    """Says what happens.

    Args:
        console: prints it.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    @abstractmethod
    def status(self, state: str, words: str, **fields: object) -> None:
        """Say what the run is at.

        Args:
            state: in a word, for a program.
            words: for a person.
            fields: for a program.
        """

    @abstractmethod
    def planned(self, outcome: PhotoOutcome) -> None:
        """Say what would be done with a photo."""

    @abstractmethod
    def outcome(self, outcome: PhotoOutcome) -> None:
        """Say what became of a photo."""

    @abstractmethod
    def stopped(self, error: ColorganError) -> None:
        """Say why the whole run ends early; a person is told by whoever catches the error."""

    @abstractmethod
    def summary(self, summary: Summary, where: str, exit_code: int) -> None:
        """Say what became of all photos, in numbers, and where the results are.

        Args:
            summary: the numbers.
            where: the results are, in words.
            exit_code: of the process.
        """


class PlainReporter(Reporter):
    """Says it in lines: sums on standard output, all else on standard error."""

    def status(self, state: str, words: str, **fields: object) -> None:
        """Print it as a note; a share of the photos as what nobody should miss."""
        say = self._console.warn if state == "sharing" else self._console.note
        say(words)

    def planned(self, outcome: PhotoOutcome) -> None:
        """Print where the result would go, or why there would be none."""
        words = "; ".join(outcome.words)
        is_left = outcome.status in (PhotoStatus.failed, PhotoStatus.changed, PhotoStatus.own)
        target = "" if is_left else f" -> {printable(outcome.target)}"
        source = printable(outcome.source)
        self._console.result(f"{_WORDS[outcome.status][2]}: {source}{target}{f' ({words})' if words else ''}")

    def outcome(self, outcome: PhotoOutcome) -> None:
        """Print a photo's words, if there are any."""
        if not outcome.words:
            return
        option = f" ({option_of(outcome.parameter)})" if outcome.parameter else ""
        line = f"{_source(outcome)}: {'; '.join(outcome.words)}{option}"
        if outcome.status is PhotoStatus.failed:
            self._console.warn(f"failed: {line}")
        else:
            self._console.note(line)

    def stopped(self, error: ColorganError) -> None:
        """Print nothing."""

    def summary(self, summary: Summary, where: str, exit_code: int) -> None:
        """Print the sums."""
        counts, column = summary.counts, 2 if summary.dry_run else 1
        told = [status for status in PhotoStatus if counts.get(status) or status not in _ONLY_WHERE_THERE_ARE_SOME]
        sums = ", ".join(f"{counts.get(status, 0)} {_WORDS[status][column]}" for status in told)
        self._console.result(f"{sums}. {'They would be in' if summary.dry_run else 'Results'}: {where}")
        if counts.get(PhotoStatus.skipped):
            self._console.note("Skipped were those done before with these settings; --overwrite does them again.")
        if summary.dry_run and counts.get(PhotoStatus.written):
            self._console.note("Of what is to do, sizes and first bytes were looked at; nothing was decoded.")
        if counts.get(PhotoStatus.own):
            self._console.note("Colorgan's own results are colored again only where they are named themselves.")
        if summary.had_color:
            self._console.note(
                f"In color already, and colored anew: {summary.had_color}; --skip-color leaves such out."
            )
        if summary.left_out_folders:
            left_out = summary.left_out_folders
            self._console.note(f"Hidden and housekeeping folders, not searched unless named: {left_out}.")
        if summary.other_files:
            self._console.note(f"Files of other kinds, left out: {_by_suffix(summary.other_files)}.")
        if summary.page:
            self._console.note(f"The page to look at: {printable(summary.page)}")


class JsonReporter(Reporter):
    """Says it in JSON Lines on standard output."""

    def _line(self, kind: str, **fields: object) -> None:
        # Names that are not UTF-8 hold lone surrogates, which are escaped here as Python's surrogateescape has them.
        self._console.result(json.dumps({"type": kind, "schema": SCHEMA, **fields}))

    def status(self, state: str, words: str, **fields: object) -> None:
        """Print a line of the type status."""
        self._line("status", state=state, words=words, **fields)

    def planned(self, outcome: PhotoOutcome) -> None:
        """Print it as what became of the photo, with the status planned where there is work to do."""
        self._photo(outcome, "planned" if outcome.status is PhotoStatus.written else outcome.status.value)

    def outcome(self, outcome: PhotoOutcome) -> None:
        """Print a line of the type photo, or error."""
        self._photo(outcome, outcome.status.value)

    def _photo(self, outcome: PhotoOutcome, status: str) -> None:
        where = {"source": outcome.source, "page": outcome.page}
        if outcome.status is PhotoStatus.failed:
            option = f" ({option_of(outcome.parameter)})" if outcome.parameter else ""
            self._line("error", **where, reason=spelled("; ".join(outcome.words)) + option)
            return
        self._line("photo", **where, output=outcome.target, status=status, words=list(map(spelled, outcome.words)))

    def stopped(self, error: ColorganError) -> None:
        """Print a line of the type error that names no photo."""
        parts = {name: spelled(getattr(error, name)) for name in ("expected", "found", "advice")}
        self._line("error", source=None, reason=spelled(str(error)), exit_code=error.exit_code, **parts)

    def summary(self, summary: Summary, where: str, exit_code: int) -> None:
        """Print a line of the type summary."""
        sums = {names[0]: summary.counts.get(status, 0) for status, names in _WORDS.items()}
        self._line(
            "summary",
            **sums,
            output=where,
            exit_code=exit_code,
            dry_run=summary.dry_run,
            had_color=summary.had_color,
            left_out_folders=summary.left_out_folders,
            other_files=dict(summary.other_files),
            page=None if summary.page is None else str(summary.page),
        )


def _by_suffix(files: Mapping[str, int]) -> str:
    """How many files of each suffix, the most first."""
    rows = sorted(files.items(), key=lambda row: (-row[1], row[0]))
    return ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in rows)


def _source(outcome: PhotoOutcome) -> str:
    page = f", page {outcome.page + 1}" if outcome.page else ""
    return printable(outcome.source) + page
