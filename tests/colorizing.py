"""Helpers for tests of the colorize command: photos, the command as a process, and checks of its results."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from processes import DEADLINE_S

from colorgan.batch.journals.manifest import MANIFEST_NAME
from colorgan.batch.journals.sqlite_store import JOURNAL_NAME

Call = Callable[..., tuple[int, str, str]]  # to exit code, standard output, standard error


def make_photos(folder: Path, *names: str) -> None:
    noise = np.random.default_rng(0).integers(30, 220, (20, 30), dtype=np.uint8)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise).save(path)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "colorgan", "colorize", *map(str, arguments)]


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, encoding="utf-8", timeout=DEADLINE_S, check=False, **options
    )


def tree(folder: Path) -> list[str]:
    """Return the relative paths of all files except journals and manifests."""
    own = {JOURNAL_NAME, MANIFEST_NAME}
    paths = (path for path in folder.rglob("*") if path.is_file() and own.isdisjoint(path.parts))
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def hashes(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in tree(folder)}


def check_whole(folder: Path) -> None:
    for name in tree(folder):
        with Image.open(folder / name) as image:
            image.load()
