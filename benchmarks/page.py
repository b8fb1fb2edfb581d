"""Measure how fast the page of many results loads in a headless Chromium.

    python benchmarks/page.py                # 1,000 photos

The photos are generated, with small pictures of the usual size. Printed for each page: its size, and the seconds until
its load event and until the pictures in view are decoded, with an empty browser cache.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from browsing import chromium

from colorgan.batch.gallery import AFTER, BEFORE, SIDE_PX, Gallery
from colorgan.batch.jobs import Job
from colorgan.batch.journals.records import file_state
from colorgan.colorize.options import ColorizeOptions

_SEEN = """
const isSeen = (image) => image.offsetParent && image.getBoundingClientRect().top < innerHeight;
const seen = [...document.images].filter(isSeen);
return Promise.all(seen.map((image) => image.decode())).then(() => seen.length);
"""


def make_results(folder: Path, count: int) -> Gallery:
    """Return a page with `count` generated photos."""
    gallery = Gallery(folder, ColorizeOptions(), "compact", b"")
    rng = np.random.default_rng(0)
    coarse = [Image.fromarray(rng.integers(0, 256, (40, 53, 3), dtype=np.uint8)) for _ in range(10)]
    pictures = [picture.resize((SIDE_PX, SIDE_PX * 3 // 4), Image.Resampling.BICUBIC) for picture in coarse]
    for number in range(count):
        name = f"photo-{number:05}.jpg"
        (folder / name).write_bytes(b"")
        job = Job(f"album/{name}", name, str(folder), name)
        after = pictures[number % 10]
        shown = {BEFORE: after.convert("L"), AFTER: after}
        gallery.add(job, file_state(str(folder / name)), float(rng.random()), shown)
    return gallery


def main() -> None:
    """Print a line for each page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        gallery = make_results(Path(name), arguments.photos)
        begun = time.perf_counter()
        page = gallery.write()
        print(f"{arguments.photos} photos: pages written in {time.perf_counter() - begun:.2f} s")
        with chromium() as browser:
            browser.open("about:blank")
            for path in (page, *sorted(gallery.folder.glob("page-*.html"))):
                begun = time.perf_counter()
                browser.open(path.as_uri())
                loaded_s = time.perf_counter() - begun
                shown = browser.run(_SEEN)
                seen_s = time.perf_counter() - begun
                kilobytes = path.stat().st_size / 1000
                print(
                    f"{path.name}: {kilobytes:.0f} kB, loaded in {loaded_s:.2f} s, {shown} pictures in {seen_s:.2f} s"
                )


if __name__ == "__main__":
    main()
