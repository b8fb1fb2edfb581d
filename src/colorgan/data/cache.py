"""All training photos decoded once into the memory of the device, where squares are cropped, mirrored and aged.

For a GPU that steps faster than photos are decoded, and a set that fits its memory: about 120 kB a photo of 176 by
235 pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from colorgan.data.aging import Aged, draw_ages
from colorgan.data.dataset import Augment, Batch, Batches
from colorgan.data.photoset import Split
from colorgan.data.plan import BatchPlan, EpochPlan
from colorgan.data.reading import read_batches

_LONGEST = 2  # times the short side: longer photos are center-cropped, since a batch is padded to its largest
_READ_AT_ONCE = 32
_CUBIC = -0.5  # the parameter of Pillow's bicubic filter

_Pixels = npt.NDArray[np.uint8]


class _WholePhotos(Dataset[_Pixels]):
    """Whole photos, by their positions in the split."""

    def __init__(self, split: Split) -> None:
        self._split = split

    def batches(self) -> Iterator[list[int]]:
        """Yield all positions, a few at once."""
        count = len(self._split)
        for first in range(0, count, _READ_AT_ONCE):
            yield list(range(first, min(first + _READ_AT_ONCE, count)))

    def sizes(self) -> Tensor:
        """Return the heights and widths of the photos as cached, (P, 2), int64."""
        index = self._split.index
        sizes = torch.from_numpy(np.stack([index["height"], index["width"]], 1).astype(np.int64))
        return sizes.minimum(_LONGEST * sizes.amin(1, keepdim=True))

    def __getitem__(self, number: int) -> _Pixels:
        photo = self._split.read(number)
        longest = _LONGEST * min(photo.size)
        width, height = min(photo.width, longest), min(photo.height, longest)
        left, top = (photo.width - width) // 2, (photo.height - height) // 2
        return np.asarray(photo.crop((left, top, left + width, top + height)))


def _joined(photos: list[_Pixels]) -> _Pixels:
    """Concatenate the pixels of photos, (N, 3)."""
    return np.concatenate([photo.reshape(-1, 3) for photo in photos])


@dataclass(frozen=True, eq=False)
class PhotoCache:
    """Decoded photos, concatenated.

    Attributes:
        pixels: (N, 3), uint8 sRGB, on the device.
        starts: (P,), int64, on the device: where each photo's pixels begin.
        sizes: (P, 2), int64, on the CPU: heights and widths.
    """

    pixels: Tensor
    starts: Tensor
    sizes: Tensor

    @classmethod
    def read(
        cls,
        split: Split,
        device: torch.device,
        workers: int,
        warn: Callable[[str], None] = lambda text: None,
        check: Callable[[], None] = lambda: None,
    ) -> PhotoCache:
        """Decode a split into a device's memory, by `workers` processes; 0 decodes in this one.

        `warn` is called if they cannot be started; `check`, which may raise to stop, is called repeatedly.

        Raises:
            SetError: a photo is damaged.
        """
        photos = _WholePhotos(split)
        sizes = photos.sizes()
        areas = sizes.prod(1)
        # Filled as they arrive: concatenated at the end, all photos would be in memory twice.
        pixels, done = torch.empty(int(areas.sum()), 3, dtype=torch.uint8, device=device), 0
        read = read_batches(photos, photos.batches, _joined, workers=workers, warn=warn, while_waiting=check)
        for part in read:
            check()
            pixels[done : done + len(part)] = torch.from_numpy(part)
            done += len(part)
        return cls(pixels, (areas.cumsum(0) - areas).to(device), sizes)

    def batches(self, plan: EpochPlan, augment: Augment, *, epoch: int, first_batch: int = 0) -> Batches:
        """Yield the batches of an epoch like `training_batches`, but on the device.

        The augmentation depends on the plan's seed, the epoch and the batch alone.
        """
        for batch in plan.batches(epoch, first_batch):
            yield self._batch(batch, plan, augment)

    def _batch(self, batch: BatchPlan, plan: EpochPlan, augment: Augment) -> Batch:
        device = self.pixels.device
        random = np.random.default_rng((plan.seed, batch.epoch, batch.batch, 2))
        # Drawn for the photos of all ranks, of which this one takes its own: together they get what one would.
        drawn = torch.from_numpy(random.uniform(size=(plan.batch_size, 7)))
        own = torch.tensor(batch.positions) - batch.batch * plan.batch_size
        shares, across, down, turned, spread, shift, _ = drawn[own].unbind(1)
        numbers = torch.tensor(batch.numbers)
        sizes = self.sizes[numbers].double()
        extent = sizes.amin(1) * (augment.crop_min + (1 - augment.crop_min) * shares)
        corners = (sizes - extent[:, None]) * torch.stack([down, across], 1)  # top and left
        mirrored = (turned < 0.5) & augment.flip
        varied = (2 * torch.stack([spread, shift], 1) - 1) * torch.tensor([augment.contrast, augment.brightness])
        light = _sent((varied + torch.tensor([1.0, 0.0])).float(), device)
        rgb = self._squares(numbers, corners.float(), extent.float(), mirrored, batch.side)
        old = drawn[:, -1] < augment.aged
        rows = old[own].nonzero()[:, 0]
        if not len(rows):
            return Batch(rgb, light)
        generator = torch.Generator(device).manual_seed(int(random.integers(2**63)))
        ages = draw_ages(generator, int(old.sum()), batch.side)
        which = (old.cumsum(0) - 1)[own[rows]]  # their rows in `ages`
        rows, which = (_sent(tensor, device) for tensor in (rows, which))
        return Batch(rgb, light, Aged(rows, ages.film[which], ages.light[which], ages.texture[which]))

    def _squares(self, numbers: Tensor, corners: Tensor, extent: Tensor, mirrored: Tensor, side: int) -> Tensor:
        """Crop squares out of photos and resize them to one side, by Pillow's bicubic filter.

        Args:
            numbers: (B,), the photos.
            corners: (B, 2), the top and the left of each square, in pixels of its photo.
            extent: (B,), its side, likewise.
            mirrored: (B,), bool: whether left and right are exchanged.
            side: pixels of the result.

        Returns:
            (B, 3, side, side), uint8, on the device.
        """
        device = self.pixels.device
        sizes = self.sizes[numbers]
        height, width = sizes.amax(0).tolist()
        sizes, corners, extent, mirrored, numbers = (
            _sent(tensor, device) for tensor in (sizes, corners, extent, mirrored, numbers)
        )
        rows = torch.arange(height, device=device).minimum(sizes[:, :1] - 1)  # (B, H)
        columns = torch.arange(width, device=device).minimum(sizes[:, 1:] - 1)  # (B, W)
        starts = self.starts[numbers]
        places = starts[:, None, None] + rows[:, :, None] * sizes[:, 1, None, None] + columns[:, None]
        photos = self.pixels[places].permute(0, 3, 1, 2).float()  # (B, 3, H, W)
        down = _resampling(corners[:, 0], extent, side, sizes[:, 0], height)
        across = _resampling(corners[:, 1], extent, side, sizes[:, 1], width)
        across = torch.where(mirrored[:, None, None], across.flip(1), across)
        narrowed = (photos @ across[:, None].mT).round_().clamp_(0, 255)  # Pillow, too, keeps bytes in between
        return (down[:, None] @ narrowed).round_().clamp_(0, 255).byte()


def _sent(tensor: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor to a device, asynchronously if it is a GPU."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _resampling(start: Tensor, extent: Tensor, side: int, lengths: Tensor, longest: int) -> Tensor:
    """Return the matrix that resizes a part of each row of pixels to `side` pixels, by Pillow's bicubic filter.

    The filter (Keys 1981, a = -0.5) widens with the reduction, and pixels outside the photo do not count.

    Args:
        start: (B,), where the part begins, pixels.
        extent: (B,), how long it is, pixels.
        side: pixels of the result.
        lengths: (B,), how many pixels each row has.
        longest: the largest of `lengths`.

    Returns:
        (B, side, longest); each row sums to 1.
    """
    scale = (extent / side)[:, None, None]
    centers = start[:, None, None] + (torch.arange(side, device=start.device)[:, None] + 0.5) * scale
    pixels = torch.arange(longest, device=start.device)
    distance = ((pixels + 0.5 - centers) / scale.clamp(min=1)).abs()
    inner = ((_CUBIC + 2) * distance - (_CUBIC + 3)) * distance.square() + 1
    outer = _CUBIC * (((distance - 5) * distance + 8) * distance - 4)
    weights = torch.where(distance < 1, inner, torch.where(distance < 2, outer, 0.0))
    weights = torch.where(pixels < lengths[:, None, None], weights, 0.0)
    return weights / weights.sum(-1, keepdim=True)
