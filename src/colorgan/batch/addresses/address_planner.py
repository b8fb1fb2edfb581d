"""Finds photos and plans result paths if photos or results are at addresses.

A result's name is its photo's key, with a suffix appended if the format changes, so that names are unique without being
compared.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from colorgan.addresses import is_address, shown_address, split_address
from colorgan.batch.addresses.storage import UNKNOWN, hints_of, is_one_photo, list_photos, state_of
from colorgan.batch.jobs import Job, belongs_to_photo, hints_among, hints_beside
from colorgan.batch.journals.records import FileState
from colorgan.errors import UsageError
from colorgan.images.discovery import find_photos, has_photo_suffix, is_hints_file, split_name
from colorgan.images.formats import PHOTO_SUFFIXES, written_suffix
from colorgan.stores.access import check_address


def result_key(key: str, suffix: str) -> str:
    """Return the result's key for a photo's key; no two photos get the same. An empty suffix keeps the photo's."""
    stem, own = split_name(key)
    wanted = suffix or written_suffix(own.lower())
    is_same_kind = PHOTO_SUFFIXES[own.lower()] == PHOTO_SUFFIXES[wanted]
    # A photo named `a.heic.jpg` would collide with the result of `a.heic`.
    is_taken = has_photo_suffix(stem.rpartition("/")[2]) and result_key(stem, suffix) == key
    return key if is_same_kind and not is_taken else key + wanted


def plan_addresses(
    inputs: Sequence[str],
    output: str | None,
    suffix: str,
    listed: Iterable[str] | None = None,
    left_out: Callable[[str], None] = lambda folder: None,
) -> Iterator[Job]:
    """Find the photos at addresses and in files and folders, and give each a path for its result.

    Args:
        inputs: addresses and paths of photos and of folders.
        output: the address or path of a folder, or of a file if the one input is a photo.
        suffix: file suffix of the results, with its dot; empty keeps each photo's.
        listed: further photos; those at addresses are not looked up before they are read.
        left_out: called with each hidden or housekeeping folder, which is not searched.

    Returns:
        The jobs, found lazily.

    Raises:
        UsageError: an invalid address, a missing output, input or package.
    """
    if output is None:
        raise UsageError(
            "an output for photos at addresses", "none", "Name a folder or an address.", parameter="output"
        )
    for address in filter(is_address, [*inputs, output]):
        check_address(address)
    if output.rstrip("/") in {each.rstrip("/") for each in inputs}:
        found = f"{shown_address(output)} is an input itself"
        raise UsageError("an output that is not an input", found, "Name another output.", parameter="output")
    for path in inputs:
        if not is_address(path) and not os.path.lexists(path):
            raise UsageError(f"a photo or a folder at {path}", "it does not exist", "Check the name.")
    if _is_for_one_file(inputs, output, listed):
        folder, _, name = output.rpartition("/")
        return iter([_with_hints(Job(inputs[0], _file_key(inputs[0]), folder or ".", name))])
    return _jobs(inputs, output.rstrip("/"), suffix, listed, left_out)


def home_of(inputs: Sequence[str], output: str, listed: Iterable[str] | None) -> str:
    """Return the address or path of the folder of results, which holds the journal."""
    if _is_for_one_file(inputs, output, listed):
        return output.rpartition("/")[0] or "."
    return output.rstrip("/")


def _is_for_one_file(inputs: Sequence[str], output: str, listed: Iterable[str] | None) -> bool:
    is_file = is_one_photo(output) and not os.path.isdir(output)
    return len(inputs) == 1 and listed is None and is_file and not _is_folder(inputs[0])


def _is_folder(source: str) -> bool:
    return not is_one_photo(source) if is_address(source) else os.path.isdir(source)


def _jobs(
    inputs: Sequence[str], output: str, suffix: str, listed: Iterable[str] | None, left_out: Callable[[str], None]
) -> Iterator[Job]:
    for source in inputs:
        if not _is_folder(source):
            yield _with_hints(_job_for(source, _file_key(source), output, suffix))
        elif is_address(source):
            yield from _jobs_at_address(source, output, suffix, left_out)
        else:
            yield from _jobs_in_folder(source, output, suffix, left_out)
    for source in listed or ():
        if is_address(source):
            check_address(source)
            key = split_address(shown_address(source))[1].partition("/")[2]
            if not is_hints_file(key):
                yield replace(_job_for(source, key, output, suffix), source_state=UNKNOWN)
        elif not belongs_to_photo(Path(source)):
            parts = [part for part in Path(source).parts if part not in (Path(source).anchor, "..")]
            yield _with_hints(_job_for(source, "/".join(parts), output, suffix))


def _jobs_at_address(source: str, output: str, suffix: str, left_out: Callable[[str], None]) -> Iterator[Job]:
    root = source.rstrip("/")
    own = output[len(root) + 1 :] + "/" if output.startswith(root + "/") else None
    for file in list_photos(source, left_out):
        if own is None or not file.key.startswith(own):
            job = _job_for(f"{root}/{file.key}", file.key, output, suffix, _file_key(root))
            yield _with_states(job, file.state, file.hints)


def _jobs_in_folder(source: str, output: str, suffix: str, left_out: Callable[[str], None]) -> Iterator[Job]:
    root = os.path.basename(os.path.realpath(source))
    for listing in find_photos(source, on_skipped=left_out):
        below = listing.relative.replace(os.sep, "/") + "/" if listing.relative else ""
        if listing.problem:
            yield Job(listing.folder, f"{root}/{below}", output, "", problem=listing.problem)
        for name in listing.names:
            job = _job_for(os.path.join(listing.folder, name), below + name, output, suffix, root)
            yield replace(job, hints=hints_among(listing, name))


def _job_for(source: str, key: str, output: str, suffix: str, root: str = "") -> Job:
    """Return the job of a photo whose result goes below `output` under the photo's key; `root` names its folder."""
    if not has_photo_suffix(key.rpartition("/")[2]):
        problem = f"its name has none of the suffixes {' '.join(PHOTO_SUFFIXES)}"
        return Job(source, key, output, key, problem=problem)
    folder, _, name = result_key(key, suffix).rpartition("/")
    folder = f"{output}/{folder}" if folder else output
    return Job(source, f"{root}/{key}" if root else key, folder, name, is_named=not root)


def _with_hints(job: Job) -> Job:
    """Look up the hint files beside a photo that the user named, and the states of photo and hints at an address."""
    if job.problem:
        return job
    if is_address(job.source):
        return _with_states(job, state_of(job.source), hints_of(job.source))
    return replace(job, hints=hints_beside(job.source))


def _with_states(job: Job, state: FileState, hints: Sequence[tuple[str, FileState]]) -> Job:
    names, states = tuple(name for name, _ in hints), tuple(of_hints for _, of_hints in hints)
    return replace(job, source_state=state, hints=names, hint_states=states)


def _file_key(source: str) -> str:
    return shown_address(source).rstrip("/").rpartition("/")[2]
