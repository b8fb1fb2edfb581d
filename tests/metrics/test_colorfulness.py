import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from colorgan.color.lab import lab_to_rgb, rgb_to_lab
from colorgan.metrics.colorfulness import colorfulness, gray_chroma, out_of_gamut


def photo(size: int = 16, seed: int = 0) -> torch.Tensor:
    return torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(seed))


def flat(*lab: float) -> torch.Tensor:
    return torch.tensor(lab, dtype=torch.float32).view(1, -1, 1, 1).expand(1, len(lab), 4, 4).clone()


def test_cf_hs_is_hasler_and_suesstrunks_formula_and_cf_its_absolute_variant() -> None:
    rgb = photo()
    r, g, b = (255 * rgb[0]).double().numpy()
    rg, yb = r - g, (r + g) / 2 - b
    signed = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    rg, yb = np.abs(rg), np.abs(yb)
    absolute = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    cf_hs, cf = colorfulness(rgb)
    assert (float(cf_hs), float(cf)) == (pytest.approx(signed, rel=1e-4), pytest.approx(absolute, rel=1e-4))
    assert absolute < signed - 10  # the two are different metrics


@given(st.floats(0, 1, width=32), st.integers(0, 5))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_more_saturation_never_makes_a_photo_less_colorful(factor: float, seed: int) -> None:
    rgb = photo(seed=seed)
    gray = rgb.mean(1, keepdim=True)
    for full, part in zip(colorfulness(rgb), colorfulness(gray + factor * (rgb - gray)), strict=True):
        assert float(part) == pytest.approx(factor * float(full), rel=1e-3, abs=1e-3)


def test_a_gray_photo_has_no_colorfulness() -> None:
    assert [float(figure) for figure in colorfulness(photo()[:, :1].expand(1, 3, 16, 16))] == pytest.approx(
        [0, 0], abs=1e-3
    )


def test_no_color_of_srgb_is_out_of_gamut_and_impossible_ones_are() -> None:
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 0.5, 1.0])] * 3).T.reshape(1, 3, 3, 9)
    assert float(out_of_gamut(rgb_to_lab(corners))) == 0
    assert float(out_of_gamut(flat(50, 0, -100))) == 1
    half = torch.cat([flat(50, 0, 0), flat(50, 100, 100)], dim=3)
    assert float(out_of_gamut(half)) == 0.5


@pytest.mark.parametrize(("L", "share"), [(-0.145, 1), (-0.13, 0), (100.15, 0), (100.2, 1)])
def test_a_gray_is_out_of_gamut_from_half_a_level_below_black_and_above_white(L: float, share: int) -> None:
    assert float(out_of_gamut(flat(L, 0, 0))) == share


def test_each_photo_of_a_batch_gets_what_it_gets_alone() -> None:
    rgb = torch.cat([photo(seed=0), 0.3 * photo(seed=1), photo(seed=2)[:, :1].expand(1, 3, 16, 16)])
    truth = rgb_to_lab(rgb)[:, 1:]
    wild = torch.cat([flat(50.0, 0.0, -100.0), flat(50.0, 0.0, 0.0), flat(50.0, 100.0, 100.0)])
    for together, alone in (
        (colorfulness(rgb), [colorfulness(one[None]) for one in rgb]),
        (gray_chroma(truth + 3, truth), [gray_chroma(one[None] + 3, one[None]) for one in truth]),
        ((out_of_gamut(wild),), [(out_of_gamut(one[None]),) for one in wild]),
    ):
        for figure, each in zip(together, zip(*alone, strict=True), strict=True):
            assert figure.tolist() == pytest.approx([float(value) for value in each], rel=1e-4, abs=1e-4, nan_ok=True)


def test_out_of_gamut_agrees_with_what_clipping_changes() -> None:
    lab = rgb_to_lab(photo(32))
    lab[:, 1:] *= 2
    back = rgb_to_lab(lab_to_rgb(lab))
    changed = ((back - lab).abs().amax(1) > 2).float().mean()
    assert 0.05 < float(changed) <= float(out_of_gamut(lab))


def test_grey_chroma_is_the_mean_chroma_of_truly_gray_pixels_alone() -> None:
    truth = torch.cat([flat(0.0, 4.0), flat(0.0, 4.1)], dim=3)
    ab = torch.cat([flat(3.0, 4.0), flat(30.0, 40.0)], dim=3)
    value, share = gray_chroma(ab, truth)
    assert (value.tolist(), share.tolist()) == ([5.0], [0.5])


def test_grey_chroma_of_a_photo_without_gray_pixels_is_not_a_number() -> None:
    value, share = gray_chroma(flat(1.0, 1.0), flat(30.0, 0.0))
    assert bool(value.isnan())
    assert share.tolist() == [0]
