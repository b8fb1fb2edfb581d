from __future__ import annotations

import contextlib
import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import lightness_of, noise, png_bytes, saved
from PIL import Image

from colorgan.errors import PhotoError
from colorgan.media import reading
from colorgan.media.reading import ReadOptions, read


def reason(path: Path, **options: float) -> str:
    with pytest.raises(PhotoError) as caught:
        read(path, ReadOptions(**options))
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp"])
def test_a_truncated_photo_is_damaged_or_incomplete(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path / f"a{suffix}", noise())
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert "damaged" in reason(path)


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert reason(tmp_path / "a.jpg") == "the file is empty"


def test_text_named_jpg_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("Dear diary, this is no photo.")
    assert "not a JPEG, PNG, WebP, TIFF or BMP picture" in reason(tmp_path / "a.jpg")


@pytest.mark.parametrize("start", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"GIF89a\1\0\1\0\0\0\0"])
def test_formats_that_are_not_on_the_list_are_not_opened(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(start + bytes(100))
    assert "not a JPEG" in reason(tmp_path / "a.jpg")


def test_a_folder_named_jpg_is_called_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").mkdir()
    assert reason(tmp_path / "a.jpg") == "a folder"


def test_a_missing_file_and_a_link_to_nothing_are_told_apart(tmp_path: Path) -> None:
    assert reason(tmp_path / "a.jpg") == "no such file"
    try:
        (tmp_path / "b.jpg").symlink_to(tmp_path / "a.jpg")
    except OSError:
        pytest.skip("no links here")
    assert reason(tmp_path / "b.jpg") == "a link to nothing"


@pytest.mark.skipif(os.name == "nt", reason="no fifos there")
def test_a_fifo_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert "no regular file" in reason(tmp_path / "a.jpg")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_itself_gives_the_systems_reason(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to(tmp_path / "a.jpg")
    assert "symbolic links" in reason(tmp_path / "a.jpg")


def test_a_photo_that_may_not_be_read_gives_the_systems_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.jpg", noise())

    def refuse(*_: object) -> io.BytesIO:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert reason(path) == "permission denied"


def test_dimensions_are_refused_before_pixels_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(30_000, 30_000, 8, 0, b""))  # no pixels at all: decoding would say damaged
    assert reason(path) == "30000 x 30000 pixels, more than 500 megapixels"
    assert "damaged" in reason(path, max_megapixels=1000)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_pillows_own_limit_neither_stops_nor_stays_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = saved(tmp_path / f"a{suffix}", noise())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read(path).size == (64, 64)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_a_decoder_without_memory_fails_that_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", noise())
    monkeypatch.setattr(reading, "from_image", lambda _: (_ for _ in ()).throw(MemoryError))
    assert reason(path) == "not enough memory to decode it"


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF", "BMP"]), st.data())
def test_changed_bytes_give_a_photo_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    buffer = io.BytesIO()
    noise(12).save(buffer, name)
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "changed.bin"
    path.write_bytes(content)
    with contextlib.suppress(PhotoError):
        assert np.isfinite(lightness_of(read(path, ReadOptions(max_megapixels=1)))).all()
