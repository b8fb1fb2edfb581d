"""Photos with true colors and a model's predictions for them, shared by the benchmarks of metrics."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from colorgan.color.lab import rgb_to_lab
from colorgan.colorize.colorizer import Colorizer
from colorgan.comparison.crops import Crop, open_inputs, read_crops
from colorgan.comparison.models import ComparedModel


def photos_and_models(description: str | None) -> argparse.Namespace:
    """Parse the command line `PHOTOS --model NAME ...`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", action="append", required=True, help="name or path; may be given again")
    return parser.parse_args()


def color_crops(path: Path, size_px: int) -> list[Crop]:
    """Return the central squares of the photos that have true colors."""
    entries = [entry for source in open_inputs([path]) for entry in source.entries]
    return [crop for crop in read_crops(entries, size_px) if isinstance(crop, Crop) and not crop.colorless]


def rgb_of(crop: Crop) -> Tensor:
    """Return a crop as a batch of one, (1, 3, S, S), uint8."""
    return torch.tensor(crop.rgb).permute(2, 0, 1)[None]


def lab_of(crop: Crop) -> Tensor:
    """Return a crop in Lab, (1, 3, S, S)."""
    return rgb_to_lab(rgb_of(crop).float() / 255)


def load_compared(model: str) -> ComparedModel:
    """Load a model on the CPU, in float32."""
    return ComparedModel(model, Colorizer.load(model, device="cpu", precision="fp32"))


def predict(model: ComparedModel, L: Tensor) -> Tensor:
    """Predict the colors of one photo: (1, 1, S, S) -> (1, 2, S, S)."""
    ((ab, _),) = model.predict(L)
    return ab[None]
