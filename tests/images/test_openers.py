from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from pictures import RAMP, encoded, photo_of, tiff_bytes
from PIL import Image

from colorgan.errors import PhotoError

# Sound files of kinds that none of the readers here knows.
_TWELVE_BITS = encoded(Image.fromarray(RAMP), "JPEG").replace(b"\xff\xc0\0\x0b\x08", b"\xff\xc0\0\x0b\x0c")
_JPEG_IN_BMP = bytearray(encoded(Image.fromarray(RAMP), "BMP"))
_JPEG_IN_BMP[30] = 4
_COMPLEX = io.BytesIO()
tifffile.imwrite(_COMPLEX, RAMP.astype(np.complex64))


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (_TWELVE_BITS, "12-bit"),
        (bytes(_JPEG_IN_BMP), "compression (4)"),
        (tiff_bytes((RAMP, {259: 34661})), "JBIG"),
        (tiff_bytes((RAMP, {259: 12345})), "12345"),
        (_COMPLEX.getvalue(), "complex numbers"),
    ],
)
def test_a_kind_that_nobody_reads_is_named_and_not_called_damaged(data: bytes, word: str) -> None:
    with pytest.raises(PhotoError) as caught:
        photo_of(data)
    assert word in str(caught.value)
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x0a", "JPEG XL"),
        (b"8BPS\0\1", "Photoshop"),
        (b"\0\0\0\x18ftypcrx ", "raw photo"),
        (b"%PDF-1.4", "PDF"),
        (b"<!DOCTYPE HTML>", "web page"),
        (b"version https://git-lfs.github.com", "Git LFS"),
    ],
)
def test_a_file_of_another_kind_is_called_by_its_kind(start: bytes, kind: str) -> None:
    with pytest.raises(PhotoError) as caught:
        photo_of(start + bytes(300))
    assert kind in str(caught.value)
    assert "damaged" not in str(caught.value)
