"""`curves.png`: the figures of a run over its steps, drawn small, one panel each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from colorgan.media.files import atomic_write

WIDTH_PX, HEIGHT_PX, MARGIN_PX, COLUMNS = 420, 240, 44, 2
_INK, _GRID, _LINE = (40, 40, 40), (225, 225, 225), (31, 104, 180)
_NOT_FIGURES = {"kind", "step", "epoch", "photos", "seen_photos", "elapsed_s"}

Point = tuple[float, float]


def series(lines: Sequence[dict[str, Any]]) -> dict[str, list[Point]]:
    """Gather the finite figures of a metrics log: "kind name" -> (step, value), in order."""
    gathered: dict[str, list[Point]] = {}
    for line in lines:
        for name, value in line.items():
            if name not in _NOT_FIGURES and isinstance(value, (int, float)) and math.isfinite(value):
                gathered.setdefault(f"{line['kind']} {name}", []).append((line["step"], value))
    return gathered


def _draw_panel(draw: ImageDraw.ImageDraw, left: int, top: int, title: str, points: Sequence[Point]) -> None:
    font = ImageFont.load_default(13)
    steps, values = zip(*points, strict=True)
    low, high = min(values), max(values)
    span_x, span_y = max(steps) - min(steps) or 1, high - low or 1
    inner_width, inner_height = WIDTH_PX - 2 * MARGIN_PX, HEIGHT_PX - 2 * MARGIN_PX
    x0, y0 = left + MARGIN_PX, top + MARGIN_PX
    draw.rectangle((x0, y0, x0 + inner_width, y0 + inner_height), outline=_GRID)
    draw.text((x0, top + 16), f"{title}: {values[-1]:.4g}", fill=_INK, font=font)
    draw.text((left + 2, y0 - 6), f"{high:.3g}", fill=_INK, font=font)
    draw.text((left + 2, y0 + inner_height - 8), f"{low:.3g}", fill=_INK, font=font)
    draw.text((x0, y0 + inner_height + 6), f"step {min(steps)} to {max(steps)}", fill=_INK, font=font)
    path = [
        (x0 + (step - min(steps)) / span_x * inner_width, y0 + (high - value) / span_y * inner_height)
        for step, value in points
    ]
    if len(path) == 1:
        draw.circle(path[0], 2, fill=_LINE)
    else:
        draw.line(path, fill=_LINE, width=2)


def draw_curves(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Draw every figure of a metrics log over its steps.

    Args:
        path: a PNG to be.
        lines: of `metrics.jsonl`; without a figure among them nothing is written.
    """
    panels = list(series(lines).items())
    if not panels:
        return
    rows = -(-len(panels) // COLUMNS)
    image = Image.new("RGB", (COLUMNS * WIDTH_PX, rows * HEIGHT_PX), "white")
    draw = ImageDraw.Draw(image)
    for index, (title, points) in enumerate(panels):
        row, column = divmod(index, COLUMNS)
        _draw_panel(draw, column * WIDTH_PX, row * HEIGHT_PX, title, points)
    with atomic_write(path) as file:
        image.save(file, "PNG")
