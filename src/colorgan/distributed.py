"""Which of several processes this one is, as `torchrun` says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from colorgan.errors import UsageError


@dataclass(frozen=True)
class World:
    """The processes of a run.

    Attributes:
        rank: of this process, from 0.
        size: how many there are.
        local_rank: of this process on its machine, from 0.
        local_size: how many there are on this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] = os.environ) -> World:
        """What RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE say; without them, one process alone.

        Raises:
            UsageError: values that cannot be.
        """
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        texts = [variables.get(name, default) for name, default in zip(names, "0101", strict=True)]
        try:
            rank, size, local_rank, local_size = map(int, texts)
            is_possible = 0 <= rank < size and 0 <= local_rank < local_size
        except ValueError:
            is_possible = False
        if not is_possible:
            found = ", ".join(f"{name}={text}" for name, text in zip(names, texts, strict=True))
            raise UsageError("a rank below the number of ranks", found, "Start it with torchrun, or unset them.")
        return cls(rank, size, local_rank, local_size)

    @property
    def is_primary(self) -> bool:
        """Whether this process speaks for all."""
        return self.rank == 0
