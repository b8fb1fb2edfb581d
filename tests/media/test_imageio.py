from __future__ import annotations

import contextlib
import errno
import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin

from colorgan.color.lab import rgb_to_lab
from colorgan.errors import OutputError, PhotoError
from colorgan.media import imageio
from colorgan.media.imageio import Metadata

RAMP = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (8, 1))  # 64 x 8, black to nearly white
RAMP16 = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (8, 1))
ORIENTATION, ARTIST, MIN_IS_WHITE = 0x0112, 0x013B, {262: 0}


def lab_lightness(rgb: NDArray[np.number]) -> NDArray[np.float32]:
    """L by color/lab.py of (H, W) or (H, W, 3) in 0..1."""
    colours = np.repeat(rgb[..., None], 3, axis=2) if rgb.ndim == 2 else rgb
    return rgb_to_lab(torch.tensor(colours, dtype=torch.float32).movedim(-1, 0))[0].numpy()


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def palette_ramp() -> Image.Image:
    image = Image.fromarray(RAMP // 4, "L").convert("P")
    image.putpalette([level for code in range(64) for level in [code * 4] * 3])
    return image


def tiff_tags(tags: dict[int, object]) -> TiffImagePlugin.ImageFileDirectory_v2:
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        directory[tag] = value
    return directory


def png_bytes(width: int, height: int, depth: int, color_type: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def twelve_bit_tiff(first: int, second: int) -> bytes:
    """A TIFF of two pixels, 12 bits each."""
    strip = bytes([first >> 4, (first & 15) << 4 | second >> 8, second & 255])
    tags = [(256, 3, 2), (257, 3, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 3, 1)]
    tags.append((279, 4, 3))
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<I", 12) + strip + b"\0" + struct.pack("<H", len(tags)) + entries + bytes(4)


# --- what is read ---


def test_lightness_agrees_with_the_colour_module_over_the_whole_cube(tmp_path: Path) -> None:
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(18, -1, 3)
    photo = imageio.read(saved(tmp_path / "cube.png", Image.fromarray(cube)))
    assert np.abs(photo.L - lab_lightness(cube / 255)).max() < 1e-3
    assert photo.had_color
    assert photo.L.dtype == np.float32


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".webp", ".jpg"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_grey_and_rgb_of_every_format_are_read(tmp_path: Path, suffix: str, mode: str) -> None:
    image = Image.fromarray(RAMP).convert(mode)
    photo = imageio.read(saved(tmp_path / f"a{suffix}", image, quality=100))
    tolerance = 1.5 if suffix in (".jpg", ".webp") else 1e-3
    assert np.abs(photo.L - lab_lightness(RAMP / 255)).max() < tolerance
    assert (photo.size, photo.alpha, photo.had_color, photo.oddities) == ((64, 8), None, False, ())


def test_a_palette_is_looked_up(tmp_path: Path) -> None:
    photo = imageio.read(saved(tmp_path / "a.png", palette_ramp()))
    assert np.abs(photo.L - lab_lightness(RAMP / 255)).max() < 1e-3
    assert photo.alpha is None


def test_a_palette_with_transparency_keeps_it(tmp_path: Path) -> None:
    photo = imageio.read(saved(tmp_path / "a.png", palette_ramp(), transparency=bytes(range(64))))
    assert photo.alpha is not None
    assert photo.alpha[0].tolist() == list(range(64))
    assert np.abs(photo.L - lab_lightness(RAMP / 255)).max() < 1e-3


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    bits = Image.fromarray(RAMP).point(lambda level: 255 * (level > 127)).convert("1")
    for name in ("a.png", "a.tif", "a.bmp"):
        photo = imageio.read(saved(tmp_path / name, bits))
        assert photo.L[0].tolist() == [0.0] * 32 + [100.0] * 32


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_alpha_is_kept(tmp_path: Path, mode: str, suffix: str) -> None:
    image = Image.fromarray(RAMP).convert(mode)
    image.putalpha(Image.fromarray(255 - RAMP))
    if suffix == ".webp":
        image = image.convert("RGBA")
    photo = imageio.read(saved(tmp_path / f"a{suffix}", image, lossless=True, exact=True))
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha, 255 - RAMP)
    assert np.abs(photo.L - lab_lightness(RAMP / 255)).max() < 1e-3


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
    photo = imageio.read(saved(tmp_path / "a.png", image, transparency=transparent))
    assert photo.alpha is not None
    assert np.array_equal(photo.alpha, np.where(RAMP == 8, 0, 255))


def test_cmyk_jpegs_are_read_with_paper_white_and_ink_black(tmp_path: Path) -> None:
    image = Image.new("CMYK", (24, 8), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (8, 0, 16, 8))
    image.paste((0, 255, 255, 0), (16, 0, 24, 8))
    for name in ("a.jpg", "a.tif"):
        photo = imageio.read(saved(tmp_path / name, image, quality=100))
        assert photo.L[4, [4, 12]] == pytest.approx([100.0, 0.0], abs=1.0)
        assert photo.L[4, 20] == pytest.approx(53.2, abs=1.5)  # red
        assert photo.had_color


def test_a_cmyk_jpeg_of_adobe_holds_its_inks_inverted(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", Image.new("CMYK", (8, 8), (0, 0, 0, 0)), quality=100)
    assert b"Adobe" in path.read_bytes()
    assert imageio.read(path).L.min() > 99


@pytest.mark.parametrize("colour", [(200, 128, 128), (60, 128, 128)])
def test_a_tiff_in_ycbcr_is_read(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    photo = imageio.read(saved(tmp_path / "a.tif", Image.new("YCbCr", (4, 4), colour)))
    assert photo.L[0, 0] == pytest.approx(lab_lightness(np.full((1, 1), colour[0] / 255))[0, 0], abs=0.5)


def test_a_tiff_in_lab_gives_its_lightness(tmp_path: Path) -> None:
    photo = imageio.read(saved(tmp_path / "a.tif", Image.new("LAB", (4, 4), (128, 128, 128))))
    assert photo.L[0, 0] == pytest.approx(128 / 255 * 100)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_sixteen_bit_grey_is_read_at_full_depth_and_not_white(tmp_path: Path, suffix: str, order: str) -> None:
    photo = imageio.read(saved(tmp_path / f"a{suffix}", Image.fromarray(RAMP16.astype(order))))
    assert np.abs(photo.L - lab_lightness(RAMP16 / 65535)).max() < 1e-3
    close = np.array([[30000, 30001]], np.uint16)
    lightness = imageio.read(saved(tmp_path / f"close{suffix}", Image.fromarray(close.astype(order)))).L
    assert lightness[0, 0] < lightness[0, 1]


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_sixteen_bit_grey_where_the_least_is_white_is_inverted(tmp_path: Path, compression: str | None) -> None:
    tags = tiff_tags(MIN_IS_WHITE)
    path = saved(tmp_path / "a.tif", Image.fromarray(RAMP16), tiffinfo=tags, compression=compression)
    assert np.abs(imageio.read(path).L - lab_lightness(1 - RAMP16 / 65535)).max() < 1e-3


def test_twelve_bits_reach_white(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(twelve_bit_tiff(0, 4095))
    assert imageio.read(path).L[0].tolist() == [0.0, 100.0]


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
def test_float_values_are_scaled_by_their_range_with_a_word(tmp_path: Path, white: float) -> None:
    values = RAMP16 / 65535 * white
    photo = imageio.read(saved(tmp_path / "a.tif", Image.fromarray(values.astype(np.float32))))
    assert np.abs(photo.L - lab_lightness(RAMP16 / 65535)).max() < 0.02
    assert photo.oddities == (f"float values, read with {white:g} as white",)


def test_float_values_that_are_no_numbers_are_black_or_white(tmp_path: Path) -> None:
    values = np.array([[np.nan, np.inf, -np.inf, -3.0, 1.2, 0.5]], np.float32)
    photo = imageio.read(saved(tmp_path / "a.tif", Image.fromarray(values)))
    assert photo.L[0, :5].tolist() == [0.0, 100.0, 0.0, 0.0, 100.0]
    assert 0 < photo.L[0, 5] < 100


@pytest.mark.parametrize("white", [65535, 2**30])
def test_integers_of_32_bits_are_scaled_with_a_word(tmp_path: Path, white: int) -> None:
    values = (RAMP16 / 65535 * white).astype(np.int32)
    photo = imageio.read(saved(tmp_path / "a.tif", Image.fromarray(values)))
    assert np.abs(photo.L - lab_lightness(RAMP16 / 65535)).max() < 0.02
    assert "32-bit" in photo.oddities[0]


@pytest.mark.parametrize(("color_type", "channels"), [(2, 3), (4, 2), (6, 4)], ids=["RGB", "LA", "RGBA"])
def test_sixteen_bits_a_channel_are_read_as_eight_with_a_word(tmp_path: Path, color_type: int, channels: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(1, 1, 16, color_type, b"\0" + b"\x80\x12" * channels))
    photo = imageio.read(path)
    assert photo.L[0, 0] == pytest.approx(lab_lightness(np.full((1, 1), 128 / 255))[0, 0], abs=1e-3)
    assert photo.oddities == ("16 bits a channel, read as 8",)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_the_thinnest_photos_are_read(tmp_path: Path, size: tuple[int, int]) -> None:
    assert imageio.read(saved(tmp_path / "a.png", Image.new("L", size, 255))).L.shape == size[::-1]


def test_a_tint_counts_as_colour_and_a_few_coloured_pixels_do_not(tmp_path: Path) -> None:
    image = Image.new("RGB", (100, 100), (90, 90, 90))
    image.putpixel((5, 5), (255, 0, 0))
    assert not imageio.read(saved(tmp_path / "a.png", image)).had_color
    assert imageio.read(saved(tmp_path / "b.png", Image.new("RGB", (9, 9), (120, 90, 60)))).had_color


def test_of_several_pictures_the_first_is_taken_with_a_word(tmp_path: Path) -> None:
    first, second = Image.new("L", (4, 4), 0), Image.new("L", (4, 4), 255)
    for name in ("a.tif", "a.png", "a.webp"):
        photo = imageio.read(saved(tmp_path / name, first, save_all=True, append_images=[second]))
        assert photo.L.max() < 1
        assert photo.oddities == ("more than one picture inside; the first was taken",)


def test_a_name_that_says_another_format_is_told(tmp_path: Path) -> None:
    photo = imageio.read(saved(tmp_path / "a.jpg", Image.fromarray(RAMP), format="PNG"))
    assert photo.format == "PNG"
    assert photo.oddities == ("a PNG picture in spite of its name",)


# --- metadata ---


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_a_photo_that_exif_calls_turned_is_read_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    corner = np.zeros((16, 32), np.uint8)
    corner[:8, :8] = 255
    corner[:8, 8:16] = 128
    exif = Image.Exif()
    exif[ORIENTATION], exif[ARTIST] = orientation, "somebody"
    path = saved(tmp_path / f"a{suffix}", Image.fromarray(corner).convert("RGB"), exif=exif, quality=100)
    photo = imageio.read(path)
    upright = np.asarray(ImageOps.exif_transpose(opened(path)).convert("L"))
    assert photo.L.shape == upright.shape
    assert np.abs(photo.L - lab_lightness(upright / 255)).max() < 1
    if suffix != ".tif":
        assert photo.metadata.exif is not None
        kept = Image.Exif()
        kept.load(photo.metadata.exif)
        assert dict(kept) == {ARTIST: "somebody"}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_alpha_and_resolution_are_turned_with_the_photo(tmp_path: Path, orientation: int) -> None:
    image = Image.fromarray(RAMP).convert("RGBA")
    image.putalpha(Image.fromarray(RAMP))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    photo = imageio.read(saved(tmp_path / "a.png", image, exif=exif, dpi=(300, 150)))
    assert photo.alpha is not None
    assert np.abs(lab_lightness(photo.alpha / 255) - photo.L).max() < 1e-3
    assert photo.metadata.dpi == pytest.approx((300, 150) if orientation <= 4 else (150, 300), rel=1e-3)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert imageio.read(saved(tmp_path / "a.jpg", Image.fromarray(RAMP), exif=exif)).size == (64, 8)


def test_damaged_exif_costs_the_tags_and_not_the_photo(tmp_path: Path) -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12\0\x03\xff\xff\xff\xff" * 3
    photo = imageio.read(saved(tmp_path / "a.jpg", Image.fromarray(RAMP), exif=exif))
    assert photo.size == (64, 8)
    assert photo.metadata.exif is None


def test_a_resolution_that_is_none_is_left_out() -> None:
    for dpi in ((0, 0), (float("nan"), 1), ("x", "y"), (1,), None):
        image = Image.fromarray(RAMP)
        image.info["dpi"] = dpi
        assert imageio.from_image(image).metadata.dpi is None


def test_a_picture_in_memory_stays_as_it_is() -> None:
    image = palette_ramp()
    image.info["transparency"] = 3
    before = (image.mode, image.tobytes(), dict(image.info))
    imageio.from_image(image)
    assert (image.mode, image.tobytes(), image.info) == before


# --- what cannot be read ---


def reason(path: Path, **options: float) -> str:
    with pytest.raises(PhotoError) as caught:
        imageio.read(path, **options)
    return str(caught.value)


def noise(size: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8))


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


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_pillows_own_limit_neither_stops_nor_stays_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = saved(tmp_path / f"a{suffix}", noise())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert imageio.read(path).size == (64, 64)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_a_decoder_without_memory_fails_that_photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "a.png", noise())
    monkeypatch.setattr(imageio, "from_image", lambda _: (_ for _ in ()).throw(MemoryError))
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
        assert np.isfinite(imageio.read(path, max_megapixels=1).L).all()


# --- what is written ---


RGB = np.stack([RAMP, RAMP[:, ::-1], 255 - RAMP], axis=-1)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".bmp", ".dib", ".jpg", ".JPEG", ".jpe", ".jfif", ".webp"])
def test_every_format_comes_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new folder" / f"a{suffix}"
    assert imageio.write(path, RGB, quality=100) == ()
    written = np.asarray(opened(path).convert("RGB")).astype(int)
    lossy = suffix.lower() in (".jpg", ".jpeg", ".jpe", ".jfif", ".webp")
    assert np.abs(written - RGB).max() <= (24 if lossy else 0)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_alpha_is_written_where_the_format_has_it(tmp_path: Path, suffix: str) -> None:
    assert imageio.write(tmp_path / f"a{suffix}", RGB, alpha=RAMP) == ()
    assert np.array_equal(np.asarray(opened(tmp_path / f"a{suffix}").getchannel("A")), RAMP)


