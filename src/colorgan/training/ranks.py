"""One process or several (torchrun): who writes, what all agree on, and what is averaged between them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from colorgan.devices import resolve_device
from colorgan.distributed import World
from colorgan.errors import UsageError

# The others wait while the leader validates; a lost process is torchrun's to notice, not a timeout's.
_PATIENCE = timedelta(hours=6)


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train together; alone unless `joined` says otherwise.

    Attributes:
        rank: this one, from 0.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def leader(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the ranks; all of one kind, on one device."""
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.count
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view(tensor.shape))

    def highest(self, values: Sequence[float]) -> list[float]:
        """The highest of each value over the ranks; it never waits for a GPU."""
        if self.count == 1:
            return list(values)
        gathered = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(gathered, dist.ReduceOp.MAX)
        return [float(value) for value in gathered]

    def from_leader(self, value: Any) -> Any:
        """What the leader gives here, JSON-serializable, for all; what others give is ignored."""
        if self.count == 1:
            return value
        text = json.dumps(value).encode() if self.leader else b""
        length = torch.tensor([len(text)])
        dist.broadcast(length, 0)
        payload = torch.zeros(int(length), dtype=torch.uint8)
        if self.leader:
            payload.copy_(torch.frombuffer(bytearray(text), dtype=torch.uint8))
        dist.broadcast(payload, 0)
        return json.loads(payload.numpy().tobytes())

    def wait(self) -> None:
        """Go on when all have come here."""
        self.highest([0.0])


SINGLE = ProcessGroup()


def _restarts() -> int:
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def restarted() -> bool:
    """Whether torchrun started these processes again after one was lost."""
    return _restarts() > 0


@contextmanager
def joined(device_name: str) -> Iterator[tuple[ProcessGroup, torch.device]]:
    """Join the processes that torchrun started, if it did.

    Args:
        device_name: as in the options; on CUDA each process of a machine takes a GPU of its own.

    Yields:
        The ranks, and this one's device.

    Raises:
        DeviceError: no device of that name is here.
        UsageError: the environment names several processes that cannot meet.
    """
    count = World.from_environment().size
    if count > 1 and not {"RANK", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys():
        found = f"WORLD_SIZE={count} alone in the environment"
        raise UsageError("processes that torchrun started", found, "Start them with torchrun, or unset WORLD_SIZE.")
    device = resolve_device(device_name)
    if count == 1:
        yield SINGLE, device
        return
    if device.type == "cuda":
        device = resolve_device(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(device)
    store, rank, count = next(rendezvous("env://"))
    # Under the restart's number: torchrun keeps one store, in which the lost processes' addresses still stand.
    store = dist.PrefixStore(f"start-{_restarts()}", store)  # type: ignore[attr-defined]
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=_PATIENCE)
    try:
        yield ProcessGroup(dist.get_rank(), count), device
    finally:
        dist.destroy_process_group()
