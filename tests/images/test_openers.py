from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pictures import RAMP, RAMP16, encoded, lab_lightness, lightness_of, png_bytes, tiff_bytes
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from colorgan.errors import PhotoError
from colorgan.images.decode import ReadOptions, count_pages, read, read_rgb
from colorgan.images.photo import Photo
from colorgan.images.profiles import ADOBE_RGB_GAMMA

SIZE = (8, 64)


def photo_of(data: bytes) -> Photo:
    return read(io.BytesIO(data))


def png16(samples: np.ndarray, **chunks: bytes) -> bytes:
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    return png_bytes(samples.shape[1], samples.shape[0], 16, 0, rows, **chunks)


def gray_png(**chunks: bytes) -> bytes:
    return png_bytes(64, 8, 8, 0, b"".join(b"\0" + row.tobytes() for row in RAMP), **chunks)


def srgb_of(light: np.ndarray) -> np.ndarray:
    return np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, light * 12.92)


# --- PNG -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_transparent_gray_of_a_png_is_one_of_its_own_levels(bits: int) -> None:
    highest, per_byte = 2**bits - 1, 8 // bits
    levels = np.linspace(0, highest, 64).round().astype(int)
    packed = bytes(
        sum(int(level) << (8 - bits * (place + 1)) for place, level in enumerate(levels[start : start + per_byte]))
        for start in range(0, 64, per_byte)
    )
    rows = (b"\0" + packed) * 8
    alpha = photo_of(png_bytes(64, 8, bits, 0, rows, tRNS=struct.pack(">H", highest))).alpha
    assert alpha is not None
    assert ((alpha[0] == 0) == (levels == highest)).all()


@pytest.mark.parametrize("gamma", [1.0, 1 / 1.8])
def test_gray_of_a_png_is_read_by_its_gamma(gamma: float) -> None:
    chunk = struct.pack(">I", round(gamma * 100_000))
    shown = srgb_of((RAMP16 / 65535) ** (1 / gamma))
    assert np.abs(lightness_of(photo_of(png16(RAMP16, gAMA=chunk))) - lab_lightness(shown)).max() < 0.1


@pytest.mark.parametrize("chunks", [{"sRGB": b"\0", "gAMA": struct.pack(">I", 100_000)}, {"gAMA": b"\0\0\xb1\x8f"}])
def test_a_png_that_says_srgb_is_left_as_it_is(chunks: dict[str, bytes]) -> None:
    assert np.abs(lightness_of(photo_of(png16(RAMP16, **chunks))) - lab_lightness(RAMP16 / 65535)).max() < 1e-3


def test_colors_of_a_png_are_read_by_its_gamma(tmp_path: Path) -> None:
    rows = b"".join(b"\0" + bytes([55, 55, 55]) * 4 for _ in range(4))
    found = read_rgb(io.BytesIO(png_bytes(4, 4, 8, 2, rows, gAMA=struct.pack(">I", 100_000))))
    assert found.getpixel((0, 0)) == pytest.approx((128, 128, 128), abs=1)


def test_code_points_of_a_png_count_before_all_else() -> None:
    linear = png16(RAMP16, cICP=bytes([1, 8, 0, 1]), sRGB=b"\0")
    assert np.abs(lightness_of(photo_of(linear)) - lab_lightness(srgb_of(RAMP16 / 65535))).max() < 0.1


@pytest.mark.parametrize(("transfer", "white"), [(16, 0.5807), (18, 0.7498)], ids=["PQ", "HLG"])
def test_a_white_page_in_hdr_is_white_and_what_is_brighter_is_cut_off_with_a_word(transfer: int, white: float) -> None:
    codes = np.full(SIZE, round(white * 65535), np.uint16)
    photo = photo_of(png16(codes, cICP=bytes([9, transfer, 0, 1])))
    assert lightness_of(photo).max() == pytest.approx(100, abs=0.5)
    assert "HDR" in photo.warnings[0]


def test_code_points_that_nobody_knows_are_told_of() -> None:
    assert "unknown kind" in photo_of(png16(RAMP16, cICP=bytes([1, 99, 0, 1]))).warnings[0]


