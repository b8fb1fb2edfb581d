"""Compare the speed of a model with that of another, and of ECCV16.

python benchmarks/editions.py compact old-compact.safetensors

Times are medians over rounds in which the models alternate, so that other load affects all alike:

load     from the file to a ready network
photo    one photo through the network at its own render size (ECCV16: random weights, 256 x 256)
folder   photos of one megapixel, by the command, whole processes
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from colorgan.models.loading import build_network, load_model


def took_s(run: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    before = time.perf_counter()
    run()
    return time.perf_counter() - before


def in_turns(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each call, which alternate; the first round is a warm-up."""
    times = [{name: took_s(run) for name, run in runs.items()} for _ in range(rounds + 1)][1:]
    return {name: statistics.median(row[name] for row in times) for name in runs}


def show(part: str, seconds: dict[str, float], base: str) -> None:
    """Print each time, and its ratio to that of `base`."""
    for name, value in seconds.items():
        print(f"{part:8} {name:40} {value * 1000:9.1f} ms   {value / seconds[base]:6.2f} x {base}", flush=True)


def one_photo(model: str) -> Callable[[], object]:
    """Return a function that runs a model on one photo at its render size."""
    loaded = load_model(model, torch.device("cpu"))
    network, side = loaded.generator.eval(), loaded.info.render_size or 256
    return lambda: forward(network, side)


@torch.inference_mode()
def forward(network: torch.nn.Module, side: int) -> None:
    """Run a network on one photo of `side` x `side` pixels."""
    network(torch.rand(1, 1, side, side) * 100)


def photos(folder: Path, count: int) -> Path:
    """Write gray photos of one megapixel."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (30, 40), dtype=np.uint8))
        coarse.resize((1152, 864), Image.Resampling.BICUBIC).save(folder / f"{number:03}.jpg", quality=92)
    return folder


def colorize(model: str, source: Path, output: Path) -> None:
    """Color a folder by the command."""
    command = [sys.executable, "-m", "colorgan", "colorize", source, "-o", output, "--model", model, "--overwrite"]
    environment = os.environ | {"COLORGAN_OFFLINE": "1"}
    subprocess.run(list(map(str, command)), check=True, env=environment, capture_output=True)


def main() -> None:
    """Print the three parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a name or a path")
    parser.add_argument("other", help="the name or path of the model to compare with")
    parser.add_argument("--photos", type=int, default=40, help="of the folder")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    both = (args.model, args.other)
    device = torch.device("cpu")
    show("load", in_turns({name: lambda name=name: load_model(name, device) for name in both}, args.rounds), args.other)
    eccv16 = build_network("eccv16", {}).eval()
    runs = {name: one_photo(name) for name in both} | {"eccv16": lambda: forward(eccv16, 256)}
    show("photo", in_turns(runs, 4 * args.rounds), "eccv16")
    with tempfile.TemporaryDirectory() as folder:
        source, output = photos(Path(folder, "photos"), args.photos), Path(folder, "out")
        show(
            "folder", in_turns({name: lambda name=name: colorize(name, source, output) for name in both}, 3), args.other
        )


if __name__ == "__main__":
    main()
