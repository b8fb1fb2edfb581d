from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import heic_bytes, lightness_of, noise, png_bytes, saved
from PIL import Image, ImageOps

from colorgan.errors import PhotoError
from colorgan.images import decode
from colorgan.images.decode import ReadOptions, count_pages, measure, read, read_rgb
from colorgan.images.icc import SRGB_PROFILE


def reason(path: Path, **options: float) -> str:
    with pytest.raises(PhotoError) as caught:
        read(path, ReadOptions(**options))
    return str(caught.value)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".bmp"])
def test_a_truncated_photo_is_damaged_or_incomplete(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path / f"a{suffix}", noise())
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert "damaged" in reason(path)
    assert "0 bytes" not in reason(path)


def test_an_empty_file_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    assert reason(tmp_path / "a.jpg") == "the file is empty"


def test_text_named_jpg_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("Dear diary, this is no photo.")
    assert "not a JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF or HEIC picture" in reason(tmp_path / "a.jpg")


@pytest.mark.parametrize("start", [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"8BPS\0\1"])
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
    assert reason(tmp_path / "b.jpg") == "a broken link"


@pytest.mark.skipif(os.name == "nt", reason="no fifos there")
def test_a_fifo_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert "not a regular file" in reason(tmp_path / "a.jpg")


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
    monkeypatch.setattr(decode, "from_image", lambda *_: (_ for _ in ()).throw(MemoryError))
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


# --- pages, sizes, streams ---


