from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import (
    MIN_IS_WHITE,
    RAMP,
    RAMP16,
    lab_lightness,
    lightness_of,
    palette_ramp,
    png_bytes,
    saved,
    tiff_tags,
    twelve_bit_tiff,
)
from PIL import Image

from colorgan.media.reading import read


def test_lightness_agrees_with_the_colour_module_over_the_whole_cube(tmp_path: Path) -> None:
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(18, -1, 3)
    photo = read(saved(tmp_path / "cube.png", Image.fromarray(cube)))
    assert np.abs(lightness_of(photo) - lab_lightness(cube / 255)).max() < 1e-3
    assert photo.had_color
    assert lightness_of(photo).dtype == np.float32


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".webp", ".jpg"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_grey_and_rgb_of_every_format_are_read(tmp_path: Path, suffix: str, mode: str) -> None:
    image = Image.fromarray(RAMP).convert(mode)
    photo = read(saved(tmp_path / f"a{suffix}", image, quality=100))
    tolerance = 1.5 if suffix in (".jpg", ".webp") else 1e-3
    assert np.abs(lightness_of(photo) - lab_lightness(RAMP / 255)).max() < tolerance
    assert (photo.size, photo.alpha, photo.had_color, photo.oddities) == ((64, 8), None, False, ())


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    photo = read(saved(tmp_path / "a.png", palette_ramp()))
    assert np.abs(lightness_of(photo) - lab_lightness(RAMP / 255)).max() < 1e-3
    assert photo.alpha is None


def test_a_palette_with_transparency_keeps_it(tmp_path: Path) -> None:
    photo = read(saved(tmp_path / "a.png", palette_ramp(), transparency=bytes(range(64))))
    assert photo.alpha is not None
    assert photo.alpha[0].tolist() == list(range(64))
    assert np.abs(lightness_of(photo) - lab_lightness(RAMP / 255)).max() < 1e-3


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    bits = Image.fromarray(RAMP).point(lambda level: 255 * (level > 127)).convert("1")
    for name in ("a.png", "a.tif", "a.bmp"):
        photo = read(saved(tmp_path / name, bits))
        assert lightness_of(photo)[0].tolist() == [0.0] * 32 + [100.0] * 32


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_alpha_is_kept(tmp_path: Path, mode: str, suffix: str) -> None:
    image = Image.fromarray(RAMP).convert(mode)
    image.putalpha(Image.fromarray(255 - RAMP))
    if suffix == ".webp":
        image = image.convert("RGBA")
    photo = read(saved(tmp_path / f"a{suffix}", image, lossless=True, exact=True))
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha, 255 - RAMP)
    assert np.abs(lightness_of(photo) - lab_lightness(RAMP / 255)).max() < 1e-3


@pytest.mark.parametrize(
    ("image", "transparent"),
    [
        (Image.fromarray(RAMP), 8),
        (Image.fromarray(RAMP).convert("RGB"), (8, 8, 8)),
        (Image.fromarray(RAMP.astype(np.uint16) * 257), 8 * 257),
    ],
    ids=["grey", "RGB", "16-bit grey"],
)
def test_one_transparent_colour_becomes_alpha(tmp_path: Path, image: Image.Image, transparent: object) -> None:
    photo = read(saved(tmp_path / "a.png", image, transparency=transparent))
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha, np.where(RAMP == 8, 0, 255))


def test_cmyk_jpegs_are_read_with_paper_white_and_ink_black(tmp_path: Path) -> None:
    image = Image.new("CMYK", (24, 8), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (8, 0, 16, 8))
    image.paste((0, 255, 255, 0), (16, 0, 24, 8))
    for name in ("a.jpg", "a.tif"):
        photo = read(saved(tmp_path / name, image, quality=100))
        assert lightness_of(photo)[4, [4, 12]] == pytest.approx([100.0, 0.0], abs=1.0)
        assert lightness_of(photo)[4, 20] == pytest.approx(53.2, abs=1.5)  # red
        assert photo.had_color


def test_a_cmyk_jpeg_of_adobe_holds_its_inks_inverted(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.new("CMYK", (8, 8), (0, 0, 0, 0)), quality=100)
    assert b"Adobe" in path.read_bytes()
    assert lightness_of(read(path)).min() > 99


