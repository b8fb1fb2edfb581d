"""Measure how well gray, toned and color photos are distinguished.

    python benchmarks/toning.py coco-validation.tar --slides old-color-validation.tar

Random photos of an archive with a mean chroma above 4 are classified unchanged, in gray, and toned like old prints,
each saved as a JPEG; then gray and toned with noise, stains and colored borders; and, separately, sunsets and snow,
which may have a single hue, and slides, whose colors have faded.
"""

from __future__ import annotations

import argparse
import io
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from colorgan.data.sources import open_source
from colorgan.images.decode import read, read_rgb
from colorgan.images.toning import Toning, lab_of_rgb

MIN_CHROMA = 4.0
SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])

Make = Callable[[Image.Image, np.random.Generator], Image.Image]
Array = NDArray[np.float64]


def picture(rgb: Array) -> Image.Image:
    """Return an image of RGB values, clipped to 0..255."""
    return Image.fromarray(rgb.clip(0, 255).round().astype(np.uint8))


def gray(photo: Image.Image) -> Array:
    """Return the gray values of a photo, (H, W), 0..255."""
    return np.asarray(photo.convert("L"), np.float64)


def ramp(*stops: tuple[int, int, int]) -> Make:
    """Return a function that tones a photo by these colors, from dark to light."""
    places, colors = np.linspace(0, 255, len(stops)), np.array(stops, np.float64)

    def toned(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
        return picture(np.stack([np.interp(gray(photo), places, colors[:, channel]) for channel in range(3)], -1))

    return toned


def classic_sepia(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Tone by the sepia matrix of many tutorials."""
    return picture(np.asarray(photo, np.float64) @ SEPIA.T)


def yellowed(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Fade a photo on yellow paper, more so at its edges, and add grain."""
    rows, columns = np.mgrid[-0.5 : 0.5 : photo.height * 1j, -0.5 : 0.5 : photo.width * 1j]
    edge = (1 - 0.2 * (rows**2 + columns**2))[..., None] ** np.array([0.6, 1.0, 1.8])
    faded = (0.06 + gray(photo) / 255 * 0.86)[..., None] * np.array([1.0, 0.93, 0.76]) * edge
    return picture(255 * faded + rng.normal(0, 3, (*faded.shape[:2], 3)))


def noisy(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Add the noise of a scanner, independent in each channel."""
    return picture(np.asarray(photo) + rng.normal(0, 6, (photo.height, photo.width, 3)))


def stained(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Add three brown stains on about five percent of the picture."""
    pixels, side = np.asarray(photo, np.float64), min(photo.size)
    rows, columns = np.mgrid[0 : photo.height, 0 : photo.width]
    for _ in range(3):
        radius, row, column = rng.uniform(0.04, 0.1) * side, rng.uniform(0, photo.height), rng.uniform(0, photo.width)
        inside = 1 / (1 + np.exp((np.hypot(rows - row, columns - column) - radius) / (0.15 * radius)))
        pixels = pixels * (1 - inside[..., None] * np.array([0.1, 0.3, 0.55]))
    return picture(pixels)


def bordered(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Add a frame of a strong color."""
    pixels, width = np.array(photo), round(0.06 * min(photo.size))
    frame = np.ones(pixels.shape[:2], bool)
    frame[width:-width, width:-width] = False
    pixels[frame] = ((30, 110, 60), (30, 60, 150), (170, 40, 40), (200, 170, 40))[rng.integers(4)]
    return Image.fromarray(pixels)


def as_gray(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Convert to gray."""
    return photo.convert("L").convert("RGB")


def as_it_is(photo: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Return the photo unchanged."""
    return photo


TONES: dict[str, Make] = {
    "classic sepia": classic_sepia,
    "strong ramp": ramp((20, 5, 0), (150, 85, 30), (255, 225, 170)),
    "weak ramp": ramp((12, 8, 6), (138, 126, 114), (252, 247, 238)),
    "selenium": ramp((18, 10, 16), (120, 104, 112), (250, 246, 242)),
    "cyanotype": ramp((5, 20, 60), (40, 95, 150), (225, 238, 245)),
    "yellowed paper": yellowed,
}
SPOILS: dict[str, Make] = {"noise": noisy, "stains": stained, "colored border": bordered}


def judged(photos: Iterable[Image.Image], makes: Sequence[Make], seed: int) -> Counter[Toning]:
    """Classify photos after these changes, each saved as a JPEG and read as by `colorize`; return the counts."""
    found = Counter[Toning]()
    rng = np.random.default_rng(seed)
    for photo in photos:
        for make in makes:
            photo = make(photo, rng)
        buffer = io.BytesIO()
        photo.save(buffer, "JPEG", quality=88)
        found[read(buffer).toning] += 1
    return found


def show(name: str, found: Counter[Toning], wanted: Toning) -> None:
    """Print a line of the table."""
    total = found.total()
    shares = "".join(f"{100 * found[toning] / total:8.1f}" for toning in Toning)
    print(f"{name:32}{total:7}{shares}   {wanted.value} {100 * found[wanted] / total:.1f}%")


def photos_of(path: Path) -> list[Image.Image]:
    """Return all photos of an archive or a folder, sorted by name."""
    with closing(open_source(path)) as source:
        entries = sorted(source.entries, key=lambda entry: entry.name)
        return [read_rgb(io.BytesIO(entry.read())) for entry in entries]


def mean_lab(photo: Image.Image) -> tuple[float, float, float, float]:
    """Return mean L, a, b and chroma of a photo."""
    lab = lab_of_rgb(np.asarray(photo.resize((32, 32), Image.Resampling.BOX)))
    return (*lab.mean((0, 1)).tolist(), float(np.hypot(lab[..., 1], lab[..., 2]).mean()))


def is_sunset(photo: Image.Image) -> bool:
    """Whether a photo is orange all over."""
    _, a, b, chroma = mean_lab(photo)
    return chroma > 20 and np.hypot(a, b) > 0.9 * chroma and 30 < np.degrees(np.arctan2(b, a)) < 85


def is_snow(photo: Image.Image) -> bool:
    """Whether a photo is bright and has little color."""
    L, _, _, chroma = mean_lab(photo)
    return L > 65 and chroma < 9


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="archive or folder of photos in color")
    parser.add_argument("--slides", type=Path, help="archive or folder of slides, reported apart")
    parser.add_argument("--count", type=int, default=120, help="photos of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    arguments = parser.parse_args()
    colored = [photo for photo in photos_of(arguments.photos) if mean_lab(photo)[3] > MIN_CHROMA]
    drawn = random.Random(arguments.seed).sample(colored, min(arguments.count, len(colored)))
    print(f"{'photos':32}{'number':>7}" + "".join(f"{toning.value:>8}" for toning in Toning) + "   wanted")
    show("color", judged(drawn, [as_it_is], arguments.seed), Toning.color)
    show("gray", judged(drawn, [as_gray], arguments.seed), Toning.gray)
    for name, make in TONES.items():
        show(name, judged(drawn, [make], arguments.seed), Toning.toned)
    for spoil_name, spoil in SPOILS.items():
        show(f"gray, {spoil_name}", judged(drawn, [as_gray, spoil], arguments.seed), Toning.gray)
        for name, make in TONES.items():
            show(f"{name}, {spoil_name}", judged(drawn, [make, spoil], arguments.seed), Toning.toned)
    apart = {"color, all": colored, "sunsets": list(filter(is_sunset, colored)), "snow": list(filter(is_snow, colored))}
    if arguments.slides:
        apart["slides"] = photos_of(arguments.slides)
    for name, photos in apart.items():
        if photos:
            show(name, judged(photos, [as_it_is], arguments.seed), Toning.color)


if __name__ == "__main__":
    main()
