"""Folders of empty files, as tests of names need them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

needs_links = pytest.mark.skipif(os.name == "nt", reason="links need rights there")


def touch(root: Path, *names: str) -> None:
    """Make empty files, and the folders that they are in."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
