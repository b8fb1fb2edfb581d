"""What `Colorizer` takes from Python, and what it gives back."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

import colorgan
from colorgan import Colorizer
from colorgan.errors import PhotoError

GRAY = np.random.default_rng(0).integers(30, 220, (24, 36), dtype=np.uint8)


@pytest.fixture
def tiny(tiny_model: Path) -> Colorizer:
    return Colorizer.load(str(tiny_model), device="cpu")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    Image.fromarray(GRAY).save(tmp_path / "photo.png", dpi=(300, 300))
    return tmp_path / "photo.png"


def test_a_path_bytes_an_open_file_and_an_image_give_the_same_image(tiny: Colorizer, file: Path) -> None:
    wanted = np.asarray(tiny.colorize(Image.fromarray(GRAY)))
    with file.open("rb") as opened:
        for picture in (file, str(file), file.read_bytes(), opened, io.BytesIO(file.read_bytes())):
            found = tiny.colorize(picture)
            assert isinstance(found, Image.Image)
            assert np.array_equal(found, wanted)


def test_resolution_is_kept_and_the_profile_is_that_of_the_result(tiny: Colorizer, file: Path) -> None:
    found = tiny.colorize(file)
    assert found.info["dpi"] == pytest.approx((300, 300), abs=0.01)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(found.info["icc_profile"]))
    assert "sRGB" in ImageCms.getProfileDescription(profile)


@pytest.mark.parametrize(
    ("array", "most"),
    [
        (GRAY, 255),
        (GRAY[..., None], 255),
        (np.stack([GRAY] * 3, -1), 255),
        (GRAY.astype(np.uint16) * 257, 65535),
        (GRAY.astype(np.float32) / 255, 1),
        (np.stack([GRAY] * 3, -1) / 255, 1),
        (GRAY[::-1, ::-1].copy()[::-1, ::-1], 255),
    ],
    ids=["gray", "one channel", "three channels", "16 bits", "float32", "float64", "views"],
)
def test_an_array_gives_an_array_of_its_type(tiny: Colorizer, array: NDArray[Any], most: int) -> None:
    before = array.copy()
    found = tiny.colorize(array, saturation=0.2)
    assert isinstance(found, np.ndarray)
    assert (found.shape, found.dtype) == ((24, 36, 3), array.dtype)
    assert np.array_equal(array, before)
    wanted = np.asarray(tiny.colorize(Image.fromarray(GRAY), saturation=0.2)) / 255
    assert np.abs(found / most - wanted).mean() < 0.5 / 255


@pytest.mark.parametrize(
    "picture",
    [None, 3, [1, 2], GRAY.astype(np.int32), GRAY[0], np.stack([GRAY] * 2, -1), GRAY > 9, GRAY.astype(complex)],
    ids=["None", "number", "list", "int32", "one axis", "two channels", "bool", "complex"],
)
def test_anything_else_is_a_type_error_that_says_what_is_taken(tiny: Colorizer, picture: Any) -> None:
    with pytest.raises(TypeError, match="a path, the bytes of a file, an open file, a PIL image, or an array"):
        tiny.colorize(picture)


def test_a_file_that_cannot_be_read_is_named(tiny: Colorizer, tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"missing\.jpg: no such file"):
        tiny.colorize(tmp_path / "missing.jpg")


def test_a_hint_of_another_kind_is_a_type_error_that_says_what_is_taken(tiny: Colorizer) -> None:
    with pytest.raises(TypeError, match=r"Hint\(x, y, color\)"):
        tiny.colorize(GRAY, hints=["10,10=red"])


@pytest.mark.parametrize("array", [GRAY * 1.0, GRAY / 255 - 1, np.full((4, 4), np.nan), np.empty((0, 4), np.uint8)])
def test_arrays_with_wrong_values_are_value_errors(tiny: Colorizer, array: NDArray[Any]) -> None:
    with pytest.raises(ValueError, match=r"floats of 0 to 1|an array with pixels"):
        tiny.colorize(array)


def test_wrong_values_of_options_are_value_errors(tiny: Colorizer) -> None:
    for wrong in ({"saturation": -1.0}, {"render_size": 3}, {"temperature": 0.0}):
        with pytest.raises(ValueError, match=next(iter(wrong)).replace("_", ".")):
            tiny.colorize(GRAY, **wrong)


def test_variants_and_confidence_take_the_same(tiny: Colorizer, file: Path) -> None:
    first, second = tiny.colorize_variants(GRAY, 2)
    assert np.array_equal(first, tiny.colorize(GRAY))
    assert (second.shape, second.dtype) == ((24, 36, 3), np.uint8)
    assert tiny.confidence(str(file)).mode == "L"


def test_a_colorizer_says_in_one_line_what_it_is(tiny: Colorizer) -> None:
    assert repr(tiny) == f"<Colorizer {tiny.info.name} ({tiny.info.network}) on cpu>"


def test_names_of_the_package_can_be_completed() -> None:
    assert dir(colorgan) == sorted(colorgan.__all__)
