"""Compare the speed of an adversarial step with that of the published report's pseudo-code.

    python benchmarks/gan_step.py            # on the CPU: both steps in turn, with equal losses
    python benchmarks/gan_step.py --device cuda    # photos per second too, and how long the report's run takes

The pseudo-code runs the generator twice in a step, the discriminator on true and predicted colors separately, and
computes unused gradients of the discriminator's weights in the generator's half. The perceptual network has random
weights here, since its time does not depend on them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from colorgan.devices import describe_device, has_fast_bf16, resolve_device
from colorgan.models.loading import build_network
from colorgan.networks.patchgan import PatchGAN
from colorgan.networks.vgg19 import VGG19
from colorgan.training.stages.adversarial import GanNetworks, GanStage
from colorgan.training.stages.base import OptimizerOptions
from colorgan.training.stages.gan_losses import Perceptual
from colorgan.training.train_options import TrainOptions

REPORT_PHOTOS = 50 * 50 * 1300  # epochs x classes x photos of each, for which it names 18 to 20 hours
BATCHES = (16, 32, 64, 128, 256)


class PseudoCodeStage(GanStage):
    """The same losses and optimizers in the order of the report's pseudo-code."""

    def step(self, L: Tensor, ab: Tensor) -> dict[str, Tensor]:
        """Learn from one batch."""
        d_optimizer, g_optimizer = self.d_optimized.optimizer, self.optimized.optimizer
        self.generator.train()
        d_optimizer.zero_grad()
        fake = self.generator(L).ab
        real_logits, fake_logits = self.discriminator(L, ab), self.discriminator(L, fake.detach())
        d_loss = self.adversarial.discriminator_loss(real_logits, fake_logits, self.options.real_label).loss
        d_loss.backward()
        d_optimizer.step()
        g_optimizer.zero_grad()
        fake = self.generator(L).ab
        assert self.perceptual
        g_loss = (
            self.options.lambda_adversarial * self.adversarial.generator_loss(self.discriminator(L, fake), None)
            + self.options.lambda_l1 * F.l1_loss(fake, ab)
            + self.options.lambda_perceptual * self.perceptual(L, fake, ab)
        )
        g_loss.backward()
        g_optimizer.step()
        return {"d_loss": d_loss.detach(), "g_loss": g_loss.detach()}


def make_stage(kind: type[GanStage], network: str, device: torch.device, bf16: bool) -> GanStage:
    """Return a stage with the report's losses, and with the same random weights each time."""
    torch.manual_seed(0)
    kept = torch.channels_last if bf16 else torch.contiguous_format
    generator = build_network(network, {}).to(device, memory_format=kept)
    discriminator = PatchGAN("batch").to(device, memory_format=kept)
    features = VGG19().requires_grad_(False).eval().to(device, memory_format=kept)
    # A hundredth of the report's rates: at those, rounding errors would soon change the losses of random weights.
    g_optimizer, d_optimizer = (OptimizerOptions(lr, betas=(0.5, 0.999), bf16=bf16) for lr in (2e-6, 1e-6))
    return kind(
        GanNetworks(generator, discriminator, Perceptual(features, bf16)),
        TrainOptions(real_label=1.0, g_twice=False),
        g_optimizer,
        d_optimizer,
    )