@pytest.mark.parametrize("kind", [b"tEXt", b"iCCP", b"pHYs"])
def test_a_damaged_part_of_a_png_that_is_none_of_its_picture_is_left_out_with_a_word(kind: bytes) -> None:
    data = bytearray(gray_png(**{kind.decode(): b"Comment\0\0" + bytes(9)}))
    data[data.index(kind) + 8] ^= 1  # so that its checksum is wrong
    photo = photo_of(bytes(data))
    assert np.array_equal(lightness_of(photo), lightness_of(photo_of(gray_png())))
    assert kind.decode() in photo.warnings[0]
    with pytest.raises(PhotoError, match="damaged"):
        photo_of(bytes(data).replace(kind, kind.upper()))  # a part that no reader may pass over


def test_a_text_of_a_png_that_would_fill_the_memory_is_left_out_with_a_word() -> None:
    photo = photo_of(gray_png(zTXt=b"Comment\0\0" + zlib.compress(bytes(100_000_000))))
    assert np.array_equal(lightness_of(photo), lightness_of(photo_of(gray_png())))
    assert "zTXt" in photo.warnings[0]


@pytest.mark.parametrize("name", ["gamma", "transparency", "interlace", "dpi", "icc_profile", "chromaticity"])
def test_a_text_of_a_png_is_not_taken_for_what_it_is_called(name: str) -> None:
    plain = gray_png(tRNS=struct.pack(">H", 252), pHYs=struct.pack(">IIB", 11811, 11811, 1))
    data = struct.pack(">I", len(name) + 2) + b"tEXt" + name.encode() + b"\0" + b"1"
    text = data + struct.pack(">I", zlib.crc32(data[4:]))
    for place in (plain.index(b"IDAT") - 4, plain.index(b"IEND") - 4):
        photo = photo_of(plain[:place] + text + plain[place:])
        assert np.array_equal(lightness_of(photo), lightness_of(photo_of(plain)))
        assert photo.alpha is not None
        assert photo.alpha.min() == 0
        assert photo.metadata == photo_of(plain).metadata
        assert ("tEXt" in " ".join(photo.warnings)) == (place < plain.index(b"IDAT"))


@pytest.mark.parametrize("kind", ["exif", "APP1"])
def test_exif_data_in_a_text_of_imagemagick_is_kept(kind: str) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "Wedding 1911", 6
    data = exif.tobytes()
    info, buffer = PngInfo(), io.BytesIO()
    info.add_text(f"Raw profile type {kind}", f"\n{kind}\n{len(data):8d}\n{data.hex()}\n", zip=True)
    Image.fromarray(RAMP).save(buffer, "PNG", pnginfo=info)
    photo = photo_of(buffer.getvalue())
    assert photo.size == (8, 64)
    assert b"Wedding 1911" in (photo.metadata.exif or b"")


RECORD = b"\x1c\2\5\0\7Wedding"


def resource(number: int, data: bytes, name: bytes = b"") -> bytes:
    """One of Photoshop's resources: its name and its data are filled up to an even number of bytes each."""
    named = bytes([len(name)]) + name
    parts = (named + bytes(len(named) % 2), struct.pack(">I", len(data)), data + bytes(len(data) % 2))
    return b"8BIM" + struct.pack(">H", number) + b"".join(parts)


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (RECORD, RECORD),
        (resource(0x0404, RECORD), RECORD),
        (b"Photoshop 3.0\0" + resource(0x0404, RECORD), RECORD),
        (resource(0x03ED, b"odd") + resource(0x0425, bytes(16)) + resource(0x0404, RECORD) + resource(1, b""), RECORD),
        (resource(0x03ED, b"even", b"a") + resource(0x0404, RECORD, b"ab") + resource(0x0404, b"later"), RECORD),
        (resource(0x03ED, b"odd", b"abc"), None),
        (resource(0x03ED, b"odd")[:-4], None),
        (resource(0x0404, b""), None),
        (b"8BIM\4\4", None),
        (b"something else", None),
    ],
)
def test_iptc_records_in_a_text_of_imagemagick_are_kept(data: bytes, wanted: bytes | None) -> None:
    info, buffer = PngInfo(), io.BytesIO()
    info.add_text("Raw profile type iptc", f"\niptc\n{len(data):8d}\n{data.hex()}\n", zip=True)
    Image.fromarray(RAMP).save(buffer, "PNG", pnginfo=info)
    assert photo_of(buffer.getvalue()).metadata.iptc == wanted


