import warnings

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import lab2rgb, rgb2lab

from colorgan.color.lab import lab_to_linear, lab_to_rgb, lightness, linear_from_bytes, linear_from_srgb, rgb_to_lab


def cube(steps: int) -> torch.Tensor:
    axis = torch.linspace(0, 1, steps)
    return torch.cartesian_prod(axis, axis, axis).T.reshape(1, 3, steps * steps, steps)


def test_lab_agrees_with_scikit_image_over_the_whole_cube() -> None:
    rgb = cube(33)
    expected = rgb2lab(rgb[0].permute(1, 2, 0).double().numpy())
    found = rgb_to_lab(rgb)[0].permute(1, 2, 0).numpy()
    assert np.abs(found - expected).max() < 1e-3


def test_any_lab_becomes_the_color_of_scikit_image_also_where_z_would_be_negative() -> None:
    lab = torch.cartesian_prod(torch.linspace(0, 100, 21), torch.linspace(-110, 110, 23), torch.linspace(-110, 110, 23))
    assert ((lab[:, 0] + 16) / 116 < lab[:, 2] / 200).any()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Conversion from CIE-LAB", UserWarning)
        expected = lab2rgb(lab.double().numpy())
    found = lab_to_rgb(lab.T.reshape(1, 3, -1, 1))[0, ..., 0].T.numpy()
    assert np.abs(found - expected).max() < 1e-3


def test_a_round_trip_gives_every_color_back() -> None:
    rgb = cube(33)
    assert (lab_to_rgb(rgb_to_lab(rgb)) - rgb).abs().max() < 1e-4


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3))
def test_any_color_comes_back(color: list[float]) -> None:
    rgb = torch.tensor(color).reshape(1, 3, 1, 1)
    assert (lab_to_rgb(rgb_to_lab(rgb)) - rgb).abs().max() < 1e-4


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1, width=32))
def test_a_gray_has_no_chroma(gray: float) -> None:
    assert rgb_to_lab(torch.full((1, 3, 1, 1), gray))[:, 1:].abs().max() < 0.02


def test_gradients_are_finite_everywhere_black_included() -> None:
    rgb = torch.cat([torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1), torch.full((1, 3, 1, 1), 1e-8)], -1)
    rgb.requires_grad_()
    rgb_to_lab(rgb).sum().backward()
    assert rgb.grad is not None
    assert torch.isfinite(rgb.grad).all()
    lab = torch.tensor([[0.0, 0, 0], [0, 110, -110], [100, -110, 110]]).T.reshape(1, 3, 1, 3).requires_grad_()
    lab_to_rgb(lab).sum().backward()
    assert lab.grad is not None
    assert torch.isfinite(lab.grad).all()


def test_colors_outside_the_gamut_show_before_clipping_and_not_after() -> None:
    lab = torch.tensor([50.0, 110, -110]).reshape(1, 3, 1, 1)
    assert lab_to_linear(lab).min() < 0
    assert 0 <= lab_to_rgb(lab).min() <= lab_to_rgb(lab).max() <= 1


def test_any_leading_shape_is_taken() -> None:
    rgb = torch.rand(2, 5, 3, 4, 6)
    assert torch.allclose(rgb_to_lab(rgb)[1, 3], rgb_to_lab(rgb[1, 3]), atol=1e-4)


def test_lightness_is_that_of_the_whole_conversion() -> None:
    gray = torch.linspace(0, 1, 101).reshape(1, 1, 101, 1).repeat(1, 3, 1, 1)
    assert (lightness(linear_from_srgb(gray[:, 0])) - rgb_to_lab(gray)[:, 0]).abs().max() < 1e-3


def test_bytes_become_the_same_light_by_the_table_as_by_the_formula() -> None:
    photo = torch.arange(256, dtype=torch.uint8).expand(2, 3, 4, 256)
    expected = linear_from_srgb(torch.arange(256) / 255).expand(2, 3, 4, 256)
    assert torch.allclose(linear_from_bytes(photo), expected, rtol=1e-6)
