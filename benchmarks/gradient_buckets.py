"""Measure the share of a step that two ranks wait for each other's gradients, with and without overlap.

    python benchmarks/gradient_buckets.py                    # 32M parameters, 1 GB/s
    python benchmarks/gradient_buckets.py --rate 0.25

Both ranks are processes on this machine, connected by gloo, with one thread each. The network is simulated: a sum is
done once its bytes would have been transferred at the given rate, one bucket after the other. The waiting time is that
between the end of the backward pass and the optimizer's step: unfinished sums, and copies.
Steps with and without overlap alternate, so that other load affects both.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import socket
import statistics
import time
from collections.abc import Sequence
from contextlib import nullcontext

import torch
import torch.distributed as dist
from torch import Tensor, nn

from colorgan.distributed import ProcessGroup, Work
from colorgan.training.stages.base import OptimizedNetwork, OptimizerOptions

RANKS = 2
CHANNELS = 512  # with 14 convolutions of 3 x 3, 33M parameters


class SlowGroup(ProcessGroup):
    """A process group with a simulated transfer rate, bytes per second."""

    rate = 1e9
    free_at = 0.0

    def start_sum(self, tensors: Sequence[Tensor]) -> tuple[Tensor, Work]:
        """Start a sum, and compute when its transfer would end."""
        flat, work = super().start_sum(tensors)
        SlowGroup.free_at = max(SlowGroup.free_at, time.perf_counter()) + flat.nbytes / SlowGroup.rate
        return flat, SlowWork(work, SlowGroup.free_at)


class SlowWork:
    """A sum that is not done before the end of its simulated transfer."""

    def __init__(self, work: Work, done_at: float) -> None:
        self.work, self.done_at = work, done_at

    def wait(self) -> None:
        """Wait for the sum itself, and for the end of its transfer."""
        self.work.wait()
        time.sleep(max(0.0, self.done_at - time.perf_counter()))


def network() -> nn.Module:
    """Return a network of equal convolutions."""
    return nn.Sequential(*(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(14)))


def step(optimized: OptimizedNetwork, batch: Tensor, overlaps: bool) -> tuple[float, float]:
    """Make a training step; return its seconds, and how many of them were spent waiting."""
    averaged_at: list[float] = []
    hook = optimized.optimizer.register_step_pre_hook(lambda *_: averaged_at.append(time.perf_counter()))
    dist.barrier()
    begun = time.perf_counter()
    loss = optimized.network(batch).square().mean()
    with optimized.last_backward() if overlaps else nullcontext():
        loss.backward()
    computed_at = time.perf_counter()
    optimized.step()
    hook.remove()
    return time.perf_counter() - begun, averaged_at[0] - computed_at


def measure(rank: int, port: int, arguments: argparse.Namespace) -> None:
    """Measure in one rank; the first one prints the results."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=RANKS)
    SlowGroup.rate = 1e9 * arguments.rate
    torch.manual_seed(0)
    optimized = OptimizedNetwork(network(), OptimizerOptions(lr=1e-5), SlowGroup(rank, RANKS))
    batch = torch.randn(arguments.batch, CHANNELS, arguments.side, arguments.side)
    shares: dict[bool, list[float]] = {False: [], True: []}
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 + 2 * arguments.steps):
        overlaps = bool(number % 2)
        step_s, waited_s = step(optimized, batch, overlaps)
        if number > 1:  # the first step of each kind is slower
            shares[overlaps].append(waited_s / step_s)
            seconds[overlaps].append(step_s)
    dist.destroy_process_group()
    if rank == 0:
        parameters = sum(parameter.numel() for parameter in optimized.network.parameters())
        print(
            f"{parameters / 1e6:.1f}M parameters, {RANKS} ranks, {arguments.rate:g} GB/s, {arguments.steps} steps each"
        )
        for overlaps, name in ((False, "afterwards"), (True, "meanwhile")):
            share, step_s = statistics.median(shares[overlaps]), statistics.median(seconds[overlaps])
            print(f"{name:12} waits {100 * share:5.1f}% of a step of {step_s:.2f} s (median)")
        print(
            f"of the waiting, overlap leaves {statistics.median(shares[True]) / statistics.median(shares[False]):.2f}"
        )


def main() -> None:
    """Start the ranks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=1.0, help="GB/s of the wire")
    parser.add_argument("--steps", type=int, default=5, help="of each kind")
    parser.add_argument("--batch", type=int, default=4, help="photos of a rank")
    parser.add_argument("--side", type=int, default=8, help="of the convolutions' input, pixels")
    arguments = parser.parse_args()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = int(listening.getsockname()[1])
    context = multiprocessing.get_context("spawn")
    ranks = [context.Process(target=measure, args=(rank, port, arguments)) for rank in range(RANKS)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()


if __name__ == "__main__":
    main()
