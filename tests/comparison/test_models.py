from pathlib import Path

import pytest
import torch

from colorgan.colorize.colorizer import Colorizer
from colorgan.colorize.options import ColorizeOptions
from colorgan.comparison.models import ComparedModel, row_names


@pytest.mark.parametrize(
    ("models", "names"),
    [
        (("compact", "eccv16"), ["compact", "eccv16"]),
        (("runs/gan/weights/best.safetensors", "runs/soft/weights/last.safetensors"), ["gan", "soft"]),
        (("a/weights/best.safetensors", "b/a/weights/best.safetensors"), ["a", "a-2"]),
        (("best.safetensors", "weights/best.safetensors"), ["best", "best-2"]),
        (("compact", "old/compact.safetensors", "gray.pth"), ["compact", "compact-2", "gray-2"]),
    ],
)
def test_every_row_has_a_name_of_its_own(models: tuple[str, ...], names: list[str]) -> None:
    assert row_names(models) == names


def test_crops_get_the_colors_that_a_photo_of_their_size_would_get(tiny_model: Path) -> None:
    colorizer = Colorizer.load(str(tiny_model), device="cpu", precision="fp32")
    L = torch.full((1, 1, 128, 128), 25.0)
    L[..., 64:] = 75.0
    found = {}
    for edges in (False, True):
        ((ab, _),) = ComparedModel("tiny", colorizer, ColorizeOptions(edges=edges)).predict(L)
        assert isinstance(ab, torch.Tensor)
        assert ab.shape == (2, 128, 128)
        found[edges] = ab
    # What differs is at the edge: there, the step from one pixel to the next.
    steps = {edges: float((ab[:, :, 64] - ab[:, :, 63]).abs().mean()) for edges, ab in found.items()}
    assert steps[True] > 2 * steps[False]
