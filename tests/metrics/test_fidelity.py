import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import deltaE_ciede2000
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from colorgan.color.lab import rgb_to_lab
from colorgan.metrics.fidelity import ab_l1, ciede2000, local_moments, psnr, ssim

# Sharma, Wu and Dalal 2005, table 1: two colors (L, a, b) and their difference.
SHARMA = [
    (50.0000, 2.6772, -79.7751, 50.0000, 0.0000, -82.7485, 2.0425),
    (50.0000, 3.1571, -77.2803, 50.0000, 0.0000, -82.7485, 2.8615),
    (50.0000, 2.8361, -74.0200, 50.0000, 0.0000, -82.7485, 3.4412),
    (50.0000, -1.3802, -84.2814, 50.0000, 0.0000, -82.7485, 1.0000),
    (50.0000, -1.1848, -84.8006, 50.0000, 0.0000, -82.7485, 1.0000),
    (50.0000, -0.9009, -85.5211, 50.0000, 0.0000, -82.7485, 1.0000),
    (50.0000, 0.0000, 0.0000, 50.0000, -1.0000, 2.0000, 2.3669),
    (50.0000, -1.0000, 2.0000, 50.0000, 0.0000, 0.0000, 2.3669),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0009, 7.1792),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0010, 7.1792),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0011, 7.2195),
    (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0012, 7.2195),
    (50.0000, -0.0010, 2.4900, 50.0000, 0.0009, -2.4900, 4.8045),
    (50.0000, -0.0010, 2.4900, 50.0000, 0.0010, -2.4900, 4.8045),
    (50.0000, -0.0010, 2.4900, 50.0000, 0.0011, -2.4900, 4.7461),
    (50.0000, 2.5000, 0.0000, 50.0000, 0.0000, -2.5000, 4.3065),
    (50.0000, 2.5000, 0.0000, 73.0000, 25.0000, -18.0000, 27.1492),
    (50.0000, 2.5000, 0.0000, 61.0000, -5.0000, 29.0000, 22.8977),
    (50.0000, 2.5000, 0.0000, 56.0000, -27.0000, -3.0000, 31.9030),
    (50.0000, 2.5000, 0.0000, 58.0000, 24.0000, 15.0000, 19.4535),
    (50.0000, 2.5000, 0.0000, 50.0000, 3.1736, 0.5854, 1.0000),
    (50.0000, 2.5000, 0.0000, 50.0000, 3.2972, 0.0000, 1.0000),
    (50.0000, 2.5000, 0.0000, 50.0000, 1.8634, 0.5757, 1.0000),
    (50.0000, 2.5000, 0.0000, 50.0000, 3.2592, 0.3350, 1.0000),
    (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
    (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630),
    (61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731),
    (35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645),
    (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
    (36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146),
    (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
    (90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381),
    (6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377),
    (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
]


def photos(count: int = 3, size: int = 24, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def as_picture(colors: list[tuple[float, ...]]) -> torch.Tensor:
    return torch.tensor(colors, dtype=torch.float32).T[None, :, None]  # (1, 3, 1, N)


def test_psnr_agrees_with_scikit_image() -> None:
    a, b = photos(seed=0), photos(seed=1)
    expected = [peak_signal_noise_ratio(x.numpy(), y.numpy(), data_range=1) for x, y in zip(a, b, strict=True)]
    assert psnr(a, b).tolist() == pytest.approx(expected, rel=1e-4)


def test_ab_l1_is_the_mean_over_both_planes() -> None:
    truth = torch.full((1, 2, 4, 4), 2.0)
    ab = torch.stack([torch.full((4, 4), 5.0), torch.full((4, 4), 1.0)])[None]
    assert ab_l1(ab, truth).tolist() == [2.0]


@pytest.mark.parametrize("size", [(11, 11), (24, 40)])
def test_ssim_agrees_with_scikit_image(size: tuple[int, int]) -> None:
    height, width = size
    a = photos(2, 40, seed=0)[..., :height, :width]
    b = (a + 0.2 * torch.randn(a.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    expected = [
        structural_similarity(x.double().numpy(), y.double().numpy(), channel_axis=0, **settings)
        for x, y in zip(a, b, strict=True)
    ]
    assert ssim(a, b).tolist() == pytest.approx(expected, abs=2e-5)
    assert ssim(a, b, local_moments(b)).tolist() == ssim(a, b).tolist()


def test_ssim_of_a_picture_smaller_than_its_window_is_1_with_itself_and_less_with_another() -> None:
    a, b = photos(size=5, seed=0), photos(size=5, seed=1)
    assert ssim(a, a).tolist() == pytest.approx([1, 1, 1], abs=1e-5)
    assert bool((ssim(a, b) < 0.9).all())


def test_ssim_extends_a_small_picture_by_its_last_row_and_column() -> None:
    a, b = photos(size=9, seed=0)[..., :5], photos(size=9, seed=1)[..., :5]
    extended = [torch.nn.functional.pad(each, (0, 6, 0, 2), mode="replicate") for each in (a, b)]
    assert ssim(a, b).tolist() == ssim(*extended).tolist()


def test_ciede2000_gives_the_published_differences_in_float32() -> None:
    first, second = (as_picture([row[start : start + 3] for row in SHARMA]) for start in (0, 3))
    expected = [row[6] for row in SHARMA]
    assert ciede2000(first, second).flatten().tolist() == pytest.approx(expected, abs=1e-4)
    assert ciede2000(second, first).flatten().tolist() == pytest.approx(expected, abs=1e-4)


def test_ciede2000_agrees_with_scikit_image_on_photos() -> None:
    a, b = (rgb_to_lab(photos(1, 64, seed)) for seed in (0, 1))
    expected = deltaE_ciede2000(*(lab[0].movedim(0, -1).double().numpy() for lab in (a, b)))
    np.testing.assert_allclose(ciede2000(a, b)[0].numpy(), expected, rtol=1e-3, atol=1e-3)


colors = st.tuples(st.floats(0, 100, width=32), st.floats(-110, 110, width=32), st.floats(-110, 110, width=32))


@given(colors, colors)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_ciede2000_is_never_negative_symmetric_and_zero_for_equals(
    one: tuple[float, ...], other: tuple[float, ...]
) -> None:
    a, b = as_picture([one]), as_picture([other])
    there, back = float(ciede2000(a, b)), float(ciede2000(b, a))
    assert there >= 0
    # Hues exactly opposite may be midway on either side: the paper's own discontinuity.
    if abs(np.hypot(one[1], one[2]) * np.hypot(other[1], other[2])) < 1e-3 or not opposite(one, other):
        assert there == pytest.approx(back, abs=1e-2)
    assert float(ciede2000(a, a)) == pytest.approx(0, abs=1e-3)


def opposite(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    step = abs(np.degrees(np.arctan2(one[2], one[1]) - np.arctan2(other[2], other[1])))
    return abs(step - 180) < 5
