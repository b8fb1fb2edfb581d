"""Pictures side by side, each under its name."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image, ImageDraw, ImageFont

MOST_WIDTH_PX = 2400
_GAP_PX, _LABEL_PX, _FONT_PX = 8, 28, 18
_PAPER, _INK = (255, 255, 255), (20, 20, 20)


def sheet(pictures: Mapping[str, Image.Image]) -> Image.Image:
    """Lay pictures of one size out in rows, each under its name.

    Args:
        pictures: by name; as many go into a row as fit into `MOST_WIDTH_PX`, and at least one.
    """
    width, height = next(iter(pictures.values())).size
    columns = min(len(pictures), max(1, (MOST_WIDTH_PX - _GAP_PX) // (width + _GAP_PX)))
    rows = -(-len(pictures) // columns)
    cell_width, cell_height = width + _GAP_PX, height + _LABEL_PX + _GAP_PX
    paper = Image.new("RGB", (columns * cell_width + _GAP_PX, rows * cell_height + _GAP_PX), _PAPER)
    draw, font = ImageDraw.Draw(paper), ImageFont.load_default(_FONT_PX)
    for number, (name, picture) in enumerate(pictures.items()):
        row, column = divmod(number, columns)
        left, top = _GAP_PX + column * cell_width, _GAP_PX + row * cell_height
        draw.text((left, top), _fitted(draw, name, font, width), fill=_INK, font=font)
        paper.paste(picture, (left, top + _LABEL_PX))
    return paper


def _fitted(
    draw: ImageDraw.ImageDraw, name: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int
) -> str:
    """A name as the font can draw it, cut off where it is too long for its picture."""
    text = name.encode("ascii", "replace").decode()  # the font that comes with Pillow has few letters beyond
    while len(text) > 1 and draw.textlength(text, font=font) > width:
        text = text[:-1]
    return text
