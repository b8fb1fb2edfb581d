"""The group of processes that `torchrun` started: ranks, rendezvous and collective operations."""

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

# Long, since the others wait while the primary process validates; lost processes are noticed by torchrun.
_COLLECTIVE_TIMEOUT = timedelta(hours=6)
_RENDEZVOUS_TIMEOUT = timedelta(minutes=15)
_CONNECT_TIMEOUT = timedelta(seconds=3)  # short, since Python handles no signal while C++ waits


class Work(Protocol):
    """An asynchronous collective operation."""

    def wait(self) -> object:
        """Wait until it is complete."""


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train together; by default a single one.

    Attributes:
        rank: rank of this process, from 0.
        size: number of processes.
        local_rank: rank of this process on its machine, from 0.
        local_size: number of processes on this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] = os.environ) -> ProcessGroup:
        """Return the group given by RANK, WORLD_SIZE, LOCAL_RANK and LOCAL_WORLD_SIZE; without them, a single process.

        Raises:
            UsageError: a value is no number, or a rank is not below its size.
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
            raise UsageError("a rank below the number of processes", found, "Start it with torchrun, or unset them.")
        return cls(rank, size, local_rank, local_size)

    @property
    def is_primary(self) -> bool:
        """Whether this process alone writes files and reports progress."""
        return self.rank == 0

    def all_reduce_mean(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the processes; all of one data type, on one device."""
        if self.size == 1 or not tensors:
            return
        self.finish_mean(tensors, *self.start_sum(tensors))

    def start_sum(self, tensors: Sequence[Tensor]) -> tuple[Tensor, Work]:
        """Start to sum tensors over the processes, asynchronously; all of one data type, on one device.

        Returns:
            The flattened tensors in one, which holds the sums after `wait` of the second value.
        """
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        work: Work = dist.all_reduce(flat, async_op=True)
        return flat, work

    def finish_mean(self, tensors: Sequence[Tensor], flat: Tensor, work: Work) -> None:
        """Wait for the sum that `start_sum` returned, and replace each tensor by its mean, in its own memory format."""
        work.wait()
        flat /= self.size
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view(tensor.shape))

    def all_reduce_max(self, values: Sequence[float]) -> list[float]:
        """Return the maximum of each value over the processes, without waiting for a GPU."""
        if self.size == 1:
            return list(values)
        gathered = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(gathered, dist.ReduceOp.MAX)
        return [float(value) for value in gathered]

    def broadcast(self, value: Any) -> Any:
        """Return the primary process's `value` in all processes; it has to be JSON-serializable."""
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
        """Wait until all processes have called this."""
        self.all_reduce_max([0.0])


SINGLE = ProcessGroup()


def restarts() -> int:
    """Return how often torchrun has restarted these processes after one was lost."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


@contextmanager
def process_group(device: torch.device, check: Callable[[], None]) -> Iterator[ProcessGroup]:
    """Join the group of processes that torchrun started, or yield `SINGLE` if it started none.

    Args:
        device: the device of this process.
        check: called while waiting for the others; raises to stop.

    Raises:
        UsageError: the environment has WORLD_SIZE, but not the address of the others.
        TrainingError: the others did not join in time.
    """
    group = ProcessGroup.from_environment()
    if group.size == 1:
        yield SINGLE
        return
    if not {"RANK", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        found = f"only WORLD_SIZE={group.size} in the environment"
        raise UsageError("processes that torchrun started", found, "Start them with torchrun, or unset WORLD_SIZE.")
    store = _rendezvous(group, check)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=group.rank, world_size=group.size, timeout=_COLLECTIVE_TIMEOUT)
    try:
        yield group
    finally:
        dist.destroy_process_group()


def _rendezvous(group: ProcessGroup, check: Callable[[], None]) -> Store:
    """Connect to the processes' common store, and return it once all have connected."""
    end = time.monotonic() + _RENDEZVOUS_TIMEOUT.total_seconds()
    store: Store | None = None
    arrived = 0
    while arrived < group.size:
        check()
        if time.monotonic() > end:
            advice = "Check why the others did not start, or start fewer with torchrun."
            raise TrainingError(f"{group.size} processes to train together", f"only {arrived} started", advice)
        if store is None and (shared := _connect(group)) is not None:
            # Under the restart's number: torchrun reuses its store, which still has the addresses of lost processes.
            store = PrefixStore(f"start-{restarts()}", shared)
            store.add("arrived", 1)
        if store is not None:
            arrived = store.add("arrived", 0)
        time.sleep(0.05)
    assert store is not None
    return store


def _connect(group: ProcessGroup) -> Store | None:
    """Connect to the store of torchrun's agent, or if it has none, of the primary process; None if none answers yet."""
    has_agent_store = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    try:
        return TCPStore(
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            group.size,
            is_master=group.is_primary and not has_agent_store,
            timeout=_CONNECT_TIMEOUT,
            wait_for_workers=False,
            multi_tenant=True,
        )
    except (dist.DistStoreError, dist.DistNetworkError):
        return None
