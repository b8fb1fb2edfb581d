"""Everything that is printed: results on standard output, progress, words and errors on standard error."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

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

from colorgan.errors import EXIT_BUG, ColorganError, OutputError

# Parameters of the library whose options have other names.
_SPELLED_OTHERWISE = {"inputs": "INPUT", "keep_metadata": "--strip-metadata", "listed": "--from-file"}


def _rich(*, stderr: bool) -> RichConsole:
    # Rich honours NO_COLOR by itself; a dumb terminal must get no control codes at all.
    dumb = os.environ.get("TERM") == "dumb"
    return RichConsole(stderr=stderr, highlight=False, soft_wrap=True, force_terminal=False if dumb else None)


class Console:
    """Where a command prints.

    Args:
        quiet: leave out progress and notes; results, warnings and errors stay.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self._err = _rich(stderr=True)

    def result(self, text: str) -> None:
        """Print a line that another program may want to read."""
        # Plainly, since there may be a line for each of a million photos; each is whole when the process is killed.
        encoding = sys.stdout.encoding or "utf-8"
        try:
            print(text.encode(encoding, "replace").decode(encoding), flush=True)
        except BrokenPipeError as error:
            # What is left in the buffer goes nowhere, or Python would complain once more at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            advice = "Give the command again: it goes on with the rest."
            raise OutputError("printing results", "whoever read them has gone", advice) from error

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table, numbers to the right; a row of one cell is a heading among the rows.

        Args:
            title: above it.
            header: of the columns, the first of which names the rows.
            rows: of as many cells, or of one.
        """
        table = Table(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for number, name in enumerate(header):
            table.add_column(escape(name), justify="right" if number else "left", overflow="fold")
        for row in rows:
            cells = [escape(cell) for cell in row]
            table.add_row(*cells, style="bold" if len(cells) == 1 else None)
        _rich(stderr=False).print(table, soft_wrap=False)

    def note(self, text: str) -> None:
        """Print a line that tells a person what is going on."""
        if not self.quiet:
            self._err.print(escape(text), soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a line that a person should not miss."""
        self._err.print(f"[yellow]{escape(text)}[/yellow]", soft_wrap=True)

    def bar(self, *columns: str | ProgressColumn) -> Progress:
        """Make a progress bar, to be used as a context manager; silent when quiet or not on a terminal."""
        hidden = self.quiet or not self._err.is_terminal
        return Progress(*columns, console=self._err, disable=hidden, transient=True)

    @contextmanager
    def fetching(
        self, what: str, check: Callable[[], None] = lambda: None
    ) -> Iterator[Callable[[int, int | None], None]]:
        """Show a download, from the moment when there is one.

        Args:
            what: the name of what may have to be fetched.
            check: called all the while; what it raises ends the download.

        Yields:
            What to call with the bytes that are here, and with those of the whole file where they are known.
        """
        columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        task: TaskID | None = None

        def progressed(received: int, total: int | None) -> None:
            nonlocal task
            if task is None:
                self.note(f"Fetching {what}, once for all ...")
                task = bar.add_task(escape(what), total=total)
            bar.update(task, completed=received, total=total)
            check()

        with self.bar(*columns) as bar:
            yield progressed


def option_of(parameter: str) -> str:
    """How a parameter of the library is spelled on the command line."""
    return _SPELLED_OTHERWISE.get(parameter, "--" + parameter.replace("_", "-"))


def restore_terminal() -> None:
    """Take back what a bar that is not ended does to a terminal: its line, and the hidden cursor."""
    err = _rich(stderr=True)
    err.control(Control((ControlType.ERASE_IN_LINE, 2), ControlType.CARRIAGE_RETURN, ControlType.SHOW_CURSOR))


def print_error(error: ColorganError) -> None:
    """Print what was expected, what was found, and what to do."""
    err = _rich(stderr=True)
    err.print(f"[red]colorgan:[/red] {escape(error.expected)}: {escape(error.found)}", soft_wrap=True)
    if error.advice:
        option = f" ({option_of(error.parameter)})" if error.parameter else ""
        err.print(f"  {escape(error.advice)}{escape(option)}", soft_wrap=True)


def print_bug(error: Exception, debug: bool) -> int:
    """Print three lines about an error nobody foresaw, or its traceback, and return the exit code."""
    if debug:
        traceback.print_exception(error, file=sys.stderr)
        return EXIT_BUG
    err = _rich(stderr=True)
    err.print(f"[red]colorgan:[/red] unexpected {type(error).__name__}: {escape(str(error))}", soft_wrap=True)
    err.print("  This is a bug in colorgan. To see where it happened, run the command again as")
    err.print("  colorgan --debug ...  and send what it prints with your report.")
    return EXIT_BUG
