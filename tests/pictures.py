"""Small pictures for several test files, and their expected lightness."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageChops, TiffImagePlugin

from colorgan.color.lab import rgb_to_lab
from colorgan.images.decode import read
from colorgan.images.encode import encode, write_bytes
from colorgan.images.photo import Photo

RAMP = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (8, 1))  # 64 x 8, black to nearly white
RAMP16 = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (8, 1))
ORIENTATION, ARTIST, MIN_IS_WHITE = 0x0112, 0x013B, {262: 0}


def lab_lightness(rgb: NDArray[np.number]) -> NDArray[np.float32]:
    """Return L by color/lab.py of sRGB, (H, W) or (H, W, 3), 0..1."""
    colors = np.repeat(rgb[..., None], 3, axis=2) if rgb.ndim == 2 else rgb
    return rgb_to_lab(torch.tensor(colors, dtype=torch.float32).movedim(-1, 0))[0].numpy()


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def heic_bytes(image: Image.Image, **options: object) -> bytes:
    """Return a HEIC photo; without the extra, the test is skipped."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
    stream = io.BytesIO()
    pillow_heif.from_pillow(image).save(stream, **options)
    return stream.getvalue()


def write(target: Path | BinaryIO, format_name: str, rgb: NDArray[Any], **options: Any) -> tuple[str, ...]:
    """Encode and write a picture; return the warnings."""
    data, warnings = encode(format_name, rgb, **options)
    write_bytes(data, target)
    return warnings


def srgb_of(light: np.ndarray) -> np.ndarray:
    """Return sRGB, 0..1, of linear light."""
    return np.where(light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, light * 12.92)


def photo_of(data: bytes) -> Photo:
    """Return the photo read from these bytes."""
    return read(io.BytesIO(data))


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Return the bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def open_image(path: Path) -> Image.Image:
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


def png_bytes(width: int, height: int, depth: int, color_type: int, rows: bytes, **chunks: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    data = b"".join(chunk(name.encode(), content) for name, content in chunks.items())
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + pixels + chunk(b"IEND", b"")


def saved_adobe_cmyk(path: Path, transform: int) -> Path:
    """Return a JPEG of paper, ink and red as Adobe's programs write it: inverted CMYK, or YCCK if transform is 2."""
    image = Image.new("CMYK", (24, 8), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (8, 0, 16, 8))
    image.paste((0, 255, 255, 0), (16, 0, 24, 8))
    if transform == 2:
        cyan, magenta, yellow, black = image.split()
        luma, cb, cr = Image.merge("RGB", [cyan, magenta, yellow]).convert("YCbCr").split()
        image = Image.merge("CMYK", [*(ImageChops.invert(band) for band in (luma, cb, cr)), black])
    image.save(path, quality=100, subsampling=0)
    data = path.read_bytes()
    place = data.index(b"Adobe") + 11
    path.write_bytes(data[:place] + bytes([transform]) + data[place + 1 :])
    return path


def twelve_bit_tiff(first: int, second: int) -> bytes:
    """Return a TIFF of two pixels with 12 bits each."""
    strip = bytes([first >> 4, (first & 15) << 4 | second >> 8, second & 255])
    tags = [(256, 3, 2), (257, 3, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 3, 1)]
    tags.append((279, 4, 3))
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return b"II*\0" + struct.pack("<I", 12) + strip + b"\0" + struct.pack("<H", len(tags)) + entries + bytes(4)


def noise(size: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8))


def lightness_of(photo: Photo) -> NDArray[np.float32]:
    """Return L of a whole photo."""
    return photo.lightness.rows(slice(None))


def tiff_bytes(*pages: tuple[NDArray[np.generic], dict[int, int | list[int]]], below: int = 0) -> bytes:
    """Return a TIFF of uncompressed pages, (H, W) or (H, W, C), with further tags; the last `below` are sub-IFDs."""
    out, link = b"II*\0" + bytes(4), 4
    directories = []
    for index, (samples, more) in enumerate(reversed(pages)):
        height, width, *rest = samples.shape
        channels, data = (rest or [1])[0], samples.tobytes()
        place = len(out)
        out += data + bytes(len(data) % 2)
        tags: dict[int, int | list[int]] = {256: width, 257: height, 258: [samples.itemsize * 8] * channels, 259: 1}
        tags |= {262: 1 if channels == 1 else 2, 273: place, 277: channels, 278: height, 279: len(data)} | more
        if index == len(pages) - 1 and below:
            tags[330], directories = directories[-below:], directories[:-below]
        place, out = len(out), out + _directory(tags, len(out))
        directories.append(place)
    for place in reversed(directories):
        out = out[:link] + struct.pack("<I", place) + out[link + 4 :]
        (count,) = struct.unpack_from("<H", out, place)
        link = place + 2 + 12 * count
    return out


def _directory(tags: dict[int, int | list[int]], place: int) -> bytes:
    entries, heap, start = b"", b"", place + 2 + 12 * len(tags) + 4
    for tag, value in sorted(tags.items()):
        values = value if isinstance(value, list) else [value]
        kind = "I" if tag in (254, 256, 257, 273, 278, 279, 330) else "H"
        packed = struct.pack(f"<{len(values)}{kind}", *values)
        if len(packed) > 4:
            packed, heap = struct.pack("<I", start + len(heap)), heap + packed
        entries += struct.pack("<HHI", tag, {"H": 3, "I": 4}[kind], len(values)) + packed.ljust(4, b"\0")
    return struct.pack("<H", len(tags)) + entries + bytes(4) + heap
