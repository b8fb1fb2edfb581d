"""From a set to batches: any order, resumable at any position, the same however many processes read."""

from __future__ import annotations

import io
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from colorgan.color.bins import BINS
from colorgan.color.lab import rgb_to_lab
from colorgan.data.shards import INDEX_DTYPE, SET_FILE, Index, index_name, read_description, sha256_of, shard_name
from colorgan.errors import SetError

_ADVICE = "Prepare the set again."
_REDUCING_GAP = 3.0  # Pillow reduces by a whole factor first, down to so many times the size that is wanted


class Split:
    """The training or the validation photos of a set, by their positions in its index.

    Files are mapped into memory when they are first read, in each process anew, so that it can be pickled.

    Args:
        folder: the set's.
        name: train or val.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._index: Index | None = None
        self._shards: dict[int, npt.NDArray[np.uint8]] = {}

    @property
    def index(self) -> Index:
        """What the set knows of each photo; see `INDEX_DTYPE`."""
        if self._index is None:
            self._index = np.load(self._folder / index_name(self._name), mmap_mode="r", allow_pickle=False)
        return self._index

    def __len__(self) -> int:
        return len(self.index)

    def __getstate__(self) -> dict[str, Any]:
        return {"_folder": self._folder, "_name": self._name, "_index": None, "_shards": {}}

    def read(self, position: int) -> Image.Image:
        """Decode a photo into RGB.

        Raises:
            SetError: it is damaged.
        """
        row = self.index[position]
        start, end = int(row["offset"]), int(row["offset"]) + int(row["length"])
        data = self._shard(int(row["shard"]))[start:end].tobytes()
        try:
            with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
                return image.convert("RGB")
        except (OSError, ValueError, SyntaxError) as error:
            path = self._folder / shard_name(self._name, int(row["shard"]))
            raise SetError(f"a JPEG at byte {start} of {path}", "it is damaged", _ADVICE) from error

    def _shard(self, number: int) -> npt.NDArray[np.uint8]:
        if number not in self._shards:
            path = self._folder / shard_name(self._name, number)
            self._shards[number] = np.memmap(path, np.uint8, mode="r")
        return self._shards[number]

    def check(self, sha256: str) -> None:
        """Make sure that the index is the one the set was written with, and that all it points to is there.

        Raises:
            SetError: it is not.
        """
        path = self._folder / index_name(self._name)
        try:
            intact = sha256_of(path) == sha256 and self.index.dtype == INDEX_DTYPE and self.index.ndim == 1
        except (OSError, ValueError, EOFError) as error:
            raise SetError(f"an index at {path}", str(error), _ADVICE) from error
        if not intact:
            raise SetError(f"an index at {path}", f"it is damaged, or not the one {SET_FILE} was written with", _ADVICE)
        for number in np.unique(self.index["shard"]).tolist():
            rows = self.index[self.index["shard"] == number]
            self._check_shard(number, int((rows["offset"] + rows["length"]).max()))

    def _check_shard(self, number: int, end: int) -> None:
        path = self._folder / shard_name(self._name, number)
        expected = f"a shard of at least {end} bytes at {path}"
        try:
            size_bytes = path.stat().st_size
        except OSError as error:
            raise SetError(expected, error.strerror or str(error), _ADVICE) from error
        if size_bytes < end:
            raise SetError(expected, f"it has {size_bytes}", f"It was cut short. {_ADVICE}")


@dataclass(frozen=True)
class PhotoSet:
    """What `prepare` wrote, open for reading.

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

    @classmethod
    def open(cls, folder: Path) -> PhotoSet:
        """Open a set, after making sure that it is whole.

        Raises:
            SetError: there is none, or a part of it is missing, damaged or of another version.
        """
        description = read_description(folder)
        try:
            identity = str(description["identity"])
            hashes = {name: str(description["sha256"][index_name(name)]) for name in ("train", "val")}
            prior = torch.tensor(description["ab_prior"], dtype=torch.float32)
        except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise SetError(f"a description of the set in {folder / SET_FILE}", "it is damaged", _ADVICE) from error
        if prior.shape != (BINS,) or not bool((prior >= 0).all()) or not bool((prior.sum() - 1).abs() < 1e-3):
            raise SetError(f"{BINS} shares that sum to 1 in {folder / SET_FILE}", "other numbers", _ADVICE)
        splits = {name: Split(folder, name) for name in hashes}
        for name, split in splits.items():
            split.check(hashes[name])
        return cls(identity, prior, splits["train"], splits["val"])


@dataclass(frozen=True)
class Augment:
    """How training photos are varied.

    Attributes:
        flip: mirror half of them.
        crop_min: the smallest square that is cut out, as a share of the short side; the largest is all of it.
        brightness: Lab units; L is shifted by up to so much, up or down.
        contrast: L is spread around 50 by a factor of up to 1 plus or minus this.
    """

    flip: bool
    crop_min: float
    brightness: float
    contrast: float