def batch_of(count: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return random L and ab."""
    random = torch.Generator().manual_seed(1)
    L = torch.rand(count, 1, size, size, generator=random) * 100
    return L.to(device), (25 * torch.randn(count, 2, size, size, generator=random)).to(device)


def seconds_of(stage: GanStage, batch: tuple[Tensor, Tensor]) -> tuple[float, dict[str, Tensor]]:
    """Return the seconds of a step, including pending work on the GPU, and its losses."""
    begun = time.perf_counter()
    terms = stage.step(*batch)
    if batch[0].is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - begun, terms


@torch.inference_mode()
def gflop_of(stage: GanStage, batch: tuple[Tensor, Tensor]) -> tuple[float, float]:
    """Return the GFLOP of our step and of the pseudo-code's; each gradient is counted like a forward pass."""
    L, ab = batch
    assert stage.perceptual

    def forward(run: Callable[[], object]) -> float:
        with FlopCounterMode(display=False) as counter:
            run()
        return counter.get_total_flops() / 1e9

    g = forward(lambda: stage.generator(L))
    d = forward(lambda: stage.discriminator(L, ab))
    v = forward(lambda: stage.perceptual.features(torch.cat([L, ab], 1)))
    # Forward and both gradients of each pass; for the discriminator in the generator's half, only the input's; for the
    # perceptual network, two forward passes and one gradient of the input.
    return 3 * g + (3 + 3 + 2) * d + 3 * v, (1 + 3) * g + (3 + 3 + 3) * d + 3 * v


def compare(network: str, args: argparse.Namespace, device: torch.device) -> None:
    """Time both steps alternately, in float32, so that other load affects both."""
    stages = {kind: make_stage(kind, network, device, bf16=False) for kind in (GanStage, PseudoCodeStage)}
    batch = batch_of(args.batch_size, args.size, device)
    times: dict[type[GanStage], list[float]] = {kind: [] for kind in stages}
    for number in range(args.steps):
        losses = []
        for kind, stage in stages.items():
            elapsed_s, terms = seconds_of(stage, batch)
            times[kind].append(elapsed_s)
            losses.append(torch.stack([terms["d_loss"], terms["g_loss"]]))
        if not torch.allclose(*losses, rtol=args.tolerance):
            raise SystemExit(f"step {number}: the losses differ: {losses[0].tolist()}, {losses[1].tolist()}")
    ours, theirs = (statistics.median(times[kind]) for kind in stages)
    needed, spent = gflop_of(stages[GanStage], batch)
    print(f"{network} at {args.size} x {args.size}, batch {args.batch_size}, float32, {args.steps} steps, equal losses")
    print(f"this step {ours * 1e3:.0f} ms, the pseudo-code's {theirs * 1e3:.0f} ms: {theirs / ours:.2f} times as fast")
    print(f"(the operations alone allow {spent / needed:.2f})")


def throughput(network: str, batch_size: int, args: argparse.Namespace, device: torch.device) -> tuple[float, float]:
    """Return photos per second at 256 x 256, and TFLOP/s."""
    stage = make_stage(GanStage, network, device, has_fast_bf16(device))
    if args.compile:
        for part in stage.networks.values():
            part.compile()
    batch = batch_of(batch_size, 256, device)
    gflop, _ = gflop_of(stage, batch)
    for _ in range(5):
        stage.step(*batch)
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(args.steps):
        stage.step(*batch)
    torch.cuda.synchronize()
    steps_per_s = args.steps / (time.perf_counter() - begun)
    return steps_per_s * batch_size, steps_per_s * gflop / 1e3


def peak_tflops(device: torch.device) -> float:
    """Return the TFLOP/s of a matrix product in bfloat16 on the device."""
    left, right = (torch.randn(8192, 8192, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(5):
        left @ right
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(20):
        left @ right
    torch.cuda.synchronize()
    return float(20 * 2 * 8192**3 / (time.perf_counter() - begun) / 1e12)


def print_throughput(args: argparse.Namespace, device: torch.device) -> None:
    """Print the GPU's table."""
    peak = peak_tflops(device)
    print(f"\n256 x 256, bfloat16, {'compiled' if args.compile else 'not compiled'}; matrix product {peak:.0f} TFLOP/s")
    print(f"{'network':<10}{'batch':>6}{'photos/s':>10}{'share':>8}{'report, h':>11}")
    for network in ("eccv16", "liteunet"):
        for batch_size in BATCHES:
            try:
                photos_per_s, tflops = throughput(network, batch_size, args, device)
            except torch.cuda.OutOfMemoryError:
                break
            hours = REPORT_PHOTOS / photos_per_s / 3600
            print(f"{network:<10}{batch_size:>6}{photos_per_s:>10.0f}{tflops / peak:>8.0%}{hours:>11.1f}", flush=True)


def main() -> None:
    """Read the options and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda, cuda:N or mps (default: cpu)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: torch's own choice)")
    parser.add_argument("--size", type=int, default=128, help="side of the photos, pixels (default: 128)")
    parser.add_argument("--batch-size", type=int, default=4, help="photos in a step (default: 4)")
    parser.add_argument("--steps", type=int, default=8, help="steps that are timed (default: 8)")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="relative, of the losses (default: 1e-4)")
    parser.add_argument("--compile", action="store_true", help="compile the networks first, on a GPU")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    device = resolve_device(args.device)
    print(f"torch {torch.__version__}, {describe_device(device)}")
    compare("eccv16", args, device)
    if device.type == "cuda":
        print_throughput(args, device)


if __name__ == "__main__":
    main()
