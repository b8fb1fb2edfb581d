"""Which of several processes this one is, as `torchrun` says, and what they agree on and average."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from colorgan.errors import TrainingError, UsageError

# The others wait while the primary process validates; a lost process is torchrun's to notice, not a timeout's.
_COLLECTIVE = timedelta(hours=6)
_MEETING = timedelta(minutes=15)
_ATTEMPT = timedelta(seconds=3)  # waits in C++ hear no signal: none may be longer


class Work(Protocol):
    """Something under way between processes."""

    def wait(self) -> object:
        """Go on when it is done."""


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train together; one alone unless `process_group` says otherwise.

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
    def from_environment(cls, variables: Mapping[str, str] = os.environ) -> ProcessGroup:
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
        """Whether this process writes, and speaks for all."""
        return self.rank == 0

    def all_reduce_mean(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the processes; all of one kind, on one device."""
        if self.size == 1 or not tensors:
            return
        self.finish_mean(tensors, *self.start_sum(tensors))

    def start_sum(self, tensors: Sequence[Tensor]) -> tuple[Tensor, Work]:
        """Begin to sum tensors over the processes, all of one kind, on one device, and go on meanwhile.

        Returns:
            All of them one after the other, which are the sums once the second value was waited for.
        """
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        work: Work = dist.all_reduce(flat, async_op=True)
        return flat, work

    def finish_mean(self, tensors: Sequence[Tensor], flat: Tensor, work: Work) -> None:
        """Wait for what `start_sum` began, and replace each tensor by its mean, whatever its memory format."""
        work.wait()
        flat /= self.size
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view(tensor.shape))

    def all_reduce_max(self, values: Sequence[float]) -> list[float]:
        """The highest of each value over the processes; it never waits for a GPU."""
        if self.size == 1:
            return list(values)
        gathered = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(gathered, dist.ReduceOp.MAX)
        return [float(value) for value in gathered]

    def broadcast(self, value: Any) -> Any:
        """What the primary process gives here, JSON-serializable, for all; what others give is ignored."""
        if self.size == 1:
            return value
        text = json.dumps(value).encode() if self.is_primary else b""
        length = torch.tensor([len(text)])
        dist.broadcast(length, 0)
        payload = torch.zeros(int(length), dtype=torch.uint8)
        if self.is_primary:
            payload.copy_(torch.frombuffer(bytearray(text), dtype=torch.uint8))
        dist.broadcast(payload, 0)
        return json.loads(payload.numpy().tobytes())

    def barrier(self) -> None:
        """Go on when all have come here."""
        self.all_reduce_max([0.0])


SINGLE = ProcessGroup()


def restarts() -> int:
    """How often torchrun started these processes again after one was lost."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


@contextmanager
def process_group(device: torch.device, check: Callable[[], None]) -> Iterator[ProcessGroup]:
    """Join the processes that torchrun started, if it did.

    Args:
        device: of this process.
        check: called all the while that the others are waited for, to raise where a signal came.

    Raises:
        UsageError: the environment names several processes that cannot meet.
        TrainingError: they did not come.
    """
    group = ProcessGroup.from_environment()
    if group.size == 1:
        yield SINGLE
        return
    if not {"RANK", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        found = f"WORLD_SIZE={group.size} alone in the environment"
        raise UsageError("processes that torchrun started", found, "Start them with torchrun, or unset WORLD_SIZE.")
    store = _meet(group, check)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=group.rank, world_size=group.size, timeout=_COLLECTIVE)
    try:
        yield group
    finally:
        dist.destroy_process_group()


def _meet(group: ProcessGroup, check: Callable[[], None]) -> Store:
    """Open the processes' common store, and go on when all have come to it."""
    end = time.monotonic() + _MEETING.total_seconds()
    store: Store | None = None
    arrived = 0
    while arrived < group.size:
        check()
        if time.monotonic() > end:
            advice = "See why the others did not start, or give torchrun fewer of them."
            raise TrainingError(f"{group.size} processes to train together", f"{arrived} of them came", advice)
        if store is None and (kept := _connect(group)) is not None:
            # Under the restart's number: torchrun keeps one store, in which lost processes' addresses still stand.
            store = PrefixStore(f"start-{restarts()}", kept)
            store.add("arrived", 1)
        if store is not None:
            arrived = store.add("arrived", 0)
        time.sleep(0.05)
    assert store is not None
    return store


def _connect(group: ProcessGroup) -> Store | None:
    """The store that torchrun keeps, or where there is none the primary process; None where none answers yet."""
    is_kept = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    try:
        return TCPStore(
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            group.size,
            is_master=group.is_primary and not is_kept,
            timeout=_ATTEMPT,
            wait_for_workers=False,
            multi_tenant=True,
        )
    except (dist.DistStoreError, dist.DistNetworkError):
        return None
