from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorgan.data.options import PrepareOptions
from colorgan.data.photoset import PhotoSet
from colorgan.data.prepare import prepare

Paint = Callable[..., bytes]


def picture(seed: int, width: int = 48, height: int = 40) -> Image.Image:
    """Draw blocks and gradients of strong colors, different for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="session")
def paint() -> Paint:
    """Return a function for a photo's bytes: `paint(seed, width, height, kind=..., ...)`, with options for Pillow."""

    def paint(seed: int, width: int = 48, height: int = 40, kind: str = "PNG", **options: object) -> bytes:
        buffer = io.BytesIO()
        picture(seed, width, height).save(buffer, kind, **options)
        return buffer.getvalue()

    return paint


@pytest.fixture
def photos(tmp_path: Path, paint: Paint) -> Path:
    """A folder of 24 photos in three classes."""
    for index in range(24):
        path = tmp_path / "photos" / f"class{index % 3}" / f"{index:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(paint(index))
    return tmp_path / "photos"


@pytest.fixture
def folder(photos: Path, tmp_path: Path) -> Path:
    options = PrepareOptions(size=32, min_side=16, val_fraction=0.25)
    prepare([photos], tmp_path / "data", options)
    return tmp_path / "data"


@pytest.fixture
def photo_set(folder: Path) -> PhotoSet:
    return PhotoSet.open(folder)
