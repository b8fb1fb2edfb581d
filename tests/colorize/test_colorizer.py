from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage.color import lab2rgb, rgb2lab
from torch import Tensor

import colorgan
from colorgan.color.lab import rgb_to_lab
from colorgan.colorize import upsample
from colorgan.colorize.colorizer import Colorizer
from colorgan.colorize.engine import Engine, LoadedGenerator
from colorgan.colorize.options import ColorizeOptions
from colorgan.colorize.prediction import PredictedColors, network_size
from colorgan.errors import DeviceError, PhotoError, UsageError
from colorgan.images.lightness import Samples
from colorgan.images.photo import from_image
from colorgan.models.loading import Model, load_model
from colorgan.networks.generator import Generator, Prediction

CPU = torch.device("cpu")


class Painter(Generator):
    """Paints what is lighter than L = 50 in one color, remembers what it saw, and has no bins."""

    network = "painter"
    multiple = 4

    def __init__(self, a: float = 25.0) -> None:
        super().__init__()
        self.a = a
        self.seen: list[tuple[tuple[int, ...], float, float]] = []

    @property
    def options(self) -> dict[str, Any]:
        return {}

    def forward(self, L: Tensor, temperature: float = 1.0) -> Prediction:
        self.seen.append((tuple(L.shape), float(L.min()), float(L.max())))
        return super().forward(L, temperature)

    def compute(self, L: Tensor, temperature: float, hints: Tensor | None = None) -> Prediction:
        a = torch.where(L > 50, self.a, 0.0)
        return Prediction(torch.cat([a, torch.zeros_like(a)], dim=1), None)


@pytest.fixture
def tiny(tiny_model: Path) -> Colorizer:
    return Colorizer.load(str(tiny_model), device="cpu")


@pytest.fixture
def painter(tiny_model: Path) -> Colorizer:
    return Colorizer.of(Model(Painter(), load_model(str(tiny_model), CPU).info))


