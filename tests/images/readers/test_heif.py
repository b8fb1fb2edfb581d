from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from colorgan.images.decode import read


@pytest.mark.parametrize(
    ("primaries", "transfer", "lightness", "word"),
    [(1, 13, 50.4, ""), (1, 8, 74.0, ""), (9, 16, 64.7, "HDR (PQ)")],
    ids=["sRGB", "linear", "PQ"],
)
def test_what_an_avif_says_in_code_points_is_what_its_pixels_mean(
    primaries: int, transfer: int, lightness: float, word: str
) -> None:
    file = io.BytesIO()
    ramp = np.tile(np.arange(40, 216, 4, dtype=np.uint8), (20, 1))
    Image.fromarray(ramp).convert("RGB").save(file, "AVIF", quality=100)
    data = bytearray(file.getvalue())
    place = data.index(b"colrnclx") + 8
    data[place : place + 4] = primaries.to_bytes(2, "big") + transfer.to_bytes(2, "big")
    photo = read(io.BytesIO(data))
    assert photo.lightness.rows(slice(0, 1))[0, 20] == pytest.approx(lightness, abs=1.0)
    assert word in " ".join(photo.warnings)
