"""Reading of a set that `prepare` wrote, with random access to its photos."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from colorgan.color.bins import BINS
from colorgan.data.remote.shard_cache import Check, ShardCache
from colorgan.data.shards import (
    INDEX_DTYPE,
    MANIFEST_FILE,
    PILLOW_FORMATS,
    SET_FILE,
    SPLITS,
    Index,
    index_name,
    read_description,
    shard_name,
)
from colorgan.errors import ColorganError, SetError, reason_of
from colorgan.files import sha256_of

_ADVICE = "Prepare the set again."


class Split:
    """The training or the validation photos of a set, by their positions in its index.

    Args:
        folder: the set's folder, or that of its cache.
        name: train or val.
        sha256: the expected SHA-256 of its index.
        cache: the cache of a remote set; None for a local set.

    Attributes:
        index: a record for each photo; see `INDEX_DTYPE`.

    Raises:
        SetError: the index is not the one that the set was written with, or a shard is missing or too short.
    """

    def __init__(self, folder: Path, name: str, sha256: str, cache: ShardCache | None = None) -> None:
        self.cache = cache
        self._folder = folder
        self._name = name
        self.index = self._read_index(sha256)
        for number in np.unique(self.index["shard"]).tolist():
            rows = self.index[self.index["shard"] == number]
            self._check_shard(number, int((rows["offset"] + rows["length"]).max()))

    def __len__(self) -> int:
        return len(self.index)

    def _read_index(self, sha256: str) -> Index:
        path = self._folder / index_name(self._name)
        try:
            if sha256_of(path) == sha256:
                index: Index = np.load(path, allow_pickle=False)
                if index.dtype == INDEX_DTYPE and index.ndim == 1:
                    return index
        except (OSError, ValueError, EOFError) as error:
            raise SetError(f"an index at {path}", str(error), _ADVICE) from error
        raise SetError(f"an index at {path}", f"it is damaged, or not the one {SET_FILE} was written with", _ADVICE)

    def shard_of(self, number: int) -> str:
        """Return the file name of a shard."""
        return shard_name(self._name, number)

    def _open(self, shard: str) -> IO[bytes]:
        return self.cache.open(shard) if self.cache else (self._folder / shard).open("rb")

    def read(self, position: int) -> Image.Image:
        """Decode a photo to RGB.

        Raises:
            SetError: the photo is damaged.
            StorageError: its shard cannot be fetched.
        """
        row = self.index[position]
        start, name = int(row["offset"]), self.shard_of(int(row["shard"]))
        try:
            with self._open(name) as shard:  # no memory map: not every disk supports them
                shard.seek(start)
                data = shard.read(int(row["length"]))
            with Image.open(io.BytesIO(data), formats=PILLOW_FORMATS) as image:
                return image.convert("RGB")
        except ColorganError:  # from a store
            raise
        except (OSError, ValueError, SyntaxError) as error:
            advice = "Remove that file, so that it is fetched again." if self.cache else _ADVICE
            raise SetError(f"a photo at byte {start} of {self._folder / name}", "it is damaged", advice) from error

    def sources(self) -> list[str]:
        """Return the name of each photo's source, by the photo's position.

        Raises:
            SetError: the manifest is missing or damaged.
        """
        if self.cache:
            self.cache.fetch_file(MANIFEST_FILE)
        path = self._folder / MANIFEST_FILE
        sources: dict[int, str] = {}
        try:
            with path.open(encoding="ascii") as file:
                for line in map(json.loads, file):
                    if line.get("split") == self._name:
                        sources[int(line["key"])] = str(line["source"])
        except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise SetError(f"a manifest at {path}", str(error), _ADVICE) from error
        if sources.keys() != set(range(len(self))):
            raise SetError(f"a manifest at {path} of {len(self)} photos", f"it names {len(sources)}", _ADVICE)
        return [source for _, source in sorted(sources.items())]

    def _check_shard(self, number: int, end: int) -> None:
        name = self.shard_of(number)
        if self.cache:
            self.cache.check(name, end)
            return
        path = self._folder / name
        expected = f"a shard of at least {end} bytes at {path}"
        try:
            size_bytes = path.stat().st_size
        except OSError as error:
            raise SetError(expected, reason_of(error), _ADVICE) from error
        if size_bytes < end:
            raise SetError(expected, f"it has {size_bytes}", f"It was cut short. {_ADVICE}")


@dataclass(frozen=True)
class PhotoSet:
    """A set that `prepare` wrote, open for reading.

    Attributes:
        identity: the same for sets of the same photos in the same order, and for no other.
        prior: the share of the training photos' pixels in each bin, (313,), summing to 1.
        train: the photos to train on.
        val: the photos held back.
    """

    identity: str
    prior: Tensor
    train: Split
    val: Split

    @property
    def is_remote(self) -> bool:
        """Whether the set is at an address."""
        return self.train.cache is not None

    @classmethod
    def open(cls, folder: Path, cache: ShardCache | None = None) -> PhotoSet:
        """Open a set, and check that it is complete.

        Args:
            folder: the set's folder, or that of its cache.
            cache: the cache of a remote set; None for a local set.

        Raises:
            SetError: there is no set, or a part of it is missing, damaged or of another version.
        """
        description = read_description(folder)
        try:
            identity = str(description["identity"])
            hashes = {name: str(description["sha256"][index_name(name)]) for name in SPLITS}
            prior = torch.tensor(description["ab_prior"], dtype=torch.float32)
        except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise SetError(f"a description of the set in {folder / SET_FILE}", "it is damaged", _ADVICE) from error
        if prior.shape != (BINS,) or not bool((prior >= 0).all()) or not bool((prior.sum() - 1).abs() < 1e-3):
            raise SetError(f"{BINS} shares that sum to 1 in {folder / SET_FILE}", "other numbers", _ADVICE)
        splits = {name: Split(folder, name, sha256, cache) for name, sha256 in hashes.items()}
        return cls(identity, prior, splits["train"], splits["val"])

    @classmethod
    def open_remote(
        cls, address: str, cache_root: Path, limit_bytes: int, processes: int = 1, check: Check = lambda: None
    ) -> PhotoSet:
        """Open a set at an address such as s3://bucket/data; a shard is fetched when one of its photos is read.

        The other arguments and the errors are as for `ShardCache.connect`.
        """
        cache = ShardCache.connect(address, cache_root, limit_bytes, processes)
        for name in SPLITS:
            cache.fetch_file(index_name(name), check)
        return cls.open(cache.folder, cache)
