from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from pictures import ARTIST, RAMP, noise, open_image, write
from PIL import Image

from colorgan.errors import OutputError, PhotoError, UsageError
from colorgan.images.decode import is_colorized, read
from colorgan.images.encode import WriteOptions, encode
from colorgan.images.formats import FORMATS, PHOTO_SUFFIXES
from colorgan.images.icc import SRGB_PROFILE
from colorgan.images.lightness import Plane
from colorgan.images.metadata.read import Metadata

RGB = np.stack([RAMP, RAMP[:, ::-1], 255 - RAMP], axis=-1)


def put(
    path: Path,
    rgb: Plane | NDArray[np.uint16],
    *,
    alpha: Plane | None = None,
    metadata: Metadata | None = None,
    **options: int,
) -> tuple[str, ...]:
    name = PHOTO_SUFFIXES[path.suffix.lower()]
    return write(path, name, rgb, alpha=alpha, metadata=metadata, options=WriteOptions(**options))


@pytest.mark.parametrize(
    ("suffix", "bit_depth"), [(".png", 8), (".tif", 8), (".tif", 16), (".jpg", 8), (".webp", 8), (".avif", 8)]
)
def test_a_photo_that_was_colored_is_known_by_its_mark(tmp_path: Path, suffix: str, bit_depth: int) -> None:
    rgb = RGB if bit_depth == 8 else RGB.astype(np.uint16) * 257
    for name, model in (("plain", None), ("marked", "compact")):
        options = WriteOptions(mark=model, bit_depth=bit_depth)
        write(tmp_path / f"{name}{suffix}", PHOTO_SUFFIXES[suffix], rgb, options=options)
    assert is_colorized(tmp_path / f"marked{suffix}")
    assert not is_colorized(tmp_path / f"plain{suffix}")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".bmp", ".dib", ".jpg", ".JPEG", ".jpe", ".webp", ".avif"])
def test_every_format_comes_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new folder" / f"a{suffix}"
    assert put(path, RGB, quality=100) == ()
    written = np.asarray(open_image(path).convert("RGB")).astype(int)
    lossy = suffix.lower() in (".jpg", ".jpeg", ".jpe", ".webp", ".avif")
    assert np.abs(written - RGB).max() <= (24 if lossy else 0)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".avif"])
def test_alpha_is_written_where_the_format_has_it(tmp_path: Path, suffix: str) -> None:
    assert put(tmp_path / f"a{suffix}", RGB, alpha=RAMP) == ()
    alpha = np.asarray(open_image(tmp_path / f"a{suffix}").getchannel("A")).astype(int)
    assert np.abs(alpha - RAMP).max() <= (3 if suffix == ".avif" else 0)


@pytest.mark.parametrize(("suffix", "name"), [(".jpg", "JPEG"), (".bmp", "BMP")])
def test_alpha_is_dropped_elsewhere_with_a_word(tmp_path: Path, suffix: str, name: str) -> None:
    path = tmp_path / f"a{suffix}"
    assert put(path, RGB, alpha=RAMP) == (f"{name} has no transparency; it was dropped",)
    assert put(path, RGB, alpha=np.full_like(RAMP, 255)) == ()
    assert open_image(path).mode == "RGB"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_exif_and_resolution_are_written(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[ARTIST] = "somebody"
    put(tmp_path / f"a{suffix}", RGB, metadata=Metadata(exif.tobytes(), dpi=(300.0, 300.0)))
    photo = read(tmp_path / f"a{suffix}")
    assert photo.metadata.exif == exif.tobytes()
    if suffix != ".webp":
        assert photo.metadata.dpi == pytest.approx((300, 300), abs=0.1)


def test_more_exif_than_a_jpeg_can_hold_is_left_out_with_a_word(tmp_path: Path) -> None:
    warnings = put(tmp_path / "a.jpg", RGB, metadata=Metadata(b"Exif\0\0" + bytes(70_000)))
    assert warnings == ("more EXIF data than a JPEG can hold, left out",)


@pytest.mark.parametrize(("suffix", "longest"), [(".webp", 16383), (".jpg", 65500)])
def test_a_picture_too_large_for_its_format_fails_with_its_reason(tmp_path: Path, suffix: str, longest: int) -> None:
    put(tmp_path / f"a{suffix}", np.zeros((1, longest, 3), np.uint8))
    with pytest.raises(PhotoError, match=f"allows {longest} pixels"):
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


@pytest.mark.parametrize("name", [name for name, row in FORMATS.items() if row.written_as])
def test_a_format_that_is_only_read_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="only be read"):
        write(io.BytesIO(), name, RGB)


# --- 16 bits ---

DEEP = np.random.default_rng(6).integers(0, 65536, (21, 37, 3), dtype=np.uint16)


@pytest.mark.parametrize("alpha", [None, np.arange(21 * 37, dtype=np.uint8).reshape(21, 37)])
def test_a_tiff_of_16_bits_comes_back_bit_for_bit(tmp_path: Path, alpha: Plane | None) -> None:
    assert put(tmp_path / "a.tif", DEEP, alpha=alpha, bit_depth=16) == ()
    samples = tifffile.imread(tmp_path / "a.tif")
    assert np.array_equal(samples[..., :3], DEEP)
    if alpha is not None:
        assert np.array_equal(samples[..., 3], alpha * np.uint16(257))
        assert np.array_equal(read(tmp_path / "a.tif").alpha, alpha)
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        tags = tiff.pages[0].tags
        assert tags[34675].value == SRGB_PROFILE
        assert (tags[338].value if alpha is not None else (2,)) == (
            2,
        )  # transparency that colors are not multiplied by


