"""Reliability diagrams: how often what a model was so sure of came true, as SVG for a page."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from colorgan.comparison.report.histograms import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, grid
from colorgan.comparison.results import Comparison, Row
from colorgan.html.axes import Axis


@dataclass(frozen=True)
class Diagram:
    """A model's diagram.

    Attributes:
        name: of its row.
        svg: the drawing.
        words: what it shows.
    """

    name: str
    svg: Markup
    words: str


def diagrams(comparison: Comparison) -> list[Diagram]:
    """Draw those of all models that say how sure they are."""
    return [Diagram(row.name, _draw(row), _in_words(row)) for row in comparison.models if row.reliability]


def _in_words(row: Row) -> str:
    sure = sum(share * confidence for share, confidence, _ in row.reliability)
    came_true = sum(share * hits for share, _, hits in row.reliability)
    return (
        f"{row.name} was {100 * sure:.0f}% sure on average, and {100 * came_true:.0f}% came true; "
        f"calibration error (ECE) {row.ece:.1f} points."
    )


def _draw(row: Row) -> Markup:
    # Half of "100%" stands to the right of the last line.
    x, y = Axis(0, 100, LEFT, WIDTH - 2 * RIGHT), Axis(0, 100, HEIGHT - BOTTOM, TOP)
    width = 100 / len(row.reliability)
    bar = Markup('<path class="bars" d="M{},{} V{} H{} V{}Z"/>')
    bars = [
        bar.format(x(number * width), y(0), y(100 * hits), x((number + 1) * width), y(0))
        for number, (share, _, hits) in enumerate(row.reliability)
        if share
    ]
    line = Markup('<path class="outline" d="M{},{} L{},{}"/>').format(x(0), y(0), x(100), y(100))
    label = f"Reliability diagram: {_in_words(row)}"
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, label, grid(x, y, "%") + Markup("").join(bars) + line
    )
