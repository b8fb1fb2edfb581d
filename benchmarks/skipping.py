"""Measure how fast already colored photos are skipped, and the memory that takes.

    python benchmarks/skipping.py                  # 10,000 and 100,000 tiny photos, 1,000 per folder
    python benchmarks/skipping.py --flat           # all in one folder

Photos and results are copies of one tiny file, recorded in the journal as photos and their results, since coloring
them would take ten minutes. The command is timed in its own process.
"""

from __future__ import annotations

import argparse
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from colorgan.batch.jobs import OutputRules
from colorgan.batch.journals.journal import Stamp
from colorgan.batch.journals.journals import Journals
from colorgan.batch.journals.records import file_state
from colorgan.batch.options import settings_digest
from colorgan.batch.planner import plan_outputs
from colorgan.colorize.options import DEFAULT_MODEL, ColorizeOptions
from colorgan.models.registry import model_digest

PER_FOLDER = 1000


def tiny_photo() -> bytes:
    """Return a JPEG of 8 x 8 pixels."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8), 128).save(buffer, "JPEG")
    return buffer.getvalue()


def make_photos(folder: Path, count: int, per_folder: int) -> None:
    """Write `count` tiny photos."""
    data = tiny_photo()
    for number in range(count):
        place = folder / f"{number // per_folder:04}"
        if number % per_folder == 0:
            place.mkdir(parents=True)
        (place / f"{number:07}.jpg").write_bytes(data)


def pretend_done(photos: Path, output: Path) -> None:
    """Write a result for each photo, and record it as made with the command's defaults."""
    data, settings = tiny_photo(), settings_digest(ColorizeOptions(), f"{model_digest(DEFAULT_MODEL)} auto")
    with Journals([output], print, search_parents=False) as journals:
        for number, job in enumerate(plan_outputs([photos], OutputRules(output))):
            Path(job.folder).mkdir(parents=True, exist_ok=True)
            Path(job.target).write_bytes(data)
            journal, name = journals.of(job)
            state = file_state(job.source)
            journal.made(Stamp(name, os.fsencode(job.identity), job.source, state, settings), job.target)
            if number % PER_FOLDER == 0:
                journals.flush()  # the command's peak memory is counted as no less than this process's


def timed(*arguments: object) -> tuple[float, float, str]:
    """Run the command; return its wall and CPU seconds, and its output."""
    begun, used = time.perf_counter(), processor_s()
    command = [sys.executable, "-m", "colorgan", "colorize", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return time.perf_counter() - begun, processor_s() - used, done.stdout.strip()


def processor_s() -> float:
    """Return the CPU seconds of finished child processes."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def peak_mb() -> float:
    """Return the peak memory of the largest finished child process, MB."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main() -> None:
    """Print a line for each number of photos."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000], help="numbers of photos, rising")
    parser.add_argument("--flat", action="store_true", help="all photos in one folder")
    arguments = parser.parse_args()
    seconds, computed, _ = timed("--help")
    print(f"--help alone: {seconds:.2f} s, {computed:.2f} s of a core")
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as folder:
            photos, output = Path(folder, "photos"), Path(folder, "out")
            make_photos(photos, count, count if arguments.flat else PER_FOLDER)
            pretend_done(photos, output)
            seconds, computed, printed = timed(photos, "-o", output, "--quiet")
            print(
                f"{count} photos: {seconds:.2f} s, {count / seconds:.0f} a second; {computed:.2f} s of a core, "
                f"{count / computed:.0f} a second of it; peak {peak_mb():.0f} MB ({printed.partition('.')[0]})"
            )


if __name__ == "__main__":
    main()
