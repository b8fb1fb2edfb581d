"""Models compared on the same photos, from inputs to results: each model loaded once, each photo read once.

Memory does not grow with the photos but for a few numbers of each; the examples are read and coloured again at the end.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Protocol as Interface

import numpy as np
import PIL
import torch
from torch import Tensor

from colorgan import __version__
from colorgan.color.lab import rgb_to_lab
from colorgan.compare.contenders import Contender, device_of, load_contenders
from colorgan.compare.earlier import Earlier, read_all
from colorgan.compare.examples import Chosen, choose, write_example
from colorgan.compare.files import JSON_NAME, write_results
from colorgan.compare.gathering import Gathering
from colorgan.compare.options import CompareOptions
from colorgan.compare.photos import Crop, Unreadable, open_inputs, read_crops
from colorgan.compare.published import published_beside
from colorgan.compare.results import Comparison, Example, Failure, PhotoName, Protocol, Row, photo_set
from colorgan.compare.summary import differences_of, notes_of, rows_of
from colorgan.data.sources import Entry, Source
from colorgan.devices import describe_device
from colorgan.download import Progress
from colorgan.errors import OutputError, PhotoError, UsageError
from colorgan.intervals import LEVEL, RESAMPLES
from colorgan.metrics import FIGURES_VERSION

_BATCH = 8  # crops that networks are given at once


class Watcher(Interface):
    """Who is told how a comparison goes, and may end it."""

    def check(self) -> None:
        """Called often; what it raises ends the comparison, and nothing of it was written but examples."""

    def progressed(self, done: int, total: int) -> None:
        """So many photos were measured, of so many."""

    def warned(self, text: str) -> None:
        """Something a person should not miss."""

    def fetching(self, model: str) -> AbstractContextManager[Progress]:
        """A model may have to be fetched."""


@dataclass
class _Seen:
    """What became of the photos so far.

    Attributes:
        photos: those that were measured.
        entries: likewise, where they are.
        colourless: photos without true colours, and why.
        failures: photos that are missing.
        enlarged: how many of those measured were smaller than the square.
    """

    photos: list[PhotoName] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    colourless: list[Chosen] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    enlarged: int = 0

    def failed(self, entry: Entry, reason: str) -> None:
        """Note a photo that is missing from everything."""
        self.failures.append(Failure(entry.name, entry.source.label, reason))


def compare(inputs: Sequence[Path], folder: Path, options: CompareOptions, watcher: Watcher) -> Comparison:
    """Compare models on photos and write the results.

    Args:
        inputs: photos, folders, .tar and .zip files.
        folder: for `results.json`, `results.csv`, pictures and sheets.
        options: which models, and how.
        watcher: told how it goes.

    Raises:
        UsageError: an input, a model or earlier results that are not there or do not fit.
        WeightsError: a model that was asked for cannot be had.
        OutputError: the folder cannot be written, or holds results that are not to be replaced.
    """
    check_folder(folder, options.overwrite)
    sources = open_inputs(inputs)
    try:
        earlier = read_all(options.earlier)
        if earlier:
            _check_earlier(earlier, sources, options, watcher)
        contenders = load_contenders(options, watcher.warned, watcher.fetching)
        comparison = _measured(sources, contenders, earlier, folder, options, watcher)
    finally:
        for source in sources:
            source.close()
    with _writing(folder):
        write_results(folder, comparison)
    return comparison


def check_folder(folder: Path, overwrite: bool) -> None:
    """Make sure that results may be written there, before anything is computed."""
    if (folder / JSON_NAME).exists() and not overwrite:
        advice = "Name another folder with --output, or replace them with --overwrite."
        raise UsageError(f"a folder for the results in {folder}", "it holds results already", advice)
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        advice = "Make room there, or name another folder with --output."
        raise OutputError(f"to write {folder}", error.strerror or str(error), advice) from error


def _measured(
    sources: Sequence[Source],
    contenders: Sequence[Contender],
    earlier: Sequence[Earlier],
    folder: Path,
    options: CompareOptions,
    watcher: Watcher,
) -> Comparison:
    gathering = Gathering([contender.name for contender in contenders], device_of(contenders))
    seen = _measure_all(sources, contenders, gathering, options, watcher)
    protocol = _protocol(seen.photos, contenders, options)
    rows = rows_of(gathering, contenders, options.seed)
    for part in earlier:
        rows += list(part.rows_beside(protocol, seen.photos, [row.name for row in rows]))
    examples = _write_examples(folder, seen, contenders, rows, options, watcher)
    return Comparison(
        protocol=protocol,
        photos=seen.photos,
        rows=rows,
        differences=differences_of(rows, options.seed),
        examples=examples,
        failures=seen.failures,
        left_out=dict(Counter(chosen.why for chosen in seen.colourless)),
        published=published_beside((photo.name for photo in seen.photos), options.size),
        notes=notes_of(len(seen.photos), seen.enlarged),
    )


def _check_earlier(
    earlier: Sequence[Earlier], sources: Sequence[Source], options: CompareOptions, watcher: Watcher
) -> None:
    """Refuse results of other photos or another protocol before hours are spent on these."""
    read = _read(sources, options, watcher, lambda done, total: None)
    photos = [_named(crop) for crop in read if isinstance(crop, Crop) and not crop.colourless]
    for part in earlier:
        part.check(_protocol(photos, [], options))


def _read(
    sources: Sequence[Source], options: CompareOptions, watcher: Watcher, progressed: Callable[[int, int], None]
) -> Iterator[Crop | Unreadable]:
    entries = [entry for source in sources for entry in source.entries]
    for done, read in enumerate(read_crops(entries, options.size)):
        watcher.check()
        progressed(done, len(entries))
        yield read
    progressed(len(entries), len(entries))


def _named(crop: Crop) -> PhotoName:
    return PhotoName(crop.entry.name, crop.entry.source.label, crop.sha256)


def _measure_all(
    sources: Sequence[Source],
    contenders: Sequence[Contender],
    gathering: Gathering,
    options: CompareOptions,
    watcher: Watcher,
) -> _Seen:
    seen = _Seen()
    for batch in _batches(_read(sources, options, watcher, watcher.progressed), seen):
        _measure_batch(batch, contenders, gathering, seen)
    return seen


def _batches(read: Iterator[Crop | Unreadable], seen: _Seen) -> Iterator[list[Crop]]:
    """Photos with true colours, a batch at a time; what became of the others is noted."""
    batch: list[Crop] = []
    for crop in read:
        if isinstance(crop, Unreadable):
            seen.failed(crop.entry, crop.reason)
        elif crop.colourless:
            seen.colourless.append(Chosen(crop.entry, crop.colourless))
        else:
            batch.append(crop)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _measure_batch(batch: Sequence[Crop], contenders: Sequence[Contender], gathering: Gathering, seen: _Seen) -> None:
    rgb = torch.from_numpy(np.stack([crop.rgb for crop in batch]))
    lab = rgb_to_lab(rgb.permute(0, 3, 1, 2).float() / 255)
    predicted = {contender.name: contender.predict(lab[:, :1]) for contender in contenders}
    kept = []
    for number, crop in enumerate(batch):
        error = next((part[number] for part in predicted.values() if isinstance(part[number], PhotoError)), None)
        if error is not None:
            seen.failed(crop.entry, str(error))
            continue
        kept.append(number)
        seen.photos.append(_named(crop))
        seen.entries.append(crop.entry)
        seen.enlarged += crop.enlarged
    if kept:
        gathering.add(lab[kept], {name: _stacked(part, kept) for name, part in predicted.items()})


def _stacked(predicted: Sequence[Tensor | PhotoError], kept: Sequence[int]) -> Tensor:
    return torch.stack([ab for number in kept if isinstance(ab := predicted[number], Tensor)])


def _protocol(photos: Sequence[PhotoName], contenders: Sequence[Contender], options: CompareOptions) -> Protocol:
    prior = resources.files("colorgan").joinpath("assets/ab_prior.csv").read_bytes()
    return Protocol(
        figures_version=FIGURES_VERSION,
        size_px=options.size,
        resize="Pillow bicubic, antialiased",
        crop="centre square of",
        color="pixels taken for sRGB",
        precision=options.precision,
        photos=len(photos),
        photo_set=photo_set(photos),
        prior=hashlib.sha256(prior).hexdigest(),
        seed=options.seed,
        resamples=RESAMPLES,
        level=LEVEL,
        device=describe_device(device_of(contenders)) if contenders else "",
        versions={"colorgan": __version__, "torch": torch.__version__, "Pillow": PIL.__version__},
    )


def _write_examples(
    folder: Path,
    seen: _Seen,
    contenders: Sequence[Contender],
    rows: Sequence[Row],
    options: CompareOptions,
    watcher: Watcher,
) -> list[Example]:
    names = {contender.name for contender in contenders}
    models = [row for row in rows if row.name in names]
    chosen = choose(seen.entries, models, options.examples, options.seed) + seen.colourless[: options.examples]
    examples = []
    for position, one in enumerate(chosen, start=1):
        watcher.check()
        try:
            with _writing(folder):
                examples.append(write_example(folder, position, one, contenders, rows))
        except PhotoError as error:
            seen.failed(one.entry, str(error))
    return examples