@pytest.mark.parametrize(("suffix", "name"), [(".jpg", "JPEG"), (".bmp", "BMP")])
def test_alpha_is_dropped_elsewhere_with_a_word(tmp_path: Path, suffix: str, name: str) -> None:
    path = tmp_path / f"a{suffix}"
    assert imageio.write(path, RGB, alpha=RAMP) == (f"{name} has no transparency; it was dropped",)
    assert imageio.write(path, RGB, alpha=np.full_like(RAMP, 255)) == ()
    assert opened(path).mode == "RGB"


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_exif_and_resolution_are_written(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[ARTIST] = "somebody"
    imageio.write(tmp_path / f"a{suffix}", RGB, metadata=Metadata(exif.tobytes(), (300.0, 300.0)))
    photo = imageio.read(tmp_path / f"a{suffix}")
    assert photo.metadata.exif == exif.tobytes()
    if suffix != ".webp":
        assert photo.metadata.dpi == pytest.approx((300, 300), abs=0.1)


def test_more_exif_than_a_jpeg_can_hold_is_left_out_with_a_word(tmp_path: Path) -> None:
    words = imageio.write(tmp_path / "a.jpg", RGB, metadata=Metadata(b"Exif\0\0" + bytes(70_000)))
    assert words == ("more EXIF data than a JPEG can hold, left out",)


@pytest.mark.parametrize(("suffix", "longest"), [(".webp", 16383), (".jpg", 65500)])
def test_a_picture_too_large_for_its_format_fails_with_its_reason(tmp_path: Path, suffix: str, longest: int) -> None:
    imageio.write(tmp_path / f"a{suffix}", np.zeros((1, longest, 3), np.uint8))
    with pytest.raises(PhotoError, match=f"ends at {longest} pixels"):
        imageio.write(tmp_path / f"b{suffix}", np.zeros((longest + 1, 1, 3), np.uint8))


def test_lower_quality_makes_smaller_files(tmp_path: Path) -> None:
    rgb = np.asarray(noise())
    for suffix in (".jpg", ".webp"):
        sizes = []
        for quality in (10, 95):
            imageio.write(tmp_path / f"a{suffix}", rgb, quality=quality)
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
        imageio.write(path, RGB)
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == {"a.png": b"before"}


def test_a_file_in_place_of_the_folder_stops(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OutputError):
        imageio.write(tmp_path / "out" / "a.png", RGB)


def test_one_name_that_the_disk_cannot_hold_fails_that_photo_alone(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="name too long"):
        imageio.write(tmp_path / ("n" * 300 + ".png"), RGB)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(PhotoError if os.name != "nt" else OutputError):
        imageio.write(tmp_path / "folder.png", RGB)
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder.png"]
