"""Variants of the bundled network, each trained from nothing for the same time: which one learns most?

    python benchmarks/architectures.py SET PHOTOS.tar --minutes 5 --variant compact --variant shallower

SET comes from `colorgan prepare`; PHOTOS are photos in colour that it does not hold. The time is the process's own on
one core, with reading the photos in it, so that what else the machine does makes no difference. A row is printed as
soon as it is known.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from judged import colour_crops, lab_of
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from colorgan.color.bins import BINS, decode, soft_targets
from colorgan.data.dataset import Augment, Batch, training_batches
from colorgan.data.photoset import PhotoSet
from colorgan.data.plan import EpochPlan, PhotoOrder, Sides
from colorgan.devices import has_fast_bf16
from colorgan.metrics import ImageBatch, measure
from colorgan.networks.compact import Compact, Residual
from colorgan.networks.generator import Generator, Prediction
from colorgan.training.stages.base import OptimizerOptions
from colorgan.training.stages.supervised import PRIOR_FLOOR, BinsLoss, FinetuneStage

SIZE = 64  # pixels: what is trained on and shown
CROP = 256  # pixels: what is measured
LR = 1.5e-3
REBALANCE = 0.25
AUGMENT = Augment(flip=True, crop_min=0.6, brightness=5.0, contrast=0.2)
SHOWN = ("auc", "auc_rebalanced", "ciede2000", "cf_hs", "gray_chroma")


class Attention(nn.Module):
    """Self-attention over all places, around an identity: each sees the whole photo."""

    def __init__(self, channels: int, heads: int = 8) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(1, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        batch, channels, height, width = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(batch, 3, self.heads, -1, height * width).mT.unbind(1)
        mixed = F.scaled_dot_product_attention(q, k, v).mT.reshape(batch, channels, height, width)
        attended: Tensor = x + self.out(mixed)
        return attended


class LargeKernel(nn.Module):
    """A 7 x 7 depthwise convolution and two pointwise ones around an identity (Liu et al. 2022, ConvNeXt)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            nn.GroupNorm(1, channels),
            nn.Conv2d(channels, 4 * channels, 1),
            nn.GELU(),
            nn.Conv2d(4 * channels, channels, 1),
        )
        nn.init.zeros_(self.inner.get_parameter("4.weight"))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        added: Tensor = x + self.inner(x)
        return added


class HalfCompact(Compact):
    """Climbs to half of the input, and has its bins there."""

    def __init__(self) -> None:
        super().__init__()
        fine, coarse = self.channels[0], self.channels[1]
        self.last_up, self.last_skip = nn.Conv2d(coarse, fine, 1), nn.Conv2d(fine, fine, 1)
        self.last = nn.Sequential(Residual(fine), nn.Conv2d(fine, BINS, 1))
        del self.head

    def forward(self, L: Tensor, temperature: float = 1.0) -> Prediction:
        """As every generator, with logits at (H / 2, W / 2), for heights and widths divisible by 16."""
        levels, x = [], (L - 50.0) / 50.0
        for down in self.down:
            levels.append(x := down(x))
        x = self.gate(x)
        for up, skip, merge, level in zip(self.up, self.skip, self.merge, levels[-2:0:-1], strict=True):
            x = merge(F.interpolate(up(x), scale_factor=2.0) + skip(level))
        logits = self.last(F.interpolate(self.last_up(x), scale_factor=2.0) + self.last_skip(levels[0]))
        return Prediction(F.interpolate(decode(logits, temperature), scale_factor=2.0, mode="bilinear"), logits)


def with_floor(block: Callable[[int], nn.Module], kept: int, added: int) -> Compact:
    """`compact` with other blocks at its floor, after so many of its own."""
    network = Compact()
    floor = network.down[-1]
    assert isinstance(floor, nn.Sequential)
    network.down[-1] = nn.Sequential(*floor[: 1 + kept], *(block(network.channels[-1]) for _ in range(added)))
    return network