def test_a_damaged_text_of_imagemagick_is_told_of() -> None:
    info, buffer = PngInfo(), io.BytesIO()
    info.add_text("Raw profile type iptc", "no hexadecimal")
    Image.fromarray(RAMP).save(buffer, "PNG", pnginfo=info)
    assert "damaged raw profile" in photo_of(buffer.getvalue()).warnings[0]


# --- JPEG ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [2, 3])
def test_a_jpeg_without_its_last_bytes_is_read_with_a_word(progressive: bool, missing: int) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.tile(np.arange(128, dtype=np.uint8) * 2, (96, 1))).save(buffer, "JPEG", progressive=progressive)
    whole = photo_of(buffer.getvalue())
    photo = photo_of(buffer.getvalue()[:-missing])
    assert np.mean(lightness_of(photo) != lightness_of(whole)) < 0.02
    assert whole.warnings == ()
    assert photo.warnings == () or "last bytes" in photo.warnings[0]


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_last_quarter_is_damaged(progressive: bool) -> None:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (96, 128), np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG", progressive=progressive)
    with pytest.raises(PhotoError, match="damaged or incomplete"):
        photo_of(buffer.getvalue()[: len(buffer.getvalue()) * 3 // 4])


def test_a_jpeg_whose_exif_data_alone_say_adobe_rgb_is_read_as_that() -> None:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif.get_ifd(0x8769)[0xA005] = {1: "R03"}
    Image.fromarray(np.full((16, 16), 100, np.uint8)).save(buffer, "JPEG", exif=exif, quality=100)
    shown = srgb_of(np.full((1, 1), (100 / 255) ** ADOBE_RGB_GAMMA))
    assert lightness_of(photo_of(buffer.getvalue()))[4, 4] == pytest.approx(lab_lightness(shown)[0, 0], abs=0.2)


# --- TIFF ----------------------------------------------------------------------------------------------------

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
    assert "0 was taken for black" in photo.warnings[0]


def test_inks_of_which_nobody_says_whether_they_are_inverted_come_with_a_word() -> None:
    data = encoded(Image.new("CMYK", (16, 16), (0, 0, 0, 90)), "JPEG")
    place = data.index(b"\xff\xee")
    (length,) = struct.unpack_from(">H", data, place + 2)
    words = [photo_of(each).warnings for each in (data, data[:place] + data[place + 2 + length :])]
    assert words[0] == ()
    assert "inverted" in words[1][0]


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


@pytest.mark.parametrize(
    ("primaries", "transfer", "lightness", "word"),
    [(1, 13, 50.4, ""), (1, 8, 74.0, ""), (9, 16, 64.7, "HDR (PQ)")],
    ids=["sRGB", "linear", "PQ"],
)
def test_what_an_avif_says_in_code_points_is_what_its_pixels_mean(
    primaries: int, transfer: int, lightness: float, word: str
) -> None:
    file = io.BytesIO()
    Image.fromarray(_WIDE).convert("RGB").save(file, "AVIF", quality=100)
    data = bytearray(file.getvalue())
    place = data.index(b"colrnclx") + 8
    data[place : place + 4] = primaries.to_bytes(2, "big") + transfer.to_bytes(2, "big")
    photo = read(io.BytesIO(data))
    assert photo.lightness.rows(slice(0, 1))[0, 20] == pytest.approx(lightness, abs=1.0)
    assert word in " ".join(photo.warnings)


def test_a_page_that_may_be_a_scanners_infrared_channel_is_read_with_a_word_where_every_page_is() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as pages:
        pages.write(np.dstack([_WIDE] * 3), photometric="rgb")
        pages.write(255 - _WIDE, photometric="minisblack")
        pages.write(255 - _WIDE, photometric="minisblack")
    words = [read(file, ReadOptions(page=page, every_page=True)).warnings for page in range(3)]
    assert ["infrared" in " ".join(each) for each in words] == [False, True, False]
    assert read(file).warnings == ("more than one picture inside; the first was taken, not all pages",)
