from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from colorgan.color.bins import BINS, bin_centers
from colorgan.colorize.colorizer import Colorizer
from colorgan.colorize.options import ColorizeOptions
from colorgan.colorize.uncertainty import confidence, fade_unsure
from colorgan.errors import UsageError

CENTERS = bin_centers()
RED = int((CENTERS - torch.tensor([60.0, 40.0])).norm(dim=1).argmin())
BLUE = int((CENTERS - torch.tensor([20.0, -60.0])).norm(dim=1).argmin())


def logits_of(shares: dict[int, float]) -> torch.Tensor:
    logits = torch.full((1, BINS, 1, 1), -80.0)
    for place, share in shares.items():
        logits[0, place] = torch.tensor(share).log()
    return logits


def shown(place: int) -> torch.Tensor:
    return CENTERS[place].view(1, 2, 1, 1).expand(1, 2, 4, 4)


def test_it_is_the_share_of_the_bins_within_ten_units_of_the_shown_color():
    logits = logits_of({RED: 0.7, BLUE: 0.3})
    assert confidence(logits, shown(RED), 1.0).item() == pytest.approx(0.7, abs=1e-5)
    assert confidence(logits, shown(BLUE), 1.0).item() == pytest.approx(0.3, abs=1e-5)


def test_a_color_between_two_likely_ones_is_not_sure_of_either():
    between = (CENTERS[RED] + CENTERS[BLUE]).view(1, 2, 1, 1).expand(1, 2, 4, 4) / 2
    assert confidence(logits_of({RED: 0.5, BLUE: 0.5}), between, 1.0).item() == pytest.approx(0.0, abs=1e-5)


def test_a_temperature_above_one_makes_it_less_sure():
    logits = logits_of({RED: 0.8, BLUE: 0.2})
    assert confidence(logits, shown(RED), 2.0).item() == pytest.approx(2 / 3, abs=1e-5)  # square roots of 4 to 1


def test_it_keeps_each_photos_place_in_the_batch():
    logits = torch.randn(3, BINS, 4, 5, generator=torch.Generator().manual_seed(0)) * 3
    ab = 20 * torch.randn(3, 2, 14, 19, generator=torch.Generator().manual_seed(1))
    together = confidence(logits, ab, 0.7)
    assert together.shape == (3, 4, 5)
    assert torch.allclose(together[1:2], confidence(logits[1:2], ab[1:2], 0.7), atol=1e-6)


def test_what_is_known_keeps_its_colors_and_what_is_not_becomes_gray_smoothly():
    sure = torch.zeros(1, 8, 40)
    sure[..., 20:] = 0.9
    faded = fade_unsure(torch.full((1, 1, 2, 32, 160), 50.0), sure)[0, 0, 0, 16]
    assert faded[:60].abs().max() == 0
    assert torch.allclose(faded[100:], torch.tensor(50.0))
    assert (faded.diff() > -1e-4).all()
    assert faded.diff().max() < 20


@pytest.fixture
def tiny(tiny_model: Path) -> Colorizer:
    return Colorizer.load(str(tiny_model), device="cpu")


PHOTO = Image.fromarray(np.random.default_rng(0).integers(30, 220, (40, 60), dtype=np.uint8))


def test_the_temperature_in_a_models_file_decides_how_sure_it_says_it_is(tiny: Colorizer):
    hot = replace(tiny, info=replace(tiny.info, confidence_temperature=50.0))
    cold = replace(tiny, info=replace(tiny.info, confidence_temperature=0.05))
    brightness = [np.asarray(each.confidence(PHOTO)).mean() for each in (hot, cold)]
    assert brightness[0] < 20 < brightness[1]


def test_unsure_regions_are_left_gray_when_that_is_asked_for(tiny: Colorizer):
    knows_nothing = replace(tiny, info=replace(tiny.info, confidence_temperature=100.0))
    photo = PHOTO.convert("RGB")
    rgb = knows_nothing.colorize(photo, unsure="gray")
    assert np.ptp(np.asarray(rgb), axis=2).max() == 0
    assert np.ptp(np.asarray(knows_nothing.colorize(photo)), axis=2).max() > 10


def test_an_unknown_word_for_unsure_regions_is_refused():
    with pytest.raises(UsageError, match="keep or gray"):
        ColorizeOptions(unsure="grey")
