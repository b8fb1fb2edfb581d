"""Folders of empty files, for tests of names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

needs_links = pytest.mark.skipif(os.name == "nt", reason="links need rights there")


def touch(root: Path, *names: str) -> None:
    """Create empty files and their folders."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
