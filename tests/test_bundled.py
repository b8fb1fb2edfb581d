"""The models in the package: there, small, described, and seeing colors."""

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from colorgan import Colorizer
from colorgan.color.lab import rgb_to_lab
from colorgan.colorize.options import DEFAULT_MODEL
from colorgan.models.loading import load_model
from colorgan.models.registry import available_models

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"


BUNDLED = {"compact": ("liteunet", "finetune"), "compact-gan": ("liteunet", "gan")}


@pytest.fixture(scope="module", params=BUNDLED)
def colorizer(request):
    return Colorizer.load(request.param, device="cpu")


@pytest.mark.parametrize("name", BUNDLED)
def test_it_is_at_hand_without_a_network_and_at_most_16_megabytes(name):
    assert name in available_models()
    file = resources.files("colorgan").joinpath(f"assets/{name}.safetensors")
    with resources.as_file(file) as path:
        assert path.stat().st_size <= 16_000_000


def test_the_model_that_colors_where_none_is_named_comes_with_the_package():
    assert DEFAULT_MODEL in BUNDLED


@pytest.mark.parametrize("name", BUNDLED)
def test_it_says_what_it_is(name):
    info = load_model(name, torch.device("cpu")).info
    assert (info.name, info.network, info.stage) == (name, *BUNDLED[name])
    assert "non-commercial" in info.license
    assert "ImageNet" in info.trained_on
    assert info.figures["auc"] > 80


@pytest.mark.parametrize("name", ["astronaut", "camera", "cat", "coffee"])
def test_it_colors_the_examples_and_keeps_their_lightness(colorizer, name):
    with Image.open(EXAMPLES / f"{name}.jpg") as gray:
        colored = colorizer.colorize(gray)
        before = rgb_to_lab(pixels(gray.convert("RGB")))
    after = rgb_to_lab(pixels(colored))
    assert colored.size == gray.size
    assert (after[:, 0] - before[:, 0]).abs().max() < 2
    assert 4 < after[:, 1:].norm(dim=1).mean() < 40


def test_a_sky_is_bluer_than_a_face(colorizer):
    with Image.open(EXAMPLES / "camera.jpg") as photo:
        blue_yellow = rgb_to_lab(pixels(colorizer.colorize(photo)))[0, 2]
    with Image.open(EXAMPLES / "astronaut.jpg") as photo:
        face = rgb_to_lab(pixels(colorizer.colorize(photo)))[0, 2, 80:160, 180:260]
    assert blue_yellow[:200, :].mean() + 8 < face.mean()


def pixels(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
