from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from small_networks import Plain

from colorgan.color.bins import BINS, bin_centers
from colorgan.colorize.colorizer import Colorizer
from colorgan.colorize.palette import Palette, Regions, recolor, regions_of, with_true_colors
from colorgan.errors import UsageError
from colorgan.models.info import ModelInfo
from colorgan.models.loading import NETWORKS, save_model

CENTERS = bin_centers()
RED, BLUE, GREEN = (
    int((CENTERS - torch.tensor(ab)).norm(dim=1).argmin()) for ab in ([60.0, 40.0], [10.0, -50.0], [-40.0, 40.0])
)
COAT, SKY = torch.eye(2).repeat_interleave(3, dim=1)  # features of two materials, which are nothing alike


def shares(*places: int) -> torch.Tensor:
    spread = torch.full((BINS,), 1e-6)
    spread[list(places)] = 1.0
    return (spread / spread.sum()).log()


def photo(*materials: tuple[torch.Tensor, torch.Tensor]) -> Regions:
    """A photo of stripes of two by two cells, each of a material with its features and distribution."""
    features = torch.cat([each[0][:, None, None].expand(-1, 2, 2) for each in materials], dim=2)
    log_shares = torch.cat([each[1][:, None, None].expand(-1, 2, 2) for each in materials], dim=2)
    return regions_of(features, log_shares)


def color_of(colors: torch.Tensor, regions: Regions, column: int) -> torch.Tensor:
    return colors.T @ regions.membership[:, 0, column]


def test_the_same_coat_comes_out_alike_in_two_photos_and_the_sky_is_left_alone() -> None:
    one = photo((COAT, shares(RED)), (SKY, shares(BLUE)))
    other = photo((COAT, shares(RED, GREEN)))
    palette = Palette.of([one, other])
    first, second = palette.colors(one, 0), palette.colors(other, 1)
    assert torch.allclose(color_of(first, one, 0), color_of(second, other, 0), atol=1e-3)
    assert (color_of(first, one, 2) - CENTERS[BLUE]).norm() < 3
    assert (color_of(second, other, 0) - CENTERS[[RED, GREEN]].mean(0)).norm() > 10  # its own guess was in between


def test_what_is_like_nothing_else_keeps_its_colors_to_the_bit() -> None:
    one, other = photo((COAT, shares(RED))), photo((SKY, shares(BLUE)))
    colors = Palette.of([one, other]).colors(one, 0)
    variants = 30 * torch.randn(2, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(recolor(variants, one, colors), variants, atol=1e-3)


def test_a_region_that_gets_another_color_keeps_a_part_of_its_own_variation() -> None:
    coat = photo((COAT, shares(RED)))
    ramp = CENTERS[RED].view(1, 2, 1, 1) + torch.linspace(-10, 10, 16).view(1, 1, 1, 16).expand(1, 2, 16, 16)
    blue = recolor(ramp, coat, CENTERS[BLUE].expand(len(coat.sizes), 2))
    assert (blue.mean((0, 2, 3)) - CENTERS[BLUE]).norm() < 2
    assert 1 < blue[0, 0, 0].max() - blue[0, 0, 0].min() < 20


def test_a_reference_gives_its_true_colors_to_what_is_like_it() -> None:
    seen = photo((COAT, shares(RED)), (SKY, shares(RED)))
    true = torch.cat([CENTERS[GREEN].view(2, 1, 1).expand(2, 16, 16), CENTERS[BLUE].view(2, 1, 1).expand(2, 16, 16)], 2)
    palette = Palette.of([with_true_colors(seen, true)], is_reference=True)
    coat = photo((COAT, shares(RED)))
    assert (color_of(palette.colors(coat), coat, 0) - CENTERS[GREEN]).norm() < 3


# --- through the colorizer -----------------------------------------------------------------------------------

GRAY = Image.fromarray(np.random.default_rng(0).integers(30, 220, (64, 96), dtype=np.uint8))
REFERENCE = Image.merge("RGB", [GRAY, GRAY.point(lambda level: level // 3), GRAY.point(lambda level: level // 3)])


@pytest.fixture
def tiny(tiny_model: Path) -> Colorizer:
    return Colorizer.load(str(tiny_model), device="cpu")


def test_a_photo_takes_the_colors_of_a_reference_of_any_kind_that_python_has(tiny: Colorizer, tmp_path: Path) -> None:
    REFERENCE.save(tmp_path / "red.png")
    plain, like = (np.asarray(tiny.colorize(GRAY, like=each)).astype(int) for each in (None, REFERENCE))
    assert (like[..., 0] - like[..., 2]).mean() > (plain[..., 0] - plain[..., 2]).mean() + 20
    for same in (tmp_path / "red.png", (tmp_path / "red.png").read_bytes(), np.asarray(REFERENCE)):
        assert np.array_equal(np.asarray(tiny.colorize(GRAY, like=same)), like)


def test_a_reference_without_color_is_refused(tiny: Colorizer, tmp_path: Path) -> None:
    GRAY.save(tmp_path / "gray.png")
    with pytest.raises(UsageError, match=r"gray\.png is gray"):
        tiny.colorize(GRAY, like=str(tmp_path / "gray.png"))


def test_a_reference_that_cannot_be_read_is_refused(tiny: Colorizer, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a reference that can be read"):
        tiny.colorize(GRAY, like=str(tmp_path / "none.png"))


def test_a_network_that_tells_no_regions_apart_takes_no_palette(
    tmp_path: Path, model_info: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, "plain", Plain)
    save_model(tmp_path / "plain.safetensors", Plain(), model_info)
    colorizer = Colorizer.load(str(tmp_path / "plain.safetensors"), device="cpu")
    with pytest.raises(UsageError, match="model with regions"):
        colorizer.colorize(GRAY, like=REFERENCE)


def test_variants_and_confidence_take_what_colorize_takes(tiny: Colorizer) -> None:
    options = {"saturation": 0.5, "render_size": 32, "edges": False, "like": REFERENCE}
    first, second = tiny.colorize_variants(GRAY, 2, **options)
    assert first.tobytes() == tiny.colorize(GRAY, **options).tobytes()
    assert first.tobytes() != second.tobytes()
    assert tiny.confidence(GRAY, render_size=32).size == (12, 8)
    hot = replace(tiny, info=replace(tiny.info, temperature=5.0))
    assert hot.confidence(GRAY, temperature=tiny.info.temperature).tobytes() == tiny.confidence(GRAY).tobytes()
