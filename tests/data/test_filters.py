from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import heic_bytes
from PIL import Image

from colorgan.data import filters
from colorgan.data.filters import (
    Reason,
    Reduced,
    Rejected,
    reduce_photo,
    rejected_for_colors,
)
from colorgan.data.shards import ENCODINGS
from colorgan.data.sources import open_source
from colorgan.images.decode import ReadOptions, read_size
from colorgan.images.profiles import adobe_rgb

Paint = Callable[..., bytes]
Judge = Callable[..., "Reduced | Rejected"]


@pytest.fixture
def reduce(tmp_path: Path) -> Judge:
    def reduce(data: bytes, size: int = 32, min_side: int = 16, encoding: str = "jpeg") -> Reduced | Rejected:
        (tmp_path / "photo.png").write_bytes(data)
        return reduce_photo(open_source(tmp_path).entries[0], size, min_side, ENCODINGS[encoding])

    return reduce


def reduced(reduce: Judge, picture: Image.Image) -> Reduced:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    photo = reduce(buffer.getvalue(), size=64)
    assert isinstance(photo, Reduced)
    return photo


def verdicts(reduce: Judge, min_chroma: float, *pictures: Image.Image) -> list[Reason | None]:
    found = [rejected_for_colors(reduced(reduce, picture), min_chroma) for picture in pictures]
    return [rejected and rejected.reason for rejected in found]


def open_encoded(photo: Reduced | Rejected) -> Image.Image:
    assert isinstance(photo, Reduced)
    return Image.open(io.BytesIO(photo.encoded))


@pytest.mark.parametrize(
    ("width", "height", "expected"), [(100, 60, (53, 32)), (60, 100, (32, 53)), (20, 30, (20, 30)), (32, 40, (32, 40))]
)
def test_the_short_side_is_reduced_and_never_enlarged(
    reduce: Judge, paint: Paint, width: int, height: int, expected: tuple[int, int]
) -> None:
    photo = reduce(paint(0, width, height))
    assert open_encoded(photo).size == expected
    assert isinstance(photo, Reduced)
    assert (photo.width, photo.height) == expected


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_every_format_is_read_and_stored_as_a_jpeg_with_full_colour(reduce: Judge, paint: Paint, kind: str) -> None:
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    jpeg = open_encoded(reduce(paint(0, 200, 160, kind=kind, **options)))
    assert jpeg.format == "JPEG"
    assert [factors[1:3] for factors in jpeg.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]
    truth = Image.open(io.BytesIO(paint(0, 200, 160))).resize(jpeg.size, Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(jpeg, np.int16) - np.asarray(truth, np.int16)).mean() < 4


def test_a_photo_is_turned_as_its_exif_says(reduce: Judge, paint: Paint) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = open_encoded(reduce(paint(0, 32, 48)))
    turned = Image.open(io.BytesIO(paint(0, 32, 48))).rotate(90, expand=True)
    buffer = io.BytesIO()
    turned.save(buffer, "PNG", exif=exif)
    assert np.array_equal(open_encoded(reduce(buffer.getvalue())), upright)


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"", "not a JPEG"),
        (b"GIF89a" + bytes(5), "damaged"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 50 50\n", "a PostScript document"),
    ],
)
def test_what_is_no_picture_of_the_known_formats_is_unreadable(reduce: Judge, data: bytes, detail: str) -> None:
    left_out = reduce(data)
    assert isinstance(left_out, Rejected)
    assert left_out.reason == Reason.UNREADABLE
    assert detail in left_out.detail


def test_a_truncated_photo_is_unreadable_with_the_decoders_reason(reduce: Judge, paint: Paint) -> None:
    left_out = reduce(paint(0)[:-400])
    assert isinstance(left_out, Rejected)
    assert left_out.reason == Reason.UNREADABLE
    assert "truncated" in left_out.detail


def test_a_photo_below_the_smallest_side_is_tiny(reduce: Judge, paint: Paint) -> None:
    assert reduce(paint(0, 15, 90)) == Rejected(Reason.TINY, "15 x 90")


