"""Mutated bytes of every format: a right result or a documented error, whatever the bytes (promise 11).

2,000 cases in the suite, the same each time; COLORGAN_FUZZ_CASES=100000 tries as many, others each time.
"""

from __future__ import annotations

import faulthandler
import functools
import io
import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pictures import heic_bytes, noise, palette_ramp, png_bytes, saved_adobe_cmyk, write
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from colorgan.errors import PhotoError
from colorgan.images.decode import ReadOptions, count_pages, measure, read
from colorgan.images.encode import WriteOptions
from colorgan.images.formats import FORMATS
from colorgan.images.icc import SRGB_PROFILE, gray_profile
from colorgan.images.photo import Photo

ASKED_CASES = int(os.environ.get("COLORGAN_FUZZ_CASES", "0"))
CASES = ASKED_CASES or 2000
LONGEST_CASE_S = 60  # far beyond what a picture of a few pixels takes on the slowest machine: it hangs

PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF>'
    b"</x:xmpmeta>"
)
GAMMA = b"curv\0\0\0\0\0\0\0\1\x02\x33"


def exif() -> bytes:
    tags = Image.Exif()
    tags[0x0112], tags[0x013B], tags[0x011A], tags[0x011B] = 6, "somebody", 300.0, 150.0
    tags[0x8769] = {36867: "1936:05:01 10:00:00", 0xA001: 65535, 0x927C: b"maker's note"}
    tags[0x8825] = {1: "N", 2: (48.0, 8.0, 0.0)}
    return tags.tobytes()


def by_pillow(name: str, image: Image.Image, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, name, **options)
    return stream.getvalue()


def by_tifffile(samples: np.ndarray, **options: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, samples, **options)
    return stream.getvalue()


def adobe_cmyk(folder: Path) -> bytes:
    return saved_adobe_cmyk(folder / "cmyk.jpg", 2).read_bytes()


def animated(name: str) -> bytes:
    frames = [Image.new("L", (9, 7), level) for level in (0, 90, 200)]
    return by_pillow(name, frames[0].convert("P"), save_all=True, append_images=frames[1:])


def seeds(folder: Path) -> dict[str, bytes]:
    """Tiny files of every format and kind that is read here, with metadata and profiles."""
    color, gray = noise(12), noise(12).convert("L")
    deep = np.random.default_rng(0).integers(0, 65536, (9, 7, 3), dtype=np.uint16)
    said = {"exif": exif(), "dpi": (300, 150), "icc_profile": SRGB_PROFILE}
    titled = PngInfo()
    titled.add_itxt("XML:com.adobe.xmp", PACKET.decode())
    titled.add_text("Comment", "a house", zip=True)
    iptc = b"\xff\xed\x00\x26Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0a\x1c\x02\x69\x00\x05House"
    return {
        "JPEG": by_pillow("JPEG", color, xmp=PACKET, comment=b"a house", extra=iptc, **said),
        "progressive JPEG": by_pillow("JPEG", gray, progressive=True, icc_profile=gray_profile(GAMMA)),
        "YCCK JPEG": adobe_cmyk(folder),
        "PNG": by_pillow("PNG", color.convert("RGBA"), pnginfo=titled, **said),
        "palette PNG": by_pillow("PNG", palette_ramp(), transparency=bytes(range(64))),
        "deep PNG": png_bytes(7, 9, 16, 2, b"".join(b"\4" + row.astype(">u2").tobytes() for row in deep)),
        "deep gray PNG": by_pillow("PNG", Image.fromarray(deep[..., 0]), icc_profile=gray_profile(GAMMA)),
        "moving PNG": animated("PNG"),
        "WebP": by_pillow("WEBP", color, xmp=PACKET, **said),
        "lossless WebP": by_pillow("WEBP", color.convert("RGBA"), lossless=True),
        "moving WebP": animated("WEBP"),
        "TIFF": by_pillow("TIFF", color, **said),
        "LZW TIFF": by_pillow("TIFF", color, compression="tiff_lzw"),
        "JPEG in TIFF": by_pillow("TIFF", color, compression="jpeg"),
        "fax TIFF": by_pillow("TIFF", gray.convert("1"), compression="group4"),
        "TIFF of pages": by_pillow("TIFF", gray, save_all=True, append_images=[color]),
        "deep TIFF": by_tifffile(deep, photometric="rgb", compression="zlib", predictor=True),
        "deep TIFF of planes": by_tifffile(np.moveaxis(deep, -1, 0), photometric="rgb", planarconfig="separate"),
        "float TIFF": by_tifffile(deep / np.float32(65535), photometric="rgb", tile=(16, 16)),
        "min-is-white TIFF": by_tifffile(deep[..., 0], photometric="miniswhite", byteorder=">"),
        "BMP": by_pillow("BMP", color),
        "palette BMP": by_pillow("BMP", palette_ramp()),
        "GIF": by_pillow("GIF", palette_ramp(), transparency=5, comment=b"a house"),
        "moving GIF": animated("GIF"),
        "GIF of a part": by_pillow("GIF", gray).replace(b",\0\0\0\0\x0c\0\x0c", b",\2\0\3\0\7\0\x06", 1),
        "AVIF": by_pillow("AVIF", color, xmp=PACKET, **said),
        **({"HEIC": heic_bytes(color, quality=50, exif=exif(), xmp=PACKET)} if find_spec("pillow_heif") else {}),
    }


