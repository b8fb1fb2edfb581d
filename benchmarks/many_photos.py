"""Measure the speed and memory of many photos: the plain command, Ray on the same cores, a local S3 server, many names.

    python benchmarks/many_photos.py files    # 20,000 small photos: the plain command, and --ray auto
        python benchmarks/many_photos.py s3       # the same with a bucket of moto's server, which uses a core itself
    python benchmarks/many_photos.py memory   # the plain command with 2,000 and 20,000 photos: bytes per added name
    python benchmarks/many_photos.py names    # 100,000 and 1,000,000 names of a generated listing, all already done

`--photos` and `--names` set other numbers. With `--render-size 16` the network is fast, and the overhead per photo is
measured.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

MORE: list[str] = []  # further options for the command

_NAMES = """
import resource, sys, time
from colorgan.batch.addresses import address_planner
from colorgan.batch.backlog import Backlog
from colorgan.batch.journals.journals import Journals
from colorgan.batch.journals.records import FileState
from colorgan.batch.addresses.storage import RemoteFile
from colorgan.callbacks import PhotoStatus

count = int(sys.argv[1])
home, settings = "memory://bucket/out", b"settings"

def listed(address, left_out):
    for number in range(count):
        yield RemoteFile(f"{number // 1000:05}/{number:08}.jpg", FileState(1000, number))

address_planner.list_photos = listed

def todo(journals):
    jobs = address_planner.plan_addresses(["memory://bucket/photos"], home, "")
    return Backlog(jobs, journals, settings)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

with Journals([home], print, search_parents=False) as journals:
    backlog = todo(journals)
    for number, step in enumerate(backlog.steps()):
        backlog.record(step.task.outcome(PhotoStatus.written))
        if number % 100 == 0:
            journals.flush()
if len(sys.argv) > 2:
    print(peak())
    sys.exit()
begun, done = time.perf_counter(), 0
with Journals([home], print, search_parents=False) as journals:
    for outcome in todo(journals).steps():
        done += outcome.status is PhotoStatus.skipped
assert done == count, done
print(time.perf_counter() - begun, peak())
"""


def make_photos(folder: Path, count: int) -> None:
    """Write small photos, a thousand per folder."""
    noise = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number // 1000:03}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise.integers(30, 220, (48, 64), dtype=np.uint8)).save(path)


def colorize(*arguments: object, **variables: str) -> tuple[float, int]:
    """Run the command; return its seconds, and the peak memory of its largest process, bytes."""
    command = [sys.executable, "-m", "colorgan", "colorize", *map(str, arguments), "--quiet", *MORE]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ | variables)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"it ended with {status}"
    return time.perf_counter() - begun, usage.ru_maxrss * 1024


def files(place: Path, count: int) -> Iterator[str]:
    """Measure the plain command and Ray."""
    make_photos(place / "photos", count)
    took = {}
    for name, options in (("plain", ()), ("ray", ("--ray", "auto"))):
        took[name], peak = colorize(place / "photos", "-o", place / name, *options)
        whose = "driver" if name == "ray" else "process"
        yield f"{name}: {took[name]:.1f} s, {count / took[name]:.1f} photos a second, {peak / 1e6:.0f} MB ({whose})"
    yield f"Ray has {took['plain'] / took['ray']:.2f} of the plain command's speed, both starts included"


def s3(place: Path, count: int) -> Iterator[str]:
    """Measure photos and results in a bucket."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from stores import empty_bucket, s3_server

    make_photos(place / "photos", count)
    with s3_server() as server, empty_bucket(server) as store:
        for path in (place / "photos").rglob("*.jpg"):
            store.put(f"photos/{path.relative_to(place / 'photos')}", path.read_bytes())
        direct = store.environment | {"AWS_ENDPOINT_URL": server}
        for word, output, *options in (("plain", "out"), ("again", "out"), ("ray", "ray", "--ray", "auto")):
            took, peak = colorize("s3://bucket/photos", "-o", f"s3://bucket/{output}", *options, **direct)
            yield f"{word}: {took:.1f} s, {count / took:.1f} photos a second, {peak / 1e6:.0f} MB"


def memory(place: Path, count: int) -> Iterator[str]:
    """Measure the memory for a tenth of the photos, and for all."""
    peaks = {}
    for number in (count // 10, count):
        make_photos(place / f"{number}", number)
        _, peaks[number] = colorize(place / f"{number}", "-o", place / f"out-{number}")
        yield f"{number} photos: {peaks[number] / 1e6:.0f} MB"
    more = (peaks[count] - peaks[count // 10]) / (count - count // 10)
    yield f"{more:.0f} bytes a name more"


def names(count: int) -> Iterator[str]:
    """Measure the skipping of a tenth of the names, and of all, without the memory of the in-memory store itself."""
    for number in (count // 10, count):
        command = [sys.executable, "-c", _NAMES, str(number)]
        held = float(subprocess.run([*command, "write"], capture_output=True, text=True, check=True).stdout)
        took, peak = map(float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
        more = max(0.0, peak - held) / number
        yield f"{number} names: {took:.1f} s, {number / took:.0f} a second, {more:.0f} bytes a name above writing them"


def main() -> None:
    """Run a part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["files", "s3", "memory", "names"])
    parser.add_argument("--photos", type=int, default=20_000)
    parser.add_argument("--names", type=int, default=1_000_000)
    parser.add_argument("--render-size", help="the command's option")
    given = parser.parse_args()
    MORE.extend(["--render-size", given.render_size] if given.render_size else [])
    with tempfile.TemporaryDirectory() as place:
        part = {"files": files, "s3": s3, "memory": memory}.get(given.part)
        for line in part(Path(place), given.photos) if part else names(given.names):
            print(line, flush=True)


if __name__ == "__main__":
    main()
