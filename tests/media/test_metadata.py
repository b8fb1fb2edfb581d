from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import ARTIST, ORIENTATION, RAMP, lab_lightness, lightness_of, opened, palette_ramp, saved
from PIL import Image, ImageOps

from colorgan.media.photo import from_image
from colorgan.media.reading import read


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_a_photo_that_exif_calls_turned_is_read_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    corner = np.zeros((16, 32), np.uint8)
    corner[:8, :8] = 255
    corner[:8, 8:16] = 128
    exif = Image.Exif()
    exif[ORIENTATION], exif[ARTIST] = orientation, "somebody"
    path = saved(tmp_path / f"a{suffix}", Image.fromarray(corner).convert("RGB"), exif=exif, quality=100)
    photo = read(path)
    upright = np.asarray(ImageOps.exif_transpose(opened(path)).convert("L"))
    assert lightness_of(photo).shape == upright.shape
    assert np.abs(lightness_of(photo) - lab_lightness(upright / 255)).max() < 1
    if suffix != ".tif":
        assert photo.metadata.exif is not None
        kept = Image.Exif()
        kept.load(photo.metadata.exif)
        assert dict(kept) == {ARTIST: "somebody"}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_alpha_and_resolution_are_turned_with_the_photo(tmp_path: Path, orientation: int) -> None:
    image = Image.fromarray(RAMP).convert("RGBA")
    image.putalpha(Image.fromarray(RAMP))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    photo = read(saved(tmp_path / "a.png", image, exif=exif, dpi=(300, 150)))
    assert photo.alpha is not None
    assert np.abs(lab_lightness(photo.alpha / 255) - lightness_of(photo)).max() < 1e-3
    assert photo.metadata.dpi == pytest.approx((300, 150) if orientation <= 4 else (150, 300), rel=1e-3)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert read(saved(tmp_path / "a.jpg", Image.fromarray(RAMP), exif=exif)).size == (64, 8)


def test_damaged_exif_costs_the_tags_and_not_the_photo(tmp_path: Path) -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x03\xff\xff\xff\xff" * 3
    photo = read(saved(tmp_path / "a.jpg", Image.fromarray(RAMP), exif=exif))
    assert photo.size == (64, 8)
    assert photo.metadata.exif is None


def test_a_resolution_that_is_none_is_left_out() -> None:
    for dpi in ((0, 0), (float("nan"), 1), ("x", "y"), (1,), None):
        image = Image.fromarray(RAMP)
        image.info["dpi"] = dpi
        assert from_image(image).metadata.dpi is None


def test_a_picture_in_memory_stays_as_it_is() -> None:
    image = palette_ramp()
    image.info["transparency"] = 3
    before = (image.mode, image.tobytes(), dict(image.info))
    from_image(image)
    assert (image.mode, image.tobytes(), image.info) == before
