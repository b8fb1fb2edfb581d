"""Metrics of models at several render sizes and temperatures, to choose those that a model ships with.

They are measured as by `colorgan compare`; use that for anything else.

    python benchmarks/figures.py PHOTOS.tar --model compact --render-size 64 --render-size 96 --temperature 1.5
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import torch

from colorgan.callbacks import Callbacks, StopCheck
from colorgan.colorize.colorizer import Colorizer
from colorgan.colorize.options import ColorizeOptions
from colorgan.comparison.crops import open_inputs
from colorgan.comparison.evaluate import Accumulator, measure_all
from colorgan.comparison.formatting import bounds, number
from colorgan.comparison.models import ComparedModel
from colorgan.comparison.summary import rows_of
from colorgan.metrics.registry import METRICS

SHOWN = ("auc", "auc_rebalanced", "psnr", "ciede2000", "cf_hs", "gray_chroma", "color_bleeding")


def variants(arguments: argparse.Namespace) -> list[ComparedModel]:
    """Return each model at each render size and temperature."""
    models = []
    for name in arguments.model:
        colorizer = Colorizer.load(name, device=arguments.device, precision="fp32")
        for size, temperature in product(arguments.render_size or [None], arguments.temperature or [None]):
            info = colorizer.info
            label = f"{Path(name).name} at {size or info.render_size}, T {temperature or info.temperature:g}"
            models.append(ComparedModel(label, colorizer, ColorizeOptions(render_size=size, temperature=temperature)))
    return models


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", action="append", default=[], help="name or path; may be given again")
    parser.add_argument("--render-size", type=int, action="append", default=[], help="pixels; the model's own")
    parser.add_argument("--temperature", type=float, action="append", default=[], help="the model's own")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    models = variants(arguments)
    accumulator = Accumulator([model.name for model in models], torch.device(arguments.device))
    entries = [entry for source in open_inputs([arguments.photos]) for entry in source.entries]
    seen = measure_all(entries, models, accumulator, 256, StopCheck(Callbacks(), ""))
    print(f"{len(seen.photos)} photos of {arguments.photos.name}, 256 x 256")
    for row in rows_of(accumulator, models, seed=0):
        print(row.name)
        for name in SHOWN:
            if name in row.metrics:
                figure, found = METRICS[name], row.metrics[name]
                print(f"    {figure.label:<24} {number(found.value, figure):>8} {bounds(found, figure)}")


if __name__ == "__main__":
    main()
