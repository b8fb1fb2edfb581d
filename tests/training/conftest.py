from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorgan.data.options import PrepareOptions
from colorgan.data.photoset import PhotoSet
from colorgan.data.prepare import prepare


def paint(folder: Path, count: int) -> Path:
    """Draw photos of colored blocks and gradients, all different."""
    random = np.random.default_rng(0)
    for index in range(count):
        coarse = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        target = folder / f"class{index % 3}" / f"{index:03d}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize((40, 40), Image.Resampling.BICUBIC).save(target)
    return folder


@pytest.fixture(scope="session")
def set_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    output = folder / "data"
    options = PrepareOptions(size=32, min_side=16, val_fraction=0.25)
    prepare([paint(folder / "photos", 24)], output, options)
    return output


@pytest.fixture(scope="session")
def photo_set(set_folder: Path) -> PhotoSet:
    return PhotoSet.open(set_folder)