@functools.cache
def originals() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return seeds(Path(folder))


# --- mutations ---

PLACES = st.floats(0, 1, exclude_max=True)
EXTREMES = st.sampled_from([0, 1, 2, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1])
FEW_BYTES = st.binary(min_size=1, max_size=6)

Change = tuple[str, float, object]
CHANGES = st.one_of(
    st.tuples(st.just("overwrite"), PLACES, FEW_BYTES),
    st.tuples(st.just("overwrite"), PLACES, FEW_BYTES),
    st.tuples(st.just("insert"), PLACES, FEW_BYTES),
    st.tuples(st.just("delete"), PLACES, st.integers(1, 40)),
    st.tuples(st.just("repeat"), PLACES, st.integers(1, 200)),
    st.tuples(st.just("cut"), PLACES, st.none()),
    st.tuples(st.sampled_from(["little", "big"]), PLACES, EXTREMES),
)


def changed(data: bytes, changes: list[Change]) -> bytes:
    for kind, where, value in changes:
        place = int(where * len(data))
        if kind == "overwrite":
            data = data[:place] + value + data[place + len(value) :]
        elif kind == "insert":
            data = data[:place] + value + data[place:]
        elif kind == "delete":
            data = data[:place] + data[place + value :]
        elif kind == "repeat":
            data = data[: place + value] + data[place:]
        elif kind == "cut":
            data = data[:place]
        else:
            number = value.to_bytes(4, kind)
            data = data[:place] + number + data[place + 4 :]
    return data


# --- what has to hold ---


def check_read(data: bytes) -> Photo | None:
    """A photo in order, or a reason."""
    try:
        photo = read(io.BytesIO(data), ReadOptions(max_megapixels=1))
    except PhotoError as error:
        assert str(error)  # noqa: PT017 (either is right, and both are looked at)
        return None
    width, height = photo.size
    lightness = photo.lightness.rows(slice(None))
    assert lightness.shape == (height, width)
    assert lightness.min() >= 0
    assert lightness.max() <= 100
    assert photo.alpha is None or photo.alpha.shape == (height, width)
    assert photo.format in FORMATS
    return photo


def check_written(photo: Photo, name: str, bit_depth: int) -> None:
    """What a damaged file says does no harm in the result, which is whole."""
    width, height = min(photo.size[0], 24), min(photo.size[1], 24)
    rgb, stream = np.zeros((height, width, 3), np.uint8), io.BytesIO()
    write(stream, name, rgb, metadata=photo.metadata, options=WriteOptions(mark="compact", bit_depth=bit_depth))
    result = read(io.BytesIO(stream.getvalue()))
    assert result.size == (width, height)
    if name != "BMP":
        assert b"compositeWithTrained" in (result.metadata.xmp or b"")


@settings(
    max_examples=CASES,
    deadline=None,
    derandomize=not ASKED_CASES,
    database=None,
    phases=[Phase.generate] + ([Phase.shrink] if ASKED_CASES else []),
    suppress_health_check=list(HealthCheck),
)
@given(
    st.sampled_from(sorted(originals())),
    st.lists(CHANGES, min_size=1, max_size=6),
    st.sampled_from([name for name, row in FORMATS.items() if not row.written_as]),
    st.sampled_from([8, 16]),
)
def test_mutated_bytes_give_a_photo_or_a_reason(kind: str, changes: list[Change], target: str, bit_depth: int) -> None:
    data = changed(originals()[kind], changes)
    faulthandler.dump_traceback_later(LONGEST_CASE_S, exit=True)
    try:
        photo = check_read(data)
        assert count_pages(io.BytesIO(data)) >= 1
        assert measure(io.BytesIO(data)) >= 0
        if photo:
            check_written(photo, target, bit_depth)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.mark.parametrize("kind", originals())
def test_what_is_mutated_is_a_photo_to_begin_with(kind: str) -> None:
    photo = check_read(originals()[kind])
    assert photo is not None
    for target in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "BMP"):
        check_written(photo, target, 16)
