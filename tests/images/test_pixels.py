from __future__ import annotations

import io
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pictures import (
    MIN_IS_WHITE,
    RAMP,
    RAMP16,
    encoded,
    heic_bytes,
    lab_lightness,
    lightness_of,
    palette_ramp,
    png_bytes,
    saved,
    saved_adobe_cmyk,
    tiff_tags,
    twelve_bit_tiff,
)
from PIL import Image

from colorgan.errors import PhotoError
from colorgan.images.decode import read, read_rgb


def test_lightness_agrees_with_the_color_module_over_the_whole_cube(tmp_path: Path) -> None:
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(18, -1, 3)
    photo = read(saved(tmp_path / "cube.png", Image.fromarray(cube)))
    assert np.abs(lightness_of(photo) - lab_lightness(cube / 255)).max() < 1e-3
    assert photo.had_color
    assert lightness_of(photo).dtype == np.float32


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".webp", ".jpg"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_gray_and_rgb_of_every_format_are_read(tmp_path: Path, suffix: str, mode: str) -> None:
    image = Image.fromarray(RAMP).convert(mode)
    photo = read(saved(tmp_path / f"a{suffix}", image, quality=100))
    tolerance = 1.5 if suffix in (".jpg", ".webp") else 1e-3
    assert np.abs(lightness_of(photo) - lab_lightness(RAMP / 255)).max() < tolerance
    assert (photo.size, photo.alpha, photo.had_color, photo.warnings) == ((64, 8), None, False, ())


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
    ids=["grey", "RGB", "16-bit gray"],
)
def test_one_transparent_color_becomes_alpha(tmp_path: Path, image: Image.Image, transparent: object) -> None:
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


@pytest.mark.parametrize("transform", [0, 2], ids=["CMYK", "YCCK"])
def test_adobes_inverted_jpegs_are_read_as_they_are_meant(tmp_path: Path, transform: int) -> None:
    photo = read(saved_adobe_cmyk(tmp_path / "a.jpg", transform))
    assert lightness_of(photo)[4, [4, 12]] == pytest.approx([100.0, 0.0], abs=1.0)
    assert lightness_of(photo)[4, 20] == pytest.approx(53.2, abs=3)  # red


@pytest.mark.parametrize("color", [(200, 128, 128), (60, 128, 128)])
def test_a_tiff_in_ycbcr_is_read(tmp_path: Path, color: tuple[int, int, int]) -> None:
    photo = read(saved(tmp_path / "a.tif", Image.new("YCbCr", (4, 4), color)))
    assert lightness_of(photo)[0, 0] == pytest.approx(lab_lightness(np.full((1, 1), color[0] / 255))[0, 0], abs=0.5)


def test_a_tiff_in_lab_gives_its_lightness(tmp_path: Path) -> None:
    photo = read(saved(tmp_path / "a.tif", Image.new("LAB", (4, 4), (128, 128, 128))))
    assert lightness_of(photo)[0, 0] == pytest.approx(128 / 255 * 100, abs=0.3)
    assert not photo.had_color


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_sixteen_bit_gray_is_read_at_full_depth_and_not_white(tmp_path: Path, suffix: str, order: str) -> None:
    photo = read(saved(tmp_path / f"a{suffix}", Image.fromarray(RAMP16.astype(order))))
    assert np.abs(lightness_of(photo) - lab_lightness(RAMP16 / 65535)).max() < 1e-3
    close = np.array([[30000, 30001]], np.uint16)
    lightness = lightness_of(read(saved(tmp_path / f"close{suffix}", Image.fromarray(close.astype(order)))))
    assert lightness[0, 0] < lightness[0, 1]


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_sixteen_bit_gray_where_the_least_is_white_is_inverted(tmp_path: Path, compression: str | None) -> None:
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
    assert photo.warnings == (f"float values, read with {white:g} as white",)


def test_float_values_that_are_no_numbers_are_black_or_white(tmp_path: Path) -> None:
    values = np.array([[np.nan, np.inf, -np.inf, -3.0, 1.2, 0.5]], np.float32)
    photo = read(saved(tmp_path / "a.tif", Image.fromarray(values)))
    assert lightness_of(photo)[0, :5].tolist() == [0.0, 100.0, 0.0, 0.0, 100.0]
    assert 0 < lightness_of(photo)[0, 5] < 100
    assert photo.warnings == ("values that are not numbers, read as 0", "float values, read with 1 as white")


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)], ids=["gray", "RGB"])
def test_a_picture_without_any_number_comes_with_a_word(tmp_path: Path, shape: tuple[int, ...]) -> None:
    photometric = "rgb" if len(shape) == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", np.full(shape, np.nan, np.float32), photometric=photometric)
    assert read(tmp_path / "a.tif").warnings[0] == "values that are not numbers, read as 0"


