from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import ARTIST, RAMP, noise, opened
from PIL import Image

from colorgan.errors import OutputError, PhotoError
from colorgan.media.formats import PHOTO_SUFFIXES
from colorgan.media.lightness import Plane
from colorgan.media.metadata import Metadata
from colorgan.media.reading import read
from colorgan.media.writing import WriteOptions, write

RGB = np.stack([RAMP, RAMP[:, ::-1], 255 - RAMP], axis=-1)


def put(
    path: Path,
    rgb: Plane,
    *,
    alpha: Plane | None = None,
    metadata: Metadata | None = None,
    **options: int,
) -> tuple[str, ...]:
    name = PHOTO_SUFFIXES[path.suffix.lower()]
    return write(path, name, rgb, alpha=alpha, metadata=metadata, options=WriteOptions(**options))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".bmp", ".dib", ".jpg", ".JPEG", ".jpe", ".jfif", ".webp"])
def test_every_format_comes_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new folder" / f"a{suffix}"
    assert put(path, RGB, quality=100) == ()
    written = np.asarray(opened(path).convert("RGB")).astype(int)
    lossy = suffix.lower() in (".jpg", ".jpeg", ".jpe", ".jfif", ".webp")
    assert np.abs(written - RGB).max() <= (24 if lossy else 0)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_alpha_is_written_where_the_format_has_it(tmp_path: Path, suffix: str) -> None:
    assert put(tmp_path / f"a{suffix}", RGB, alpha=RAMP) == ()
    assert np.array_equal(np.asarray(opened(tmp_path / f"a{suffix}").getchannel("A")), RAMP)


@pytest.mark.parametrize(("suffix", "name"), [(".jpg", "JPEG"), (".bmp", "BMP")])
def test_alpha_is_dropped_elsewhere_with_a_word(tmp_path: Path, suffix: str, name: str) -> None:
    path = tmp_path / f"a{suffix}"
    assert put(path, RGB, alpha=RAMP) == (f"{name} has no transparency; it was dropped",)
    assert put(path, RGB, alpha=np.full_like(RAMP, 255)) == ()
    assert opened(path).mode == "RGB"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_exif_and_resolution_are_written(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[ARTIST] = "somebody"
    put(tmp_path / f"a{suffix}", RGB, metadata=Metadata(exif.tobytes(), (300.0, 300.0)))
    photo = read(tmp_path / f"a{suffix}")
    assert photo.metadata.exif == exif.tobytes()
    if suffix != ".webp":
        assert photo.metadata.dpi == pytest.approx((300, 300), abs=0.1)


def test_more_exif_than_a_jpeg_can_hold_is_left_out_with_a_word(tmp_path: Path) -> None:
    words = put(tmp_path / "a.jpg", RGB, metadata=Metadata(b"Exif\0\0" + bytes(70_000)))
    assert words == ("more EXIF data than a JPEG can hold, left out",)


@pytest.mark.parametrize(("suffix", "longest"), [(".webp", 16383), (".jpg", 65500)])
def test_a_picture_too_large_for_its_format_fails_with_its_reason(tmp_path: Path, suffix: str, longest: int) -> None:
    put(tmp_path / f"a{suffix}", np.zeros((1, longest, 3), np.uint8))
    with pytest.raises(PhotoError, match=f"ends at {longest} pixels"):
        put(tmp_path / f"b{suffix}", np.zeros((longest + 1, 1, 3), np.uint8))


def test_lower_quality_makes_smaller_files(tmp_path: Path) -> None:
    rgb = np.asarray(noise())
    for suffix in (".jpg", ".webp"):
        sizes = []
        for quality in (10, 95):
            put(tmp_path / f"a{suffix}", rgb, quality=quality)
            sizes.append((tmp_path / f"a{suffix}").stat().st_size)
        assert sizes[0] < sizes[1]


def fail_with(number: int) -> Callable[[int], None]:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
def test_a_failing_disk_stops_and_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"before")
    monkeypatch.setattr(os, "fsync", fail_with(number))
    with pytest.raises(OutputError, match=r"a\.png"):
        put(path, RGB)
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == {"a.png": b"before"}


def test_a_file_in_place_of_the_folder_stops(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OutputError):
        put(tmp_path / "out" / "a.png", RGB)


def test_one_name_that_the_disk_cannot_hold_fails_that_photo_alone(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="name too long"):
        put(tmp_path / ("n" * 300 + ".png"), RGB)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(PhotoError if os.name != "nt" else OutputError):
        put(tmp_path / "folder.png", RGB)
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder.png"]
