from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import tifffile
from pictures import RAMP, lab_lightness, lightness_of, photo_of, tiff_bytes
from PIL import Image

from colorgan.errors import PhotoError
from colorgan.images.decode import ReadOptions, count_pages, read, read_rgb

SCAN, SMALL = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (96, 1)), np.full((24, 32), 9, np.uint8)
REDUCED, MASK = {254: 1}, {254: 4, 262: 4}


@pytest.mark.parametrize(
    ("data", "pages", "told"),
    [
        (tiff_bytes((SMALL, REDUCED), (SCAN, {})), 1, False),
        (tiff_bytes((SMALL, {255: 2}), (SCAN, {})), 1, False),
        (tiff_bytes((SCAN, {}), (SMALL, REDUCED)), 1, False),
        (tiff_bytes((SMALL, MASK), (SCAN, {})), 1, False),
        (tiff_bytes((SMALL, {}), (SCAN, {})), 2, True),
        (tiff_bytes((SMALL, REDUCED), (SCAN, {}), below=1), 1, False),
        (tiff_bytes((SCAN, {}), (SMALL, REDUCED), below=1), 1, False),
    ],
    ids=["reduced", "old reduced", "after", "mask", "unmarked", "below", "pyramid"],
)
def test_a_thumbnail_or_mask_is_not_taken_for_the_photo(data: bytes, pages: int, told: bool) -> None:
    photo = photo_of(data)
    assert photo.size == (128, 96)
    assert np.abs(lightness_of(photo) - lab_lightness(SCAN / 255)).max() < 1e-3
    assert count_pages(io.BytesIO(data)) == pages
    assert [("largest" in word) for word in photo.warnings] == [True] * told
    last = read(io.BytesIO(data), ReadOptions(page=pages - 1, every_page=True))
    assert last.size == (128, 96)
    assert last.warnings == ()
    assert read_rgb(io.BytesIO(data)).size == (128, 96)


@pytest.mark.parametrize("highest", [255, 65535])
def test_a_color_map_of_levels_of_255_is_read_as_that(highest: int) -> None:
    ramp = [round(code * highest / 255) for code in range(256)]
    codes = np.tile(np.arange(256, dtype=np.uint8), (8, 1))
    photo = photo_of(tiff_bytes((codes, {262: 3, 320: ramp * 3})))
    assert np.abs(lightness_of(photo) - lab_lightness(codes / 255)).max() < 0.01


