"""Contact sheets: pictures side by side, each under its name."""

from __future__ import annotations

import math
from collections.abc import Mapping

from PIL import Image, ImageDraw, ImageFont

MOST_WIDTH_PX = 2400
_GAP_PX, _LABEL_PX, _FONT_PX = 8, 28, 18
_MOST_LABEL_WIDTH_PX = 160
_PAPER, _INK = (255, 255, 255), (20, 20, 20)


def sheet(pictures: Mapping[str, Image.Image]) -> Image.Image:
    """Arrange pictures of one size, each under its name, in rows of at most `MOST_WIDTH_PX` or of one picture."""
    font = ImageFont.load_default(_FONT_PX)
    names = [_drawable(name) for name in pictures]
    longest = math.ceil(max(font.getlength(name) for name in names))
    width, height = next(iter(pictures.values())).size
    width = max(width, min(longest, _MOST_LABEL_WIDTH_PX))  # room for the names of narrow pictures
    columns = min(len(pictures), max(1, (MOST_WIDTH_PX - _GAP_PX) // (width + _GAP_PX)))
    rows = -(-len(pictures) // columns)
    cell_width, cell_height = width + _GAP_PX, height + _LABEL_PX + _GAP_PX
    paper = Image.new("RGB", (columns * cell_width + _GAP_PX, rows * cell_height + _GAP_PX), _PAPER)
    draw = ImageDraw.Draw(paper)
    for number, (name, picture) in enumerate(zip(names, pictures.values(), strict=True)):
        row, column = divmod(number, columns)
        left, top = _GAP_PX + column * cell_width, _GAP_PX + row * cell_height
        draw.text((left, top), _truncated(name, font, width), fill=_INK, font=font)
        paper.paste(picture, (left, top + _LABEL_PX))
    return paper


def _drawable(name: str) -> str:
    return name.encode("ascii", "replace").decode()  # Pillow's default font has few other letters


def _truncated(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> str:
    """Truncate a text to a width in pixels."""
    while len(text) > 1 and font.getlength(text) > width:
        text = text[:-1]
    return text
