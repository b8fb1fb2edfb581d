import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pictures import encoded
from PIL import Image

from colorgan.comparison.crops import Crop, crop, open_inputs, read_crop, read_crops
from colorgan.comparison.results import Failure
from colorgan.errors import PhotoError, UsageError
from colorgan.images.decode import ReadOptions, read_rgb

Draw = Callable[..., Image.Image]


def test_a_crop_is_the_middle_of_the_photo_at_its_short_side(colored: Draw) -> None:
    image = Image.new("RGB", (120, 40))
    image.paste((200, 10, 10), (40, 0, 80, 40))  # the square in the middle
    pixels = crop(image, 20)
    assert pixels.shape == (20, 20, 3)
    assert (pixels[:, 2:-2] == (200, 10, 10)).all()
    assert crop(colored(0, 10, 30), 32).shape == (32, 32, 3)


@pytest.mark.parametrize("turned", [False, True])
def test_of_a_strip_no_more_is_enlarged_than_its_middle(turned: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    strip = Image.fromarray(np.random.default_rng(0).integers(0, 256, (2, 4000, 3), dtype=np.uint8))
    middle = strip.crop((1992, 0, 2008, 2))
    if turned:
        strip, middle = (part.transpose(Image.Transpose.ROTATE_90) for part in (strip, middle))
    sizes: list[tuple[int, int]] = []
    resize = Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda *given: sizes.append(given[1]) or resize(*given))
    assert np.array_equal(crop(strip, 32), crop(middle, 32))
    assert max(max(size) for size in sizes) <= 8 * 32  # or a strip of 1 x 60000 would take 12 GB


def test_photos_lie_upright_as_their_exif_says(colored: Draw) -> None:
    image = colored(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = image.transpose(Image.Transpose.ROTATE_90)
    assert np.array_equal(read_rgb(io.BytesIO(encoded(turned, exif=exif))), image)


def test_deep_gray_keeps_its_tones() -> None:
    deep = np.linspace(0, 65535, 1600).astype(np.uint16).reshape(40, 40)
    pixels = np.asarray(read_rgb(io.BytesIO(encoded(Image.fromarray(deep), "TIFF"))), np.int16)
    assert np.abs(pixels[..., 0] - deep / 257).max() <= 1


def test_sepia_is_no_true_color(tmp_path: Path, colored: Draw) -> None:
    gray = np.asarray(colored(0).convert("L"), np.float32)[..., None] / 255
    sepia = 255 * np.clip(gray * [0.9, 0.7, 0.5] + [0.1, 0.07, 0.04], 0, 1)
    Image.fromarray(sepia.astype(np.uint8)).save(tmp_path / "old.png")
    (entry,) = open_inputs([tmp_path / "old.png"])[0].entries
    found = read_crop(entry, 32)
    assert isinstance(found, Crop)
    assert found.colorless == "toned"
    assert not found.enlarged


@pytest.mark.parametrize("damage", ["", "nonsense", "cut"])
def test_what_is_no_photo_is_said_with_its_reason(tmp_path: Path, colored: Draw, damage: str) -> None:
    data = encoded(colored(0))[:300] if damage == "cut" else damage.encode()
    (tmp_path / "a.png").write_bytes(data)
    (entry,) = open_inputs([tmp_path])[0].entries
    found = read_crop(entry, 32)
    assert isinstance(found, Failure)
    assert found.reason


def test_too_many_pixels_are_refused_before_they_are_decoded(colored: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("pixels were decoded"))
    with pytest.raises(PhotoError, match=r"more than 0\.0001 megapixels"):
        read_rgb(io.BytesIO(encoded(colored(0))), ReadOptions(1e-4))


def test_photos_come_in_their_order_and_a_reader_that_stops_early_ends(photos: Path) -> None:
    (source,) = open_inputs([photos])
    found = [read.entry.name for read in read_crops(source.entries * 5, 16)]
    assert found == [f"{seed}.png" for seed in range(6)] * 5
    reading = read_crops(source.entries * 5, 16)
    next(reading)
    reading.close()


def test_inputs_without_photos_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="photos to compare"):
        open_inputs([tmp_path / "empty"])
    with pytest.raises(UsageError, match="does not exist"):
        open_inputs([tmp_path / "gone.jpg"])