def test_a_photo_with_far_too_many_pixels_is_refused_before_they_are_decoded(
    reduce: Judge, paint: Paint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "read_size", partial(read_size, options=ReadOptions(1e-4)))
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("pixels were decoded"))
    left_out = reduce(paint(0))
    assert isinstance(left_out, Rejected)
    assert left_out.detail == "48 x 40 pixels, more than 0.0001 megapixels"


def test_a_deep_grey_photo_keeps_its_levels(reduce: Judge) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 40), 40_000, np.uint16)).save(buffer, "PNG")
    assert np.abs(np.asarray(open_encoded(reduce(buffer.getvalue()))).astype(int) - 156).max() <= 1


def test_colors_are_stored_as_their_profile_means_them(reduce: Judge) -> None:
    pixels, buffer = Image.new("RGB", (48, 40), (60, 200, 60)), io.BytesIO()
    pixels.save(buffer, "PNG", icc_profile=adobe_rgb(is_gray=False))
    red, green, _ = np.asarray(open_encoded(reduce(buffer.getvalue())))[20, 24].astype(int)
    assert red < 10
    assert green > 195


def test_colors_that_transparency_hides_are_not_stored(reduce: Judge) -> None:
    pixels, buffer = Image.new("RGBA", (48, 40), (200, 0, 0, 0)), io.BytesIO()
    pixels.save(buffer, "PNG")
    assert np.asarray(open_encoded(reduce(buffer.getvalue()))).min() > 250


@pytest.mark.parametrize("name", ["a.jfif", "b.gif", "c.heic", "d.avif", "e.dib"])
def test_every_kind_of_photo_that_is_colored_is_taken(tmp_path: Path, name: str) -> None:
    picture = Image.new("RGB", (48, 40), (200, 60, 40))
    if name.endswith(".heic"):
        (tmp_path / name).write_bytes(heic_bytes(picture))
    else:
        picture.save(tmp_path / name, {"a.jfif": "JPEG", "e.dib": "BMP"}.get(name))
    (entry,) = open_source(tmp_path).entries
    assert isinstance(reduce_photo(entry, 32, 16, ENCODINGS["jpeg"]), Reduced)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "BMP"]),
    place=st.floats(0, 1, exclude_max=True),
    junk=st.binary(min_size=1, max_size=16),
)
@pytest.mark.filterwarnings("ignore")
def test_mutated_photos_are_reduced_or_left_out_and_never_raise(
    reduce: Judge, paint: Paint, kind: str, place: float, junk: bytes
) -> None:
    data = bytearray(paint(0, kind=kind))
    at = int(place * len(data))
    data[at : at + len(junk)] = junk
    assert isinstance(reduce(bytes(data)), Reduced | Rejected)


def test_gray_and_toned_photos_are_told_from_those_in_color(reduce: Judge) -> None:
    ramp = np.tile(np.linspace(20, 235, 64), (64, 1))
    gray = Image.fromarray(ramp.astype(np.uint8)).convert("RGB")
    sepia = Image.fromarray(np.stack([ramp, ramp * 0.85, ramp * 0.7], -1).astype(np.uint8))
    coarse = np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    colorful = Image.fromarray(coarse).resize((64, 64))
    assert verdicts(reduce, 2.0, gray, sepia, colorful) == [Reason.GRAY, Reason.TONED, None]
    assert verdicts(reduce, 60.0, colorful) == [Reason.GRAY], "below the chroma that was asked for"
    assert verdicts(reduce, 0.0, gray, sepia) == [None, None]


def test_the_perceptual_hash_survives_compression_and_tells_photos_apart(reduce: Judge, paint: Paint) -> None:
    photo, other = (Image.open(io.BytesIO(paint(seed, 64, 64))) for seed in (0, 1))
    worse = Image.open(io.BytesIO(paint(0, 50, 50, kind="JPEG", quality=60)))
    hashes = [reduced(reduce, picture).hash for picture in (photo, worse, other)]
    assert (hashes[0] ^ hashes[1]).bit_count() <= 3
    assert (hashes[0] ^ hashes[2]).bit_count() > 10
