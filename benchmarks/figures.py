"""Measure models on a folder or archive of colour photos, by the protocol of Zhang et al. 2016.

Each photo is reduced to a short side of 256 (bicubic) and centre-cropped to 256 x 256; the network sees that crop at
its render size, and ab is compared at 256 x 256. Grey (ab = 0) stands beside every model.

    python benchmarks/figures.py PHOTOS.tar --model compact --model runs/finetune/weights/best.safetensors
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from colorgan.color.lab import rgb_to_lab
from colorgan.data.sources import open_source
from colorgan.metrics import Figures, FigureSums
from colorgan.weights import Model, load_model

SIDE_PX = 256


def crops(source: Path, batch: int = 8) -> Iterator[Tensor]:
    """Lab crops of a source's photos, (B, 3, 256, 256)."""
    gathered: list[Tensor] = []
    for entry in open_source(source).entries:
        image = Image.open(io.BytesIO(entry.read())).convert("RGB")
        scale = SIDE_PX / min(image.size)
        image = image.resize([max(SIDE_PX, round(side * scale)) for side in image.size], Image.Resampling.BICUBIC)
        left, top = ((side - SIDE_PX) // 2 for side in image.size)
        pixels = np.array(image.crop((left, top, left + SIDE_PX, top + SIDE_PX)))
        gathered.append(torch.from_numpy(pixels).permute(2, 0, 1).float() / 255)
        if len(gathered) == batch:
            yield rgb_to_lab(torch.stack(gathered))
            gathered = []
    if gathered:
        yield rgb_to_lab(torch.stack(gathered))


def predict(model: Model, L: Tensor, render_size: int, temperature: float) -> Tensor:
    """The model's ab at the crop's own size."""
    small = F.interpolate(L, (render_size, render_size), mode="bicubic", antialias=True, align_corners=False)
    ab = model.generator(small.clamp(0, 100), temperature).ab
    return F.interpolate(ab, L.shape[-2:], mode="bilinear", align_corners=False)


def row(name: str, figures: Figures) -> str:
    """One line of the table."""
    return (
        f"{name:<44} {figures.auc:6.2f} {figures.auc_rebalanced:7.2f} {figures.psnr:6.2f} {figures.ab_l1:6.2f} "
        f"{figures.cf_hs:6.1f} {figures.cf_hs_truth:6.1f}"
    )


@torch.inference_mode()
def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", action="append", default=[], help="name or path; may be given again")
    parser.add_argument("--render-size", type=int, action="append", default=[], help="pixels; the model's own")
    parser.add_argument("--temperature", type=float, action="append", default=[], help="the model's own")
    arguments = parser.parse_args()
    variants = []
    for name in arguments.model:
        model = load_model(name, torch.device("cpu"))
        for size in arguments.render_size or [model.info.render_size]:
            for temperature in arguments.temperature or [model.info.temperature]:
                variants.append((f"{Path(name).name} at {size}, T {temperature}", model, size, temperature))
    sums = {"grey": FigureSums()} | {label: FigureSums() for label, *_ in variants}
    for lab in crops(arguments.photos):
        L, truth = lab[:, :1], lab[:, 1:]
        sums["grey"].add(L, torch.zeros_like(truth), truth)
        for label, model, size, temperature in variants:
            sums[label].add(L, predict(model, L, size, temperature), truth)
    print(f"{sums['grey'].photos} photos of {arguments.photos.name}, {SIDE_PX} x {SIDE_PX}")
    print(f"{'':<44} {'AuC':>6} {'rebal.':>7} {'PSNR':>6} {'ab L1':>6} {'cf':>6} {'cf true':>7}")
    for label, gathered in sums.items():
        print(row(label, gathered.figures()))


if __name__ == "__main__":
    main()
