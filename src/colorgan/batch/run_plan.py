"""The plan of a run over many photos; invalid combinations of inputs and options are rejected here, before any work."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from colorgan.addresses import is_address, printable, shown_address
from colorgan.batch.gallery import check_index
from colorgan.batch.jobs import Job, OutputRules
from colorgan.batch.options import BatchOptions
from colorgan.batch.planner import plan_outputs
from colorgan.batch.shards import Shard, check_is_alone
from colorgan.colorize.options import ColorizeOptions
from colorgan.errors import UsageError
from colorgan.files import why_missing
from colorgan.images.formats import PHOTO_SUFFIXES


@dataclass
class PassedOver:
    """Counts of what a search for photos skipped.

    Attributes:
        folders: hidden and housekeeping folders.
        files: files that are not photos by their names, by suffix.
    """

    folders: int = 0
    files: Counter[str] = field(default_factory=Counter)

    def folder(self, path: str) -> None:
        """Count a folder."""
        self.folders += 1

    def file(self, suffix: str) -> None:
        """Count a file."""
        self.files[suffix] += 1


@dataclass(frozen=True)
class RunPlan:
    """The photos of a run and the folders that it writes to.

    Attributes:
        jobs: photos with their result paths, at least one; found lazily.
        homes: folders that get a journal.
        passed_over: what the search has skipped so far.
        is_remote: whether photos or results are at addresses.
        is_beside: whether results are written beside their photos.
        page_folder: the folder that gets a page; None without one.
        album_folder: the folder that gets the palette of an album; None without one.
    """

    jobs: Iterator[Job]
    homes: Sequence[str | Path]
    passed_over: PassedOver
    is_remote: bool
    is_beside: bool = False
    page_folder: Path | None = None
    album_folder: Path | None = None


def plan_run(
    inputs: Sequence[str],
    output: str | None,
    options: ColorizeOptions,
    batch: BatchOptions,
    listed: Iterable[str] | None,
    ray: str,
) -> RunPlan:
    """Check and plan a run; the arguments are those of `colorize_files`.

    Raises:
        UsageError: inputs, output and options contradict each other, or there are no photos.
    """
    check_is_alone()
    if ray:
        advice = "Leave out one of the two."
        _refuse("`{}` without a Ray cluster", "one is given", advice, page=batch.page, album=batch.album)
    if options.like and not os.path.isfile(options.like):
        found = "it is not a file" if os.path.exists(options.like) else why_missing(options.like)
        raise UsageError(f"a reference in color at {options.like}", found, "Check the name.", parameter="like")
    first: list[str] = []
    if listed is not None:
        rest = iter(listed)
        first = list(itertools.islice(rest, 1))
        listed = itertools.chain(first, rest)
    passed_over = PassedOver()
    if any(is_address(each) for each in (*inputs, *first, *filter(None, [output]))):
        _refuse(
            "photos and results on disks for `{}`",
            "an address",
            "Leave it out, or name folders.",
            all_pages=batch.all_pages,
            page=batch.page,
            album=batch.album,
            hints=options.has_hints,
        )
        from colorgan.batch.addresses.address_planner import home_of, plan_addresses

        jobs = plan_addresses(inputs, output, options.suffix, listed, passed_over.folder)
        home = home_of(inputs, output or "", listed)
        is_remote = any(map(is_address, (home, *inputs)))
        return RunPlan(_at_least_one(jobs, inputs), [home], passed_over, is_remote)
    rules = OutputRules(
        None if output is None else Path(output),
        names_folder=output is not None and output.endswith(("/", os.sep)),
        suffix=options.suffix,
        sidecar_suffixes=options.sidecar_suffixes,
        pages=_count_pages if batch.all_pages else None,
        hints=options.hints_files if options.has_hints else None,
    )
    paths = [Path(path) for path in inputs]
    is_file = rules.is_for_one_file and listed is None
    _check_folder(rules.output, is_file, batch)
    if options.has_hints:
        _check_hints(paths, listed)
    jobs = plan_outputs(paths, rules, () if listed is None else listed, passed_over.folder, passed_over.file)
    return RunPlan(
        _at_least_one(jobs, inputs),
        _journal_homes(paths, rules.output, is_file),
        passed_over,
        is_remote=False,
        is_beside=rules.output is None,
        page_folder=rules.output if batch.page else None,
        album_folder=rules.output if batch.album else None,
    )


def _refuse(expected: str, found: str, advice: str, **wanted: bool) -> None:
    """Raise UsageError for the first of `wanted` that is true; its name is formatted into `expected`."""
    for name in (name for name, is_wanted in wanted.items() if is_wanted):
        raise UsageError(expected.format(name), found, advice, parameter=name)


def _check_folder(output: Path | None, is_file: bool, batch: BatchOptions) -> None:
    """Raise UsageError for a page or album without a folder, a page over a foreign one, or a shard of an album."""
    if batch.album and Shard.resolve(batch.shard).count > 1:
        advice = "Color it in one process: processes cannot share its palette."
        raise UsageError("an album in one process", "a shard of it", advice, parameter="shard")
    if output is None or is_file:
        found, advice = "one photo's file" if is_file else "results beside their photos", "Name a folder as `output`."
        _refuse("an output folder for the {}", found, advice, page=batch.page, album=batch.album)
    elif batch.page and not batch.overwrite:
        check_index(output)


def _check_hints(inputs: Sequence[Path], listed: Iterable[str] | None) -> None:
    """Raise UsageError for hints with several photos, since coordinates in one mean nothing in another."""
    if listed is not None or len(inputs) != 1 or os.path.isdir(inputs[0]):
        advice = "Put NAME.hints.png or NAME.hints.json beside each photo NAME; they are taken from there."
        raise UsageError("one photo for hints", "several photos or a folder", advice, parameter="hints")


def _count_pages(path: str) -> int:
    from colorgan.images.decode import count_pages

    return count_pages(Path(path))


def _at_least_one(jobs: Iterator[Job], inputs: Sequence[str]) -> Iterator[Job]:
    first = next(jobs, None)
    if first is None:
        named = ", ".join(printable(shown_address(path)) for path in inputs[:3])
        found = f"none in {named or 'the list'}" + (f" and {len(inputs) - 3} more" if len(inputs) > 3 else "")
        advice = f"Photos are recognized by suffix: {' '.join(PHOTO_SUFFIXES)}."
        raise UsageError("photos to color", found, advice, parameter="inputs")
    return itertools.chain([first], jobs)


def _journal_homes(inputs: Sequence[Path], output: Path | None, is_file: bool) -> list[Path]:
    if output is not None:
        return [output.parent if is_file else output]
    return [path if os.path.isdir(path) else path.parent for path in inputs]