def half_and_half(width: int = 200, height: int = 100) -> Image.Image:
    image = Image.new("L", (width, height), 40)
    image.paste(200, (width // 2, 0, width, height))
    return image


def lightness(image: Image.Image) -> Tensor:
    return rgb_to_lab(torch.from_numpy(np.array(image.convert("RGB"))).movedim(-1, 0) / 255)[0]


def test_a_photo_keeps_its_size_and_lightness_and_gets_color(tiny: Colorizer) -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(30, 220, (90, 130), dtype=np.uint8))
    result = tiny.colorize(photo)
    assert (result.mode, result.size) == ("RGB", (130, 90))
    assert (lightness(result) - lightness(photo)).abs().max() < 1
    assert np.ptp(np.asarray(result).astype(int), axis=2).mean() > 10


def test_it_is_the_class_that_the_package_shows() -> None:
    assert colorgan.Colorizer is Colorizer


def test_the_same_photo_gives_the_same_colors(tiny: Colorizer) -> None:
    assert tiny.colorize(half_and_half()).tobytes() == tiny.colorize(half_and_half()).tobytes()


def test_colors_end_where_the_photos_edges_are(painter: Colorizer) -> None:
    result = np.asarray(painter.colorize(half_and_half(400, 200), render_size=100)).astype(int)
    chroma = np.ptp(result, axis=2).mean(axis=0)
    assert chroma[:196].max() < 1
    assert chroma[204:].min() > 20


def test_the_network_sees_the_render_size_of_the_model_or_of_the_call(painter: Colorizer) -> None:
    painter.colorize(half_and_half(200, 100))
    painter.colorize(half_and_half(100, 200), render_size=48)
    painter.colorize(half_and_half(8, 8), render_size=16)
    network = painter.engine.primary.generator
    assert isinstance(network, Painter)
    assert [shape for shape, _, _ in network.seen] == [(1, 1, 32, 64), (1, 1, 96, 48), (1, 1, 16, 16)]
    assert all(low >= 0 and high <= 100 and high > 50 for _, low, high in network.seen)


def test_saturation_multiplies_the_colors(painter: Colorizer) -> None:
    def chroma(saturation: float) -> float:
        result = painter.colorize(half_and_half(), saturation=saturation)
        lab = rgb_to_lab(torch.from_numpy(np.array(result)).movedim(-1, 0) / 255)
        return float(lab[1, 50, 190])

    assert chroma(1.0) == pytest.approx(25, abs=0.7)
    assert chroma(0.4) == pytest.approx(10, abs=0.7)
    assert np.array_equal(painter.colorize(half_and_half(), saturation=0), half_and_half().convert("RGB"))


def test_temperature_changes_the_colors_and_is_the_models_own_unless_given(tiny: Colorizer) -> None:
    photo = half_and_half()
    own = tiny.colorize(photo).tobytes()
    assert tiny.colorize(photo, temperature=tiny.info.temperature).tobytes() == own
    assert tiny.colorize(photo, temperature=5.0).tobytes() != own


def test_a_temperature_for_a_network_without_bins_is_refused(painter: Colorizer) -> None:
    with pytest.raises(UsageError, match="no temperature"):
        painter.colorize(half_and_half(), temperature=0.5)
    with pytest.raises(UsageError, match="no unsure"):
        painter.colorize(half_and_half(), unsure="gray")


def test_a_value_out_of_range_is_refused(tiny: Colorizer) -> None:
    with pytest.raises(UsageError):
        tiny.colorize(half_and_half(), render_size=1)


def test_a_network_without_finite_colors_is_refused(tiny_model: Path) -> None:
    info = replace(load_model(str(tiny_model), CPU).info, name="ruined")
    ruined = Colorizer.of(Model(Painter(a=float("nan")), info))
    with pytest.raises(PhotoError, match="no finite colors"):
        ruined.colorize(half_and_half())


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_the_thinnest_photos_get_through(tiny: Colorizer, size: tuple[int, int]) -> None:
    assert tiny.colorize(Image.new("L", size, 120)).size == size


@pytest.mark.parametrize("level", [0, 255])
def test_all_black_and_all_white_stay_neutral(tiny: Colorizer, level: int) -> None:
    assert set(tiny.colorize(Image.new("L", (40, 30), level)).tobytes()) == {level}


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_pictures_of_every_mode_are_taken_and_alpha_stays(tiny: Colorizer, mode: str) -> None:
    result = tiny.colorize(Image.new(mode, (20, 10)))
    assert (result.mode, result.size) == ("RGBA" if mode.endswith("A") else "RGB", (20, 10))


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (1000, 2000, (256, 512)),
        (2000, 1000, (512, 256)),
        (100, 100, (256, 256)),
        (1000, 4321, (256, 1106)),
        (1, 1, (256, 256)),
        (1, 5000, (1, 2048)),
        (5000, 1, (2048, 1)),
        (1000, 8000, (256, 2048)),
        (1000, 16000, (128, 2048)),
    ],
)
def test_the_networks_view_has_the_photos_shape_within_bounds(
    height: int, width: int, expected: tuple[int, int]
) -> None:
    assert network_size(height, width, 256) == expected


def test_loading_names_what_is_wrong(tiny_model: Path) -> None:
    with pytest.raises(DeviceError):
        Colorizer.load(str(tiny_model), device="abacus")
    with pytest.raises(UsageError):
        Colorizer.load("no-such-model", device="cpu")


def test_confidence_comes_with_the_colors_where_it_is_asked_for(tiny: Colorizer) -> None:
    rendering = ColorizeOptions(confidence=True)
    photo = from_image(half_and_half())
    (colors,) = tiny.predict_batch(tiny.shrink(photo, rendering)[None], rendering)
    assert not isinstance(colors, PhotoError)
    assert colors.confidence is not None
    assert (colors.ab.shape, colors.confidence.shape) == ((2, 32, 64), (8, 16))
    assert 0 < colors.confidence.min() <= colors.confidence.max() < 1


def test_confidence_of_a_network_without_bins_is_refused(painter: Colorizer) -> None:
    with pytest.raises(UsageError, match="no confidence"):
        painter.predict_batch(torch.rand(1, 1, 32, 64), ColorizeOptions(confidence=True))


def test_photos_of_one_size_are_colored_together_as_they_are_alone(tiny: Colorizer) -> None:
    rendering = ColorizeOptions()
    photos = [from_image(half_and_half()), from_image(half_and_half().rotate(180))]
    together = tiny.predict_batch(torch.stack([tiny.shrink(photo, rendering) for photo in photos]), rendering)
    for photo, colors in zip(photos, together, strict=True):
        assert not isinstance(colors, PhotoError)
        alone = tiny.finish(photo, tiny.predict(photo, rendering), rendering)
        assert np.array_equal(tiny.finish(photo, colors, rendering), alone)


