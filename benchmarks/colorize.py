"""Measure the time and memory of `colorgan colorize`, compared with a plain version of ECCV16's published pipeline.

    python benchmarks/colorize.py                      # every part, with small counts: some minutes
    python benchmarks/colorize.py --part folder --photos 300 --photos 3000
    python benchmarks/colorize.py --part skip --tiny 100000

All photos and weights are generated: ECCV16 with random weights, gray JPEGs of smooth noise. Each measurement is a
separate process, and both sides of a ratio run shortly after each other; if other programs are running too, use the
ratios of CPU time. Peak memory is in excess of that of a process that only imports torch. The parts:

large    one photo of 12 megapixels, ECCV16, file to file, and whether the pixels agree with the reference's
huge     one photo of 100 megapixels, compact
folder   photos of one megapixel, compact, by the command; the reference is ECCV16, one photo at a time
skip     tiny photos that were already colored, by the command
small    one small photo, by the command, the whole process
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ONE_PHOTO = [sys.executable, str(Path(__file__).with_name("one_photo.py"))]
COMMAND = [sys.executable, "-m", "colorgan", "colorize"]
MAKE_WEIGHTS = """
import sys, torch
from pathlib import Path
from dataclasses import replace
from colorgan.models.loading import build_network, load_model, save_model
torch.manual_seed(0)
network = build_network("eccv16", {}).eval()
for module in network.modules():
    if isinstance(module, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)) and module is not network.model_out:
        torch.nn.init.kaiming_normal_(module.weight)
network.model8[-1].weight.data *= 3
info = load_model("compact", torch.device("cpu")).info
save_model(Path(sys.argv[1]), network, replace(info, name="random", render_size=256, temperature=1.0, edges=False))
"""


@dataclass(frozen=True)
class Run:
    """Time, memory and output of a process.

    Attributes:
        wall_s: from start to end.
        cpu_s: of all its threads.
        peak_mb: peak memory.
        output: its standard output.
        wanted: mean share of the cores that its threads computed on or waited for; 0 if unknown.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float
    output: str
    wanted: float


def run(command: list[str]) -> Run:
    """Run a command, which must succeed, and measure it."""
    begun = time.perf_counter()
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ}  # colorgan's own setting, for the reference too
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL, env=environment)
        samples = []
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            samples.append(min(1.0, ready_threads(process.pid) / available_cores()))
            time.sleep(0.004)
        _, status, usage = ended
        wall_s = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{' '.join(command[:6])} ... ended with {process.returncode}")
        output.seek(0)
        unit = 1 if sys.platform == "darwin" else 1024
        cpu_s, peak_mb = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e6
        return Run(wall_s, cpu_s, peak_mb, output.read(), sum(samples) / max(1, len(samples)))


def ready_threads(process: int) -> int:
    """Return the number of a process's threads that run or wait for a core; 0 on systems without `/proc`."""
    ready = 0
    for thread in Path(f"/proc/{process}/task").glob("*/stat"):
        with suppress(OSError):  # the thread has just ended
            ready += thread.read_text().rpartition(")")[2].split()[0] == "R"
    return ready


def one_photo(*arguments: object) -> dict[str, Any]:
    """Run `one_photo.py`."""
    found: dict[str, Any] = json.loads(run([*ONE_PHOTO, *map(str, arguments)]).output)
    return found


