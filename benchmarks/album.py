"""Measure whether an album gives the same things the same colors, on pairs of overlapping crops of photos.

    python benchmarks/album.py coco-validation.tar            # 30 pairs

Each photo gives two overlapping crops; one is made darker, the other lighter. All are colored as an album, and each
alone. Printed are, for the overlaps without and with the album, the mean distance between the two crops' ab and the
mean chroma; the CPU seconds of both runs, which alternate and each load the model again; and the bytes that the first
pass stores for each photo.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from judged import color_crops
from PIL import Image
from torch import Tensor

from colorgan import BatchOptions, Callbacks, ColorizeOptions, colorize_files
from colorgan.batch.album import FOLDER_NAME, PREDICTIONS
from colorgan.callbacks import PhotoOutcome
from colorgan.color.lab import lab_to_rgb, rgb_to_lab

SIDE, SHIFT = 320, 80  # pixels: side of a photo, and offset between its crops
GAMMAS = (0.75, 1.35)


def crops_of(rgb: np.ndarray, turned: bool) -> list[tuple[Image.Image, tuple[slice, slice]]]:
    """Return two gray crops of a photo, (SIDE, SIDE, 3), each with the slices of the overlap in it."""
    L = rgb_to_lab(torch.tensor(rgb).movedim(-1, 0)[None].float() / 255)[:, :1]
    size, shared = SIDE - SHIFT, SIDE - 2 * SHIFT
    found = []
    for number, gamma in enumerate(GAMMAS):
        top, left = (SHIFT * number, SHIFT * (number if not turned else 1 - number))
        part = 100 * (L[..., top : top + size, left : left + size] / 100).clamp(0, 1) ** gamma
        gray = (lab_to_rgb(torch.cat([part, torch.zeros_like(part), torch.zeros_like(part)], 1))[0, 0] * 255).round()
        down, across = SHIFT - top, SHIFT - left
        place = slice(down, down + shared), slice(across, across + shared)
        found.append((Image.fromarray(gray.numpy().astype(np.uint8)), place))
    return found


class PredictionSizes(Callbacks):
    """Records the sizes of the predictions stored between the passes, when the second begins."""

    def __init__(self, output: Path) -> None:
        self.kept = output / FOLDER_NAME / PREDICTIONS
        self.sizes: list[int] = []

    def on_photo(self, outcome: PhotoOutcome) -> None:
        """Record the sizes at the first photo."""
        self.sizes = self.sizes or [path.stat().st_size for path in self.kept.glob("*")]


def color(photos: Path, output: Path, *, as_album: bool) -> tuple[float, list[int]]:
    """Color a folder; return its CPU seconds, and the bytes that were stored for each photo."""
    begun = time.process_time()
    batch = BatchOptions(album=as_album, overwrite=True, device="cpu", workers=1)
    stored = PredictionSizes(output)
    colorize_files([photos], output, ColorizeOptions(format="png"), batch=batch, callbacks=stored)
    return time.process_time() - begun, stored.sizes


def ab_of(path: Path, place: tuple[slice, slice]) -> Tensor:
    """Return ab of a result in `place`, (2, h, w)."""
    with Image.open(path) as image:
        rgb = torch.from_numpy(np.array(image)).movedim(-1, 0)[None].float() / 255
    return rgb_to_lab(rgb)[0, 1:, place[0], place[1]]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="in color")
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--keep", type=Path, help="folder for the crops and both results, to look at")
    arguments = parser.parse_args()
    crops = color_crops(arguments.photos, SIDE)
    step = max(1, len(crops) // arguments.pairs)
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.keep or Path(name)
        photos = folder / "photos"
        photos.mkdir(parents=True, exist_ok=True)
        places = {}
        for pair, crop in enumerate(crops[::step][: arguments.pairs]):
            for number, (image, place) in enumerate(crops_of(crop.rgb, bool(pair % 2))):
                image.save(photos / f"{pair:03}-{number}.png")
                places[pair, number] = place
        times: dict[str, list[float]] = {"alone": [], "album": []}
        for way in ("alone", "album") * 2:
            seconds, kept = color(photos, folder / way, as_album=way == "album")
            times[way].append(seconds)
        for way in ("alone", "album"):
            distances, chromas = [], []
            for pair in range(arguments.pairs):
                one, other = (ab_of(folder / way / f"{pair:03}-{n}.png", places[pair, n]) for n in (0, 1))
                distances.append(float((one - other).norm(dim=0).mean()))
                chromas.append(float((one.norm(dim=0).mean() + other.norm(dim=0).mean()) / 2))
            print(f"{way}: ab {np.mean(distances):.2f} apart, chroma {np.mean(chromas):.1f}")
        alone, together = (min(seconds) for seconds in times.values())
        print(f"{alone:.1f} s of a core alone, {together:.1f} s as an album: {together / alone:.2f} times")
        print(f"kept between the passes: {np.mean(kept) / 1000:.0f} kB a photo")


if __name__ == "__main__":
    main()
