from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from pictures import encoded, lab_lightness, lightness_of, photo_of, srgb_of
from PIL import Image

from colorgan.errors import PhotoError
from colorgan.images.profiles import ADOBE_RGB_GAMMA


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [2, 3])
def test_a_jpeg_without_its_last_bytes_is_read_with_a_word(progressive: bool, missing: int) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.tile(np.arange(128, dtype=np.uint8) * 2, (96, 1))).save(buffer, "JPEG", progressive=progressive)
    whole = photo_of(buffer.getvalue())
    photo = photo_of(buffer.getvalue()[:-missing])
    assert np.mean(lightness_of(photo) != lightness_of(whole)) < 0.02
    assert whole.warnings == ()
    assert photo.warnings == () or "last bytes" in photo.warnings[0]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_last_quarter_is_damaged(progressive: bool) -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (96, 128), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG", progressive=progressive)
    with pytest.raises(PhotoError, match="damaged or incomplete"):
        photo_of(buffer.getvalue()[: len(buffer.getvalue()) * 3 // 4])


def test_a_jpeg_whose_exif_data_alone_say_adobe_rgb_is_read_as_that() -> None:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    Image.fromarray(np.full((16, 16), 100, np.uint8)).save(buffer, "JPEG", exif=exif, quality=100)
    shown = srgb_of(np.full((1, 1), (100 / 255) ** ADOBE_RGB_GAMMA))
    assert lightness_of(photo_of(buffer.getvalue()))[4, 4] == pytest.approx(lab_lightness(shown)[0, 0], abs=0.2)


def test_inks_of_which_nobody_says_whether_they_are_inverted_come_with_a_word() -> None:
    data = encoded(Image.new("CMYK", (16, 16), (0, 0, 0, 90)), "JPEG")
    place = data.index(b"\xff\xee")
    (length,) = struct.unpack_from(">H", data, place + 2)
    words = [photo_of(each).warnings for each in (data, data[:place] + data[place + 2 + length :])]
    assert words[0] == ()
    assert "inverted" in words[1][0]
