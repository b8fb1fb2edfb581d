"""Measure how fast the networks run and train, compared with the machine's own matrix product.

    python benchmarks/speed.py
    python benchmarks/speed.py --data data        # also a training run over a set that `colorgan prepare` wrote

The first table has the time of each network for one photo, and its rate as a share of a matrix product's in the same
number format. The second is on training: photos per second, and the share of time outside forward pass, backward pass
and optimizer (reading, decoding, augmenting, averaging, logging).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from torch.utils.flop_counter import FlopCounterMode

from colorgan.callbacks import Callbacks
from colorgan.data.photoset import PhotoSet
from colorgan.devices import describe_device, has_fast_bf16, resolve_device
from colorgan.models.loading import NETWORKS, build_network
from colorgan.networks.generator import Generator
from colorgan.training.loop import Loop
from colorgan.training.options import RunOptions
from colorgan.training.stages.base import OptimizerOptions
from colorgan.training.stages.supervised import FinetuneStage, make_loss

WARM_UPS = 3


def finish(device: torch.device) -> None:
    """Wait for pending work on the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def median_s(run: Callable[[], object], device: torch.device, budget_s: float) -> float:
    """Return the median time of a call, of as many as the budget allows, at least three."""
    for _ in range(WARM_UPS):
        run()
    finish(device)
    times: list[float] = []
    while len(times) < 3 or sum(times) < budget_s:
        begun = time.perf_counter()
        run()
        finish(device)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def matrix_product_gflops(dtype: torch.dtype, device: torch.device, budget_s: float) -> float:
    """Return the GFLOP/s of a square matrix product, an upper bound for networks."""
    side = 8192 if device.type == "cuda" else 2048
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    return 2e-9 * side**3 / median_s(lambda: left @ right, device, budget_s)


@torch.inference_mode()
def time_forward(name: str, dtype: torch.dtype, device: torch.device, args: argparse.Namespace) -> tuple[float, float]:
    """Return the GFLOP and seconds of a network for one photo."""
    generator: Generator = build_network(name, {}).eval().to(device)
    bf16 = dtype is torch.bfloat16
    if bf16:
        generator = generator.to(memory_format=torch.channels_last)
    L = torch.rand(1, 1, args.size, args.size, device=device) * 100

    def forward() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            generator(L)

    with FlopCounterMode(display=False) as counter:
        forward()
    return counter.get_total_flops() / 1e9, median_s(forward, device, args.seconds)


def print_forward(device: torch.device, args: argparse.Namespace) -> None:
    """Print the first table."""
    print(f"\nforward, one photo at {args.size} x {args.size}")
    header = f"{'network':<10}{'GFLOP':>9}{'ms':>10}{'GFLOP/s':>11}{'mat. prod.':>13}{'share':>9}{'x eccv16':>10}"
    for dtype in [torch.float32] + [torch.bfloat16] * has_fast_bf16(device):
        peak = matrix_product_gflops(dtype, device, args.seconds)
        print(f"{str(dtype).removeprefix('torch.')}\n{header}")
        first_s = 0.0  # the table of networks begins with ECCV16
        for name in NETWORKS:
            gflop, elapsed_s = time_forward(name, dtype, device, args)
            first_s = first_s or elapsed_s
            rate, times = gflop / elapsed_s, first_s / elapsed_s
            row = f"{name:<10}{gflop:>9.2f}{1e3 * elapsed_s:>10.1f}{rate:>11.0f}{peak:>13.0f}{rate / peak:>9.0%}"
            print(f"{row}{times:>10.1f}", flush=True)


