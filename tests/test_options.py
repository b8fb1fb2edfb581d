from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from colorgan.errors import UsageError
from colorgan.options import Checked, Option, options_of


@dataclass(frozen=True)
class Some(Checked):
    size: Annotated[int, Option("Side.", minimum=16, maximum=1024, unit="pixels")] = 256
    rate: Annotated[float, Option("Step.", above=0, maximum=1)] = 0.5
    weight: Annotated[float | None, Option("Weight.", minimum=0)] = None
    fit: Annotated[Literal["shape", "square"], Option("Fit.")] = "shape"
    flip: Annotated[bool, Option("Mirror.")] = True
    other: str = ""


@dataclass(frozen=True)
class More(Some):
    size: int = 64
    extra: Annotated[int, Option("Extra.", maximum=3)] = 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"size": 8}, "`size` to be 16 to 1024 pixels: 8"),
        ({"size": 64.0}, "`size` to be 16 to 1024 pixels: 64.0"),
        ({"size": "64"}, "`size` to be 16 to 1024 pixels: '64'"),
        ({"size": None}, "`size` to be 16 to 1024 pixels: None"),
        ({"rate": 0}, "`rate` to be above 0, at most 1: 0"),
        ({"rate": float("nan")}, "`rate` to be above 0, at most 1: nan"),
        ({"weight": -1}, "`weight` to be 0 or more: -1"),
        ({"fit": "round"}, "`fit` to be shape or square: 'round'"),
        ({"flip": "no"}, "`flip` to be yes or no: 'no'"),
        ({"extra": 4}, "`extra` to be at most 3: 4"),
    ],
)
def test_a_value_that_an_option_does_not_have_is_a_value_error_that_names_it(given, words):
    with pytest.raises(ValueError, match=words) as refused:
        More(**given)
    assert isinstance(refused.value, UsageError)
    assert refused.value.parameter == next(iter(given))


def test_values_that_an_option_has_are_taken():
    More(size=16, rate=1, weight=None, fit="square", flip=False, other="anything")
    More(weight=0.0, extra=-5)


def test_another_default_keeps_what_was_said_of_the_option():
    assert list(options_of(More)) == ["size", "rate", "weight", "fit", "flip", "extra"]
    assert options_of(More)["size"].option is options_of(Some)["size"].option
    assert options_of(More)["size"].default == 64


def test_the_docstring_says_of_each_option_what_it_does_and_what_values_there_are():
    assert "Options:\n    size: Side (16 to 1024 pixels).\n    rate: Step (above 0, at most 1)." in Some.__doc__
    assert "extra: Extra (at most 3)." in More.__doc__
