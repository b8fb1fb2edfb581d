from __future__ import annotations

import pytest

from colorgan.colorize.options import ColorizeOptions
from colorgan.errors import UsageError


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("saturation", -0.1),
        ("saturation", 4.1),
        ("saturation", float("nan")),
        ("temperature", 0.0),
        ("temperature", float("inf")),
        ("render_size", 0),
        ("render_size", 5000),
    ],
)
def test_a_value_out_of_its_range_is_refused_with_the_range(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=rf"`{name}` to be [\d.]+ to \d+"):
        ColorizeOptions(**{name: value})


def test_the_ends_of_the_ranges_are_taken() -> None:
    ColorizeOptions(0.0, 0.01, 16)
    ColorizeOptions(4.0, 100.0, 4096)