@pytest.mark.parametrize("white", [65535, 2**30])
def test_integers_of_32_bits_are_scaled_with_a_word(tmp_path: Path, white: int) -> None:
    values = (RAMP16 / 65535 * white).astype(np.int32)
    photo = read(saved(tmp_path / "a.tif", Image.fromarray(values)))
    assert np.abs(lightness_of(photo) - lab_lightness(RAMP16 / 65535)).max() < 0.02
    assert "32-bit" in photo.warnings[0]


@pytest.mark.parametrize(("color_type", "channels"), [(2, 3), (4, 2), (6, 4)], ids=["RGB", "LA", "RGBA"])
def test_a_png_with_16_bits_a_channel_is_read_at_full_depth(tmp_path: Path, color_type: int, channels: int) -> None:
    samples = np.random.default_rng(3).integers(0, 65536, (5, 7, channels), dtype=np.uint16)
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(7, 5, 16, color_type, b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)))
    photo = read(path)
    colors = samples[..., :3] if channels > 2 else samples[..., 0]
    assert np.abs(lightness_of(photo) - lab_lightness(colors / 65535)).max() < 2e-3
    assert photo.metadata.bit_depth == 16
    assert (photo.alpha is None) == (channels == 3)
    if photo.alpha is not None:
        assert np.array_equal(photo.alpha, samples[..., -1] >> 8)


def test_one_transparent_color_of_16_bits_becomes_alpha(tmp_path: Path) -> None:
    row = b"\0" + np.array([[1, 2, 3], [1, 2, 4]], ">u2").tobytes()
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(2, 1, 16, 2, row, tRNS=np.array([1, 2, 3], ">u2").tobytes()))
    alpha = read(path).alpha
    assert alpha is not None
    assert alpha.tolist() == [[0, 255]]


LAYOUTS = {
    "strips": {},
    "deflate": {"compression": "zlib"},
    "predictor": {"compression": "zlib", "predictor": True},
    "tiles": {"tile": (16, 16)},
    "planes": {"planarconfig": "separate"},
    "deflated planes": {"planarconfig": "separate", "compression": "zlib"},
}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("channels", [3, 4])
def test_a_tiff_with_16_bits_a_channel_is_read_at_full_depth(
    tmp_path: Path, order: str, layout: str, channels: int
) -> None:
    samples = np.random.default_rng(4).integers(0, 65536, (21, 37, channels), dtype=np.uint16)
    alpha = ["unassalpha"] if channels == 4 else None
    stored = np.moveaxis(samples, -1, 0) if "planes" in layout else samples
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, photometric="rgb", extrasamples=alpha, byteorder=order, **LAYOUTS[layout])
    photo = read(path)
    assert np.abs(lightness_of(photo) - lab_lightness(samples[..., :3] / 65535)).max() < 2e-3
    if channels == 4:
        assert photo.alpha is not None
        assert np.array_equal(photo.alpha, samples[..., 3] >> 8)
    assert photo.metadata.bit_depth == 16
    assert photo.warnings == ()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_deep_gray_of_either_byte_order_where_the_least_is_white_is_inverted(
    tmp_path: Path, order: str, compression: str | None
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RAMP16, photometric="miniswhite", byteorder=order, compression=compression)
    assert np.abs(lightness_of(read(path)) - lab_lightness(1 - RAMP16 / 65535)).max() < 1e-3


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.uint32])
def test_a_tiff_of_deep_colors_is_read_with_a_word(tmp_path: Path, dtype: type) -> None:
    samples = np.random.default_rng(5).random((6, 9, 3))
    samples[0, 0] = 1.0
    stored = samples * (2**32 - 1) if dtype is np.uint32 else samples
    tifffile.imwrite(tmp_path / "a.tif", stored.astype(dtype), photometric="rgb")
    photo = read(tmp_path / "a.tif")
    assert np.abs(lightness_of(photo) - lab_lightness(samples)).max() < 0.05
    assert photo.had_color
    assert "as white" in photo.warnings[0]


def test_deep_gray_with_transparency_is_read_from_a_tiff(tmp_path: Path) -> None:
    samples = np.dstack([RAMP16, 65535 - RAMP16])
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="minisblack", extrasamples=["unassalpha"])
    photo = read(tmp_path / "a.tif")
    assert np.abs(lightness_of(photo) - lab_lightness(RAMP16 / 65535)).max() < 1e-3
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha, (65535 - RAMP16) >> 8)


def test_a_rare_tiff_is_turned_upright_and_keeps_what_it_says(tmp_path: Path) -> None:
    tags = [(274, 3, 1, 6, True), (315, 2, 9, b"somebody\0", True)]
    floats = np.dstack([RAMP / np.float32(255)] * 3).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", floats, photometric="rgb", resolution=(300, 150), extratags=tags)
    photo = read(tmp_path / "a.tif")
    assert np.abs(lightness_of(photo) - np.rot90(lab_lightness(RAMP / 255), -1)).max() < 0.05
    assert photo.metadata.dpi == (150, 300)
    assert b"somebody" in (photo.metadata.exif or b"")


