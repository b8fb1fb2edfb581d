"""The files of a set: WebDataset shards with an index that finds each photo in them, and `set.json`."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from colorgan.errors import SetError, reason_of
from colorgan.files import sync, why_missing


@dataclass(frozen=True)
class Encoding:
    """The encoding of a set's photos.

    Attributes:
        suffix: the suffix of their names in the shards.
        pillow_format: Pillow's name of the format.
        quality: from 0 to 100, on the format's own scale.
        save_options: further arguments for Pillow's `save`.
    """

    suffix: str
    pillow_format: str
    quality: int
    save_options: Mapping[str, Any] = field(default_factory=dict)


ENCODINGS = {
    "jpeg": Encoding("jpg", "JPEG", 95, {"subsampling": "4:4:4"}),
    "webp": Encoding("webp", "WEBP", 65),
}
PILLOW_FORMATS = tuple(encoding.pillow_format for encoding in ENCODINGS.values())

FORMAT = "colorgan-set"
FORMAT_VERSION = 1
SPLITS = ("train", "val")
SET_FILE = "set.json"
MANIFEST_FILE = "manifest.jsonl"
MAX_SHARD_BYTES = 256 * 1000**2

INDEX_DTYPE = np.dtype(
    [
        ("shard", "<u4"),
        ("offset", "<u8"),  # of the photo's first byte in the shard
        ("length", "<u4"),
        ("height", "<u2"),
        ("width", "<u2"),
        ("class", "<u4"),
    ]
)
Index = npt.NDArray[np.void]

_BLOCK_BYTES = tarfile.BLOCKSIZE


def shard_name(split: str, number: int) -> str:
    """Return the file name of a split's shard."""
    return f"{split}-{number:05d}.tar"


def index_name(split: str) -> str:
    """Return the file name of a split's index."""
    return f"{split}.index.npy"


def is_set_file(name: str) -> bool:
    """Whether `prepare` writes files of that name."""
    fixed = {SET_FILE, MANIFEST_FILE, *map(index_name, SPLITS)}
    stem, number = name[:-10], name[-9:-4]
    return name in fixed or (stem in SPLITS and number.isdigit() and name == shard_name(stem, int(number)))


def identity_of(hashes: dict[str, str]) -> str:
    """Return a set's identity, from the SHA-256 of its indexes and its manifest, by file name."""
    text = "".join(f"{name} {hashes[name]}\n" for name in sorted(hashes))
    return hashlib.sha256(text.encode()).hexdigest()


def _member(name: str, data: bytes) -> bytes:
    """Return a tar member: header, bytes, and zeros up to the next block; reproducible, as without time and owner."""
    header = tarfile.TarInfo(name)
    header.size = len(data)
    return header.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % _BLOCK_BYTES)


class ShardWriter:
    """A writer of one split's photos into shards, with an index of their positions.

    A context manager; leaving it closes the last shard and writes the index.

    Args:
        folder: the folder to write to.
        split: train or val.
        photos: the number of photos.
        suffix: the suffix of their names, without the dot.

    Attributes:
        hashes: the SHA-256 of each finished shard, by its name.
    """

    def __init__(self, folder: Path, split: str, photos: int, suffix: str) -> None:
        self.index: Index = np.zeros(photos, INDEX_DTYPE)
        self.hashes: dict[str, str] = {}
        self._folder = folder
        self._split = split
        self._suffix = suffix
        self._written = 0
        self._shard = -1
        self._file: IO[bytes] | None = None
        self._digest = hashlib.sha256()  # of the shard being written

    def add(self, encoded: bytes, height: int, width: int, class_number: int) -> None:
        """Append a photo's file, with its size in pixels and its class's index in the set's list of classes."""
        key = f"{self._written:08d}"
        label = _member(f"{key}.cls", str(class_number).encode())
        photo = _member(f"{key}.{self._suffix}", encoded)
        file = self._file_with_room(len(photo) + len(label))
        self.index[self._written] = (self._shard, file.tell() + _BLOCK_BYTES, len(encoded), height, width, class_number)
        self._write(file, photo + label)
        self._written += 1

    def _write(self, file: IO[bytes], data: bytes) -> None:
        file.write(data)
        self._digest.update(data)

    def _file_with_room(self, needed_bytes: int) -> IO[bytes]:
        end = 2 * _BLOCK_BYTES
        if self._file is None or self._file.tell() + needed_bytes + end > MAX_SHARD_BYTES:
            self._finish()
            self._shard += 1
            self._digest = hashlib.sha256()
            self._file = (self._folder / shard_name(self._split, self._shard)).open("xb")
        return self._file

    def _finish(self) -> None:
        if self._file is None:
            return
        with self._file as file:
            self._write(file, bytes(2 * _BLOCK_BYTES))  # the end of a tar file
            sync(file)
        self.hashes[shard_name(self._split, self._shard)] = self._digest.hexdigest()
        self._file = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            if self._file is not None:
                self._file.close()
            return
        self._finish()
        buffer = io.BytesIO()
        np.save(buffer, self.index, allow_pickle=False)
        write_whole(self._folder / index_name(self._split), buffer.getvalue())


def write_whole(path: Path, data: bytes) -> None:
    """Write a new file and flush it to disk."""
    with path.open("xb") as file:
        file.write(data)
        sync(file)


def read_description(folder: Path) -> dict[str, Any]:
    """Read a set's `set.json`.

    Raises:
        SetError: it is missing, damaged or of another version.
    """
    path = folder / SET_FILE
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        found = f"no {SET_FILE} in it" if os.path.isdir(folder) else why_missing(folder)
        raise SetError(_expected(folder), found, "Make one: colorgan prepare PHOTOS -o data") from error
    except OSError as error:
        found = f"{SET_FILE} cannot be read: {reason_of(error)}"
        raise SetError(_expected(folder), found, "Make it readable.") from error
    return parse_description(text, folder)


def _expected(place: str | Path) -> str:
    return f"a set written by colorgan prepare at {place}"


def parse_description(text: bytes, place: str | Path) -> dict[str, Any]:
    """Parse the bytes of a `set.json`; `place` names the set in messages.

    Raises:
        SetError: it is damaged or of another version.
    """
    expected = _expected(place)
    try:
        description = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SetError(expected, f"{SET_FILE} cannot be read ({error})", "Prepare the set again.") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise SetError(expected, f"{SET_FILE} does not describe a set", "Give a folder that prepare wrote.")
    if description.get("version") != FORMAT_VERSION:
        found = f"format version {description.get('version')!r}, but this colorgan reads {FORMAT_VERSION}"
        raise SetError(expected, found, "Prepare the set again with this version.")
    return description
