"""A folder with one of everything: each photo is colored or reported with its reason, and the run goes on."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import tifffile
from pictures import RAMP, RAMP16, heic_bytes, noise, palette_ramp, png_bytes, saved, saved_adobe_cmyk
from PIL import Image

from colorgan.cli.app import main
from colorgan.images.decode import read

MARK = b"compositeWithTrainedAlgorithmicMedia"
COLOR = noise(16)
DEEP = np.dstack([RAMP16] * 3)

# Name of a photo, how it is made, and the size of its result.
GOOD: dict[str, tuple[Callable[[Path], object], tuple[int, int]]] = {
    "gray.jpg": (lambda path: saved(path, Image.fromarray(RAMP)), (64, 8)),
    "color.jpg": (lambda path: saved(path, COLOR), (16, 16)),
    "ycck.jpg": (lambda path: saved_adobe_cmyk(path, 2), (24, 8)),
    "rgba.png": (lambda path: saved(path, COLOR.convert("RGBA")), (16, 16)),
    "la.png": (lambda path: saved(path, COLOR.convert("LA")), (16, 16)),
    "palette.png": (lambda path: saved(path, palette_ramp(), transparency=3), (64, 8)),
    "bits.png": (lambda path: saved(path, COLOR.convert("1")), (16, 16)),
    "deep.png": (lambda path: path.write_bytes(png_bytes(1, 1, 16, 2, b"\0" + bytes(6))), (1, 1)),
    "deep gray.png": (lambda path: saved(path, Image.fromarray(RAMP16)), (64, 8)),
    "deep.tif": (lambda path: tifffile.imwrite(path, DEEP, photometric="rgb", byteorder=">"), (64, 8)),
    "inverted.tif": (lambda path: tifffile.imwrite(path, RAMP16, photometric="miniswhite"), (64, 8)),
    "float.tif": (lambda path: saved(path, Image.fromarray(RAMP / np.float32(255))), (64, 8)),
    "ycbcr.tif": (lambda path: saved(path, COLOR.convert("YCbCr")), (16, 16)),
    "moving.gif": (lambda path: saved(path, palette_ramp(), save_all=True, append_images=[COLOR]), (64, 8)),
    "new.avif": (lambda path: saved(path, COLOR), (16, 16)),
    "old.bmp": (lambda path: saved(path, COLOR), (16, 16)),
    "web.webp": (lambda path: saved(path, COLOR), (16, 16)),
    "point.png": (lambda path: saved(path, Image.new("L", (1, 1), 128)), (1, 1)),
    "wide.png": (lambda path: saved(path, Image.new("L", (5000, 1), 128)), (5000, 1)),
    "high.png": (lambda path: saved(path, Image.new("L", (1, 5000), 128)), (1, 5000)),
    "black.jpg": (lambda path: saved(path, Image.new("L", (9, 9), 0)), (9, 9)),
    "white.jpg": (lambda path: saved(path, Image.new("L", (9, 9), 255)), (9, 9)),
    "in truth a png.jpg": (lambda path: saved(path, COLOR, format="PNG"), (16, 16)),
}
if find_spec("pillow_heif"):
    GOOD["phone.heic"] = (lambda path: path.write_bytes(heic_bytes(COLOR)), (16, 16))
RENAMED = {"moving.gif": "moving.png", "phone.heic": "phone.jpg"}

# Name of what is no photo, how it is made, and what is said of it.
BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut.jpg": (lambda path: path.write_bytes(saved(path, noise(64)).read_bytes()[:1500]), "damaged or incomplete"),
    "empty.jpg": (lambda path: path.touch(), "the file is empty"),
    "text.jpg": (lambda path: path.write_text("Dear diary"), "not a JPEG"),
    "bomb.png": (lambda path: path.write_bytes(png_bytes(30_000, 30_000, 8, 0, b"")), "--max-megapixels"),
}
if os.name != "nt":
    BAD |= {
        "dangling.jpg": (lambda path: path.symlink_to("nowhere"), "a broken link"),
        "loop.jpg": (lambda path: path.symlink_to(path), "symbolic links"),
        "pipe.jpg": (lambda path: os.mkfifo(path), "not a regular file"),
    }


@pytest.fixture
def colorize(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Run the command in this process: its exit code and all that it printed."""
    monkeypatch.setenv("COLORGAN_CACHE", str(tmp_path / "no cache"))

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["colorgan", "colorize", "--model", str(tiny_model), *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        printed = capsys.readouterr()
        return int(stopped.value.code or 0), " ".join((printed.out + printed.err).split())

    return call


def test_of_a_folder_with_everything_each_photo_is_accounted_for(
    tmp_path: Path, colorize: Callable[..., tuple[int, str]]
) -> None:
    folder, results = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name, (make, _) in (GOOD | BAD).items():
        make(folder / name)
    code, printed = colorize(folder, "-o", results)
    assert code == 3
    assert f"{len(GOOD)} written" in printed
    assert f"{len(BAD)} failed" in printed
    for name, (_, size) in GOOD.items():
        result = read(results / RENAMED.get(name, name))
        assert result.size == size
        assert MARK in (result.metadata.xmp or b"") or name.endswith(".bmp")
    for _, reason in BAD.values():
        assert reason in printed
    assert "a PNG picture, despite its name" in printed
    assert "several pictures inside" in printed


def test_results_say_nothing_of_it_where_they_are_not_to(
    tmp_path: Path, colorize: Callable[..., tuple[int, str]]
) -> None:
    saved(tmp_path / "a.jpg", COLOR)
    assert colorize(tmp_path / "a.jpg", "-o", tmp_path / "b.jpg", "--no-mark")[0] == 0
    assert MARK not in (tmp_path / "b.jpg").read_bytes()
    assert colorize(tmp_path / "a.jpg", "-o", tmp_path / "b.jpg")[0] == 0  # another setting: colored anew
    assert MARK in (tmp_path / "b.jpg").read_bytes()


def test_a_deep_scan_becomes_a_deep_tiff(tmp_path: Path, colorize: Callable[..., tuple[int, str]]) -> None:
    saved(tmp_path / "a.png", Image.fromarray(RAMP16))
    assert colorize(tmp_path / "a.png", "-o", tmp_path / "b.tif", "--bit-depth", "16", "--saturation", "0")[0] == 0
    samples = tifffile.imread(tmp_path / "b.tif")
    assert samples.dtype == np.uint16
    assert np.abs(samples.astype(int) - RAMP16[..., None]).max() <= 8
    code, printed = colorize(tmp_path / "a.png", "-o", tmp_path / "b.png")
    assert code == 0
    assert "--bit-depth 16 keeps them" in printed


def test_each_page_of_a_tiff_becomes_a_photo(tmp_path: Path, colorize: Callable[..., tuple[int, str]]) -> None:
    pages = [Image.new("L", (9, 5 + level), level) for level in (0, 1, 2)]
    (tmp_path / "in").mkdir()
    saved(tmp_path / "in" / "a.tif", pages[0], save_all=True, append_images=pages[1:])
    code, printed = colorize(tmp_path / "in", "-o", tmp_path / "out", "--all-pages")
    assert code == 0
    assert "3 written" in printed
    assert "several pictures" not in printed
    assert sorted(read(path).size for path in (tmp_path / "out").glob("*.tif")) == [(9, 5), (9, 6), (9, 7)]
