"""From a set to batches: any order, resumable at any position, the same however many processes read."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from colorgan.color.lab import lightness, linear_from_bytes, linear_to_lab
from colorgan.data.aging import Age, draw_age
from colorgan.data.photoset import Split
from colorgan.signals import HEEDED

SIZE_STEP_PX = 16
_REDUCING_GAP = 3.0  # Pillow reduces by a whole factor first, down to so many times the size that is wanted


@dataclass(frozen=True)
class Augment:
    """How training photos are varied.

    Attributes:
        flip: mirror half of them.
        crop_min: the smallest square that is cut out, as a share of the short side; the largest is all of it.
        brightness: Lab units; L is shifted by up to so much, up or down.
        contrast: L is spread around 50 by a factor of up to 1 plus or minus this.
        aged: the share of photos whose L is made to look like an old print's (`aging.py`).
    """

    flip: bool
    crop_min: float
    brightness: float
    contrast: float
    aged: float = 0.0


@dataclass(frozen=True)
class Sides:
    """The side of each batch's squares, pixels.

    Attributes:
        largest: of any batch.
        smallest: sides are drawn from `largest`, `largest` - 16 and so on down to this; 0 for `largest` alone.
    """

    largest: int
    smallest: int = 0

    def drawn(self, seed: int, epoch: int, batch: int) -> int:
        """The side of one batch; it depends on nothing else."""
        if not self.smallest:
            return self.largest
        sides = range(self.largest, self.smallest - 1, -SIZE_STEP_PX)
        return sides[int(np.random.default_rng((seed, epoch, batch, 1)).integers(len(sides)))]


@dataclass(frozen=True)
class Aged:
    """The photos of a batch that are to look old.

    Attributes:
        rows: (A,), int64: which photos of the batch they are.
        film: (A, 3), float32: shares of linear red, green and blue in their luminance.
        texture: (A, 1, S, S), float32, Lab units, added to their L.
    """

    rows: Tensor
    film: Tensor
    texture: Tensor

    def lightness_of(self, linear: Tensor) -> Tensor:
        """The L that their films saw: (B, 3, S, S) linear light of the whole batch -> (A, 1, S, S), 0..100."""
        seen = linear[self.rows.to(linear.device)] * self.film.to(linear.device)[:, :, None, None]
        return lightness(seen.sum(1, keepdim=True))


@dataclass(frozen=True)
class Batch:
    """Photos as they leave the reading processes; the colour maths is done where the training is.

    Attributes:
        rgb: (B, 3, S, S), uint8 sRGB.
        light: (B, 2), float32: the factor by which L spreads around 50, and its shift in Lab units.
        aged: those that are to look old, or None.
    """

    rgb: Tensor
    light: Tensor
    aged: Aged | None = None

    def to_lab(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Move to a device and convert there.

        Returns:
            L (B, 1, S, S), 0..100, and ab (B, 2, S, S), Lab units.
        """
        linear = linear_from_bytes(self.rgb.to(device, non_blocking=True))
        lab = linear_to_lab(linear)
        L = lab[:, :1]
        if self.aged is not None:
            L = L.index_copy(0, self.aged.rows.to(device), self.aged.lightness_of(linear))
        spread, shift = self.light.to(device, non_blocking=True)[:, :, None, None, None].unbind(1)
        L = (L - 50) * spread + 50 + shift
        if self.aged is not None:
            L = L.index_add(0, self.aged.rows.to(device), self.aged.texture.to(device))
        return L.clamp(0, 100), lab[:, 1:]

    def pin_memory(self) -> Batch:
        """The same in memory that a GPU reads by itself; the data loader asks for it."""
        aged = self.aged and Aged(*(tensor.pin_memory() for tensor in vars(self.aged).values()))
        return Batch(self.rgb.pin_memory(), self.light.pin_memory(), aged)


_Drawn = tuple[npt.NDArray[np.uint8], tuple[float, float], Age | None]


@dataclass(frozen=True)
class _Square:
    """Where a photo is cut, in its pixels, and how it is varied."""

    left: float
    top: float
    side: float
    mirrored: bool = False
    light: tuple[float, float] = (1.0, 0.0)
    age: Age | None = None