def pages(path: Path) -> Path:
    is_tiff = path.suffix == ".tif"
    first, *others = (Image.new("L", (9, 5 + level // 100 * is_tiff), level) for level in (0, 100, 255))
    return saved(path, first, save_all=True, append_images=others)


def test_each_page_of_a_tiff_is_read_by_its_number(tmp_path: Path) -> None:
    path = pages(tmp_path / "a.tif")
    assert count_pages(path) == 3
    photos = [read(path, ReadOptions(page=page, every_page=True)) for page in range(3)]
    assert [photo.size for photo in photos] == [(9, 5), (9, 6), (9, 7)]
    assert [lightness_of(photo).max() for photo in photos] == pytest.approx([0, 42.37, 100], abs=0.01)
    assert [photo.warnings for photo in photos] == [(), (), ()]
    assert "not all pages" in read(path).warnings[0]


def test_each_page_of_a_deep_tiff_is_read_by_its_number(tmp_path: Path) -> None:
    deep = np.full((4, 5, 3), 30000, np.uint16)
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for factor in (0, 1, 2):
            tiff.write(deep * np.uint16(factor), photometric="rgb", planarconfig="contig")
    assert count_pages(tmp_path / "a.tif") == 3
    found = [lightness_of(read(tmp_path / "a.tif", ReadOptions(page=page))).max() for page in range(3)]
    assert found == pytest.approx([0, 48.9, 92.7], abs=1)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".avif"])
def test_an_animation_is_one_photo(tmp_path: Path, suffix: str) -> None:
    path = pages(tmp_path / f"a{suffix}")
    assert count_pages(path) == 1
    assert "several pictures" in read(path).warnings[0]
    assert "all pages" not in read(path).warnings[0]


def test_a_page_that_is_not_there_has_its_reason(tmp_path: Path) -> None:
    with pytest.raises(PhotoError):
        read(pages(tmp_path / "a.tif"), ReadOptions(page=3))


def test_what_cannot_be_read_has_one_page_and_no_size(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"II*\0 damaged")
    for path in (tmp_path / "a.tif", tmp_path / "missing.tif", tmp_path):
        assert count_pages(path) == 1
        assert measure(path) == 0.0


def test_a_photo_is_measured_in_megapixels(tmp_path: Path) -> None:
    assert measure(saved(tmp_path / "a.jpg", Image.new("L", (2000, 1000)))) == 2.0


def test_a_stream_is_read_from_its_start() -> None:
    stream = io.BytesIO()
    noise().save(stream, "PNG")
    assert read(stream).size == (64, 64)


# --- time and memory ---

MEASURED = """
import re, sys
from pathlib import Path
from colorgan.errors import PhotoError
from colorgan.images.decode import ReadOptions, count_pages, measure, read, read_rgb
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
before = peak()
try:
    read(Path(sys.argv[1]), ReadOptions(float(sys.argv[2])))
except PhotoError as error:
    print(error)
print(peak() - before, peak())
"""


def memory_mb(path: Path, max_megapixels: float = 500) -> tuple[str, float, float]:
    """What a process said that read a file, how much its memory grew, and to how much."""
    command = [sys.executable, "-c", MEASURED, str(path), str(max_megapixels)]
    *warnings, figures = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    grown, peak = (float(figure) for figure in figures.split())
    return " ".join(warnings), grown, peak


def black_rows(width: int, height: int) -> bytes:
    packer = zlib.compressobj(1)
    rows = bytes(width + 1) * 100
    data = b"".join(packer.compress(rows) for _ in range(height // 100))
    return data + packer.flush()


def png_of(width: int, height: int, data: bytes) -> bytes:
    empty = png_bytes(width, height, 8, 0, b"")
    head, tail = empty[:33], empty[-12:]
    return head + struct.pack(">I", len(data)) + b"IDAT" + data + struct.pack(">I", zlib.crc32(b"IDAT" + data)) + tail


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_a_decompression_bomb_is_refused_in_little_memory(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_of(30_000, 30_000, black_rows(30_000, 30_000)))
    warnings, grown, peak = memory_mb(tmp_path / "a.png")
    assert "30000 x 30000" in warnings
    assert "megapixels" in warnings
    assert grown < 20
    assert peak < 300


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_a_large_gray_scan_takes_two_bytes_a_pixel(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png_of(8000, 5000, black_rows(8000, 5000)))
    warnings, grown, _ = memory_mb(tmp_path / "a.png")
    assert warnings == ""
    assert grown < 2.3 * 40


# Where each format says how large it is: before which bytes, how many further on, and how.
SIZE_FIELDS = {
    "JPEG": (b"\xff\xc0", 5, ">HH"),
    "PNG": (b"IHDR", 4, ">II"),
    "WEBP": (b"\x9d\x01\x2a", 3, "<HH"),
    "GIF": (b"GIF", 6, "<HH"),
    "BMP": (b"BM", 18, "<ii"),
    "AVIF": (b"ispe", 8, ">II"),
    "HEIF": (b"ispe", 8, ">II"),
}


def claiming(name: str, side: int) -> bytes:
    """A tiny picture whose header says that it is huge."""
    stream = io.BytesIO()
    if name != "HEIF":
        noise().save(stream, name)
    data = bytearray(stream.getvalue() or heic_bytes(noise()))
    mark, offset, layout = SIZE_FIELDS[name]
    for place in [match.start() for match in re.finditer(re.escape(mark), bytes(data))]:
        struct.pack_into(layout, data, place + offset, side, side)
    return bytes(data)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("name", SIZE_FIELDS)
def test_a_header_that_claims_a_huge_picture_costs_little_memory(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.bin").write_bytes(claiming(name, 16383 if name == "WEBP" else 30_000))
    warnings, grown, _ = memory_mb(tmp_path / "a.bin", max_megapixels=100)
    assert warnings
    assert grown < 30


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".bmp", ".gif", ".webp", ".avif"])
def test_every_format_is_measured_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = saved(tmp_path / f"a{suffix}", noise())
    monkeypatch.setattr(decode, "from_image", lambda *_: pytest.fail("it was decoded"))
    assert "0.004 megapixels" in reason(path, max_megapixels=0.004)


def test_photos_are_read_by_several_threads_at_once(tmp_path: Path) -> None:
    paths = [
        saved(tmp_path / f"{index}{suffix}", Image.fromarray(np.full((40, 30), index * 9, np.uint8)), **options)
        for index, (suffix, options) in enumerate(
            [
                (".png", {}),
                (".tif", {"compression": "tiff_lzw"}),
                (".jpg", {"icc_profile": SRGB_PROFILE}),
                (".webp", {}),
            ]
            * 6
        )
    ]
    with ThreadPoolExecutor(4) as threads:
        found = [lightness_of(photo).mean() for photo in threads.map(read, paths * 5)]
    alone = [lightness_of(read(path)).mean() for path in paths]
    assert found == alone * 5
    assert Image.MAX_IMAGE_PIXELS is not None


# --- as colors ---


def wide_profile() -> bytes:
    """A profile whose numbers stand for stronger colors than sRGB's: the primaries of Adobe's RGB, by their chroma."""
    profile = bytearray(SRGB_PROFILE)
    for tag, other in ((b"rXYZ", b"gXYZ"),):  # red and green change places: what a profile says cannot be overlooked
        first, second = profile.index(tag), profile.index(other)
        profile[first : first + 4], profile[second : second + 4] = other, tag
    return bytes(profile)


def rgb(path: Path, **options: int) -> np.ndarray:
    return np.asarray(read_rgb(path, **options)).astype(int)


def test_a_plain_photo_keeps_its_levels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert (rgb(saved(tmp_path / "a.png", Image.fromarray(pixels))) == pixels).all()
    assert (rgb(saved(tmp_path / "b.png", Image.fromarray(pixels[..., 0]))) == pixels[..., :1]).all()


def test_colors_are_read_by_the_profile_of_the_file(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), (200, 40, 40)).save(tmp_path / "a.png", icc_profile=wide_profile())
    red, green, _ = rgb(tmp_path / "a.png")[0, 0]
    assert green > red + 100


def test_colors_of_16_bits_are_rounded_to_8(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pixels)
    assert np.abs(rgb(tmp_path / "a.tif") - pixels / 257).max() <= 0.5


def test_deep_gray_is_read_as_gray_and_not_cut_off(tmp_path: Path) -> None:
    pixels = np.linspace(0, 65535, 600, dtype=np.uint16).reshape(20, 30)
    found = rgb(saved(tmp_path / "a.png", Image.fromarray(pixels)))
    assert np.abs(found - (pixels / 257)[..., None]).max() < 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_colors_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))
    picture.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as image:
        upright = ImageOps.exif_transpose(image)
    assert (rgb(tmp_path / "a.png") == np.asarray(upright)).all()


def test_a_jpeg_is_decoded_no_smaller_than_twice_the_size_that_is_wanted(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", noise(400).resize((800, 400)))
    assert rgb(path).shape == (400, 800, 3)
    assert rgb(path, short_side_px=50).shape == (100, 200, 3)