@dataclass(frozen=True)
class Batch:
    """Photos as they leave the reading processes; the colour maths is done where the training is.

    Attributes:
        rgb: (B, 3, S, S), uint8 sRGB.
        light: (B, 2), float32: the factor by which L spreads around 50, and its shift in Lab units.
    """

    rgb: Tensor
    light: Tensor

    def to_lab(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Move to a device and convert there.

        Returns:
            L (B, 1, S, S), 0..100, and ab (B, 2, S, S), Lab units.
        """
        lab = rgb_to_lab(self.rgb.to(device, non_blocking=True).float() / 255)
        spread, shift = self.light.to(device, non_blocking=True)[:, :, None, None, None].unbind(1)
        L = ((lab[:, :1] - 50) * spread + 50 + shift).clamp(0, 100)
        return L, lab[:, 1:]

    def pin_memory(self) -> Batch:
        """The same in memory that a GPU reads by itself; the data loader asks for it."""
        return Batch(self.rgb.pin_memory(), self.light.pin_memory())


_Drawn = tuple[npt.NDArray[np.uint8], tuple[float, float]]


@dataclass(frozen=True)
class _Square:
    """Where a photo is cut, in its pixels, and how it is varied."""

    left: float
    top: float
    side: float
    mirrored: bool = False
    light: tuple[float, float] = (1.0, 0.0)


class _Squares(Dataset[_Drawn]):
    """Photos cut to squares; what is drawn for one depends on the seed, the epoch and its position alone.

    Args:
        split: the photos.
        size: pixels, the squares' side.
        augment: how they are varied; None for the middle of each photo, as it is.
        seed: decides what is drawn.
        epoch: likewise.
    """

    def __init__(self, split: Split, size: int, augment: Augment | None, seed: int = 0, epoch: int = 0) -> None:
        self._split = split
        self._size = size
        self._augment = augment
        self._seed = seed
        self._epoch = epoch

    def __getitem__(self, item: tuple[int, int]) -> _Drawn:
        """Make a square of photo `item[1]`, which is the epoch's `item[0]`-th."""
        position, number = item
        photo = self._split.read(number)
        square = self._middle(photo) if self._augment is None else self._draw(photo, position, self._augment)
        box = (square.left, square.top, square.left + square.side, square.top + square.side)
        small = photo.resize((self._size, self._size), Image.Resampling.BICUBIC, box=box, reducing_gap=_REDUCING_GAP)
        pixels = np.asarray(small)
        return (pixels[:, ::-1] if square.mirrored else pixels), square.light

    @staticmethod
    def _middle(photo: Image.Image) -> _Square:
        side = min(photo.size)
        return _Square((photo.width - side) / 2, (photo.height - side) / 2, side)

    def _draw(self, photo: Image.Image, position: int, augment: Augment) -> _Square:
        random = np.random.default_rng((self._seed, self._epoch, position))
        side = min(photo.size) * random.uniform(augment.crop_min, 1)
        left, top = random.uniform(0, photo.width - side), random.uniform(0, photo.height - side)
        mirrored = augment.flip and random.random() < 0.5
        spread = 1 + random.uniform(-augment.contrast, augment.contrast)
        shift = random.uniform(-augment.brightness, augment.brightness)
        return _Square(left, top, side, mirrored, (spread, shift))


def _collate(squares: Sequence[_Drawn]) -> Batch:
    rgb = torch.from_numpy(np.stack([pixels for pixels, _ in squares]))
    light = torch.tensor([light for _, light in squares], dtype=torch.float32)
    return Batch(rgb.permute(0, 3, 1, 2).contiguous(), light)


def _ignore_signals(worker: int) -> None:
    """Leave Ctrl-C to the training process, which wants its batch to the end; workers end with it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def batches_per_epoch(split: Split, batch_size: int) -> int:
    """How many batches an epoch has: whole ones only, or a single incomplete one where there is none."""
    return max(len(split) // batch_size, min(len(split), 1))


def training_batches(
    split: Split,
    *,
    batch_size: int,
    size: int,
    seed: int,
    augment: Augment,
    workers: int,
    epoch: int,
    first_batch: int = 0,
) -> Iterator[Batch]:
    """Go through a split once, in an order of the epoch's own.

    Args:
        split: the photos.
        batch_size: photos.
        size: pixels, the squares' side.
        seed: decides the order, and what is drawn for each photo.
        augment: how photos are varied.
        workers: processes that read; 0 reads in this one. The batches do not depend on it.
        epoch: from 0.
        first_batch: where to go on after an interruption.

    Yields:
        `batches_per_epoch` batches, less those before `first_batch`.
    """
    order = np.random.default_rng((seed, epoch)).permutation(len(split))
    starts = range(first_batch * batch_size, batches_per_epoch(split, batch_size) * batch_size, batch_size)
    yield from DataLoader(
        _Squares(split, size, augment, seed, epoch),
        batch_sampler=(list(enumerate(order[start : start + batch_size].tolist(), start)) for start in starts),
        num_workers=workers,
        collate_fn=_collate,
        worker_init_fn=_ignore_signals,
        pin_memory=torch.cuda.is_available(),
        # One of its own: the loader draws from it, and the training's random state must not notice.
        generator=torch.Generator(),
    )


def validation_batches(split: Split, *, batch_size: int, size: int, limit: int) -> Iterator[Batch]:
    """Go through the first photos of a split in its own order: the middle square of each, as it is.

    Args:
        split: the photos.
        batch_size: photos; the last batch may have fewer.
        size: pixels, the squares' side.
        limit: photos at most.
    """
    squares = _Squares(split, size, augment=None)
    count = min(limit, len(split))
    for start in range(0, count, batch_size):
        yield _collate([squares[position, position] for position in range(start, min(start + batch_size, count))])
