"""Histograms of chroma: how strong the colors of each row are, beside those of the original, as SVG for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from colorgan.comparison.results import CHROMA_BINS, CHROMA_STEP, ORIGINAL, Comparison, Row
from colorgan.html.axes import Axis, ticks

WIDTH, HEIGHT = 380, 190
LEFT, RIGHT, TOP, BOTTOM = 44, 18, 10, 26


@dataclass(frozen=True)
class Histogram:
    """A row's histogram.

    Attributes:
        name: of the row.
        svg: the drawing.
        words: what it shows.
    """

    name: str
    svg: Markup
    words: str


def histograms(comparison: Comparison) -> list[Histogram]:
    """Draw those of all models, to one scale; none without photos or of rows that have none."""
    if not comparison.photos:
        return []
    original = comparison.row(ORIGINAL)
    models = [row for row in comparison.models if row.chroma]
    most = 100 * max(share for row in (original, *models) for share in row.chroma)
    return [Histogram(row.name, _draw(row, original, most), _in_words(row, original)) for row in models]


def _in_words(row: Row, original: Row) -> str:
    def said(of: Row) -> str:
        half, most = chroma_at(of.chroma, 0.5), chroma_at(of.chroma, 0.95)
        return f"half of the pixels have a chroma below {half:.0f}, and 95% below {most:.0f}"

    return f"{row.name}: {said(row)}. {original.name}: {said(original)}."


def chroma_at(shares: Sequence[float], share: float) -> float:
    """The chroma that this share of the pixels stays below, Lab units, as if pixels were spread evenly in their bin."""
    passed = 0.0
    for number, part in enumerate(shares):
        if part and passed + part >= share:
            return CHROMA_STEP * (number + (share - passed) / part)
        passed += part
    return CHROMA_STEP * CHROMA_BINS


def _draw(row: Row, original: Row, most: float) -> Markup:
    x, y = Axis(0, CHROMA_STEP * CHROMA_BINS, LEFT, WIDTH - RIGHT), Axis(0, most, HEIGHT - BOTTOM, TOP)
    label = f"Histogram of chroma: {_in_words(row, original)}"
    bars = Markup('<path class="bars" d="{}Z"/>').format(_steps(row.chroma, x, y))
    outline = Markup('<path class="outline" d="{}"/>').format(_steps(original.chroma, x, y))
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, label, grid(x, y) + bars + outline
    )


def _steps(shares: Sequence[float], x: Axis, y: Axis) -> str:
    """A path along the tops of the bins, from the ground and back to it."""
    tops = " ".join(f"V{y(100 * share)} H{x((number + 1) * CHROMA_STEP)}" for number, share in enumerate(shares))
    return f"M{x(0)},{y(0)} {tops} V{y(0)}"


def grid(x: Axis, y: Axis, unit: str = "") -> Markup:
    """Lines and numbers behind a drawing.

    Args:
        x: of the drawing.
        y: likewise, percent.
        unit: behind the numbers below it.
    """
    line = Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>')
    text = Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>')
    rows = [
        line.format(LEFT, WIDTH - RIGHT, y(v), y(v)) + text.format(LEFT - 6, y(v) + 4, "end", f"{v:.4g}%")
        for v in ticks(y.low, y.high, 4)
    ]
    columns = [text.format(x(v), HEIGHT - 9, "middle", f"{v:.0f}{unit}") for v in ticks(x.low, x.high, 6)]
    return Markup("").join(rows + columns)
