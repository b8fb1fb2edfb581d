from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorgan.batch.options import BatchOptions
from colorgan.batch.run import colorize_files
from colorgan.colorize.colorizer import Colorizer
from colorgan.colorize.options import ColorizeOptions
from colorgan.errors import PhotoError

RAMP = np.tile(np.arange(40, 216, 4, dtype=np.uint8), (20, 1))  # 44 x 20


@pytest.fixture(scope="module")
def colorizer(tiny_model: Path) -> Colorizer:
    return Colorizer.load(str(tiny_model), device="cpu")


def lying(file_format: str) -> bytes:
    """A photo that EXIF says lies on its side, with a maker, in linear 16 bits where the format has them."""
    exif = Image.Exif()
    exif[274], exif[271] = 6, "Agfa"
    deep = file_format == "TIFF"
    buffer = io.BytesIO()
    Image.fromarray(RAMP.astype(np.uint16) * 257 if deep else RAMP).save(buffer, file_format, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "options", "suffix"),
    [
        ("a.jpg", ColorizeOptions(), ".jpg"),
        ("a.tif", ColorizeOptions(bit_depth=16, confidence=True, variants=2), ".tif"),
        ("a.png", ColorizeOptions(format="webp", quality=80, keep_metadata=False, mark=False), ".webp"),
    ],
)
def test_bytes_become_the_bytes_that_the_command_writes(
    colorizer: Colorizer, tiny_model: Path, tmp_path: Path, name: str, options: ColorizeOptions, suffix: str
) -> None:
    data = lying({".jpg": "JPEG", ".tif": "TIFF", ".png": "PNG"}[Path(name).suffix])
    (tmp_path / name).write_bytes(data)
    colorize_files(
        [tmp_path / name], tmp_path / "out/", options, model=str(tiny_model), batch=BatchOptions(device="cpu")
    )
    result = colorizer.colorize_bytes(data, name=name, options=pickle.loads(pickle.dumps(options)))
    result = pickle.loads(pickle.dumps(result))
    assert result.suffix == suffix
    written = {"": result.data, **result.sidecars}
    for stem_suffix, content in written.items():
        file_suffix = "" if "." in stem_suffix else suffix
        assert (tmp_path / "out" / f"a{stem_suffix}{file_suffix}").read_bytes() == content
    with Image.open(io.BytesIO(result.data)) as image:
        assert image.size == (20, 44)


def test_without_a_name_the_result_is_of_the_kind_that_the_photo_is(colorizer: Colorizer) -> None:
    result = colorizer.colorize_bytes(lying("PNG"))
    assert (result.suffix, result.data[:4], result.had_color) == (".png", b"\x89PNG", False)
    odd = colorizer.colorize_bytes(lying("PNG"), name="a.jpg")
    assert (odd.suffix, odd.data[:2]) == (".jpg", b"\xff\xd8")
    assert any("despite its name" in word for word in odd.warnings)


def test_bytes_that_are_no_photo_are_refused_with_the_reason(colorizer: Colorizer) -> None:
    with pytest.raises(PhotoError, match="web page"):
        colorizer.colorize_bytes(b"<html></html>", name="a.jpg")
