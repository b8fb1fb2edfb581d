"""The plan of an epoch: which photos each batch holds, and how large its squares are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
import numpy.typing as npt

from colorgan.errors import UsageError

SIZE_STEP_PX = 16
WINDOW_SHARDS = 4  # that are shuffled together, if each process reads its own shards

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sides:
    """The side of each batch's squares, pixels.

    Attributes:
        largest: the largest side of any batch.
        smallest: sides are drawn from `largest`, `largest` - 16 and so on down to this; 0 for `largest` alone.
    """

    largest: int
    smallest: int = 0

    def draw(self, seed: int, epoch: int, batch: int) -> int:
        """Draw the side of a batch, which depends on the arguments alone."""
        if not self.smallest:
            return self.largest
        sides = range(self.largest, self.smallest - 1, -SIZE_STEP_PX)
        return sides[int(np.random.default_rng((seed, epoch, batch, 1)).integers(len(sides)))]


class PhotoOrder:
    """The order of the photos in an epoch, and how often each is drawn.

    Args:
        photos: the number of photos.
        weights: how often each is drawn in an epoch, (photos,); None for once each. With a fraction, the photos that
            are drawn once more are others in each epoch.
    """

    def __init__(self, photos: int, weights: npt.NDArray[np.float64] | None = None) -> None:
        weights = np.ones(photos) if weights is None else weights
        self._groups: list[tuple[Numbers, int]] = []  # photos of one weight, and how many draws they get together
        for weight in np.unique(weights):
            members = np.flatnonzero(weights == weight)
            self._groups.append((members, round(float(weight) * len(members))))

    def __len__(self) -> int:
        """Return how many photos an epoch draws."""
        return sum(draws for _, draws in self._groups)

    def draw(self, seed: int, epoch: int) -> Numbers:
        """Draw the photos of an epoch, by their positions in the split."""
        random = np.random.default_rng((seed, epoch))
        drawn = []
        for members, draws in self._groups:
            whole, more = divmod(draws, len(members))
            drawn += [np.tile(members, whole), random.choice(members, more, replace=False)]
        return random.permutation(np.concatenate(drawn))


def source_weights(sources: Sequence[str], weights: Mapping[str, float]) -> npt.NDArray[np.float64]:
    """Return how often each photo is drawn, given the weights of the sources.

    Args:
        sources: the name of each photo's source.
        weights: by source, with or without its suffix; a source that is missing has 1.

    Returns:
        (photos,), draws in an epoch, 0 up.

    Raises:
        UsageError: a name is no source's, or the weights leave no photo.
    """
    names = sorted(set(sources))
    factors = dict.fromkeys(names, 1.0)
    for given, weight in weights.items():
        named = [name for name in names if given in (name, PurePath(name).stem)]
        if not named:
            raise UsageError(f"a source named {given}", f"the set's are {', '.join(names)}", "Correct the weight.")
        factors |= dict.fromkeys(named, weight)
    drawn = np.array([factors[source] for source in sources], np.float64)
    if not len(PhotoOrder(len(drawn), drawn)):
        advice = "Give one source a weight that draws some of its photos."
        raise UsageError("weights that leave photos to train on", "no photo is drawn in an epoch", advice)
    return drawn


@dataclass(frozen=True)
class BatchPlan:
    """The photos of a batch.

    Attributes:
        epoch: its epoch.
        batch: its number in the epoch, from 0.
        side: the side of its squares, pixels.
        positions: its photos, by their positions in the epoch.
        numbers: its photos, by their positions in the split.
    """

    epoch: int
    batch: int
    side: int
    positions: list[int]
    numbers: list[int]


@dataclass(frozen=True)
class EpochPlan:
    """The plan of all batches of a run.

    Attributes:
        order: the order of the photos.
        batch_size: photos in a batch, over all ranks.
        sides: the sides of the squares, equal within a batch.
        seed: the seed of the order and of all other random choices.
        rank: the rank of this process; together the processes get the batches that a single one would.
        ranks: the number of processes.
        drop_last: leave out an epoch's last batch if it would hold fewer photos than the others.
        shards: (photos,), the shard of each photo, if each process is to read its own shards: the batches of several
            processes then differ from those of one.
    """

    order: PhotoOrder
    batch_size: int
    sides: Sides
    seed: int
    rank: int = 0
    ranks: int = 1
    drop_last: bool = True
    shards: Numbers | None = None

    def __len__(self) -> int:
        """Return the number of batches in an epoch, at least one; several ranks cannot share an incomplete last one."""
        whole, rest = divmod(len(self.order), self.batch_size)
        return whole + bool(rest and not (whole and (self.drop_last or self.ranks > 1)))

    def photos_in(self, batch: int) -> int:
        """Return how many photos a batch of an epoch holds, over all ranks."""
        return min(self.batch_size, len(self.order) - batch * self.batch_size)

    def batches(self, epoch: int, first_batch: int = 0) -> Iterator[BatchPlan]:
        """Yield the batches of an epoch from `first_batch` on, each with this rank's share of its photos."""
        own = self.photos_of(epoch)
        for batch in range(first_batch, len(self)):
            start, side = batch * self.batch_size, self.sides.draw(self.seed, epoch, batch)
            numbers = own[batch * self.share :][: self.share].tolist()
            positions = list(range(start, start + self.batch_size))[self.rank :: self.ranks][: len(numbers)]
            yield BatchPlan(epoch, batch, side, positions, numbers)

    @property
    def share(self) -> int:
        """How many photos of a batch are this rank's; fewer of an incomplete one."""
        return self.batch_size // self.ranks

    def photos_of(self, epoch: int) -> Numbers:
        """Return this rank's photos of an epoch in order, by their positions in the split."""
        drawn = self.order.draw(self.seed, epoch)
        if self.shards is None:
            return drawn[self.rank :: self.ranks]
        return drawn[self._windowed(self.shards[drawn], epoch)]

    def _windowed(self, shards: Numbers, epoch: int) -> Numbers:
        """Return this rank's draws in order: shards are shuffled, and their photos within windows of shards.

        Args:
            shards: (draws,), the shard of each draw; the draws are in random order.
            epoch: part of the seed.
        """
        random = np.random.default_rng((self.seed, epoch, 3))
        places = random.permutation(int(shards.max()) + 1)[shards]
        by_shard = np.argsort(places, kind="stable")
        count = min(len(self) * self.share, len(shards))
        own = by_shard[self.rank * count :][:count]  # a shard on the border is read by two ranks
        _, nth = np.unique(places[own], return_inverse=True)
        return own[np.lexsort((own, nth // WINDOW_SHARDS))]
