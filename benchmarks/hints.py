"""Measure hints: the error with 0, 1, 5 and 20 true ones, how far the effect of wrong ones reaches, and their time.

    python benchmarks/hints.py PHOTOS.tar --count 300

A true hint is a random place with the mean color of the 5 x 5 pixels around it. A wrong one has the
opposite hue and a chroma of 50. The region of a hint is its superpixel and the connected ones of the same true color.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage import graph
from skimage.segmentation import slic

from colorgan import ColorizeOptions, Colorizer, Hint
from colorgan.color.lab import lab_to_rgb, rgb_to_lab
from colorgan.comparison.crops import Pixels, crop, open_inputs
from colorgan.images.decode import read_rgb
from colorgan.images.hint_files import photo_hints
from colorgan.images.photo import from_image
from colorgan.metrics.fidelity import ciede2000, psnr

COUNTS = (1, 5, 20)
MOVED = 5.0  # Lab units by which a changed color differs
SAME_COLOR = 8.0  # Lab units between superpixels of one region
WRONG_CHROMA = 50.0
ROUNDS = 7  # of each timing


def eyedropper(rgb: Pixels, x: int, y: int) -> tuple[int, int, int]:
    """Return the mean color of the 5 x 5 pixels around a place."""
    around = rgb[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].reshape(-1, 3)
    red, green, blue = around.mean(0).round().astype(int).tolist()
    return red, green, blue


def true_hints(rgb: Pixels, count: int, random: np.random.Generator) -> tuple[Hint, ...]:
    """Return hints at random places with their true colors."""
    places = random.integers(0, (rgb.shape[1], rgb.shape[0]), (count, 2)).tolist()
    return tuple(Hint(x, y, eyedropper(rgb, x, y)) for x, y in places)


def wrong_hint(rgb: Pixels, random: np.random.Generator) -> Hint:
    """Return a hint at a random place with the opposite of its hue."""
    (true,) = true_hints(rgb, 1, random)
    lab = rgb_to_lab(torch.tensor(true.rgb, dtype=torch.float32)[:, None, None] / 255)
    away = -lab[1:] / lab[1:].norm().clamp(min=1e-3) * WRONG_CHROMA
    red, green, blue = (lab_to_rgb(torch.cat([lab[:1], away]))[:, 0, 0] * 255).round().int().tolist()
    return Hint(true.x, true.y, (red, green, blue))


def region(rgb: Pixels, x: int, y: int) -> np.ndarray:
    """Return the mask of the region of a place, (H, W) of bool."""
    lab = rgb_to_lab(torch.from_numpy(rgb.copy()).movedim(-1, 0) / 255).movedim(0, -1).numpy()
    superpixels = slic(rgb, n_segments=150, compactness=10, start_label=0)
    merged = graph.cut_threshold(superpixels, graph.rag_mean_color(lab, superpixels), SAME_COLOR)
    return np.asarray(merged == merged[y, x])


def colored(colorizer: Colorizer, rgb: Pixels, hints: tuple[Hint, ...]) -> torch.Tensor:
    """Return a photo's result, (3, H, W), 0..1."""
    photo = from_image(Image.fromarray(rgb))
    photo = replace(photo, hints=photo_hints(hints, (), photo.size))
    options = ColorizeOptions()
    return torch.from_numpy(colorizer.finish(photo, colorizer.predict(photo, options), options)).movedim(-1, 0) / 255


def time_ratio(colorizer: Colorizer, rgb: Pixels, megapixels: float) -> float:
    """Return the CPU time of a photo from bytes to bytes with five hints, divided by that without."""
    scale = (megapixels * 1e6 / (rgb.shape[0] * rgb.shape[1])) ** 0.5
    height, width = (round(side * scale) for side in rgb.shape[:2])
    file = io.BytesIO()
    large = Image.fromarray(rgb).resize((width, height), Image.Resampling.BICUBIC)
    large.save(file, "JPEG", quality=92)
    hints = true_hints(np.asarray(large), 5, np.random.default_rng(0))
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(ROUNDS):
        for with_hints, times in seconds.items():
            start = time.process_time()
            colorizer.colorize_bytes(file.getvalue(), options=ColorizeOptions(hints=hints if with_hints else ()))
            times.append(time.process_time() - start)
    return statistics.median(seconds[True]) / statistics.median(seconds[False])


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=300, help="photos (default: 300)")
    parser.add_argument("--model", default="compact")
    arguments = parser.parse_args()
    colorizer = Colorizer.load(arguments.model, device="cpu")
    entries = [entry for source in open_inputs([arguments.photos]) for entry in source.entries][: arguments.count]
    gains: dict[int, list[tuple[float, float]]] = {count: [] for count in (0, *COUNTS)}
    astray = []
    for number, entry in enumerate(entries):
        random = np.random.default_rng(number)
        image = read_rgb(io.BytesIO(entry.read()))
        rgb = crop(image, min(image.size))
        truth = torch.from_numpy(rgb.copy()).movedim(-1, 0) / 255
        results = {count: colored(colorizer, rgb, true_hints(rgb, count, random)) for count in gains}
        for count, result in results.items():
            difference = ciede2000(rgb_to_lab(result), rgb_to_lab(truth)).mean()
            gains[count].append((float(psnr(result[None], truth[None])), float(difference)))
        wrong = wrong_hint(rgb, random)
        moved = (rgb_to_lab(colored(colorizer, rgb, (wrong,))) - rgb_to_lab(results[0]))[1:].norm(dim=0).numpy()
        outside = ~region(rgb, wrong.x, wrong.y)
        if outside.any():
            astray.append(float((moved[outside] > MOVED).mean()))
    without = np.array(gains[0])
    print(f"{arguments.model} on {len(entries)} photos of {arguments.photos.name}")
    print(f"no hints: PSNR {without[:, 0].mean():.2f} dB, CIEDE2000 {without[:, 1].mean():.2f}")
    for count in COUNTS:
        gain = np.array(gains[count]) - without
        error = gain[:, 0].std() / len(gain) ** 0.5
        decibels, difference = gain.mean(0)
        print(f"{count:2} hints: PSNR {decibels:+.2f} dB (standard error {error:.2f}), CIEDE2000 {difference:+.2f}")
    print(
        f"a wrong hint changes {100 * np.mean(astray):.1f}% of the pixels outside its region by more than {MOVED:g} ab"
    )
    for megapixels in (1, 3, 12):
        print(f"time of {megapixels} megapixels with 5 hints: {time_ratio(colorizer, rgb, megapixels):.2f} times")


if __name__ == "__main__":
    main()