@pytest.mark.parametrize(
    ("dtype", "low", "high", "sample_format"),
    [
        ("u4", 0, 2**32 - 1, 1),
        ("i4", 0, 2**31 - 1, 2),
        ("i4", -(2**31), 2**31 - 1, 2),
        ("i2", 0, 32767, 2),
        ("i2", -32768, 32767, 2),
        ("i1", -128, 127, 2),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_signed_and_long_samples_go_from_black_to_white_with_a_word(
    dtype: str, low: int, high: int, sample_format: int, channels: int
) -> None:
    ramp = np.tile(np.linspace(low, high, 64).round().astype(f"<{dtype}"), (8, 1))
    samples = ramp if channels == 1 else np.repeat(ramp[..., None], 3, axis=2)
    photo = photo_of(tiff_bytes((samples, {339: [sample_format] * channels})))
    tolerance = 0.6 if dtype == "i1" else 0.02
    assert np.abs(lightness_of(photo) - lab_lightness(np.linspace(0, 1, 64)[None])).max() < tolerance
    assert "as white" in photo.warnings[0]


@pytest.mark.parametrize("dtype", ["u1", "<u2"])
@pytest.mark.parametrize("more", [{}, {338: 0}], ids=["missing", "unspecified"])
def test_a_fourth_channel_that_nobody_explains_is_no_transparency(dtype: str, more: dict[int, int]) -> None:
    samples = np.full((8, 16, 4), 100, np.uint8).astype(dtype)
    photo = photo_of(tiff_bytes((samples, more)))
    assert photo.alpha is None
    assert "infrared" in photo.warnings[0]
    assert photo_of(tiff_bytes((samples, {338: 2}))).alpha is not None


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("missing", range(1, 60, 4))
def test_a_tiff_whose_directory_is_cut_off_is_damaged_and_no_guess(dtype: type[np.generic], missing: int) -> None:
    whole = tiff_bytes((np.dstack([RAMP] * 3).astype(dtype), {}))  # its directory stands at its end
    assert photo_of(whole).size == (64, 8)
    with pytest.raises(PhotoError, match="damaged or incomplete"):
        photo_of(whole[:-missing])


@pytest.mark.parametrize("channels", [3, 5, 6])
def test_colors_with_more_than_two_channels_beside_them_are_no_photo(channels: int) -> None:
    file = io.BytesIO()
    planes = np.full((channels, 8, 16), 20000, np.uint16)
    tifffile.imwrite(file, planes, photometric="rgb", planarconfig="separate", extrasamples=[0] * (channels - 3))
    if channels == 6:
        with pytest.raises(PhotoError, match="6 channels"):
            read(file)
        return
    photo = read(file)
    assert lightness_of(photo).mean() == pytest.approx(float(lab_lightness(planes[0] / 65535).mean()), abs=0.01)
    assert photo.alpha is None
    assert ("infrared" in " ".join(photo.warnings)) == (channels > 3)


def test_a_deep_tiff_is_measured_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, np.zeros((3, 40, 50), np.uint16), photometric="rgb", planarconfig="separate")
    monkeypatch.setattr(tifffile.TiffPage, "asarray", None)
    with pytest.raises(PhotoError, match="50 x 40 pixels, more than"):
        read(file, ReadOptions(max_megapixels=0.001))


def test_webp_inside_a_tiff_is_read() -> None:
    pytest.importorskip("imagecodecs", reason="the extra tiff is not installed")
    file = io.BytesIO()
    colors = np.dstack([RAMP] * 3)
    tifffile.imwrite(file, colors, compression="webp", photometric="rgb", compressionargs={"lossless": True})
    assert np.abs(lightness_of(read(file)) - lab_lightness(RAMP / 255)).max() < 0.01


def test_a_tiff_that_does_not_say_what_its_samples_mean_is_no_negative() -> None:
    data = bytearray(tiff_bytes((RAMP, {})))
    place = data.index(struct.pack("<HHI", 262, 3, 1))
    data[place : place + 2] = struct.pack("<H", 65000)
    photo = photo_of(bytes(data))
    assert np.abs(lightness_of(photo) - lab_lightness(RAMP / 255)).max() < 0.01
    assert "0 was read as black" in photo.warnings[0]


_TURNED = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/>'
    b"</rdf:RDF></x:xmpmeta>"
)
_WIDE = np.tile(np.arange(40, 216, 4, dtype=np.uint8), (20, 1))


def test_a_tiff_that_says_in_xmp_alone_how_it_lies_is_turned_upright() -> None:
    file = io.BytesIO()
    Image.fromarray(_WIDE).save(file, "TIFF", tiffinfo={700: _TURNED})
    assert read(file).size == (20, 44)


@pytest.mark.parametrize("order", "<>")
def test_a_bigtiff_is_turned_by_its_tags_and_keeps_what_they_say(order: str) -> None:
    file = io.BytesIO()
    tags = [(274, 3, 1, 6, True), (315, 2, 9, b"somebody\0", True)]
    tifffile.imwrite(file, _WIDE, photometric="minisblack", bigtiff=True, extratags=tags, byteorder=order)
    photo = read(file)
    assert photo.size == (20, 44)
    assert b"somebody" in (photo.metadata.exif or b"")
    assert photo.warnings == ()


@pytest.mark.parametrize("tag", [0x8769, 0x8825], ids=["EXIF", "GPS"])
def test_directories_of_a_big_endian_bigtiff_are_left_out_with_a_word(tag: int) -> None:
    file = io.BytesIO()
    extra = [(65000, 4, 1, 16, True)]  # tifffile writes no such directories
    tifffile.imwrite(file, _WIDE, photometric="minisblack", bigtiff=True, extratags=extra, byteorder=">")
    photo = photo_of(file.getvalue().replace(struct.pack(">HH", 65000, 4), struct.pack(">HH", tag, 4)))
    assert photo.size == (44, 20)
    assert photo.warnings == ("directories of EXIF and GPS data in a big-endian BigTIFF, left out",)


def test_a_page_that_may_be_a_scanners_infrared_channel_is_read_with_a_word_where_every_page_is() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as pages:
        pages.write(np.dstack([_WIDE] * 3), photometric="rgb")
        pages.write(255 - _WIDE, photometric="minisblack")
        pages.write(255 - _WIDE, photometric="minisblack")
    words = [read(file, ReadOptions(page=page, every_page=True)).warnings for page in range(3)]
    assert ["infrared" in " ".join(each) for each in words] == [False, True, False]
    assert read(file).warnings == ("several pictures inside; only the first was used, not all pages",)
