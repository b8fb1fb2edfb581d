"""Measure how much models lose on photos made to look old: their metrics on those, and on the unchanged photos.

    python benchmarks/aged.py PHOTOS.tar --model compact --model runs/new/weights/best.safetensors

The same photo ages in the same way for every model, as training photos do under `--aged` (`data/aging.py`).
"""

from __future__ import annotations

import numpy as np
import torch
from judged import color_crops, lab_of, load_compared, photos_and_models, predict, rgb_of
from torch import Tensor

from colorgan.data.aging import draw_ages
from colorgan.data.dataset import Batch
from colorgan.metrics.bootstrap import interval, paired_difference
from colorgan.metrics.registry import ImageBatch, measure

CROP = 256
SHOWN = ("auc", "auc_rebalanced", "ciede2000")


def aged_batch(rgb: Tensor, number: int) -> Batch:
    """Return one photo, (1, 3, S, S), made to look old."""
    aged = draw_ages(torch.Generator().manual_seed(number), 1, rgb.shape[-1])
    return Batch(rgb, torch.tensor([[1.0, 0.0]]), aged)


def main() -> None:
    """Print the table."""
    arguments = photos_and_models(__doc__)
    crops = color_crops(arguments.photos, CROP)
    print(f"{len(crops)} photos. Figures of new photos, of the same grown old, and their difference with its interval")
    for name in arguments.model:
        model = load_compared(name)
        values: dict[str, list[tuple[float, float, float]]] = {figure: [] for figure in SHOWN}
        for number, crop in enumerate(crops):
            lab = lab_of(crop)
            truth = ImageBatch(lab[:, :1].contiguous(), lab[:, 1:].contiguous())
            old_L, _ = aged_batch(rgb_of(crop), number).to_lab(torch.device("cpu"))
            found = [measure(ImageBatch(truth.L, predict(model, L)), truth, SHOWN) for L in (truth.L, old_L)]
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


if __name__ == "__main__":
    main()
