"""Check that no photo is lost when a node and an actor of a Ray cluster are killed at random moments.

Three nodes on this machine color small photos; one of them and one actor of another are killed. Afterwards every photo
must have one complete result, and the sources must be unchanged. Run again, the same command must find nothing to do.

    python benchmarks/ray_kills.py --runs 10 --photos 200
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

DEADLINE_S = 600.0


def make_photos(folder: Path, count: int) -> None:
    """Write small photos."""
    noise = np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        Image.fromarray(noise.integers(30, 220, (24, 36), dtype=np.uint8)).save(folder / f"{number:05}.png")


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of a folder's photos by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.png"))}


def actors(cluster: Cluster) -> list[int]:
    """Return the process IDs of the cluster's actors that color photos."""
    own = {info.process.pid for node in cluster.list_all_nodes() for info in node.all_processes["raylet"]}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in own and (process / "cmdline").read_bytes().startswith(b"ray::ColorizeActor"):
                found.append(int(process.name))
        except OSError:  # the process has just ended
            continue
    return found


def one_run(seed: int, count: int, model: str) -> None:
    """Color photos on three nodes, kill a node and an actor, and check the results."""
    from ray.cluster_utils import Cluster

    moments = random.Random(seed)
    with tempfile.TemporaryDirectory() as place:
        photos, out = Path(place, "photos"), Path(place, "out")
        make_photos(photos, count)
        before = hashes(photos)
        options = {"num_cpus": 1, "object_store_memory": 100_000_000}
        cluster = Cluster(initialize_head=True, head_node_args=options | {"include_dashboard": False})
        try:
            doomed = [cluster.add_node(**options) for _ in range(2)]
            command = [sys.executable, "-m", "colorgan", "colorize", str(photos), "-o", str(out), "--model", model]
            command += ["--ray", cluster.address, "--quiet"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                end, first = time.monotonic() + DEADLINE_S, moments.randint(1, count // 4)
                while len(list(out.glob("*.png"))) < first:
                    assert process.poll() is None, process.communicate()
                    assert time.monotonic() < end, "no photo was colored"
                    time.sleep(0.05)
                cluster.remove_node(doomed[moments.randrange(2)], allow_graceful=False)
                time.sleep(moments.uniform(0, 2))
                killed = 0
                if killable := actors(cluster):
                    killed = moments.choice(killable)
                    os.kill(killed, signal.SIGKILL)
                printed, words = process.communicate(timeout=DEADLINE_S)
            assert process.returncode == 0, (printed, words)
            assert printed == f"{count} written, 0 skipped, 0 failed. Results: {out}\n", printed
            assert sorted(hashes(out)) == sorted(before), "photos are missing"
            for path in out.glob("*.png"):
                with Image.open(path) as image:
                    image.load()
            assert hashes(photos) == before, "a source was changed"
            again = subprocess.run([*command[:-3], "--quiet"], capture_output=True, text=True, check=True)
            assert again.stdout.startswith(f"0 written, {count} skipped, 0 failed"), again.stdout
            print(f"seed {seed}: killed {killed}; {printed.strip()}", flush=True)
        finally:
            cluster.shutdown()


def main() -> None:
    """Make as many runs as the options say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0, help="of the first run")
    parser.add_argument("--model", default="compact")
    given = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    for seed in range(given.seed, given.seed + given.runs):
        one_run(seed, given.photos, given.model)


if __name__ == "__main__":
    main()
