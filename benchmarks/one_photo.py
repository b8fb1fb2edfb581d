"""Color photos one at a time and print, as JSON, the wall and CPU time of each from file to file, and the peak memory.

    python benchmarks/one_photo.py reference eccv16.safetensors OUT PHOTO...
    python benchmarks/one_photo.py colorgan eccv16.safetensors OUT PHOTO... --fit square --render-size 256

`reference` is a plain version of the published demo's pipeline: 8-bit RGB resized to 256 x 256, scikit-image's Lab at
full resolution, ab upsampled bilinearly. `torch` only imports torch. Loading a model is not timed.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch


def reference(weights: str) -> Callable[[Path, Path], None]:
    """Return a function that colors a file with the reference pipeline."""
    import numpy as np
    from PIL import Image
    from skimage.color import lab2rgb, rgb2lab
    from torch.nn import functional as F

    from colorgan.models.loading import load_model

    network = load_model(weights, torch.device("cpu")).generator

    def color(photo: Path, result: Path) -> None:
        rgb = np.asarray(Image.open(photo).convert("RGB"))
        small = np.asarray(Image.fromarray(rgb).resize((256, 256), Image.Resampling.BICUBIC))
        L, small_L = rgb2lab(rgb)[..., 0], rgb2lab(small)[..., 0]
        with torch.no_grad():
            ab = network(torch.tensor(small_L, dtype=torch.float32)[None, None]).ab
        wide = F.interpolate(ab, size=L.shape, mode="bilinear")[0].numpy().transpose(1, 2, 0)
        colored = lab2rgb(np.concatenate([L[..., None], wide], axis=2))
        Image.fromarray((colored * 255).round().astype(np.uint8)).save(result, quality=95, subsampling=0)

    return color


def colorgan(weights: str, fit: str, render_size: int | None, precision: str) -> Callable[[Path, Path], None]:
    """Return a function that colors a file with colorgan."""
    from colorgan.colorize.colorizer import Colorizer
    from colorgan.colorize.options import ColorizeOptions
    from colorgan.images.decode import read
    from colorgan.images.encode import WriteOptions, encode, write_bytes
    from colorgan.images.formats import PHOTO_SUFFIXES

    colorizer = Colorizer.load(weights, device="cpu", precision=precision)
    rendering = ColorizeOptions(fit=fit, render_size=render_size)  # type: ignore[arg-type]

    def color(photo: Path, result: Path) -> None:
        read_photo = read(photo)
        rgb = colorizer.finish(read_photo, colorizer.predict(read_photo, rendering), rendering)
        data, _ = encode(PHOTO_SUFFIXES[result.suffix], rgb, metadata=read_photo.metadata, options=WriteOptions(95))
        write_bytes(data, result)

    return color


def peak_mb() -> float:
    """Return the peak memory of this process, MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main() -> None:
    """Color and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("who", choices=["reference", "colorgan", "torch"])
    parser.add_argument("weights", nargs="?", default="")
    parser.add_argument("out", nargs="?", type=Path)
    parser.add_argument("photos", nargs="*", type=Path)
    parser.add_argument("--suffix", default=".jpg")
    parser.add_argument("--fit", default="shape")
    parser.add_argument("--render-size", type=int)
    parser.add_argument("--precision", default="auto")
    args = parser.parse_args()
    seconds, cpu_seconds = [], []
    if args.who != "torch":
        warnings.simplefilter("ignore")  # scikit-image warns about clipped colors
        own = args.who == "colorgan"
        color = colorgan(args.weights, args.fit, args.render_size, args.precision) if own else reference(args.weights)
        for photo in args.photos:
            begun, cpu_begun = time.perf_counter(), time.process_time()
            color(photo, args.out / f"{photo.stem}-{args.who}{args.suffix}")
            seconds.append(time.perf_counter() - begun)
            cpu_seconds.append(time.process_time() - cpu_begun)
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
