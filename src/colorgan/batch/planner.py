"""Finds photos one by one, without holding them in memory, and gives each a result path that no other has."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from colorgan.batch.jobs import (
    BESIDE,
    Job,
    OutputRules,
    belongs_to_photo,
    has_photo_beside,
    hints_among,
    hints_beside,
    photo_stem,
    with_suffix,
    without_own_results,
)
from colorgan.errors import UsageError
from colorgan.files import why_missing
from colorgan.images.discovery import Listing, PathSet, collision_key, find_photos, split_name
from colorgan.images.formats import (
    FORMATS,
    PHOTO_SUFFIXES,
    advice_for,
    kind_by_suffix,
    kind_of,
    written_suffix,
)


def plan_outputs(
    inputs: Sequence[Path],
    rules: OutputRules,
    listed: Iterable[str] = (),
    left_out: Callable[[str], None] = lambda folder: None,
    others: Callable[[str], None] = lambda suffix: None,
) -> Iterator[Job]:
    """Find the photos in files and folders, and give each a path for its result.

    A folder's tree is mirrored in the output folder; a listed photo keeps the folders of its path there. A result whose
    path is taken gets a number. Files in the output folder are not read. Without an output folder, files that are named
    as the result of a photo beside them are skipped; with one, they are photos like any other.

    Args:
        inputs: files and folders.
        rules: how results are named.
        listed: paths of further photos, consumed lazily.
        left_out: called with each hidden or housekeeping folder, which is not searched.
        others: called with the suffix of each file in a folder that is not a photo by its name.

    Returns:
        The jobs, found lazily.

    Raises:
        UsageError: an input is missing, or the output is invalid.
    """
    for path in inputs:
        if not os.path.lexists(path):
            advice = name_with_spaces([str(each) for each in inputs]) or "Check the name."
            raise UsageError(f"a photo or a folder at {path}", why_missing(path), advice)
    output = rules.output
    if rules.is_for_one_file and not listed:
        return iter([_file_job(inputs, rules)])
    if output is not None:
        _check_output_folder(inputs, output)
        if rules.has_unknown_suffix and not listed and len(inputs) == 1 and not os.path.isdir(inputs[0]):
            raise _unknown_suffix(output)
    return _Planner(inputs, rules, left_out, others).jobs(listed)


def count_photos(inputs: Sequence[Path], output: Path | None) -> Iterator[int]:
    """Yield the rough number of photos among the files, and then in one folder after another."""
    entered = PathSet()
    if output is not None:
        entered.add(os.path.realpath(output))
    yield sum(1 for path in inputs if not os.path.isdir(path))
    for folder in inputs:
        if os.path.isdir(folder):
            for listing in find_photos(str(folder), entered):
                names = listing.names if output else without_own_results(listing.names)
                yield len(names) or bool(listing.problem)


def _file_job(inputs: Sequence[Path], rules: OutputRules) -> Job:
    output = rules.output or Path()
    if len(inputs) > 1 or os.path.isdir(inputs[0]):
        raise UsageError("one photo for one output file", f"several photos for {output}", "Name a folder as output.")
    source = inputs[0]
    if _place(source) == _place(output) or (
        os.path.exists(output) and os.path.exists(source) and output.samefile(source)
    ):
        raise UsageError("a new output file", f"{output} is the input itself", "Name another file as output.")
    if (suffix := written_suffix(output.suffix)) != output.suffix:
        raise UsageError("an output that can be written", f"{output.suffix} can only be read", f"Name it {suffix}.")
    hints = hints_beside(str(source)) if rules.hints is None else rules.hints
    problem = _other_kind(str(source), source.suffix)
    return Job(str(source), _identity(source), str(output.parent), output.name, hints=hints, problem=problem)


def _other_kind(source: str, suffix: str) -> str:
    """Return why a file without a photo's suffix is no photo, with advice; empty if its kind is unknown."""
    if suffix.lower() in PHOTO_SUFFIXES or not os.path.isfile(source):
        return ""
    kind = kind_by_suffix(suffix)
    if not kind:
        try:
            with open(source, "rb") as file:
                kind = kind_of(file.read(256))
        except OSError:  # reported when the file is decoded
            return ""
    advice = advice_for(kind)
    return f"{kind}, not a supported photo{advice and f'; {advice}'}" if kind else ""


