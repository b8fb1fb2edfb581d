"""Selects, splits and writes photos as a set: the same bytes for the same photos and options."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import IO, Any

import numpy as np

from colorgan import __version__
from colorgan.addresses import Paths, path_list, refuse_addresses
from colorgan.callbacks import Callbacks, StopCheck
from colorgan.data.dedup import choose_validation, group_near_duplicates
from colorgan.data.filters import Reason, Rejected
from colorgan.data.options import RESTART_ADVICE, PrepareOptions
from colorgan.data.selection import Kept, Selection, count_bins
from colorgan.data.shards import (
    ENCODINGS,
    FORMAT,
    FORMAT_VERSION,
    MANIFEST_FILE,
    SET_FILE,
    SPLITS,
    ShardWriter,
    identity_of,
    index_name,
    write_whole,
)
from colorgan.data.sources import Check, Entry, Source, open_source
from colorgan.data.staging import check_place, staged_folder
from colorgan.errors import OutputError, SetError, UsageError
from colorgan.files import sha256_of, sync
from colorgan.images.formats import PHOTO_SUFFIXES


@dataclass(frozen=True)
class PrepareReport:
    """The set that `prepare` wrote, and how many photos are in it and were left out.

    Attributes:
        output: the set's folder.
        kept: the number of photos in each split.
        left_out: the number of photos left out, by reason.
        ignored: the number of files and archive members that are no photos.
        identity: the set's identity.
    """

    output: Path
    kept: dict[str, int]
    left_out: dict[str, int]
    ignored: int
    identity: str


def prepare(
    sources: Paths,
    output: str | os.PathLike[str],
    options: PrepareOptions = PrepareOptions(),
    *,
    callbacks: Callbacks | None = None,
) -> PrepareReport:
    """Write photos as a set to train on.

    Args:
        sources: folders, .tar and .zip files; or one of them.
        output: the set's folder.
        options: which photos to keep, and how to store them.
        callbacks: receive the progress, and decide when to stop.

    Raises:
        UsageError: a source cannot be read, a class does not exist, or the output must not be replaced.
        SetError: no photo is left for the set.
        OutputError: the set cannot be written; a set already there is unchanged.
        Interrupted: `callbacks.should_stop` asked for it; nothing was written.
    """
    paths = path_list(sources)
    refuse_addresses([*paths, output], "a set")
    check_place(Path(output), options.overwrite)
    folder = Path(output).resolve()
    check = StopCheck(callbacks or Callbacks(), RESTART_ADVICE)
    check.callbacks.on_start()
    with contextlib.ExitStack() as stack:
        opened: list[Source] = []
        for path in paths:
            opened.append(open_source(Path(path), check))
            stack.callback(opened[-1].close)
        chosen = _choose_classes({entry.class_name for source in opened for entry in source.entries}, options)
        try:
            with staged_folder(folder, options.overwrite) as staging:
                return _fill(staging, folder, opened, chosen, options, check)
        except OSError as error:
            raise OutputError.of(f"a set at {folder}", error, "choose another folder", parameter="output") from error


def _choose_classes(names: Set[str], options: PrepareOptions) -> frozenset[str] | None:
    """Return the classes to keep, of those in the sources, or None for all of them."""
    if options.classes is None:
        return None
    available = sorted(names - {""})
    if isinstance(options.classes, int):
        if options.classes > len(available):
            found = f"there are {len(available)} class folders"
            expected, advice = f"`classes={options.classes}`", "Ask for fewer, or leave the option out."
            raise UsageError(expected, found, advice, parameter="classes")
        return frozenset(Random(f"{options.seed}/classes").sample(available, options.classes))
    missing = sorted(set(options.classes) - set(available))
    if missing:
        some = ", ".join(available[:5]) + (", ..." if len(available) > 5 else "")
        expected, found = f"a class named {missing[0]}", f"the classes are {some or 'none'}"
        raise UsageError(expected, found, "Correct `classes`.", parameter="classes")
    return frozenset(options.classes)


def _fill(
    staging: Path,
    output: Path,
    sources: Sequence[Source],
    chosen: Set[str] | None,
    options: PrepareOptions,
    check: StopCheck,
) -> PrepareReport:
    """Write all files of the set into the staging folder, `set.json` last."""
    entries = [entry for source in sources for entry in source.entries]
    with tempfile.TemporaryFile(dir=staging) as encoded, tempfile.TemporaryFile(dir=staging) as bins:
        selection = Selection(entries, options, chosen, encoded, bins)
        outcomes = list(zip(entries, selection.run(options.workers or os.cpu_count() or 1, check), strict=True))
        photos = [outcome for _, outcome in outcomes if isinstance(outcome, Kept)]
        reasons = Counter(outcome.reason for _, outcome in outcomes if isinstance(outcome, Rejected))
        left_out = {reason.value: reasons[reason] for reason in Reason if reasons[reason]}
        if not photos:
            raise _nothing_kept(sources, left_out)
        splits = _split(photos, options, check)
        classes = sorted({photo.entry.class_name for photo in photos})
        suffix = ENCODINGS[options.encoding].suffix
        shards: dict[str, str] = {}
        for split in SPLITS:
            shards |= _write_photos(staging, split, splits[split], classes, encoded, suffix, check)
        in_training = np.zeros(len(photos), np.bool_)
        in_training[[photo.row for photo in splits["train"]]] = True
        prior = count_bins(bins, in_training)
    _write_manifest(staging, outcomes, splits, check)
    hashes = {name: sha256_of(staging / name) for name in [MANIFEST_FILE, *map(index_name, SPLITS)]}
    check()
    report = PrepareReport(
        output,
        kept={split: len(splits[split]) for split in SPLITS},
        left_out=left_out,
        ignored=sum(source.ignored for source in sources),
        identity=identity_of(hashes),
    )
    description = _describe(report, options, sources, classes) | {"sha256": hashes | shards, "ab_prior": prior.tolist()}
    write_whole(staging / SET_FILE, json.dumps(description, indent=1).encode("ascii"))
    return report


def _describe(
    report: PrepareReport, options: PrepareOptions, sources: Sequence[Source], classes: Sequence[str]
) -> dict[str, Any]:
    """Return the entries of `set.json` about the photos; none depends on the machine or on the sources' folders."""
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "made_by": f"colorgan {__version__}",
        "identity": report.identity,
        "options": {key: value for key, value in asdict(options).items() if key not in ("workers", "overwrite")},
        "sources": [source.label for source in sources],
        "photos": report.kept,
        "left_out": report.left_out,
        "ignored": report.ignored,
        "classes": list(classes),
    }