def test_a_tiff_of_16_bits_says_how_it_is_laid_out(tmp_path: Path) -> None:
    put(tmp_path / "a.tif", RGB, bit_depth=16, metadata=Metadata(dpi=(300.0, 150.0)))
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        page = tiff.pages.first
        assert page.dtype == np.uint16
        assert page.resolution == (300, 150)
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), RGB * np.uint16(257))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_other_formats_are_written_with_8_bits_and_a_word(tmp_path: Path, suffix: str) -> None:
    (word,) = put(tmp_path / f"a{suffix}", DEEP, bit_depth=16)
    assert "8 bits a channel; TIFF has 16" in word
    if suffix == ".png":
        assert np.abs(np.asarray(open_image(tmp_path / "a.png")) - DEEP / 257.0).max() <= 0.5


def test_a_deep_photo_written_with_8_bits_has_a_word(tmp_path: Path) -> None:
    (word,) = put(tmp_path / "a.png", RGB, metadata=Metadata(bit_depth=16))
    assert "`bit_depth=16` keeps them" in word
    assert put(tmp_path / "a.tif", RGB, metadata=Metadata(bit_depth=16), bit_depth=16) == ()


def test_16_bits_without_their_library_name_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(OutputError, match="tifffile") as caught:
        put(tmp_path / "a.tif", RGB, bit_depth=16)
    assert "colorgan[tiff]" in caught.value.advice
    assert list(tmp_path.iterdir()) == []


# --- into an open file ---


@pytest.mark.parametrize("name", [name for name, row in FORMATS.items() if not row.written_as])
def test_a_picture_goes_into_an_open_file(tmp_path: Path, name: str) -> None:
    stream = io.BytesIO()
    assert write(stream, name, RGB) == ()
    assert read(io.BytesIO(stream.getvalue())).size == (64, 8)


def test_the_same_picture_gives_the_same_bytes() -> None:
    for name in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF"):
        for bit_depth in (8, 16):
            streams = [io.BytesIO(), io.BytesIO()]
            for stream in streams:
                write(stream, name, RGB, options=WriteOptions(mark="compact", bit_depth=bit_depth))
            assert streams[0].getvalue() == streams[1].getvalue()


@pytest.mark.parametrize(("name", "usually"), [("AVIF", {"quality": 95, "subsampling": "4:4:4"}), ("PNG", {})])
def test_a_format_is_written_at_a_speed_that_a_person_would_choose(name: str, usually: dict[str, Any]) -> None:
    features = pytest.importorskip("PIL.features")
    if name == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    rgb = np.asarray(Image.fromarray(noise).resize((640, 480)))

    def took_s(write_it: Callable[[io.BytesIO], object]) -> float:
        begun = time.process_time()
        write_it(io.BytesIO())
        return time.process_time() - begun

    ours = min(took_s(lambda file: write(file, name, rgb)) for _ in range(3))
    usual = min(took_s(lambda file: Image.fromarray(rgb).save(file, name, **usually)) for _ in range(3))
    assert ours < 0.6 * usual


NEEDS_MEMFD = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="elsewhere Pillow holds the lock")
NOISE = np.random.default_rng(0).integers(0, 256, (400, 600, 3), dtype=np.uint8)


@NEEDS_MEMFD
def test_a_jpeg_is_encoded_into_a_descriptor_where_pillow_lets_other_threads_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    saved_into = []
    save = Image.Image.save
    monkeypatch.setattr(
        Image.Image,
        "save",
        lambda image, file, *rest, **more: saved_into.append(file) or save(image, file, *rest, **more),
    )
    encode("JPEG", NOISE)
    assert [isinstance(file, io.BufferedRandom) for file in saved_into] == [True]


def no_descriptor(name: str) -> int:
    raise OSError(errno.EMFILE, "too many open files")


@NEEDS_MEMFD
def test_a_jpeg_is_the_same_where_there_is_no_descriptor_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    usual, _ = encode("JPEG", NOISE)
    monkeypatch.setattr(os, "memfd_create", no_descriptor)
    assert encode("JPEG", NOISE)[0] == usual


@NEEDS_MEMFD
def test_a_jpeg_is_whole_where_a_process_may_write_only_short_files() -> None:
    code = """
import resource
import numpy as np
from colorgan.images.encode import encode
noise = np.random.default_rng(0).integers(0, 256, (400, 600, 3), dtype=np.uint8)
usual, _ = encode("JPEG", noise)
resource.setrlimit(resource.RLIMIT_FSIZE, (len(usual) - 10, len(usual) - 10))
assert encode("JPEG", noise)[0] == usual
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("when", ["1936:05:01 10:00:00", "1 May 1936"])
def test_a_tiff_of_16_bits_keeps_what_made_the_scan_and_when(tmp_path: Path, when: str) -> None:
    exif, said = Image.Exif(), {270: "A house", 305: "Scanner 3", 306: when}
    for tag, text in said.items():
        exif[tag] = text
    put(tmp_path / "a.tif", DEEP, bit_depth=16, metadata=Metadata(exif=exif.tobytes()))
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert {tag: tiff.pages[0].tags[tag].value for tag in said} == said