class TimedStage:
    """A stage that records when each step began and ended, and its time for averaging weights.

    Args:
        stage: the stage that is trained.
        device: its device, which is synchronized before and after each step.
    """

    name = FinetuneStage.name

    def __init__(self, stage: FinetuneStage, device: torch.device) -> None:
        self.stage, self.device = stage, device
        self.networks, self.optimizers = stage.networks, stage.optimizers
        self.begun_s: list[float] = []
        self.ended_s: list[float] = []
        self.averaging_s: list[float] = []
        self.epoch_ends: set[int] = set()
        self.temperature = stage.temperature
        self._move = stage.optimized._move_average
        stage.optimized._move_average = self._average  # type: ignore[method-assign]

    def _now(self) -> float:
        finish(self.device)
        return time.perf_counter()

    def _average(self, average: AveragedModel) -> None:
        begun_s = self._now()
        self._move(average)
        self.averaging_s[-1] += self._now() - begun_s

    def step(self, L: Tensor, ab: Tensor) -> dict[str, Tensor]:
        """Make the stage's step, and time it."""
        self.averaging_s.append(0.0)
        self.begun_s.append(self._now())
        terms = self.stage.step(L, ab)
        self.ended_s.append(self._now())
        return terms

    def eval_network(self) -> Generator:
        """Return the stage's generator; it is requested at the end of an epoch, for validation, which is not timed."""
        self.epoch_ends.add(len(self.begun_s) - 1)
        return self.stage.eval_network()

    def shares(self) -> tuple[float, float]:
        """Return steps per second within epochs, and the share of time outside forward, backward and optimizer."""
        steps = [i for i in range(WARM_UPS, len(self.begun_s) - 1) if i not in self.epoch_ends]
        if not steps:
            raise SystemExit("Too few steps to measure: give a larger set, a smaller --batch-size or more time.")
        whole_s = sum(self.begun_s[i + 1] - self.begun_s[i] for i in steps)
        inside_s = sum(self.ended_s[i] - self.begun_s[i] - self.averaging_s[i] for i in steps)
        return len(steps) / whole_s, 1 - inside_s / whole_s


def train(photos: PhotoSet, device: torch.device, args: argparse.Namespace) -> TimedStage:
    """Train `liteunet` for a while with the project's own loop, into a temporary folder."""
    bf16 = has_fast_bf16(device)
    generator = build_network("liteunet", {}).to(device)
    if bf16:
        generator = generator.to(memory_format=torch.channels_last)
    optimizer = OptimizerOptions(lr=1e-3, clip_norm=1.0, ema=0.999, bf16=bf16)
    stage = TimedStage(FinetuneStage(generator, make_loss("bins", photos.prior, 0.25), optimizer), device)
    options = RunOptions(
        epochs=1000,
        max_minutes=args.train_seconds / 60,
        batch_size=args.batch_size,
        size=args.train_size,
        schedule="cosine",
        warmup=0.05,
        workers=args.workers,
        val_photos=args.batch_size,
    )
    with tempfile.TemporaryDirectory() as folder:
        Loop(stage, photos, Path(folder), options, device, lambda name, trained, figures: None, Callbacks()).run()
    return stage


def print_training(device: torch.device, args: argparse.Namespace) -> None:
    """Print the second table."""
    stage = train(PhotoSet.open(args.data), device, args)
    steps_per_s, outside = stage.shares()
    kind = "bfloat16" if has_fast_bf16(device) else "float32"
    print(
        f"\ntraining liteunet at {args.train_size} x {args.train_size}, batch {args.batch_size}, {kind}, bins loss, EMA"
    )
    print(
        f"{len(stage.begun_s)} steps: {steps_per_s * args.batch_size:.1f} photos/s, {outside:.1%} of the time outside"
    )
    print("forward, backward and optimizer (aim: under 5%)")


def main() -> None:
    """Read the options and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's own choice)")
    parser.add_argument("--size", type=int, default=256, help="side of the photo, pixels (default: 256)")
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each measurement (default: 3)")
    parser.add_argument("--data", type=Path, help="a set to train on; without it nothing is trained")
    parser.add_argument("--train-size", type=int, default=128, help="side of a training photo, pixels (default: 128)")
    parser.add_argument("--train-seconds", type=float, default=30.0, help="time spent on training (default: 30)")
    parser.add_argument("--batch-size", type=int, default=16, help="photos in a step (default: 16)")
    parser.add_argument("--workers", type=int, default=0, help="processes that decode photos (default: 0)")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    device = resolve_device(args.device)
    print(f"torch {torch.__version__}, {describe_device(device)}")
    print_forward(device, args)
    if args.data:
        print_training(device, args)


if __name__ == "__main__":
    main()
