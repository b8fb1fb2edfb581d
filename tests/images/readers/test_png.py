from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from pictures import RAMP, RAMP16, lab_lightness, lightness_of, photo_of, png_bytes, srgb_of
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from colorgan.errors import PhotoError
from colorgan.images.decode import read_rgb

SIZE = (8, 64)


def png16(samples: np.ndarray, **chunks: bytes) -> bytes:
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    return png_bytes(samples.shape[1], samples.shape[0], 16, 0, rows, **chunks)


def gray_png(**chunks: bytes) -> bytes:
    return png_bytes(64, 8, 8, 0, b"".join(b"\0" + row.tobytes() for row in RAMP), **chunks)


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
    assert "unknown color space" in photo_of(png16(RAMP16, cICP=bytes([1, 99, 0, 1]))).warnings[0]


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
