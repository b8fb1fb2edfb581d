from __future__ import annotations

import io
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from pictures import RAMP, RAMP16, lab_lightness, lightness_of, open_image, saved, write
from PIL import Image, ImageCms

from colorgan.images.decode import read, read_rgb
from colorgan.images.encode import WriteOptions
from colorgan.images.icc import SRGB_PROFILE, gray_profile
from colorgan.images.icc import rgb_profile as profile_of

Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]
# Red, green and blue primaries, adapted to D50 (rows X, Y, Z of each), of two wide spaces.
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))


def gamma_curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def sampled_curve(curve: Curve) -> bytes:
    values = np.rint(curve(np.linspace(0, 1, 1024)) * 65535).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", len(values)) + values.tobytes()


def srgb_curve(level: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(level > 0.04045, ((level + 0.055) / 1.055) ** 2.4, level / 12.92)


def dot_gain(level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Reflected light of ink that spreads by 20% at half tone."""
    ink = 1 - level
    return 1 - (ink + 0.2 * 4 * ink * (1 - ink))


def rgb_profile(primaries: tuple[tuple[float, ...], ...], curve: bytes) -> bytes:
    """A profile of a matrix and tone curves, in the place of the gray one's tags."""
    tags = {b"wtpt": b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)}
    for name, primary in zip((b"r", b"g", b"b"), primaries, strict=True):
        tags[name + b"XYZ"] = b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in primary))
        tags[name + b"TRC"] = curve
    table, data, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    header = bytearray(gray_profile(curve)[:128])
    header[0:4], header[16:20] = struct.pack(">I", start + len(data)), b"RGB "
    return bytes(header) + table + data


def luminance_of(colors: NDArray[np.float64], primaries: tuple[tuple[float, ...], ...], gamma: float) -> NDArray:
    """Luminance for D65 of colors of a space, by Bradford's adaptation."""
    xyz = colors**gamma @ np.array(primaries)
    return xyz @ np.array([-0.028370, 1.009960, 0.021041])


def lightness_of_luminance(y: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(y > 0.008856, 116 * np.cbrt(y) - 16, 903.3 * y)


GRAY_CURVES = {
    "gamma 2.2": (gamma_curve(2.2), lambda level: level ** (563 / 256)),
    "dot gain": (sampled_curve(dot_gain), dot_gain),
    "gamma 1": (gamma_curve(1.0), lambda level: level),
}


@pytest.mark.parametrize("name", GRAY_CURVES)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_gray_is_read_by_its_profile(tmp_path: Path, name: str, suffix: str) -> None:
    curve, light = GRAY_CURVES[name]
    path = saved(tmp_path / f"a{suffix}", Image.fromarray(RAMP), icc_profile=gray_profile(curve), quality=100)
    photo = read(path)
    wanted = lightness_of_luminance(light(RAMP / 255))
    assert np.abs(lightness_of(photo) - wanted).max() < (2.5 if suffix == ".jpg" else 0.3)
    assert photo.lightness.samples.dtype == np.uint8
    assert photo.warnings == ()


def test_deep_gray_is_read_by_its_profile_at_full_depth(tmp_path: Path) -> None:
    close = np.array([[30000, 30001, 65535]], np.uint16)
    for suffix, samples in ((".png", RAMP16), (".tif", RAMP16), (".png", close)):
        image = Image.fromarray(samples)
        photo = read(saved(tmp_path / f"a{suffix}", image, icc_profile=gray_profile(gamma_curve(1.8))))
        wanted = lightness_of_luminance((samples / 65535) ** (461 / 256))
        assert np.abs(lightness_of(photo) - wanted).max() < 0.01
    lightness = lightness_of(photo)
    assert lightness[0, 0] < lightness[0, 1]


@pytest.mark.parametrize("primaries", [ADOBE_RGB, DISPLAY_P3], ids=["Adobe RGB", "Display P3"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".avif"])
def test_colors_are_read_by_their_profile(
    tmp_path: Path, primaries: tuple[tuple[float, ...], ...], suffix: str
) -> None:
    levels = np.array([[[120, 120, 120], [200, 180, 160], [90, 110, 60], [255, 255, 255], [40, 30, 60]]], np.uint8)
    image = Image.fromarray(levels.repeat(16, axis=0).repeat(16, axis=1))
    profile = rgb_profile(primaries, gamma_curve(2.2))
    photo = read(saved(tmp_path / f"a{suffix}", image, icc_profile=profile, quality=100, lossless=True))
    wanted = lightness_of_luminance(luminance_of(levels / 255, primaries, 563 / 256))
    assert np.abs(lightness_of(photo)[8, 8::16] - wanted[0]).max() < 0.7
    assert np.abs(lightness_of(photo)[8, 8::16] - lab_lightness(levels / 255)[0]).max() > 1


@pytest.mark.parametrize("primaries", [ADOBE_RGB, DISPLAY_P3], ids=["Adobe RGB", "Display P3"])
def test_deep_colors_are_read_by_their_profile_at_full_depth(
    tmp_path: Path, primaries: tuple[tuple[float, ...], ...]
) -> None:
    samples = np.random.default_rng(0).integers(0, 65536, (8, 9, 3), dtype=np.uint16)
    samples[0, :4] = (30000, 30000, 30000), (30000, 30004, 30000), (65535, 65535, 65535), (65535, 65535, 65534)
    profile = rgb_profile(primaries, gamma_curve(2.2))
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", iccprofile=profile)
    lightness = lightness_of(read(tmp_path / "a.tif"))
    wanted = lightness_of_luminance(luminance_of(samples / 65535, primaries, 563 / 256))
    assert np.abs(lightness - wanted).max() < 0.01
    assert lightness[0, 0] < lightness[0, 1]
    assert lightness[0, 2:4] == pytest.approx(100, abs=0.01)


def test_deep_gray_in_three_channels_is_read_by_their_profile(tmp_path: Path) -> None:
    profile = rgb_profile(ADOBE_RGB, gamma_curve(2.2))
    tifffile.imwrite(tmp_path / "a.tif", np.dstack([RAMP16] * 3), photometric="rgb", iccprofile=profile)
    wanted = lightness_of_luminance((RAMP16 / 65535) ** (563 / 256))
    assert np.abs(lightness_of(read(tmp_path / "a.tif")) - wanted).max() < 0.01


def test_an_srgb_profile_changes_nothing(tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8))
    profiles = (
        SRGB_PROFILE,
        rgb_profile(
            ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)),
            sampled_curve(srgb_curve),
        ),
    )
    plain = lightness_of(read(saved(tmp_path / "a.png", image)))
    for profile in profiles:
        photo = read(saved(tmp_path / "b.png", image, icc_profile=profile))
        assert np.array_equal(lightness_of(photo), plain)
        assert np.array_equal(read_rgb(tmp_path / "b.png"), image)
        assert photo.warnings == ()


