from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from colorgan.color.lab import rgb_to_lab
from colorgan.images.decode import read
from colorgan.images.toning import Toning, lab_of_rgb, toning_of

Tone = Callable[[NDArray[np.float64]], NDArray[np.float64]]  # (H, W), 0..255, to (H, W, 3), 0..255
SEPIA = np.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])


def ramp(*stops: tuple[int, int, int]) -> Tone:
    """A tone from black over those colors to white."""
    places, colors = np.linspace(0, 255, len(stops)), np.array(stops, np.float64)
    return lambda gray: np.stack([np.interp(gray, places, colors[:, channel]) for channel in range(3)], -1)


TONES: dict[str, Tone] = {
    "classic sepia": lambda gray: np.stack([gray] * 3, -1) @ SEPIA.T,
    "strong ramp": ramp((20, 5, 0), (150, 85, 30), (255, 225, 170)),
    "weak ramp": ramp((12, 8, 6), (138, 126, 114), (252, 247, 238)),
    "selenium": ramp((18, 10, 16), (120, 104, 112), (250, 246, 242)),
    "cyanotype": ramp((5, 20, 60), (40, 95, 150), (225, 238, 245)),
    "yellowed paper": lambda gray: (15 + gray * 0.86)[..., None] * np.array([1.0, 0.93, 0.76]),
}


def scene(seed: int = 0) -> Image.Image:
    """Things of many hues and lightnesses, softly shaded, as a photo has them."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (160, 120), tuple(rng.integers(60, 200, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    for _ in range(40):
        x, y, width, height = (rng.integers(0, 130, 4) * (1, 1, 0.5, 0.5)).tolist()
        draw.ellipse((x, y, x + 8 + width, y + 8 + height), tuple(rng.integers(0, 256, 3).tolist()))
    return picture.filter(ImageFilter.GaussianBlur(2))


def toned(tone: Tone, seed: int = 0) -> Image.Image:
    gray = np.asarray(scene(seed).convert("L"), np.float64)
    return Image.fromarray(tone(gray).clip(0, 255).astype(np.uint8))


def compressed(picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
    return Image.open(buffer).convert("RGB")


def noisy(picture: Image.Image, levels: float = 4) -> Image.Image:
    noise = np.random.default_rng(1).normal(0, levels, (picture.height, picture.width, 3))
    return Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))


def stained(picture: Image.Image) -> Image.Image:
    """With two brown stains and a blue stamp."""
    marked = picture.copy()
    draw = ImageDraw.Draw(marked, "RGBA")
    draw.ellipse((20, 30, 50, 55), (130, 90, 40, 110))
    draw.ellipse((100, 70, 125, 100), (130, 90, 40, 110))
    draw.line((60, 100, 75, 100), (40, 60, 160), width=2)
    return marked


def bordered(picture: Image.Image) -> Image.Image:
    marked = picture.copy()
    ImageDraw.Draw(marked).rectangle((0, 0, 159, 119), outline=(30, 120, 60), width=8)
    return marked


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("spoil", [compressed, noisy, stained, bordered])
@pytest.mark.parametrize("name", TONES)
def test_a_tone_is_told_from_colors_whatever_age_did_to_it(name: str, spoil: object, seed: int) -> None:
    assert toning_of(spoil(toned(TONES[name], seed))) is Toning.toned


@pytest.mark.parametrize("spoil", [compressed, noisy, stained, bordered])
def test_gray_is_gray_also_with_stains_and_a_colored_border(spoil: object) -> None:
    assert toning_of(spoil(scene().convert("L").convert("RGB"))) is Toning.gray


@pytest.mark.parametrize("seed", range(6))
def test_what_has_more_hues_than_a_tone_is_in_color(seed: int) -> None:
    assert toning_of(compressed(scene(seed))) is Toning.color
    faint = Image.blend(scene(seed).convert("L").convert("RGB"), scene(seed), 0.35)
    assert toning_of(faint) is Toning.color


SMALL_THINGS = {
    "blue": ((0, 0, 60), (30, 60, 220), (190, 200, 255)),
    "rose": ((60, 0, 30), (220, 40, 115), (255, 190, 210)),  # b is about 0
    "pale green": ((20, 50, 35), (95, 140, 110), (200, 235, 215)),
    "bright orange": ((70, 25, 0), (255, 120, 0), (255, 215, 150)),
}


@pytest.mark.parametrize("name", SMALL_THINGS)
def test_a_small_thing_of_a_color_that_stains_do_not_have_makes_a_gray_photo_one_in_color(name: str) -> None:
    picture = scene().convert("L").convert("RGB")
    thing = toned(ramp(*SMALL_THINGS[name]))
    picture.paste(thing.crop((60, 50, 90, 70)), (60, 50))
    assert toning_of(picture) is Toning.color


def test_noise_neither_hides_faint_colors_nor_gives_a_gray_photo_any() -> None:
    gray = scene().convert("L").convert("RGB")
    assert toning_of(noisy(gray, 8)) is Toning.gray
    faint = Image.blend(gray, scene(), 0.1)
    assert toning_of(noisy(faint, 8)) is Toning.color
    grain = np.random.default_rng(1).normal(0, 20, (faint.height, faint.width, 1))  # alike in red, green and blue
    assert toning_of(Image.fromarray((faint + grain).clip(0, 255).astype(np.uint8))) is Toning.color


def test_a_plain_sky_and_one_over_sand_are_in_color() -> None:
    sky = Image.new("RGB", (64, 64), (120, 170, 230))
    beach = sky.copy()
    beach.paste((210, 180, 130), (0, 40, 64, 64))
    assert [toning_of(sky), toning_of(beach)] == [Toning.color] * 2


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3, 2), (2000, 5)])
def test_pictures_of_any_shape_are_judged(size: tuple[int, int]) -> None:
    assert toning_of(Image.new("RGB", size, (90, 90, 90))) is Toning.gray


def test_lab_is_that_of_the_color_module() -> None:
    levels = np.arange(0, 256, 51, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(6, 36, 3)
    theirs = rgb_to_lab(torch.from_numpy(cube.transpose(2, 0, 1)[None].astype(np.float32) / 255))[0]
    assert np.abs(lab_of_rgb(cube).transpose(2, 0, 1) - theirs.numpy()).max() < 2e-3


@pytest.mark.parametrize("size", [(160, 120), (1100, 900)])
@pytest.mark.parametrize(("picture", "expected"), [("scene", Toning.color), ("toned", Toning.toned)])
def test_a_photo_is_judged_as_it_is_read(size: tuple[int, int], picture: str, expected: Toning) -> None:
    image = (scene() if picture == "scene" else toned(TONES["classic sepia"])).resize(size)
    buffer = io.BytesIO()
    image.save(buffer, "TIFF")
    assert read(buffer).toning is expected


def test_colors_that_are_hidden_by_transparency_do_not_count() -> None:
    image = scene().convert("L").convert("RGB")
    ImageDraw.Draw(image).rectangle((20, 20, 120, 90), (250, 20, 20))
    alpha = Image.new("L", image.size, 255)
    ImageDraw.Draw(alpha).rectangle((20, 20, 120, 90), 0)
    image.putalpha(alpha)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    assert read(buffer).toning is Toning.gray