@pytest.mark.parametrize("colour", [(200, 128, 128), (60, 128, 128)])
def test_a_tiff_in_ycbcr_is_read(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    photo = read(saved(tmp_path / "a.tif", Image.new("YCbCr", (4, 4), colour)))
    assert lightness_of(photo)[0, 0] == pytest.approx(lab_lightness(np.full((1, 1), colour[0] / 255))[0, 0], abs=0.5)


def test_a_tiff_in_lab_gives_its_lightness(tmp_path: Path) -> None:
    photo = read(saved(tmp_path / "a.tif", Image.new("LAB", (4, 4), (128, 128, 128))))
    assert lightness_of(photo)[0, 0] == pytest.approx(128 / 255 * 100)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_sixteen_bit_grey_is_read_at_full_depth_and_not_white(tmp_path: Path, suffix: str, order: str) -> None:
    photo = read(saved(tmp_path / f"a{suffix}", Image.fromarray(RAMP16.astype(order))))
    assert np.abs(lightness_of(photo) - lab_lightness(RAMP16 / 65535)).max() < 1e-3
    close = np.array([[30000, 30001]], np.uint16)
    lightness = lightness_of(read(saved(tmp_path / f"close{suffix}", Image.fromarray(close.astype(order)))))
    assert lightness[0, 0] < lightness[0, 1]


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_sixteen_bit_grey_where_the_least_is_white_is_inverted(tmp_path: Path, compression: str | None) -> None:
    tags = tiff_tags(MIN_IS_WHITE)
    path = saved(tmp_path / "a.tif", Image.fromarray(RAMP16), tiffinfo=tags, compression=compression)
    assert np.abs(lightness_of(read(path)) - lab_lightness(1 - RAMP16 / 65535)).max() < 1e-3


def test_twelve_bits_reach_white(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(twelve_bit_tiff(0, 4095))
    assert lightness_of(read(path))[0].tolist() == [0.0, 100.0]


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_float_values_are_scaled_by_their_range_with_a_word(tmp_path: Path, white: float) -> None:
    values = RAMP16 / 65535 * white
    photo = read(saved(tmp_path / "a.tif", Image.fromarray(values.astype(np.float32))))
    assert np.abs(lightness_of(photo) - lab_lightness(RAMP16 / 65535)).max() < 0.02
    assert photo.oddities == (f"float values, read with {white:g} as white",)


def test_float_values_that_are_no_numbers_are_black_or_white(tmp_path: Path) -> None:
    values = np.array([[np.nan, np.inf, -np.inf, -3.0, 1.2, 0.5]], np.float32)
    photo = read(saved(tmp_path / "a.tif", Image.fromarray(values)))
    assert lightness_of(photo)[0, :5].tolist() == [0.0, 100.0, 0.0, 0.0, 100.0]
    assert 0 < lightness_of(photo)[0, 5] < 100


@pytest.mark.parametrize("white", [65535, 2**30])
def test_integers_of_32_bits_are_scaled_with_a_word(tmp_path: Path, white: int) -> None:
    values = (RAMP16 / 65535 * white).astype(np.int32)
    photo = read(saved(tmp_path / "a.tif", Image.fromarray(values)))
    assert np.abs(lightness_of(photo) - lab_lightness(RAMP16 / 65535)).max() < 0.02
    assert "32-bit" in photo.oddities[0]


@pytest.mark.parametrize(("color_type", "channels"), [(2, 3), (4, 2), (6, 4)], ids=["RGB", "LA", "RGBA"])
def test_sixteen_bits_a_channel_are_read_as_eight_with_a_word(tmp_path: Path, color_type: int, channels: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(1, 1, 16, color_type, b"\0" + b"\x80\x12" * channels))
    photo = read(path)
    assert lightness_of(photo)[0, 0] == pytest.approx(lab_lightness(np.full((1, 1), 128 / 255))[0, 0], abs=1e-3)
    assert photo.oddities == ("16 bits a channel, read as 8",)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_the_thinnest_photos_are_read(tmp_path: Path, size: tuple[int, int]) -> None:
    assert lightness_of(read(saved(tmp_path / "a.png", Image.new("L", size, 255)))).shape == size[::-1]


def test_a_tint_counts_as_colour_and_a_few_coloured_pixels_do_not(tmp_path: Path) -> None:
    image = Image.new("RGB", (100, 100), (90, 90, 90))
    image.putpixel((5, 5), (255, 0, 0))
    assert not read(saved(tmp_path / "a.png", image)).had_color
    assert read(saved(tmp_path / "b.png", Image.new("RGB", (9, 9), (120, 90, 60)))).had_color


def test_of_several_pictures_the_first_is_taken_with_a_word(tmp_path: Path) -> None:
    first, second = Image.new("L", (4, 4), 0), Image.new("L", (4, 4), 255)
    for name in ("a.tif", "a.png", "a.webp"):
        photo = read(saved(tmp_path / name, first, save_all=True, append_images=[second]))
        assert lightness_of(photo).max() < 1
        assert photo.oddities == ("more than one picture inside; the first was taken",)


def test_a_name_that_says_another_format_is_told(tmp_path: Path) -> None:
    photo = read(saved(tmp_path / "a.jpg", Image.fromarray(RAMP), format="PNG"))
    assert photo.format == "PNG"
    assert photo.oddities == ("a PNG picture in spite of its name",)
