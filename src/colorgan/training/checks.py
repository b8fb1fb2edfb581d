"""What is looked at before a run begins: whether its options fit the set and the processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from colorgan.callbacks import Callbacks
from colorgan.data.photoset import PhotoSet
from colorgan.data.plan import EpochPlan
from colorgan.errors import UsageError
from colorgan.training.options import SMALLEST_SIDE_PX, RunOptions


def check_options(data: Path, photos: PhotoSet, options: RunOptions) -> None:
    """Refuse a set without validation photos, and squares whose sides cannot be.

    Raises:
        UsageError: one of these.
    """
    if not len(photos.val):
        raise UsageError(f"validation photos in {data}", "none", "Prepare the set with a larger `val_fraction`.")
    if options.size_min and not SMALLEST_SIDE_PX <= options.size_min <= options.size:
        expected = f"a `size_min` of {SMALLEST_SIDE_PX} up to the `size`, {options.size}"
        raise UsageError(expected, str(options.size_min), "Give 0 for squares of one size.", parameter="size_min")


def check_shares(plan: EpochPlan) -> None:
    """Refuse batches of which a process would get another number of photos than the others, or none."""
    drawn = len(plan.order)
    if plan.ranks > 1 and (plan.batch_size % plan.ranks or drawn < plan.batch_size):
        raise UsageError(
            f"a `batch_size` that {plan.ranks} processes can share, of at most {drawn} photos",
            str(plan.batch_size),
            f"Give a multiple of {plan.ranks}; it counts the photos of all processes together.",
            parameter="batch_size",
        )


def warn_of_small_photos(photos: PhotoSet, size: int, callbacks: Callbacks) -> None:
    """Say that most squares will be blurred, since a square is at most its photo's short side, enlarged to `size`."""
    short_sides = np.minimum(photos.train.index["height"], photos.train.index["width"])
    smaller = int((short_sides < size).sum())
    if 2 * smaller > len(short_sides):
        advice = f"Prepare larger ones, or give a `size` of up to {int(np.median(short_sides))}."
        found = f"{smaller} of {len(short_sides)} photos are smaller than `size={size}` and enlarged."
        callbacks.on_warning(f"{found} {advice}")
