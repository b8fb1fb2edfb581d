"""Calibrate a model's confidence: fit its temperature, and write it into the model's file.

python scripts/calibrate.py data src/colorgan/assets/compact.safetensors

Fitted on validation photos of a set by `prepare`: the temperature with the least cross-entropy between the confidence
and whether the color is within 10 ab units of the true one. Nothing else in the file changes.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F

from colorgan.color.lab import rgb_to_lab
from colorgan.colorize.colorizer import Colorizer
from colorgan.colorize.guided_filter import apply_linear_model, fit_linear_model
from colorgan.colorize.uncertainty import confidence
from colorgan.data.photoset import PhotoSet
from colorgan.files import atomic_write
from colorgan.images.lightness import Lightness
from colorgan.metrics.calibration import WITHIN
from colorgan.models.file_format import file_bytes, info_from, read_tensors

_COARSE, _FINE = torch.arange(0.2, 3.01, 0.2), torch.arange(-0.18, 0.19, 0.02)
_CELLS = 100  # of each photo, since neighbors are correlated


def observed(colorizer: Colorizer, image: Image.Image) -> tuple[Tensor, Tensor, Tensor]:
    """Return cells of a photo: logits (N, 313), shown ab (N, 2), and the share of pixels near the true color (N,)."""
    side = min(image.size)
    rgb = torch.from_numpy(np.array(ImageOps.fit(image, (side, side)))).movedim(-1, 0).float() / 255
    lab = rgb_to_lab(rgb[None])[0]
    size = colorizer.info.render_size
    seen = torch.from_numpy(Lightness.from_plane(lab[0].numpy()).reduced(size, size))
    read = colorizer.engine.run(seen[None, None], colorizer.info.temperature, lambda found: (found.ab, found.logits))
    ab, logits = read[0]
    if colorizer.info.edges:
        large = apply_linear_model(lab[0], fit_linear_model(seen, ab))
    else:
        large = F.interpolate(ab[None], (side, side), mode="bilinear", align_corners=False)[0]
    came_true = ((large - lab[1:]).norm(dim=0) <= WITHIN).float()
    cells = logits.shape[-2:]
    shown = F.interpolate(ab[None], cells, mode="area")[0].flatten(1).T
    hits = F.interpolate(came_true[None, None], cells, mode="area").flatten()
    chosen = torch.linspace(0, len(hits) - 1, _CELLS).long()
    return logits.flatten(1).T[chosen], shown[chosen], hits[chosen]


def fit(logits: Tensor, shown: Tensor, hits: Tensor) -> float:
    """Return the temperature with the least cross-entropy on cells as `observed` returns them."""
    columns = logits.T[None, :, :, None], shown.T[None, :, :, None]  # as one photo, N cells high

    def loss(temperature: float) -> float:
        sure = confidence(*columns, temperature).flatten().clamp(1e-4, 1 - 1e-4)
        return float(F.binary_cross_entropy(sure, hits))

    about = min(_COARSE.tolist(), key=loss)
    return round(min((about + _FINE).clamp(min=0.02).tolist(), key=loss), 2)


def main() -> None:
    """Fit the temperature of each file, write it and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path, help="a folder that `colorgan prepare` wrote")
    parser.add_argument("weights", type=Path, nargs="+", help="files of colorgan's models, which are changed")
    parser.add_argument("--photos", type=int, default=300, help="of the validation split, at most")
    arguments = parser.parse_args()
    split = PhotoSet.open(arguments.set).val
    for path in arguments.weights:
        colorizer = Colorizer.load(str(path), device="cpu", precision="fp32")
        places = range(0, len(split), -(-len(split) // arguments.photos))
        found = [observed(colorizer, split.read(place)) for place in places]
        temperature = fit(*(torch.cat(part) for part in zip(*found, strict=True)))
        metadata, tensors = read_tensors(path)
        info = info_from(path, metadata)
        if info is None:
            raise SystemExit(f"{path} has no metadata of colorgan: it is not a model's file")
        tensors = {name: tensor.clone() for name, tensor in tensors.items()}  # the mapped file is replaced
        with atomic_write(path) as file:
            file.writelines(file_bytes(replace(info, confidence_temperature=temperature), tensors))
        print(f"{path}: a confidence temperature of {temperature:g}, on {len(places)} photos")


if __name__ == "__main__":
    main()