def test_no_memory_for_the_network_fails_the_photo_and_never_leaves_it_gray(
    tiny: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_much(*args: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(tiny.engine.primary.generator, "forward", too_much)
    with pytest.raises(PhotoError, match="not enough memory"):
        tiny.colorize(half_and_half())


def test_no_memory_for_the_result_fails_the_photo(tiny: Colorizer, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_much(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(upsample, "resize_width", too_much)
    with pytest.raises(PhotoError, match="200 x 100"):
        tiny.colorize(half_and_half())


def reference(photo: Image.Image, model: Model, side_px: int) -> NDArray[np.float64]:
    """What the published demo makes of a photo, before it is rounded: (H, W, 3), levels of 255."""
    rgb = photo.convert("RGB")
    small = rgb2lab(np.asarray(rgb.resize((side_px, side_px), Image.Resampling.BICUBIC)))[..., 0]
    with torch.inference_mode():
        ab = model.generator(torch.from_numpy(small).float()[None, None], model.info.temperature).ab
    ab = torch.nn.functional.interpolate(ab, (rgb.height, rgb.width), mode="bilinear")[0]
    lab = np.dstack([rgb2lab(np.asarray(rgb))[..., 0], *ab.numpy()])
    levels: NDArray[np.float64] = lab2rgb(lab) * 255
    return levels


@pytest.mark.filterwarnings("ignore:Conversion from CIE-LAB")
def test_fit_square_agrees_with_the_published_demo(tiny_model: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (18, 27), dtype=np.uint8)
    photo = Image.fromarray(noise).resize((270, 180), Image.Resampling.BICUBIC)
    colored = Colorizer.load(str(tiny_model), device="cpu", precision="fp32")
    wanted = reference(photo, load_model(str(tiny_model), CPU), 64)
    found = np.asarray(colored.colorize(photo, fit="square", render_size=64))
    difference = np.abs(found - np.round(wanted))
    assert difference.max() <= 2
    assert (difference <= 1).mean() > 0.999
    clipped = ((wanted == 0) | (wanted == 255)).any(axis=2).mean()
    assert 0.05 < clipped < 0.95, "both kinds of color are to be among them"


def test_fit_square_shows_the_network_a_square(painter: Colorizer) -> None:
    painter.colorize(half_and_half(200, 100), fit="square")
    network = painter.engine.primary.generator
    assert isinstance(network, Painter)
    assert network.seen[0][0] == (1, 1, 32, 32)


def test_colors_end_at_edges_where_the_model_or_the_user_says_so(tiny: Colorizer) -> None:
    photo = half_and_half()
    plain, led = tiny.colorize(photo, edges=False), tiny.colorize(photo, edges=True)
    assert np.abs(np.array(plain).astype(int) - np.array(led)).max() > 2
    assert tiny.colorize(photo) == plain
    follower = replace(tiny, info=replace(tiny.info, edges=True))
    assert follower.colorize(photo) == led
    assert follower.colorize(photo, edges=False) == plain


def test_sixteen_bits_are_finished_from_sixteen_bits(tiny: Colorizer) -> None:
    codes = np.linspace(20000, 40000, 40 * 50).astype(np.uint16).reshape(40, 50)
    photo, rendering = from_image(Image.fromarray(codes)), ColorizeOptions()
    (colors,) = tiny.predict_batch(tiny.shrink(photo, rendering)[None], rendering)
    assert not isinstance(colors, PhotoError)
    deep = tiny.finish(photo, colors, rendering, bit_depth=16)
    assert (deep.dtype, deep.shape) == (np.dtype(np.uint16), (40, 50, 3))
    assert len(np.unique(deep)) > 1000
    assert np.abs(deep / 257 - tiny.finish(photo, colors, rendering)).max() < 0.55


def test_no_memory_for_the_result_on_a_gpu_goes_on_on_the_cpu_with_a_word(
    tiny: Colorizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, rendering, words = from_image(half_and_half()), ColorizeOptions(), list[str]()
    colors, render = PredictedColors(torch.zeros(1, 4, 4), torch.zeros(1, 2, 4, 4)), upsample.render
    wanted = tiny.finish(photo, colors, rendering)

    def too_much(*args: Any, device: torch.device, **options: Any) -> Samples:
        if device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return render(*args, device=device, **options)

    monkeypatch.setattr(upsample, "render", too_much)
    loaded = LoadedGenerator(tiny.engine.primary.generator, torch.device("cuda"))
    on_gpu = Colorizer(tiny.info, Engine(loaded, tiny.engine.primary, words.append, max_batch=4))
    assert np.array_equal(on_gpu.finish(photo, colors, rendering), wanted)
    assert len(words) == 1
    assert "the CPU" in words[0]


def test_variants_start_with_the_plain_one_and_differ_from_each_other(tiny: Colorizer) -> None:
    first, *others = tiny.colorize_variants(half_and_half(), 4)
    assert first.tobytes() == tiny.colorize(half_and_half()).tobytes()
    assert len({picture.tobytes() for picture in (first, *others)}) == 4
    assert all((lightness(picture) - lightness(first)).abs().max() < 1 for picture in others)
    assert [picture.tobytes() for picture in tiny.colorize_variants(half_and_half(), 4)[1:]] == [
        picture.tobytes() for picture in others
    ]


def test_variants_of_a_network_without_bins_are_refused(painter: Colorizer) -> None:
    with pytest.raises(UsageError, match="no variants"):
        painter.colorize_variants(half_and_half(), 2)


def test_confidence_is_a_small_gray_picture(tiny: Colorizer) -> None:
    sure = tiny.confidence(half_and_half())
    assert (sure.mode, sure.size) == ("L", (16, 8))


def ab_at(image: Image.Image, x: int, y: int) -> Tensor:
    return rgb_to_lab(torch.from_numpy(np.array(image.convert("RGB"))).movedim(-1, 0) / 255)[1:, y, x]


def ab_of(red: int, green: int, blue: int) -> Tensor:
    return rgb_to_lab(torch.tensor([red, green, blue])[:, None, None] / 255)[1:, 0, 0]


@pytest.mark.parametrize("saturation", [0.6, 1.0])
@pytest.mark.parametrize("edges", [False, True])
def test_a_hint_holds_at_its_place_with_any_network_and_stops_at_an_edge(
    painter: Colorizer, saturation: float, edges: bool
) -> None:
    hint = colorgan.Hint(150, 50, (150, 190, 140))
    plain = painter.colorize(half_and_half(), saturation=saturation, edges=edges)
    result = painter.colorize(half_and_half(), saturation=saturation, edges=edges, hints=[hint])
    assert (ab_at(result, 150, 50) - ab_of(150, 190, 140)).abs().max() < 2
    assert (ab_at(result, 165, 60) - ab_of(150, 190, 140)).norm() < (
        ab_at(plain, 165, 60) - ab_of(150, 190, 140)
    ).norm()
    assert (ab_at(result, 60, 50) - ab_at(plain, 60, 50)).abs().max() < 2
    assert (lightness(result) - lightness(half_and_half())).abs().max() < 1.5


def test_hints_that_contradict_each_other_each_hold_at_their_own_place_in_all_variants(tiny: Colorizer) -> None:
    hints = [colorgan.Hint(120, 30, (190, 150, 140)), colorgan.Hint(160, 70, (140, 160, 200))]
    for result in tiny.colorize_variants(half_and_half(), 2, hints=hints, saturation=0.9):
        for hint in hints:
            assert (ab_at(result, hint.x, hint.y) - ab_of(*hint.rgb)).abs().max() < 3


def test_what_variants_and_confidence_are_told_is_what_colorize_is_told(tiny: Colorizer) -> None:
    photo = half_and_half()
    told: dict[str, Any] = {"temperature": 0.5, "render_size": 48, "fit": "square"}
    (one,) = tiny.colorize_variants(photo, 1, saturation=0.5, edges=True, **told)
    assert one.tobytes() == tiny.colorize(photo, saturation=0.5, edges=True, **told).tobytes()
    assert tiny.confidence(photo, **told).size == (12, 12)


def test_a_hint_outside_of_the_photo_is_refused(tiny: Colorizer) -> None:
    with pytest.raises(PhotoError, match="200,3 lies outside of its 200 x 100 pixels"):
        tiny.colorize(half_and_half(), hints=[colorgan.Hint(200, 3, "navy")])
    with pytest.raises(UsageError, match="a color for a hint"):
        colorgan.Hint(1, 1, "reddish")
    with pytest.raises(UsageError, match="whole pixels"):
        colorgan.Hint(-1, 1, "navy")
