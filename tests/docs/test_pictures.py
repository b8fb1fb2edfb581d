"""The picture on the first page is what the program makes."""

import importlib.util

import numpy as np
from pages import CHECKOUT
from PIL import Image


def test_the_picture_shows_what_the_bundled_model_makes_of_the_examples():
    spec = importlib.util.spec_from_file_location("before_after", CHECKOUT / "scripts" / "before_after.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with Image.open(module.PICTURE) as picture:
        shown = np.asarray(picture.convert("RGB"), np.float32)
    made = np.asarray(module.before_and_after(), np.float32)
    assert shown.shape == made.shape
    assert np.abs(shown - made).mean() < 4, "run: python scripts/before_after.py"