@pytest.mark.parametrize(
    ("mode", "profile", "word"),
    [
        ("L", b"no profile at all", "damaged"),
        ("RGB", SRGB_PROFILE[:300], "damaged"),
        ("RGB", gray_profile(gamma_curve(2.2)), "another kind"),
        ("L", SRGB_PROFILE, "another kind"),
    ],
)
def test_a_useless_profile_is_left_aside_with_a_word(tmp_path: Path, mode: str, profile: bytes, word: str) -> None:
    photo = read(saved(tmp_path / "a.png", Image.fromarray(RAMP).convert(mode), icc_profile=profile))
    assert np.abs(lightness_of(photo) - lab_lightness(RAMP / 255)).max() < 1e-3
    assert word in photo.warnings[0]
    assert "sRGB is assumed" in photo.warnings[0]


@pytest.mark.parametrize("bit_depth", [8, 16])
@pytest.mark.parametrize(
    ("suffix", "name"), [(".jpg", "JPEG"), (".png", "PNG"), (".webp", "WEBP"), (".avif", "AVIF"), (".tif", "TIFF")]
)
def test_a_result_carries_a_profile_for_rgb_and_never_the_gray_one(
    tmp_path: Path, suffix: str, name: str, bit_depth: int
) -> None:
    source = saved(tmp_path / "in.png", Image.fromarray(RAMP), icc_profile=gray_profile(gamma_curve(2.2)))
    rgb = np.dstack([RAMP] * 3)
    path = tmp_path / f"out{suffix}"
    write(path, name, rgb, metadata=read(source).metadata, options=WriteOptions(bit_depth=bit_depth))
    if suffix == ".tif" and bit_depth == 16:
        with tifffile.TiffFile(path) as tiff:
            embedded = tiff.pages.first.iccprofile
    else:
        embedded = open_image(path).info["icc_profile"]
    profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded)).profile
    assert profile.xcolor_space == "RGB "
    assert "sRGB" in (profile.profile_description or "")


def test_the_same_profile_is_written_on_any_day() -> None:
    assert SRGB_PROFILE[24:36] == struct.pack(">6H", 2000, 1, 1, 0, 0, 0)


