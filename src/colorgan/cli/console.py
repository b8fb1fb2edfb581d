"""All printing of the commands: results on standard output; progress, notes, warnings and errors on standard error."""

from __future__ import annotations

import os
import re
import sys
import textwrap
import traceback
from collections.abc import Sequence
from typing import IO, cast

from rich import box
from rich.console import Console as RichConsole
from rich.control import Control
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.segment import ControlType
from rich.table import Table

from colorgan.cli.options import option_of, spelled
from colorgan.cli.streams import MessageStream
from colorgan.errors import EXIT_BUG, ColorganError

# Control characters that a terminal would execute or hide.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def on_one_line(text: str) -> str:
    """Escape control characters, including line breaks, so that file names cannot control the terminal."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _escaped(text: str) -> str:
    return escape(on_one_line(text))


def _wrapped(text: str, console: RichConsole) -> list[str]:
    """Wrap a text to the terminal's width between words, unless it has a command, which a user may copy."""
    if not console.is_terminal or "colorgan " in text:
        return [text]
    indent = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(text, console.width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _rich(*, stderr: bool) -> RichConsole:
    # Rich honors NO_COLOR by itself; a dumb terminal must get no control codes at all.
    dumb = os.environ.get("TERM") == "dumb"
    file = cast(IO[str], MessageStream()) if stderr else None
    return RichConsole(file=file, highlight=False, emoji=False, soft_wrap=True, force_terminal=False if dumb else None)


class Console:
    """Prints the output of a command.

    Args:
        quiet: leave out progress and notes; results, warnings and errors stay.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self._err = _rich(stderr=True)

    def result(self, text: str) -> None:
        """Print a line on standard output."""
        # Without rich, which is slow for a million lines; flushed, so that lines are whole if the process is killed.
        encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
        print(on_one_line(text).encode(encoding, "replace").decode(encoding), flush=True)

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table: row names in the first column, numbers to the right; a row of one cell is a heading."""
        table = Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for number, name in enumerate(header):
            table.add_column(escape(name), justify="right" if number else "left", overflow="fold")
        for row in rows:
            cells = ["\n".join(map(_escaped, cell.split("\n"))) for cell in row]
            table.add_row(*cells, style="bold" if len(cells) == 1 else None)
        _rich(stderr=False).print(table, soft_wrap=False)

    @property
    def is_terminal(self) -> bool:
        """Whether notes are shown on a terminal."""
        return not self.quiet and self._err.is_terminal

    def note(self, text: str, *, is_prose: bool = False) -> None:
        """Print a line about the progress of the work, unless quiet.

        Prose is wrapped between words on a terminal; other lines are not, since users may copy paths and commands.
        """
        if not self.quiet:
            self._print(text, None, is_prose)

    def warn(self, text: str, *, is_prose: bool = False) -> None:
        """Print a warning, even if quiet; otherwise like `note`."""
        self._print(text, "yellow", is_prose)

    def _print(self, text: str, style: str | None, is_prose: bool) -> None:
        text = on_one_line(spelled(text))
        for line in _wrapped(text, self._err) if is_prose else [text]:
            self._err.print(escape(line), style=style, soft_wrap=True)

    def bar(self, *columns: str | ProgressColumn) -> Progress:
        """Return a progress bar, to be used as a context manager; hidden if quiet or not on a terminal."""
        return Progress(*columns, console=self._err, disable=not self.is_terminal, transient=True)


class DownloadBar:
    """Shows a bar for each download, from its first update on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._name = ""
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def show(self, name: str, received_bytes: int, total_bytes: int | None) -> None:
        """Update the bar of a download, or start one if `name` is new; the total is None if unknown."""
        if self._bar is None or name != self._name:
            self.close()
            self._console.note(f"Downloading {name}, only once ...")
            columns = (
                "{task.description}",
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
            )
            self._name, self._bar = name, self._console.bar(*columns)
            self._bar.start()
            self._task = self._bar.add_task(escape(name), total=total_bytes)
        self._bar.update(self._task, completed=received_bytes, total=total_bytes)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def restore_terminal() -> None:
    """Erase the line of an unclosed bar, and show the cursor that it hid."""
    err = _rich(stderr=True)
    err.control(Control((ControlType.ERASE_IN_LINE, 2), ControlType.CARRIAGE_RETURN, ControlType.SHOW_CURSOR))


def print_error(error: ColorganError) -> None:
    """Print an error: what was expected, what was found, and what to do."""
    statement, advice = (on_one_line(spelled(part)) for part in (error.statement, error.advice))
    option = option_of(error.parameter) if error.parameter else ""
    named = "" if not option or option in statement + advice else f" ({option})"
    err, name = _rich(stderr=True), "colorgan:"
    first, *rest = _wrapped(f"{name} {statement}", err)
    err.print(f"[red]{name}[/red]{escape(first.removeprefix(name))}", soft_wrap=True)
    for line in rest + (_wrapped(f"  {advice}{named}", err) if advice else []):
        err.print(escape(line), soft_wrap=True)


def print_bug(error: Exception, debug: bool) -> int:
    """Print three lines about an unexpected error, or with `debug` its traceback, and return the exit code."""
    if debug:
        traceback.print_exception(error, file=sys.stderr)
        return EXIT_BUG
    err = _rich(stderr=True)
    err.print(f"[red]colorgan:[/red] unexpected {type(error).__name__}: {_escaped(str(error))}", soft_wrap=True)
    err.print("  This is a bug in colorgan. To see where it happened, run the command again as")
    err.print("  colorgan --debug ...  and send what it prints with your report.")
    return EXIT_BUG
