"""One run on several machines: which photos are whose, and what became of them together.

`torchrun` says in the environment who of how many this process is. With RANK and WORLD_SIZE alone, as in a job array,
each process takes its share and prints its own sums.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from colorgan.errors import UsageError
from colorgan.images.discovery import path_number

if TYPE_CHECKING:
    from torch.distributed import Store  # type: ignore[attr-defined]

_BEAT_S = 2.0
_MOST_SILENCE_S = 120.0  # a rank that gave no sign for so long is not waited for
_CONNECT_S = 60.0


@dataclass(frozen=True)
class Share:
    """The part of a run's photos that is this process's.

    Attributes:
        rank: of this process, from 0.
        ranks: how many there are.
        local_rank: of this process on its machine, from 0.
        local_ranks: how many there are on this machine.
    """

    rank: int = 0
    ranks: int = 1
    local_rank: int = 0
    local_ranks: int = 1

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] = os.environ) -> Share:
        """The share that RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE give; without them, all of it.

        Raises:
            UsageError: values that cannot be.
        """
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        texts = [variables.get(name, default) for name, default in zip(names, "0101", strict=True)]
        found = ", ".join(f"{name}={text}" for name, text in zip(names, texts, strict=True))
        try:
            share = cls(*map(int, texts))
        except ValueError:
            share = cls(1, 0)
        if not (0 <= share.rank < share.ranks and 0 <= share.local_rank < share.local_ranks):
            raise UsageError("a rank below the number of ranks", found, "Start it with torchrun, or unset them.")
        return share

    def has(self, identity: str) -> bool:
        """Whether the photo of that identity is in this share, as every rank and every run would say."""
        return self.ranks == 1 or path_number(identity) % self.ranks == self.rank

    @property
    def is_first(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0


class Meeting:
    """Where the ranks of a run that `torchrun` started leave their sums, and the first one adds them up.

    Args:
        share: whose this is.

    Raises:
        Exception: whatever torch raises where the ranks' common store cannot be reached.
    """

    def __init__(self, share: Share) -> None:
        self._share = share
        self._store = _connect()
        self._left = threading.Event()
        threading.Thread(target=self._beat, args=(_connect(),), daemon=True).start()

    def _beat(self, store: Store) -> None:
        while not self._left.wait(_BEAT_S):
            store.add(f"beats/{self._share.rank}", 1)

    def leave(self, counts: Mapping[str, int]) -> None:
        """Leave this rank's sums for the first."""
        self._store.set(f"sums/{self._share.rank}", json.dumps(counts))

    def total(self, counts: Mapping[str, int], check: Callable[[], None]) -> tuple[Counter[str], list[int]]:
        """Wait for the sums of the others, and add them to this rank's.

        Args:
            counts: this rank's sums.
            check: called while waiting; raises to stop it.

        Returns:
            The total, and the ranks that fell silent before they left theirs.
        """
        total, silent = Counter(counts), []
        for rank in range(1, self._share.ranks):
            if self._wait_for(rank, check):
                total.update(json.loads(self._store.get(f"sums/{rank}")))
            else:
                silent.append(rank)
        self._left.set()
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


def is_started_by_torchrun(variables: Mapping[str, str] = os.environ) -> bool:
    """Whether there is a place where the ranks of this run can meet."""
    return "TORCHELASTIC_RUN_ID" in variables and "MASTER_ADDR" in variables


def _connect() -> Store:
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]
    from torch.distributed.rendezvous import rendezvous

    store, _, _ = next(rendezvous("env://", timeout=timedelta(seconds=_CONNECT_S)))
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return PrefixStore(f"colorgan/{attempt}", store)
