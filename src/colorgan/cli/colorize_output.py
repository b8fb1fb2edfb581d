"""The output of `colorize`: plain lines for users, JSON Lines for other programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from colorgan.addresses import printable
from colorgan.batch.run import Summary
from colorgan.callbacks import PhotoOutcome, PhotoStatus
from colorgan.cli.console import Console
from colorgan.cli.options import option_of, spelled
from colorgan.errors import ColorganError

SCHEMA = 2  # of the JSON Lines; docs/reference/many-photos.md describes it
# By status: the key in the JSON line of the summary, and the texts in the plain summary and in that of a dry run.
_WORDS = {
    PhotoStatus.written: ("written", "written", "to do"),
    PhotoStatus.skipped: ("skipped", "skipped", "done before"),
    PhotoStatus.in_color: ("in_colour", "in color", "in color"),  # old spelling
    PhotoStatus.own: ("own_results", "own results", "own results"),
    PhotoStatus.changed: ("changed", "changed", "changed"),
    PhotoStatus.failed: ("failed", "failed", "would fail"),
}
_HIDDEN_IF_ZERO = (PhotoStatus.in_color, PhotoStatus.own, PhotoStatus.changed)  # in the plain summary


@dataclass(frozen=True)
class PlainReporter:
    """Prints plain lines: the summary on standard output, all else on standard error."""

    console: Console

    def status(self, state: str, words: str, **fields: object) -> None:
        """Print a status message as a note, but as a warning if this process takes only a shard of the photos."""
        (self.console.warn if state == "sharing" else self.console.note)(words)

    def planned(self, outcome: PhotoOutcome) -> None:
        """Print the outcome that a dry run expects: where a photo's result would go, or why there would be none."""
        words = "; ".join(outcome.words)
        has_no_result = outcome.status in (PhotoStatus.failed, PhotoStatus.changed, PhotoStatus.own)
        target = "" if has_no_result else f" -> {printable(outcome.target)}"
        source = printable(outcome.source)
        self.console.result(f"{_WORDS[outcome.status][2]}: {source}{target}{f' ({words})' if words else ''}")

    def outcome(self, outcome: PhotoOutcome) -> None:
        """Print the messages of a photo's outcome, if it has any: as a warning if the photo failed, else as a note."""
        if not outcome.words:
            return
        option = f" ({option_of(outcome.parameter)})" if outcome.parameter else ""
        line = f"{_source(outcome)}: {'; '.join(outcome.words)}{option}"
        if outcome.status is PhotoStatus.failed:
            self.console.warn(f"failed: {line}")
        else:
            self.console.note(line)

    def stopped(self, error: ColorganError) -> None:
        """Print nothing: the error that ended the run is printed where it is caught."""

    def summary(self, summary: Summary, where: str, exit_code: int) -> None:
        """Print the counts of a run, where its results are, and notes on photos that were left out."""
        counts, column = summary.counts, 2 if summary.dry_run else 1
        listed = [status for status in PhotoStatus if counts.get(status) or status not in _HIDDEN_IF_ZERO]
        sums = ", ".join(f"{counts.get(status, 0)} {_WORDS[status][column]}" for status in listed)
        self.console.result(f"{sums}. {'Results would go to' if summary.dry_run else 'Results'}: {where}")
        if counts.get(PhotoStatus.skipped):
            self.console.note("Skipped photos were done before with these settings; --overwrite redoes them.")
        if summary.dry_run and counts.get(PhotoStatus.written):
            self.console.note("This dry run checked sizes and first bytes only; nothing was decoded.")
        if counts.get(PhotoStatus.own):
            self.console.note("Colorgan's own results are recolored only if you name the files themselves.")
        if summary.had_color:
            self.console.note(f"Already in color, and recolored: {summary.had_color}; --skip-color skips these.")
        if summary.left_out_folders:
            left_out = summary.left_out_folders
            self.console.note(f"Folders searched only if named (hidden, system, pictures of reports): {left_out}.")
        if summary.other_files:
            self.console.note(f"Files of other types, ignored: {_by_suffix(summary.other_files)}.")
        if summary.page:
            self.console.note(f"Page: {printable(summary.page)}")


@dataclass(frozen=True)
class JsonReporter:
    """Prints the same events as JSON Lines on standard output."""

    console: Console

    def _line(self, kind: str, **fields: object) -> None:
        # Names that are not UTF-8 have lone surrogates of Python's surrogateescape, which JSON escapes.
        self.console.result(json.dumps({"type": kind, "schema": SCHEMA, **fields}))

    def status(self, state: str, words: str, **fields: object) -> None:
        """Print a line of the type status."""
        self._line("status", state=state, words=words, **fields)

    def planned(self, outcome: PhotoOutcome) -> None:
        """Print a line of the type photo or error, with the status planned if the photo would be colored."""
        self._photo(outcome, "planned" if outcome.status is PhotoStatus.written else outcome.status.value)

    def outcome(self, outcome: PhotoOutcome) -> None:
        """Print a line of the type photo, or error if it failed."""
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


Reporter: TypeAlias = PlainReporter | JsonReporter


def _by_suffix(files: Mapping[str, int]) -> str:
    """Format the number of files by suffix, the most frequent first."""
    rows = sorted(files.items(), key=lambda row: (-row[1], row[0]))
    return ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in rows)


def _source(outcome: PhotoOutcome) -> str:
    page = f", page {outcome.page + 1}" if outcome.page else ""
    return printable(outcome.source) + page
