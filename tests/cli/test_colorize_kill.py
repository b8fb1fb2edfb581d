"""Killed at any moment, a run leaves whole results alone; the next goes on where it was and repeats nothing.

Ten kills here; COLORGAN_TEST_KILLS=50 for as many as one likes.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from colorizing import DEADLINE_S, check_whole, hashes, tree
from PIL import Image

from colorgan.colorize.journal import JOURNAL_NAME

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="SIGKILL and fork"),
    pytest.mark.usefixtures("alone"),
]

KILLS = int(os.environ.get("COLORGAN_TEST_KILLS", "10"))
PHOTOS = 7 * KILLS + 20

# A process that has torch imported, and forks for each command that it is told: every kill meets a real process, and
# only the first start takes seconds.
NURSERY = """
import os, sys
import torch
import colorgan.colorize.colorizer, colorgan.colorize.batch, colorgan.media.writing
from colorgan.cli.app import main
for line in sys.stdin:
    log, *arguments = line.rstrip("\\n").split("\\t")
    pid = os.fork()
    if pid == 0:
        file = open(log, "w")
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.argv = ["colorgan", "colorize", *arguments]
        main()
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


class Nursery:
    """Runs commands one after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", NURSERY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, log: Path, *arguments: object) -> int:
        """Start a command, and give the process's number."""
        print(log, *arguments, sep="\t", file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def wait(self) -> int:
        """The exit status of the command, as `os.waitpid` has it."""
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate(timeout=DEADLINE_S)


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    with closing(Nursery()) as started:
        yield started


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    noise = np.random.default_rng(0).integers(30, 220, (60, 80, PHOTOS), dtype=np.uint8)
    for number in range(PHOTOS):
        path = folder / f"{number % 3}" / f"{number:03}.{'jpg' if number % 2 else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise[..., number]).save(path)
    return folder


def results(out: Path) -> list[str]:
    """The results, without what was being written when the process was killed, and the journal's own."""
    return [name for name in tree(out) if not Path(name).name.startswith(".colorgan")]


def wait_for(count: int, out: Path) -> None:
    """Wait until the output holds so many results."""
    end = time.monotonic() + DEADLINE_S
    while len(results(out)) < count:
        assert time.monotonic() < end
        time.sleep(0.001)


def written(log: Path) -> list[str]:
    """Which results a run said it had written; a line may have been cut off by the kill."""
    lines = [
        line for line in log.read_text().splitlines(keepends=True) if line.startswith("{") and line.endswith("}\n")
    ]
    photos = [line for line in map(json.loads, lines) if line["type"] == "photo"]
    return [line["output"] for line in photos if line["status"] == "written"]


def stamps(out: Path) -> dict[str, tuple[int, int]]:
    return {name: ((out / name).stat().st_ino, (out / name).stat().st_mtime_ns) for name in results(out)}


def test_killed_at_random_moments_it_goes_on_where_it_was(
    nursery: Nursery, photos: Path, tiny_model: Path, tmp_path: Path
) -> None:
    rng, out = random.Random(0), tmp_path / "out"
    sources = hashes(photos)
    arguments = (photos, "-o", out, "--model", tiny_model, "--json")
    seen: dict[str, tuple[int, int]] = {}
    logs = [tmp_path / f"{number}.log" for number in range(KILLS + 1)]
    for log in logs[:-1]:
        pid = nursery.start(log, *arguments)
        wait_for(len(seen) + rng.choice((0, 0, 1, 2, 3)), out)
        time.sleep(rng.uniform(0, 0.03))
        os.kill(pid, signal.SIGKILL)
        assert nursery.wait() == signal.SIGKILL, "all was done before the kill: take more photos"
        now = stamps(out)
        assert now.items() >= seen.items(), "a result was made twice"
        seen = now
    assert 0 < len(seen) < PHOTOS
    for name in seen:
        with Image.open(out / name) as image:
            image.load()
    nursery.start(logs[-1], *arguments)
    assert nursery.wait() == 0
    assert stamps(out).items() >= seen.items()
    assert tree(out) == tree(photos), "results are missing, or temporary files are left"
    check_whole(out)
    said = [output for log in logs for output in written(log)]
    assert len(said) == len(set(said))
    assert hashes(photos) == sources

    nursery.start(tmp_path / "whole.log", photos, "-o", tmp_path / "whole", "--model", tiny_model)
    assert nursery.wait() == 0
    assert hashes(out) == hashes(tmp_path / "whole")
    with closing(sqlite3.connect(out / JOURNAL_NAME)) as journal:
        assert journal.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert journal.execute("SELECT state, count(*) FROM results GROUP BY state").fetchall() == [(1, PHOTOS)]