def test_threads_share_a_profile(tmp_path: Path) -> None:
    profile = rgb_profile(ADOBE_RGB, gamma_curve(2.2))
    noises = [np.random.default_rng(seed).integers(0, 256, (60, 70, 3), dtype=np.uint8) for seed in range(4)]
    paths = [
        saved(tmp_path / f"{index}.png", Image.fromarray(noise), icc_profile=profile)
        for index, noise in enumerate(noises)
    ]
    alone = [lightness_of(read(path)) for path in paths]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(read, paths * 20))
    for index, photo in enumerate(together):
        assert np.array_equal(lightness_of(photo), alone[index % 4])


def table_profile(steps: int = 9) -> bytes:
    """A profile of RGB in linear light that has a table in place of a matrix: lut16, to Lab (ICC.1:2010, 10.10)."""
    axis = np.arange(steps) / (steps - 1)
    rgb = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    primaries = np.array([[0.43607, 0.22250, 0.01393], [0.38506, 0.71688, 0.09710], [0.14308, 0.06062, 0.71417]])
    xyz = rgb @ primaries / np.array([0.9642, 1, 0.8249])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = np.moveaxis(f, -1, 0)
    lab = np.stack([(116 * y - 16) * 652.8, (500 * (x - y) + 128) * 256, (200 * (y - z) + 128) * 256], axis=-1)
    ends = struct.pack(">2H", 0, 65535) * 3
    lut = b"mft2" + bytes(4) + bytes([3, 3, steps, 0]) + struct.pack(">9i", *(np.eye(3, dtype=int) * 65536).ravel())
    lut += struct.pack(">HH", 2, 2) + ends + lab.clip(0, 65535).round().astype(">u2").tobytes() + ends
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    place = 128 + 4 + 2 * 12
    table = struct.pack(">I", 2) + b"wtpt" + struct.pack(">II", place, 20) + b"A2B0"
    table += struct.pack(">II", place + 20, len(lut))
    header = bytearray(gray_profile(gamma_curve(1.0))[:128])
    header[0:4], header[12:24] = struct.pack(">I", place + 20 + len(lut)), b"scnrRGB Lab "
    header[8:12] = b"\x02\x40\0\0"
    return bytes(header) + table + white + lut


def test_colors_of_16_bits_are_read_by_a_profile_of_tables(tmp_path: Path) -> None:
    profile, random = table_profile(), np.random.default_rng(0)
    gray = np.repeat((RAMP16 / 65535)[..., None], 3, axis=2)
    for name, codes in (("gray", gray), ("colors", random.uniform(0.2, 1, (8, 64, 3)))):
        levels = np.rint(codes * 255)
        Image.fromarray(levels.astype(np.uint8)).save(tmp_path / f"{name}8.tif", icc_profile=profile)
        deep_codes = (levels * 257).astype(np.uint16)
        tifffile.imwrite(tmp_path / f"{name}16.tif", deep_codes, iccprofile=profile, photometric="rgb")
        shallow, deep = (lightness_of(read(tmp_path / f"{name}{bits}.tif")) for bits in (8, 16))
        assert np.abs(deep - shallow).max() < 1.0
        assert np.abs(deep - shallow).mean() < 0.3


def test_colors_between_levels_of_255_lie_between_by_a_profile_of_tables(tmp_path: Path) -> None:
    codes = np.full((4, 9, 3), 117 * 257, np.uint16)
    codes[..., 1] += (np.arange(9) * 128.5).astype(np.uint16)  # of green alone, half a level further each
    tifffile.imwrite(tmp_path / "a.tif", codes, iccprofile=table_profile(), photometric="rgb")
    L = lightness_of(read(tmp_path / "a.tif"))[0]
    steps = np.diff(L)
    assert (steps > 0).all()
    assert np.abs(steps / steps.mean() - 1).max() < 0.3


@pytest.mark.parametrize(
    ("primaries", "code", "expected"),
    [
        ((0.64, 0.33, 0.30, 0.60, 0.15, 0.06), (200, 60, 120), (200, 60, 120)),  # sRGB's own
        ((0.68, 0.32, 0.265, 0.69, 0.15, 0.06), (234, 51, 35), (255, 0, 0)),  # Display P3, its red of sRGB
        ((0.68, 0.32, 0.265, 0.69, 0.15, 0.06), (117, 251, 76), (0, 255, 0)),
    ],
)
def test_a_profile_made_of_chromaticities_means_their_colors(
    primaries: tuple[float, ...], code: tuple[int, int, int], expected: tuple[int, int, int]
) -> None:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(profile_of(sampled_curve(srgb_curve), (0.3127, 0.3290, *primaries))))
    transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    found = ImageCms.applyTransform(Image.new("RGB", (1, 1), code), transform)
    assert found is not None
    assert np.abs(np.asarray(found)[0, 0].astype(int) - expected).max() <= 3
