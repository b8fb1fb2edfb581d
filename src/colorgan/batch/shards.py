"""One run by several processes: which photos are whose, and what became of them together."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from colorgan.distributed import World, connect
from colorgan.errors import UsageError
from colorgan.images.discovery import stable_hash

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]

_BEAT_S = 2.0
_MOST_SILENCE_S = 120.0  # a rank that gave no sign for so long is not waited for


@dataclass(frozen=True)
class Shard:
    """The part of a run's photos that one process takes.

    Attributes:
        index: of the part, from 0.
        count: of the parts.

    Raises:
        UsageError: there is no such part.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            found = f"{self.index} of {self.count}"
            raise UsageError("a shard below the number of shards", found, "Count from 0.", parameter="shard")

    def has(self, identity: str) -> bool:
        """Whether the photo of that identity is in this part, as every process and every run would say."""
        return self.count == 1 or stable_hash(identity) % self.count == self.index


class RankSummary:
    """Where the processes that `torchrun` started publish their sums, and the first one adds them up.

    Args:
        world: which of them this is.

    Raises:
        Exception: whatever torch raises where the processes' common store cannot be reached.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._store = connect("colorgan")
        self._is_over = threading.Event()
        threading.Thread(target=self._beat, args=(connect("colorgan"),), daemon=True).start()

    def _beat(self, store: Store) -> None:
        while not self._is_over.wait(_BEAT_S):
            store.add(f"beats/{self._world.rank}", 1)

    def publish(self, counts: Mapping[str, int]) -> None:
        """Leave this process's sums for the first."""
        self._store.set(f"sums/{self._world.rank}", json.dumps(counts))

    def total(self, counts: Mapping[str, int], check: Callable[[], None]) -> tuple[Counter[str], list[int]]:
        """Wait for the sums of the others, and add them to this process's.

        Args:
            counts: this process's sums.
            check: called while waiting; raises to stop it.

        Returns:
            The total, and the ranks that fell silent before they published theirs.
        """
        total, silent = Counter(counts), []
        for rank in range(1, self._world.size):
            if self._wait_for(rank, check):
                total.update(json.loads(self._store.get(f"sums/{rank}")))
            else:
                silent.append(rank)
        self._is_over.set()
        return total, silent

    def _wait_for(self, rank: int, check: Callable[[], None]) -> bool:
        beats, since = -1, time.monotonic()
        while not self._store.check([f"sums/{rank}"]):
            check()
            if (now := self._store.add(f"beats/{rank}", 0)) != beats:
                beats, since = now, time.monotonic()
            if time.monotonic() - since > _MOST_SILENCE_S:
                return False
            time.sleep(0.1)
        return True
