"""What the inputs of a request stand for: the photos to colour, and the folders that get a journal."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from colorgan.batch.jobs import Job, OutputRules
from colorgan.batch.planner import plan_outputs
from colorgan.cli.request import STREAM, Request, shown
from colorgan.errors import UsageError
from colorgan.images.discovery import read_paths
from colorgan.images.formats import PHOTO_SUFFIXES


def in_words(request: Request) -> str:
    """What was named, as short as a line."""
    named = [shown(path) for path in request.inputs]
    if request.from_file:
        named.append(f"the photos listed in {shown(request.from_file)}")
    return ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")


def output_rules(request: Request) -> OutputRules:
    """How the results are named."""
    endings, pages = request.rendering.endings, _pages(request)
    return OutputRules(request.output, request.names_folder, request.suffix, endings, pages)


def _pages(request: Request) -> Callable[[str], int] | None:
    if not request.all_pages:
        return None
    from colorgan.images.decode import count_pages

    return lambda path: count_pages(Path(path))


def find_jobs(request: Request, rules: OutputRules) -> Iterator[Job]:
    """The photos to colour, of which there is at least one; found while they are asked for.

    Raises:
        UsageError: there is none, an input is missing, or the output cannot be meant.
    """
    listed = _listed(request.from_file) if request.from_file else ()
    jobs = plan_outputs(request.inputs, rules, listed)
    first = next(jobs, None)
    if first is None:
        advice = f"Photos are told by their suffix: {' '.join(PHOTO_SUFFIXES)}."
        raise UsageError("photos to colour", f"none in {in_words(request)}", advice)
    return itertools.chain([first], jobs)


def _listed(path: Path) -> Iterator[str]:
    """The paths in a list, read while they are asked for; it is opened now, so that a wrong name costs no time."""
    if path == STREAM:
        return read_paths(sys.stdin.buffer)
    try:
        return _read_and_close(path.open("rb"))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError("a list of photos", f"{path}: {reason}", "Check the name after --from-file.") from error


def _read_and_close(file: BinaryIO) -> Iterator[str]:
    with file:
        yield from read_paths(file)


def journal_homes(request: Request, rules: OutputRules) -> list[Path]:
    """The folders that get a journal."""
    output = request.output
    if output is not None:
        return [output.parent if rules.is_for_one_file and not request.from_file else output]
    return [path if path.is_dir() else path.parent for path in request.inputs]