def _check_output_folder(inputs: Sequence[Path], output: Path) -> None:
    if os.path.exists(output) and not os.path.isdir(output):
        raise UsageError("an output folder", f"{output} is a file", "Name a folder, or a file with a photo's suffix.")
    place = os.path.realpath(output)
    for path in inputs:
        if os.path.realpath(path if os.path.isdir(path) else path.parent) == place:
            advice = "Name another folder, or leave `output` out to write NAME-color beside each photo."
            found = f"{output} is an input itself" if os.path.isdir(path) else f"{path.name} is in {output}"
            raise UsageError("an output folder that is not an input", found, advice)


def _unknown_suffix(output: Path) -> UsageError:
    written = " ".join(row.suffixes[0] for row in FORMATS.values() if not row.written_as)
    found = f"{output} has the suffix {output.suffix}"
    advice = f"Name a file in one of the formats {written}, or end the name in a slash to make it a folder."
    return UsageError("an output in a format that can be written, or a folder", found, advice)


def name_with_spaces(words: Sequence[str]) -> str:
    """Return advice to quote a name if some consecutive `words` joined by spaces name an existing file; else empty."""
    for start, end in itertools.combinations(range(len(words) + 1), 2):
        if end - start > 1 and os.path.lexists(name := " ".join(words[start:end])):
            return f'A name with spaces needs quotes: "{name}".'
    return ""


# --- places --------------------------------------------------------------------------------------------------


def _place(path: str | Path) -> str:
    """Return a path with its folder resolved; if the last part is a link, it is not followed."""
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)


def _identity(source: str | Path) -> str:
    folder, name = os.path.split(_place(source))
    return f"{os.path.basename(folder)}/{name}"


def _is_below(place: str, folder: str) -> bool:
    """Whether a path is a folder or lies below it; both are real paths."""
    return place == folder or place.startswith(folder.rstrip(os.sep) + os.sep)


@dataclass(frozen=True)
class _TargetFolder:
    """The folder of results that is being planned.

    Attributes:
        path: the path as given by the user.
        spelled: `collision_key` of the real path with a trailing slash.
        problem: why nothing may be written there, or empty.
    """

    path: str
    spelled: str
    problem: str


