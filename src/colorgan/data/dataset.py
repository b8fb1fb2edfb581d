"""Batches of a set: in any order, resumable at any position, whatever the number of processes that read."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from colorgan.color.lab import linear_from_bytes, linear_to_lab
from colorgan.data.aging import Aged, draw_ages
from colorgan.data.photoset import Split
from colorgan.data.plan import EpochPlan
from colorgan.data.reading import Piped, read_batches
from colorgan.data.remote.read_ahead import ReadAhead

_REDUCING_GAP = 3.0  # Pillow first reduces by a whole factor, to at least this many times the target size


@dataclass(frozen=True)
class Augment:
    """The augmentation of training photos.

    Attributes:
        flip: mirror half of them.
        crop_min: the smallest square that is cut out, as a share of the short side; the largest is all of it.
        brightness: Lab units; L is shifted by up to this, up or down.
        contrast: L is spread around 50 by a factor of up to 1 plus or minus this.
        aged: the share of photos whose L is made to look like an old print's (`aging.py`).
    """

    flip: bool
    crop_min: float
    brightness: float
    contrast: float
    aged: float = 0.0


@dataclass(frozen=True)
class Batch(Piped):
    """Photos as the reading processes return them; they are converted to Lab on the training device.

    Attributes:
        rgb: (B, 3, S, S), uint8 sRGB.
        light: (B, 2), float32: the factor by which L spreads around 50, and its shift in Lab units.
        aged: the photos to age, or None.
    """

    rgb: Tensor
    light: Tensor
    aged: Aged | None = None

    def to_lab(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Move the photos to a device, convert them to Lab there, and augment L.

        Returns:
            L (B, 1, S, S), 0..100, and ab (B, 2, S, S), Lab units.
        """
        aged = self.aged.to(device) if self.aged else None
        linear = linear_from_bytes(self.rgb.to(device, non_blocking=True))
        lab = linear_to_lab(linear)
        L = lab[:, :1]
        if aged:
            L = L.index_copy(0, aged.rows, aged.lightness_of(linear))
        light = self.light.to(device, non_blocking=True)
        spread, shift = (aged.faded(light) if aged else light)[:, :, None, None, None].unbind(1)
        L = (L - 50) * spread + 50 + shift
        if aged:
            L = L.index_add(0, aged.rows, aged.texture)
        return L.clamp(0, 100), lab[:, 1:]

    def pin_memory(self) -> Batch:
        """Return the batch in pinned memory; the data loader calls this."""
        aged = Aged(*(tensor.pin_memory() for tensor in vars(self.aged).values())) if self.aged else None
        return Batch(self.rgb.pin_memory(), self.light.pin_memory(), aged)


# To be closed if it is not exhausted, which ends the processes that read.
Batches = Generator[Batch, None, None]

_Drawn = tuple[npt.NDArray[np.uint8], tuple[float, float], "Aged | None"]


@dataclass(frozen=True)
class _Square:
    """A crop of a photo, in its pixels, and its augmentation."""

    left: float
    top: float
    side: float
    mirrored: bool = False
    light: tuple[float, float] = (1.0, 0.0)
    age: Aged | None = None


class _Squares(Dataset[_Drawn]):
    """Photos cropped to squares; the augmentation of one depends on the seed, the epoch and its position alone.

    Without augmentation each is the center crop of its photo.
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
        age = draw_ages(torch.Generator().manual_seed(int(random.integers(2**63))), 1, size)
        return _Square(left, top, side, mirrored, (spread, shift), age)


def _collate(squares: Sequence[_Drawn]) -> Batch:
    photos, lights, ages = zip(*squares, strict=True)
    rgb = torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).contiguous()
    return Batch(rgb, torch.tensor(lights, dtype=torch.float32), _collate_ages(ages))


def _collate_ages(ages: Sequence[Aged | None]) -> Aged | None:
    drawn = {row: (age.film, age.light, age.texture) for row, age in enumerate(ages) if age}
    if not drawn:
        return None
    return Aged(torch.tensor(list(drawn)), *(torch.cat(parts) for parts in zip(*drawn.values(), strict=True)))


def training_batches(
    split: Split,
    plan: EpochPlan,
    augment: Augment,
    *,
    epoch: int,
    first_batch: int = 0,
    workers: int = 0,
    warn: Callable[[str], None] = lambda text: None,
    while_waiting: Callable[[], None] = lambda: None,
) -> Batches:
    """Yield the batches of an epoch, decoding the photos on the way.

    Args:
        split: the photos.
        plan: the photos of each batch.
        augment: their augmentation.
        epoch: part of the seed.
        first_batch: the batch to begin with, after an interruption.
        workers: processes that read; 0 reads in this one. The batches do not depend on it.
        warn: called if these cannot be started; this process then reads.
        while_waiting: called repeatedly while no batch or no shard arrives; may raise to stop waiting.

    Yields:
        The plan's batches from `first_batch` on.
    """
    squares = _Squares(split, augment, plan.seed, epoch)
    pin_memory = torch.cuda.is_available()
    with ExitStack() as opened:
        # Several training processes have to stop after the same step.
        check = while_waiting if plan.ranks == 1 else lambda: None

        def items() -> Iterator[list[tuple[int, int, int]]]:
            reach = opened.enter_context(_reading_ahead(split, plan, epoch, first_batch, 2 * workers, check))
            for batch in plan.batches(epoch, first_batch):
                reach(batch.numbers)
                yield [
                    (position, number, batch.side)
                    for position, number in zip(batch.positions, batch.numbers, strict=True)
                ]

        yield from read_batches(
            squares, items, _collate, workers=workers, warn=warn, while_waiting=while_waiting, pin_memory=pin_memory
        )


@contextmanager
def _reading_ahead(
    split: Split, plan: EpochPlan, epoch: int, first_batch: int, lag: int, check: Callable[[], None]
) -> Iterator[Callable[[Sequence[int]], None]]:
    """Yield a function that waits for the shards of a batch's photos, while those of later ones are fetched."""
    if split.cache is None:
        yield lambda numbers: None
        return

    def shards_of(numbers: Sequence[int] | npt.NDArray[np.int64]) -> list[str]:
        return [split.shard_of(number) for number in split.index["shard"][numbers].tolist()]

    coming = plan.photos_of(epoch)[first_batch * plan.share : len(plan) * plan.share]
    with ReadAhead(split.cache, shards_of(coming), split.cache.room, lag, check) as ahead:
        yield lambda numbers: ahead.reach(shards_of(numbers))


def validation_batches(split: Split, *, batch_size: int, size: int, limit: int) -> Iterator[Batch]:
    """Yield the first `limit` photos of a split in its own order: the center crop of each, `size` pixels wide."""
    squares = _Squares(split, augment=None)
    count = min(limit, len(split))
    for start in range(0, count, batch_size):
        yield _collate([squares[position, position, size] for position in range(start, min(start + batch_size, count))])