def _nothing_kept(sources: Sequence[Source], left_out: dict[str, int]) -> SetError:
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
    expected = f"photos in {', '.join(source.label for source in sources)}"
    if not reasons:
        suffixes = " ".join(sorted(PHOTO_SUFFIXES))
        return SetError(expected, "there are none", f"Photos are told by their suffix: {suffixes}.")
    advice = "Give other sources, or lower `min_side` and `min_chroma`."
    return SetError(expected, f"all were left out: {reasons}", advice)


def _split(photos: Sequence[Kept], options: PrepareOptions, check: Check) -> dict[str, list[Kept]]:
    """Return the photos of each split, in the seeded order in which they are written."""
    groups = group_near_duplicates(np.array([photo.hash for photo in photos], np.uint64), check)
    held_back = choose_validation(groups, options.val_fraction, options.seed).tolist()
    splits: dict[str, list[Kept]] = {
        split: [photo for photo, held in zip(photos, held_back, strict=True) if held == (split == "val")]
        for split in SPLITS
    }
    for split, members in splits.items():
        Random(f"{options.seed}/{split}").shuffle(members)
    return splits


def _write_photos(
    staging: Path,
    split: str,
    photos: Sequence[Kept],
    classes: Sequence[str],
    encoded: IO[bytes],
    suffix: str,
    check: Check,
) -> dict[str, str]:
    """Write a split's shards and its index; return the SHA-256 of each shard by its name."""
    numbers = {name: number for number, name in enumerate(classes)}
    with ShardWriter(staging, split, len(photos), suffix) as writer:
        for photo in photos:
            check()
            encoded.seek(photo.offset)
            data = encoded.read(photo.length)
            writer.add(data, photo.height, photo.width, numbers[photo.entry.class_name])
    return writer.hashes


def _write_manifest(
    staging: Path,
    outcomes: Sequence[tuple[Entry, Kept | Rejected]],
    splits: dict[str, list[Kept]],
    check: Check,
) -> None:
    """Write a line per source photo with its place in the set, or why it was left out."""
    keys = {photo.row: (split, f"{number:08d}") for split in SPLITS for number, photo in enumerate(splits[split])}
    with (staging / MANIFEST_FILE).open("x", encoding="ascii", newline="\n") as file:
        for entry, outcome in outcomes:
            check()
            line: dict[str, Any] = {"source": entry.source.label, "name": entry.name, "class": entry.class_name}
            if isinstance(outcome, Kept):
                split, key = keys[outcome.row]
                line |= {"split": split, "key": key, "height": outcome.height, "width": outcome.width}
                line["pixels"] = outcome.digest
            else:
                line |= {"left_out": outcome.reason.value, "detail": outcome.detail}
            file.write(json.dumps(line) + "\n")
        sync(file)