def with_group_norm(module: nn.Module) -> nn.Module:
    """Group norm of 8 channels each in place of every batch norm."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            norm = nn.GroupNorm(child.num_features // 8, child.num_features)
            nn.init.constant_(norm.weight, child.weight[0].item())
            setattr(module, name, norm)
        else:
            with_group_norm(child)
    return module


@dataclass(frozen=True)
class Variant:
    """A network, and how it is trained.

    Attributes:
        network: makes it.
        batch_size: photos.
        sizes: pixels, the squares' side, by the share of the time gone by.
    """

    network: Callable[[], nn.Module]
    batch_size: int = 64
    sizes: Callable[[float], int] = lambda share: SIZE


VARIANTS: dict[str, Variant] = {
    "compact": Variant(Compact),
    "attention, 2 of 4 floor blocks": Variant(lambda: with_floor(Attention, 2, 2)),
    "7 x 7 kernels, 4 floor blocks": Variant(lambda: with_floor(LargeKernel, 0, 4)),
    "wider": Variant(lambda: Compact((40, 80, 160, 256), (0, 1, 1, 3), (1, 1))),
    "shallower": Variant(lambda: Compact(blocks=(0, 1, 1, 2), decoder_blocks=(1, 1))),
    "output at a half": Variant(HalfCompact),
    "group norm": Variant(lambda: with_group_norm(Compact())),
    "first 32, then 64 pixels": Variant(Compact, sizes=lambda share: 32 if share < 0.4 else SIZE),
    "batches of 32": Variant(Compact, batch_size=32),
}


def endless(photos: PhotoSet, variant: Variant) -> Iterator[Batch]:
    """Epoch after epoch, at the full size."""
    plan = EpochPlan(PhotoOrder(len(photos.train)), variant.batch_size, Sides(SIZE), seed=0)
    epoch = 0
    while True:
        yield from training_batches(photos.train, plan, AUGMENT, epoch=epoch)
        epoch += 1


def train(variant: Variant, photos: PhotoSet, minutes: float) -> tuple[Generator, int]:
    """Train for so long, at a rate that falls to 0; return the network, and how many photos were seen."""
    torch.manual_seed(0)
    bf16 = has_fast_bf16(torch.device("cpu"))
    network = variant.network().to(memory_format=torch.channels_last)
    assert isinstance(network, Generator)
    options = OptimizerOptions(lr=LR, weight_decay=0.01, clip_norm=5.0, bf16=bf16)
    stage = FinetuneStage(network, BinsLoss(photos.prior, REBALANCE), options)
    seen, begun = 0, time.process_time()
    for batch in endless(photos, variant):
        share = (time.process_time() - begun) / (60 * minutes)
        if share >= 1:
            break
        warm = min(1.0, (seen + variant.batch_size) / 6400)
        for group in stage.optimizers["generator"].param_groups:
            group["lr"] = LR * warm * 0.5 * (1 + math.cos(math.pi * share))
        L, ab = batch.to_lab(torch.device("cpu"))
        if (size := variant.sizes(share)) != SIZE:
            L, ab = (F.interpolate(x, size=(size, size), mode="bilinear", antialias=True) for x in (L, ab))
        stage.step(L, ab)
        seen += len(L)
    return stage.eval_network(), seen


def judge(network: Generator, lab: Tensor, prior: Tensor, temperature: float) -> dict[str, float]:
    """The figures on photos (N, 3, 256, 256), and the plain cross-entropy over the bins, in nats.

    What was learned under weights prior^-REBALANCE is tilted by them, which the cross-entropy takes back.
    """
    tilt = REBALANCE * prior.clamp(min=PRIOR_FLOOR).log().view(1, -1, 1, 1)
    sums: dict[str, list[float]] = {name: [0.0, 0.0] for name in (*SHOWN, "nats")}

    def add(name: str, value: float, weight: float) -> None:
        sums[name][0] += value * weight
        sums[name][1] += weight

    for one in lab.split(1):
        truth = ImageBatch(one[:, :1].contiguous(), one[:, 1:].contiguous())
        L, ab = (F.interpolate(x, size=(SIZE, SIZE), mode="bilinear", antialias=True) for x in (truth.L, truth.ab))
        with torch.no_grad():
            prediction = network(L, temperature)
        assert prediction.logits is not None
        bins, shares = soft_targets(F.adaptive_avg_pool2d(ab, (SIZE // 4, SIZE // 4)))
        logits = F.interpolate(prediction.logits, size=(SIZE // 4, SIZE // 4), mode="area")
        add("nats", float(-((logits + tilt).log_softmax(1).gather(1, bins) * shares).sum(1).mean()), 1.0)
        shown = F.interpolate(prediction.ab, size=(CROP, CROP), mode="bilinear")
        for name, figure in measure(ImageBatch(truth.L, shown), truth, SHOWN).items():
            add(name, float(figure.value.nan_to_num()), float(figure.weight))
    return {name: total / weight for name, (total, weight) in sums.items()}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--minutes", type=float, default=5.0, help="of training, each, of one core")
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="may be given again; all")
    parser.add_argument("--temperature", type=float, default=0.5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    photos = PhotoSet.open(arguments.set)
    lab = torch.cat([lab_of(crop) for crop in colour_crops(arguments.photos, CROP)])
    print("| network | M parameters | GFLOP at 256 | photos seen | nats | " + " | ".join(SHOWN) + " |")
    print("|---" * (5 + len(SHOWN)) + "|")
    for name in arguments.variant or VARIANTS:
        network, seen = train(VARIANTS[name], photos, arguments.minutes)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.zeros(1, 1, CROP, CROP))
        size = sum(parameter.numel() for parameter in network.parameters()) / 1e6
        found = judge(network, lab, photos.prior, arguments.temperature)
        figures = " | ".join(f"{found[figure]:.2f}" for figure in SHOWN)
        flop = counter.get_total_flops() / 1e9
        print(f"| {name} | {size:.1f} | {flop:.1f} | {seen:,} | {found['nats']:.3f} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