class _Squares(Dataset[_Drawn]):
    """Photos cut to squares; what is drawn for one depends on the seed, the epoch and its position alone.

    Args:
        split: the photos.
        augment: how they are varied; None for the middle of each photo, as it is.
        seed: decides what is drawn.
        epoch: likewise.
    """

    def __init__(self, split: Split, augment: Augment | None, seed: int = 0, epoch: int = 0) -> None:
        self._split = split
        self._augment = augment
        self._seed = seed
        self._epoch = epoch

    def __getitem__(self, item: tuple[int, int, int]) -> _Drawn:
        """Make a square of photo `item[1]`, which is the epoch's `item[0]`-th, with a side of `item[2]` pixels."""
        position, number, size = item
        photo = self._split.read(number)
        square = self._middle(photo) if self._augment is None else self._draw(photo, position, size, self._augment)
        box = (square.left, square.top, square.left + square.side, square.top + square.side)
        small = photo.resize((size, size), Image.Resampling.BICUBIC, box=box, reducing_gap=_REDUCING_GAP)
        pixels = np.asarray(small)
        return (pixels[:, ::-1] if square.mirrored else pixels), square.light, square.age

    @staticmethod
    def _middle(photo: Image.Image) -> _Square:
        side = min(photo.size)
        return _Square((photo.width - side) / 2, (photo.height - side) / 2, side)

    def _draw(self, photo: Image.Image, position: int, size: int, augment: Augment) -> _Square:
        random = np.random.default_rng((self._seed, self._epoch, position))
        side = min(photo.size) * random.uniform(augment.crop_min, 1)
        left, top = random.uniform(0, photo.width - side), random.uniform(0, photo.height - side)
        mirrored = augment.flip and random.random() < 0.5
        spread = 1 + random.uniform(-augment.contrast, augment.contrast)
        shift = random.uniform(-augment.brightness, augment.brightness)
        if random.random() >= augment.aged:
            return _Square(left, top, side, mirrored, (spread, shift))
        age = draw_age(random, size)
        light = (spread * age.light[0], shift + age.light[1])
        return _Square(left, top, side, mirrored, light, age)


def _collate(squares: Sequence[_Drawn]) -> Batch:
    photos, lights, ages = zip(*squares, strict=True)
    rgb = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).contiguous()
    return Batch(rgb, torch.tensor(lights, dtype=torch.float32), _collate_ages(ages))


def _collate_ages(ages: Sequence[Age | None]) -> Aged | None:
    drawn = [(row, age) for row, age in enumerate(ages) if age]
    if not drawn:
        return None
    return Aged(
        rows=torch.tensor([row for row, _ in drawn]),
        film=torch.tensor([age.film for _, age in drawn], dtype=torch.float32),
        texture=torch.from_numpy(np.stack([age.texture for _, age in drawn]))[:, None],
    )


def _ignore_signals(worker: int) -> None:
    """Leave Ctrl-C to the training process, which wants its batch to the end; workers end with it."""
    for number in HEEDED:
        signal.signal(number, signal.SIG_IGN)


def batches_per_epoch(split: Split, batch_size: int) -> int:
    """How many batches an epoch has: whole ones only, or a single incomplete one where there is none."""
    return max(len(split) // batch_size, min(len(split), 1))


def training_batches(
    split: Split,
    *,
    batch_size: int,
    sides: Sides,
    seed: int,
    augment: Augment,
    workers: int,
    epoch: int,
    first_batch: int = 0,
    rank: int = 0,
    ranks: int = 1,
) -> Generator[Batch]:
    """Go through a split once, in an order of the epoch's own.

    Args:
        split: the photos.
        batch_size: photos.
        sides: of the squares, the same within a batch.
        seed: decides the order, and what is drawn for each batch and photo.
        augment: how photos are varied.
        workers: processes that read; 0 reads in this one. The batches do not depend on it.
        epoch: from 0.
        first_batch: where to go on after an interruption.
        rank: which of several processes asks; together they get the batches that one would.
        ranks: how many processes there are.

    Yields:
        `batches_per_epoch` batches, less those before `first_batch`.
    """
    order = np.random.default_rng((seed, epoch)).permutation(len(split))

    def items(batch: int) -> list[tuple[int, int, int]]:
        start, side = batch * batch_size, sides.drawn(seed, epoch, batch)
        numbers = order[start : start + batch_size].tolist()
        return [(position, number, side) for position, number in enumerate(numbers, start)]

    yield from DataLoader(
        _Squares(split, augment, seed, epoch),
        batch_sampler=(items(batch)[rank::ranks] for batch in range(first_batch, batches_per_epoch(split, batch_size))),
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
    squares = _Squares(split, augment=None)
    count = min(limit, len(split))
    for start in range(0, count, batch_size):
        yield _collate([squares[position, position, size] for position in range(start, min(start + batch_size, count))])
