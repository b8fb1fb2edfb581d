"""Measure the overhead of a comparison over its networks, and whether its memory grows with the number of photos.

Two networks of ECCV16's size with random weights color each photo; all core metrics are computed. Printed are
the networks' share of the total time (the rest is loading, reading, metrics and intervals; no examples are written),
and the peak memory after a third of the photos and after all. Run it on an idle machine.

    python benchmarks/compare.py PHOTOS.tar --photos 300
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import torch

from colorgan.callbacks import Callbacks
from colorgan.comparison.compare import compare
from colorgan.comparison.crops import open_inputs
from colorgan.comparison.options import CompareOptions
from colorgan.devices import describe_device, resolve_device
from colorgan.models.info import ModelInfo
from colorgan.models.loading import save_model
from colorgan.networks.eccv16 import ECCV16

MADE_UP = ModelInfo(
    name="made-up",
    network="eccv16",
    options={},
    stage="scratch",
    license="MIT",
    made_by="benchmarks/compare.py",
    trained_on="nothing",
    figures={},
    render_size=256,
    temperature=1.0,
)


def peak_mb() -> float:
    """Return the peak memory of the process, MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


class MemoryLog(Callbacks):
    """Records the peak memory after each photo."""

    def __init__(self) -> None:
        self.peaks_mb: dict[int, float] = {}

    def on_progress(self, done: int, total: int) -> None:
        """Record the peak memory."""
        self.peaks_mb[done] = peak_mb()

    def on_warning(self, text: str) -> None:
        """Print the warning."""
        print(text)


def copied(photos: Path, folder: Path, count: int) -> None:
    """Copy `count` photos of a source into a folder, repeating them if there are too few."""
    entries = open_inputs([photos])[0].entries
    for number in range(count):
        entry = entries[number % len(entries)]
        (folder / f"{number:05d}{Path(entry.name).suffix}").write_bytes(entry.read())


def made_up_models(folder: Path) -> tuple[str, ...]:
    """Write the weights of two networks of the published size, and return their paths."""
    paths = []
    for seed in range(2):
        torch.manual_seed(seed)
        path = folder / f"model{seed}.safetensors"
        save_model(path, ECCV16(), MADE_UP)
        paths.append(str(path))
    return tuple(paths)


def main() -> None:
    """Compare, and print the shares of time and the peak memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="a folder, .tar or .zip of photos")
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, log = Path(name), MemoryLog()
        (folder / "photos").mkdir()
        copied(arguments.source, folder / "photos", arguments.photos)
        options = CompareOptions(models=made_up_models(folder), examples=0, device=arguments.device)
        start = time.perf_counter()
        found = compare([folder / "photos"], folder / "out", options, callbacks=log)
        whole_s = time.perf_counter() - start
    network_s = sum(row.network_s for row in found.models)
    print(f"{len(found.photos)} photos, 2 x ECCV16 in fp32 on {describe_device(resolve_device(arguments.device))}")
    print(f"{whole_s:.1f} s, of which the networks {network_s:.1f} s: {100 * network_s / whole_s:.1f}%")
    third = arguments.photos // 3
    print(f"peak memory after {third} photos {log.peaks_mb[third]:.0f} MB, after all {peak_mb():.0f} MB")


if __name__ == "__main__":
    main()
