"""Figures of models on photos as they are, and on the same photos made to look old: how much a model loses.

    python benchmarks/aged.py PHOTOS.tar --model compact --model runs/new/weights/best.safetensors

The same photo ages in the same way for every model, as training photos do under `--aged` (`data/aging.py`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from colorgan.color.lab import linear_from_bytes, linear_to_lab
from colorgan.colorize.colorizer import Colorizer
from colorgan.compare.contenders import Contender
from colorgan.compare.photos import Crop, open_inputs, read_crops
from colorgan.data.aging import draw_age
from colorgan.data.dataset import Aged, Batch
from colorgan.intervals import interval, paired_difference
from colorgan.metrics import Pictures, measure

CROP = 256
SHOWN = ("auc", "auc_rebalanced", "ciede2000")


def aged_batch(rgb: Tensor, number: int) -> Batch:
    """One photo (1, 3, S, S), grown old."""
    age = draw_age(np.random.default_rng((0, number)), rgb.shape[-1])
    aged = Aged(torch.tensor([0]), torch.tensor([age.film]), torch.from_numpy(age.texture)[None, None])
    return Batch(rgb, torch.tensor([age.light]), aged)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", action="append", required=True, help="name or path; may be given again")
    arguments = parser.parse_args()
    entries = [entry for source in open_inputs([arguments.photos]) for entry in source.entries]
    crops = [crop for crop in read_crops(entries, CROP) if isinstance(crop, Crop) and not crop.colourless]
    print(f"{len(crops)} photos. Figures of new photos, of the same grown old, and their difference with its interval")
    for name in arguments.model:
        contender = Contender(name, Colorizer.load(name, device="cpu", precision="fp32"))
        values: dict[str, list[tuple[float, float, float]]] = {figure: [] for figure in SHOWN}
        for number, crop in enumerate(crops):
            rgb = torch.tensor(crop.rgb).permute(2, 0, 1)[None]
            lab = linear_to_lab(linear_from_bytes(rgb))
            truth = Pictures(lab[:, :1].contiguous(), lab[:, 1:].contiguous())
            old_L, _ = aged_batch(rgb, number).to_lab(torch.device("cpu"))
            found = [measure(Pictures(truth.L, predict(contender, L)), truth, SHOWN) for L in (truth.L, old_L)]
            for figure in SHOWN:
                new, old = (part[figure] for part in found)
                values[figure].append((float(new.value), float(old.value), float(new.weight)))
        print(name)
        for figure, rows in values.items():
            new, old, weights = np.array(rows).T
            change = paired_difference(old, new, (weights, weights))
            means = [interval(part, weights).value for part in (new, old)]
            print(
                f"    {figure:<16} {means[0]:7.2f} {means[1]:7.2f} {change.value:+7.2f} "
                f"[{change.low:+.2f}, {change.high:+.2f}]"
            )


def predict(contender: Contender, L: Tensor) -> Tensor:
    """The colours of one photo, (1, 2, S, S)."""
    (ab,) = contender.predict(L)
    assert isinstance(ab, Tensor)
    return ab[None]


if __name__ == "__main__":
    main()