def photo(path: Path, width: int, height: int, seed: int = 0) -> Path:
    """Write a gray JPEG of smooth noise with grain."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12), dtype=np.uint8))
    picture = coarse.resize((width, height), Image.Resampling.BICUBIC)
    grain = Image.fromarray(rng.integers(0, 256, (256, 256), dtype=np.uint8)).resize((1024, 1024))
    for left in range(0, width, 1024):
        for top in range(0, height, 1024):
            box = picture.crop((left, top, left + 1024, top + 1024))
            picture.paste(Image.blend(box, grain, 0.1), (left, top))
    picture.save(path, quality=90)
    return path


def row(name: str, *figures: str) -> None:
    """Print a line of the table."""
    print(f"{name:<44}" + "".join(f"{figure:>17}" for figure in figures), flush=True)


def beside(own: float, other: float, unit: str = "s") -> tuple[str, str, str]:
    """Format two durations and their ratio."""
    return f"{own:.3f} {unit}", f"{other:.3f} {unit}", f"{other / own:.1f} x"


# --- the parts -----------------------------------------------------------------------------------------------


def large(folder: Path, args: argparse.Namespace, torch_mb: float) -> None:
    """Measure one photo of 12 megapixels."""
    weights = folder / "eccv16.safetensors"
    run([sys.executable, "-c", MAKE_WEIGHTS, str(weights)])
    photos = [photo(folder / "large.jpg", 4000, 3000)] * args.repeat
    own = one_photo("colorgan", weights, folder, *photos)
    square = one_photo("colorgan", weights, folder, *photos, "--fit", "square", "--render-size", 256)
    other = one_photo("reference", weights, folder, *photos)
    row("12 MP, ECCV16, file to file", *beside(min(own["seconds"]), min(other["seconds"])), "aim 7 x")
    row("  of the CPU", *beside(min(own["cpu_seconds"]), min(other["cpu_seconds"])))
    row("  with --fit square --render-size 256", *beside(min(square["seconds"]), min(other["seconds"])))
    memory = [f"{found['peak_mb'] - torch_mb:.0f} MB" for found in (own, other)]
    row("  peak memory above import torch", *memory, "", "aim 350 MB")
    one_photo("reference", weights, folder, photos[0], "--suffix", ".png")
    for precision in ("fp32", "auto"):
        options = ["--suffix", ".png", "--fit", "square", "--render-size", 256, "--precision", precision]
        one_photo("colorgan", weights, folder, photos[0], *options)
        pictures = [np.asarray(Image.open(folder / f"large-{who}.png")) for who in ("colorgan", "reference")]
        difference = np.abs(pictures[0].astype(np.int16) - pictures[1])
        agree = f"{(difference <= 1).mean():.4%} by 1", f"{difference.max()} at most"
        row(f"  pixels that agree, {precision}", *agree, "", "aim 99.9%, 2")


def huge(folder: Path, args: argparse.Namespace, torch_mb: float) -> None:
    """Measure one photo of 100 megapixels."""
    found = one_photo("colorgan", "compact", folder, photo(folder / "huge.jpg", 10000, 10000))
    memory = f"{found['peak_mb'] - torch_mb:.0f} MB"
    row("100 MP, compact, file to file", f"{found['seconds'][0]:.1f} s")
    row("  peak memory above import torch", memory, "", "", "aim 1200 MB")


def folder_of_photos(folder: Path, args: argparse.Namespace, torch_mb: float) -> None:
    """Measure folders of one-megapixel photos."""
    different = [photo(folder / f"{seed}.jpg", 1152, 864, seed) for seed in range(20)]
    weights = folder / "eccv16.safetensors"
    if not weights.exists():
        run([sys.executable, "-c", MAKE_WEIGHTS, str(weights)])
    start = command(folder, different[:1], "start")
    for count in args.photos or [100, 300]:
        found = command(folder, [different[index % 20] for index in range(count)], str(count))
        per_photo = (found.wall_s - start.wall_s) / (count - 1)
        other = one_photo("reference", weights, folder, *different[:6])
        seconds, cpu_seconds = sorted(other["seconds"]), sorted(other["cpu_seconds"])
        row(f"a photo of a folder of {count}, compact", *beside(per_photo, seconds[2]), "aim 10 x")
        row("  of the CPU", *beside((found.cpu_s - start.cpu_s) / (count - 1), cpu_seconds[2]))
        row("  cores busy", f"{found.cpu_s / found.wall_s / available_cores():.0%}", "", "", "aim 90%")
        row("  cores busy, or wanted while others had them", f"{found.wanted:.0%}")
        row("  peak memory above import torch", f"{found.peak_mb - torch_mb:.0f} MB", "", "", "same for all")


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def command(folder: Path, photos: list[Path], name: str) -> Run:
    """Color links to photos with the command, each under its own name."""
    inputs = folder / f"in-{name}"
    inputs.mkdir()
    for index, source in enumerate(photos):
        os.link(source, inputs / f"{index:07}.jpg")
    return color(folder, name)


def color(folder: Path, name: str) -> Run:
    """Run the command on the folder `in-NAME`; the same again skips what is done."""
    return run([*COMMAND, str(folder / f"in-{name}"), "-o", str(folder / f"out-{name}"), "--quiet"])


def skip(folder: Path, args: argparse.Namespace, torch_mb: float) -> None:
    """Measure photos that were already colored."""
    tiny = photo(folder / "tiny.jpg", 16, 12)
    for name, count in (("few", 10), ("many", args.tiny)):
        command(folder, [tiny] * count, name)
    again = {
        name: [*COMMAND, str(folder / f"in-{name}"), "-o", str(folder / f"out-{name}"), "--quiet"]
        for name in ("few", "many")
    }
    few, many = run(again["few"]), run(again["many"])
    rate = (args.tiny - 10) / max(1e-3, many.wall_s - few.wall_s)
    row(f"{args.tiny} done before, skipped", f"{rate:.0f} /s", "", "", "aim 10000 /s")
    row("  peak memory, with 10 and with all", f"{few.peak_mb:.0f} MB", f"{many.peak_mb:.0f} MB", "", "flat")


def small(folder: Path, args: argparse.Namespace, torch_mb: float) -> None:
    """Measure the whole process for one small photo."""
    source = photo(folder / "small.jpg", 640, 480)
    own, other = [], []
    for _ in range(max(3, args.repeat)):  # alternately, so that other load affects both
        own.append(run([*COMMAND, str(source), "-o", str(folder / "small-color.jpg"), "--overwrite", "--quiet"]))
        other.append(run([sys.executable, "-c", "import torch"]))
    wall = [min(found.wall_s for found in runs) for runs in (own, other)]
    cpu = [min(found.cpu_s for found in runs) for runs in (own, other)]
    row(
        "one small photo, and import torch",
        f"{wall[0]:.2f} s",
        f"{wall[1]:.2f} s",
        f"+{wall[0] - wall[1]:.2f} s",
        "aim +1 s",
    )
    row("  of the CPU", f"{cpu[0]:.2f} s", f"{cpu[1]:.2f} s", f"+{cpu[0] - cpu[1]:.2f} s")


PARTS: dict[str, Callable[[Path, argparse.Namespace, float], None]] = {
    "large": large,
    "huge": huge,
    "folder": folder_of_photos,
    "skip": skip,
    "small": small,
}


def main() -> None:
    """Run the parts that the options name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS, help="may be given again (default: every part)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of which the fastest counts (default: 3)")
    parser.add_argument("--photos", type=int, action="append", help="size of a folder; may be given again")
    parser.add_argument("--tiny", type=int, default=5000, help="photos done before (default: 5000)")
    args = parser.parse_args()
    torch_mb = one_photo("torch")["peak_mb"]
    print(f"{available_cores()} cores, {os.environ.get('OMP_NUM_THREADS', 'all')} of them for a process")
    row("", "colorgan", "reference", "", "")
    for name in args.part or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            PARTS[name](Path(folder), args, torch_mb)


if __name__ == "__main__":
    main()
