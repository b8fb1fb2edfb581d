"""A color hint at a point of a photo. Imports nothing heavy, since options hold hints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from colorgan.errors import UsageError

KEEP = "keep"  # in place of a color: the point stays gray
HINTS_FORMAT = "colorgan-hints"

_GRAY = (128, 128, 128)
_PLACE = re.compile(r"\s*(\d+)\s*,\s*(\d+)\s*=\s*(.+?)\s*")
COUNT_FROM = "Count from the top left of the upright photo, as in 120,340=#8b1a1a."
_NAME_COLORS = "Give a color such as #8b1a1a, or a CSS name such as navy, or keep to leave it gray."


@dataclass(frozen=True, slots=True)
class Hint:
    """A color for one point of a photo, which keeps its own lightness there.

    Attributes:
        x: pixels from the left of the upright photo.
        y: pixels from its top.
        color: a CSS color such as #8b1a1a or navy; red, green and blue, 0..255; or `keep`, for what is to stay gray.

    Raises:
        UsageError: a negative or fractional coordinate, or no valid color; it is a ValueError too.
    """

    x: int
    y: int
    color: str | tuple[int, int, int]

    def __post_init__(self) -> None:
        if not all(type(value) is int and value >= 0 for value in (self.x, self.y)):
            raise UsageError("a hint's place in whole pixels", f"{self.x},{self.y}", COUNT_FROM, parameter="hints")
        _rgb(self.color)

    @classmethod
    def parse(cls, text: str) -> Hint:
        """Parse `X,Y=COLOR`.

        Raises:
            UsageError: the text has another form.
        """
        match = _PLACE.fullmatch(text)
        if match is None:
            raise UsageError("a hint as X,Y=COLOR", repr(text[:80]), COUNT_FROM, parameter="hints")
        return cls(int(match[1]), int(match[2]), match[3])

    def __str__(self) -> str:
        color = self.color if isinstance(self.color, str) else "#{:02x}{:02x}{:02x}".format(*self.color)
        return f"{self.x},{self.y}={color}"

    @property
    def rgb(self) -> tuple[int, int, int]:
        """Red, green and blue, 0..255; mid-gray for `keep`."""
        return _rgb(self.color)


def _rgb(color: object) -> tuple[int, int, int]:
    if color == KEEP:
        return _GRAY
    if isinstance(color, str):
        from PIL import ImageColor

        try:
            red, green, blue = ImageColor.getrgb(color)[:3]
        except ValueError:
            raise UsageError("a color for a hint", repr(color[:80]), _NAME_COLORS, parameter="hints") from None
        return red, green, blue
    if isinstance(color, tuple | list) and len(color) == 3:
        red, green, blue = color
        if all(isinstance(level, int) and 0 <= level <= 255 for level in color):
            return red, green, blue
    raise UsageError("a color for a hint", repr(color)[:80], _NAME_COLORS, parameter="hints")


def places_to_json(places: Iterable[Hint]) -> str:
    """Return the text of a hints file (.hints.json) with these points."""
    rows = [{"x": hint.x, "y": hint.y, "color": hint.color} for hint in places]
    return json.dumps({"format": HINTS_FORMAT, "version": 1, "hints": rows}, indent=1) + "\n"