class _Planner:
    """Gives each photo a result path that no other has.

    For a million photos it holds only the hashes of the paths, and the names in the folder that is being planned.
    """

    def __init__(
        self,
        inputs: Sequence[Path],
        rules: OutputRules,
        left_out: Callable[[str], None],
        others: Callable[[str], None],
    ) -> None:
        self._rules, self._left_out, self._others = rules, left_out, others
        self._output = None if rules.output is None else str(rules.output)
        self._output_place = None if rules.output is None else os.path.realpath(rules.output)
        self._folders = [path for path in inputs if os.path.isdir(path)]
        self._files = self._given_files(inputs)
        self._inner = self._inputs_in_output()
        self._taken = PathSet()
        for place in self._files:
            self._taken.add(collision_key(place))
        self._numbers: dict[str, int] = {}
        self._listed = PathSet()
        self._target: _TargetFolder | None = None

    def _given_files(self, inputs: Sequence[Path]) -> dict[str, str]:
        """Return the inputs that are files, without duplicates: path as given by path with its folder resolved."""
        files = {_place(path): str(path) for path in inputs if not os.path.isdir(path) and not belongs_to_photo(path)}
        if self._output is not None:
            return files
        # A shell's *.jpg names the photos and the results that an earlier run left beside them.
        places = [os.path.split(place) for place in files]
        stems = {(folder, split_name(name)[0]) for folder, name in places}
        return {
            place: path
            for (place, path), (folder, name) in zip(files.items(), places, strict=True)
            if (folder, photo_stem(name)) not in stems
        }

    def _inputs_in_output(self) -> list[str]:
        if self._output_place is None:
            return []
        places = [os.path.realpath(folder) for folder in self._folders]
        return [place for place in places if _is_below(place, self._output_place)]

    def jobs(self, listed: Iterable[str]) -> Iterator[Job]:
        """Yield a job for each photo, once: given files, then photos in folders, then listed ones."""
        for place, path in self._files.items():
            folder = self._target_folder(os.path.dirname(path), "")
            yield from self._photo(path, _identity(place), folder)
        entered = PathSet()
        if self._output_place is not None:
            entered.add(self._output_place)
        for given in self._folders:
            root = os.path.basename(os.path.realpath(given))
            for listing in find_photos(str(given), entered, self._left_out, self._others):
                yield from self._listing(listing, root)
        for path in listed:
            yield from self._listed_photo(path)

    def _listing(self, listing: Listing, root: str) -> Iterator[Job]:
        folder = self._target_folder(listing.folder, listing.relative)
        prefix = "/".join([root, *listing.relative.split(os.sep), ""]) if listing.relative else root + "/"
        if listing.problem:
            yield Job(listing.folder, prefix, folder.path, "", problem=listing.problem)
        names = listing.names if self._output is not None else without_own_results(listing.names)
        place = os.path.join(os.path.realpath(listing.folder), "") if self._files else ""
        for name in names:
            if not self._files or place + name not in self._files:
                source = os.path.join(listing.folder, name)
                for job in self._photo(source, prefix + name, folder, hints_among(listing, name)):
                    yield replace(job, is_named=False)

    def _listed_photo(self, path: str) -> Iterator[Job]:
        place = _place(path)
        if not self._listed.add(place) or place in self._files:
            return
        if (self._output is None and has_photo_beside(path)) or belongs_to_photo(Path(path)):
            return
        parts = [part for part in Path(path).parts[:-1] if part not in (Path(path).anchor, "..")]
        folder = self._target_folder(os.path.dirname(path), os.path.join("", *parts))
        identity = "/".join([*parts, os.path.basename(path)])
        if self._output_place is not None and _is_below(place, self._output_place):
            yield Job(path, identity, folder.path, os.path.basename(path), problem="it is in the output folder")
        else:
            yield from self._photo(path, identity, folder)

    def _target_folder(self, source_folder: str, relative: str) -> _TargetFolder:
        path = source_folder
        if self._output is not None:
            path = os.path.join(self._output, relative) if relative else self._output
        if self._target is None or path != self._target.path:
            place = os.path.realpath(path)
            among = any(_is_below(place, folder) for folder in self._inner)
            problem = f"its result would be among the inputs, in {path}; name another output folder" if among else ""
            self._target = _TargetFolder(path, collision_key(os.path.join(place, "")), problem)
        return self._target

    def _photo(
        self, source: str, identity: str, folder: _TargetFolder, hints: tuple[str, ...] | None = None
    ) -> Iterator[Job]:
        """Yield a photo's jobs, one per page; `hints` are its hint files, None if they have to be looked for."""
        hints = hints if self._rules.hints is None else self._rules.hints
        hints = hints_beside(source) if hints is None else hints
        stem, suffix = split_name(os.path.basename(source))
        problem = folder.problem or _other_kind(source, suffix)
        if not problem and not self._rules.suffix and suffix.lower() not in PHOTO_SUFFIXES:
            known = " ".join(PHOTO_SUFFIXES)
            problem = f"its name has none of the suffixes {known}; name the output file, or choose a format"
        if problem:
            yield Job(source, identity, folder.path, stem + suffix, problem=problem)
            return
        wanted = stem + BESIDE if self._output is None else stem
        suffix = self._rules.suffix or written_suffix(suffix)
        pages = self._rules.pages(source) if self._rules.pages else 1
        if pages <= 1:
            yield self._named(Job(source, identity, folder.path, wanted + suffix, hints=hints), folder)
            return
        for page in range(pages):
            name = f"{wanted}-page-{page + 1:0{len(str(pages))}}{suffix}"
            of_page = () if page else hints
            yield self._named(Job(source, f"{identity}#{page}", folder.path, name, page, hints=of_page), folder)

    def _named(self, job: Job, folder: _TargetFolder) -> Job:
        """Reserve a result name for the job: its own if it is free, else with the first free number appended."""
        if self._reserve(folder, job.name):
            return job
        stem, suffix = split_name(job.name)
        first = folder.spelled + collision_key(job.name)
        number, name = self._numbers.get(first, 1), job.name
        while name == job.name or not self._reserve(folder, name):
            number += 1
            name = f"{stem}-{number}{suffix}"
        self._numbers[first] = number
        note = f"named {name}, since another photo's result is {job.name}"
        return replace(job, name=name, note=note)

    def _reserve(self, folder: _TargetFolder, name: str) -> bool:
        """Reserve a name and those of its sidecars; False, reserving none, if one of them is taken."""
        place = folder.spelled + collision_key(name)
        if not self._rules.sidecar_suffixes:
            return self._taken.add(place)
        others = [folder.spelled + collision_key(with_suffix(name, suffix)) for suffix in self._rules.sidecar_suffixes]
        if place in self._taken or any(other in self._taken for other in others):
            return False
        for spelled in (place, *others):
            self._taken.add(spelled)
        return True
