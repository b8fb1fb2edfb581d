"""Killed at any moment, a run leaves whole results alone; the next goes on where it was and repeats nothing.

Ten kills here; COLORGAN_TEST_KILLS=50 for as many as one likes.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from colorizing import check_whole, hashes, tree
from nursery import Nursery, nursery
from PIL import Image
from processes import wait_until

from colorgan.batch.journals.sqlite_store import JOURNAL_NAME

pytestmark = [
    pytest.mark.skipif(os.name == "nt", reason="SIGKILL and fork"),
    pytest.mark.usefixtures("alone"),
]

KILLS = int(os.environ.get("COLORGAN_TEST_KILLS", "10"))
PHOTOS = 12 * KILLS + 20  # a run gets further than was meant while a busy machine keeps the test waiting


@pytest.fixture
def commands() -> Iterator[Nursery]:
    with nursery() as started:
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
    commands: Nursery, photos: Path, tiny_model: Path, tmp_path: Path
) -> None:
    rng, out = random.Random(0), tmp_path / "out"
    sources = hashes(photos)
    arguments = ("colorize", photos, "-o", out, "--model", tiny_model, "--json")
    seen: dict[str, tuple[int, int]] = {}
    logs = [tmp_path / f"{number}.log" for number in range(KILLS + 1)]
    for log in logs[:-1]:
        pid = commands.start(log, *arguments)
        count = len(seen) + rng.choice((0, 0, 1, 2, 3))
        wait_until(lambda count=count: len(results(out)) >= count, pause_s=0.001)
        time.sleep(rng.uniform(0, 0.03))
        os.kill(pid, signal.SIGKILL)
        assert commands.wait() == -signal.SIGKILL, "all was done before the kill: take more photos"
        now = stamps(out)
        assert now.items() >= seen.items(), "a result was made twice"
        seen = now
    assert 0 < len(seen) < PHOTOS
    for name in seen:
        with Image.open(out / name) as image:
            image.load()
    commands.start(logs[-1], *arguments)
    assert commands.wait() == 0
    assert stamps(out).items() >= seen.items()
    assert tree(out) == tree(photos), "results are missing, or temporary files are left"
    check_whole(out)
    said = [output for log in logs for output in written(log)]
    assert len(said) == len(set(said))
    assert hashes(photos) == sources

    commands.start(tmp_path / "whole.log", "colorize", photos, "-o", tmp_path / "whole", "--model", tiny_model)
    assert commands.wait() == 0
    assert hashes(out) == hashes(tmp_path / "whole")
    with closing(sqlite3.connect(out / JOURNAL_NAME)) as journal:
        assert journal.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert journal.execute("SELECT state, count(*) FROM results GROUP BY state").fetchall() == [(1, PHOTOS)]