def test_a_tiff_of_many_channels_is_no_photo(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", np.zeros((4, 5, 9), np.uint16), photometric="minisblack", planarconfig="contig"
    )
    with pytest.raises(PhotoError, match="an unsupported kind"):
        read(tmp_path / "a.tif")


def test_a_rare_tiff_without_its_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5, 3), np.float32), photometric="rgb")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(PhotoError, match="needs tifffile") as caught:
        read(tmp_path / "a.tif")
    assert "colorgan[tiff]" in caught.value.advice


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA"])
@pytest.mark.parametrize("suffix", [".gif", ".avif"])
def test_gif_and_avif_are_read(tmp_path: Path, suffix: str, mode: str) -> None:
    image = Image.fromarray(RAMP).convert(mode)
    photo = read(saved(tmp_path / f"a{suffix}", image, quality=100))
    assert np.abs(lightness_of(photo) - lab_lightness(RAMP / 255)).max() < 3.5  # a GIF has few levels
    assert not photo.had_color


def test_a_gif_with_a_transparent_color_keeps_it(tmp_path: Path) -> None:
    photo = read(saved(tmp_path / "a.gif", palette_ramp(), transparency=5))
    assert photo.alpha is not None
    assert photo.alpha[0].tolist() == [255 * (code != 5) for code in range(64)]


@pytest.mark.parametrize("mode", ["L", "P"])
@pytest.mark.parametrize("transparent", [None, 20])
def test_a_gif_smaller_than_its_screen_is_transparent_around(
    tmp_path: Path, mode: str, transparent: int | None
) -> None:
    ramp = palette_ramp() if mode == "P" else Image.fromarray(RAMP)
    data = bytearray(encoded(ramp, "GIF", **({} if transparent is None else {"transparency": transparent})))
    data[6:10] = struct.pack("<HH", 68, 10)  # the screen
    place = data.index(b"," + struct.pack("<HHHH", 0, 0, 64, 8))
    data[place + 1 : place + 5] = struct.pack("<HH", 3, 1)
    photo = read(io.BytesIO(bytes(data)))
    assert photo.size == (68, 10)
    assert photo.alpha is not None
    covered = photo.alpha > 0
    assert covered[1:9, 3:67].sum() == covered.sum() == 8 * (64 - (transparent is not None))
    assert lightness_of(photo)[1:9, 3:67][:, 21:] == pytest.approx(lab_lightness(RAMP / 255)[:, 21:], abs=0.01)
    assert (np.asarray(read_rgb(io.BytesIO(bytes(data))))[~covered] == 255).all()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_heic_is_read(tmp_path: Path, mode: str) -> None:
    photo = read(io.BytesIO(heic_bytes(Image.fromarray(RAMP).convert(mode), quality=100)))
    assert np.abs(lightness_of(photo) - lab_lightness(RAMP / 255)).max() < 3
    assert (photo.format, photo.warnings) == ("HEIF", ())


def test_heic_without_its_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.heic").write_bytes(heic_bytes(Image.fromarray(RAMP)))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoError, match="HEIC") as caught:
        read(tmp_path / "a.heic")
    assert "colorgan[heif]" in caught.value.advice


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".gif", ".webp", ".avif", ".bmp"])
def test_all_black_and_all_white_are_read(tmp_path: Path, suffix: str, level: int) -> None:
    photo = read(saved(tmp_path / f"a{suffix}", Image.new("L", (9, 5), level)))
    assert lightness_of(photo) == pytest.approx(100.0 if level else 0.0, abs=0.3)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_the_thinnest_photos_are_read(tmp_path: Path, size: tuple[int, int]) -> None:
    assert lightness_of(read(saved(tmp_path / "a.png", Image.new("L", size, 255)))).shape == size[::-1]


def test_a_tint_counts_as_color_and_a_few_colored_pixels_do_not(tmp_path: Path) -> None:
    image = Image.new("RGB", (100, 100), (90, 90, 90))
    image.putpixel((5, 5), (255, 0, 0))
    assert not read(saved(tmp_path / "a.png", image)).had_color
    assert read(saved(tmp_path / "b.png", Image.new("RGB", (9, 9), (120, 90, 60)))).had_color


def test_of_several_pictures_the_first_is_taken_with_a_word(tmp_path: Path) -> None:
    first, second = Image.new("L", (4, 4), 0), Image.new("L", (4, 4), 255)
    for name in ("a.tif", "a.png", "a.webp"):
        photo = read(saved(tmp_path / name, first, save_all=True, append_images=[second]))
        assert lightness_of(photo).max() < 1
        assert photo.warnings[0].startswith("several pictures inside; only the first was used")


def test_a_name_that_says_another_format_is_told(tmp_path: Path) -> None:
    photo = read(saved(tmp_path / "a.jpg", Image.fromarray(RAMP), format="PNG"))
    assert photo.format == "PNG"
    assert photo.warnings == ("a PNG picture, despite its name",)
