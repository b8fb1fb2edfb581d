"""SVG drawings of a comparison's report: chroma histograms and reliability diagrams."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from colorgan.comparison.results import CHROMA_BINS, CHROMA_STEP, ORIGINAL, Comparison, Row
from colorgan.html.axes import Axis, ticks

_WIDTH, _HEIGHT = 380, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 18, 10, 26


@dataclass(frozen=True)
class Drawing:
    """A drawing of a row.

    Attributes:
        name: of the row.
        svg: the drawing.
        words: a sentence that describes it.
    """

    name: str
    svg: Markup
    words: str


def histograms(comparison: Comparison) -> list[Drawing]:
    """Draw each model's chroma histogram with the original's, to one scale; none without photos."""
    if not comparison.photos:
        return []
    original, models = comparison.row(ORIGINAL), comparison.models
    most = 100 * max(share for row in (original, *models) for share in row.chroma)
    return [_histogram(row, original, most) for row in models]


def _histogram(row: Row, original: Row, most: float) -> Drawing:
    words = f"{row.name}: {_half_and_most(row)}. {original.name}: {_half_and_most(original)}."
    x, y = Axis(0, CHROMA_STEP * CHROMA_BINS, _LEFT, _WIDTH - _RIGHT), Axis(0, most, _HEIGHT - _BOTTOM, _TOP)
    bars = Markup('<path class="bars" d="{}Z"/>').format(_steps(row.chroma, x, y))
    outline = Markup('<path class="outline" d="{}"/>').format(_steps(original.chroma, x, y))
    return Drawing(row.name, _svg(f"Histogram of chroma: {words}", _grid(x, y) + bars + outline), words)


def _half_and_most(row: Row) -> str:
    half, most = chroma_at(row.chroma, 0.5), chroma_at(row.chroma, 0.95)
    return f"half of the pixels have a chroma below {half:.0f}, and 95% below {most:.0f}"


def chroma_at(shares: Sequence[float], share: float) -> float:
    """Return the quantile of a chroma histogram, Lab units, assuming that pixels are spread evenly in each bin."""
    passed = 0.0
    for number, part in enumerate(shares):
        if part and passed + part >= share:
            return CHROMA_STEP * (number + (share - passed) / part)
        passed += part
    return CHROMA_STEP * CHROMA_BINS


def _steps(shares: Sequence[float], x: Axis, y: Axis) -> str:
    """Return an SVG path along the tops of the bins, from the baseline and back to it."""
    tops = " ".join(f"V{y(100 * share)} H{x((number + 1) * CHROMA_STEP)}" for number, share in enumerate(shares))
    return f"M{x(0)},{y(0)} {tops} V{y(0)}"


def reliability_diagrams(comparison: Comparison) -> list[Drawing]:
    """Draw the reliability diagram of each model that has confidence: its confidence against what came true."""
    return [_reliability_diagram(row) for row in comparison.models if row.reliability]


def _reliability_diagram(row: Row) -> Drawing:
    sure = sum(share * confidence for share, confidence, _ in row.reliability)
    came_true = sum(share * hits for share, _, hits in row.reliability)
    words = (
        f"{row.name} was {100 * sure:.0f}% confident on average, and {100 * came_true:.0f}% right; "
        f"calibration error (ECE) {row.ece:.1f} points."
    )
    # Twice the margin, since half of the label "100%" lies to the right of the last line.
    x, y = Axis(0, 100, _LEFT, _WIDTH - 2 * _RIGHT), Axis(0, 100, _HEIGHT - _BOTTOM, _TOP)
    width = 100 / len(row.reliability)
    bar = Markup('<path class="bars" d="M{},{} V{} H{} V{}Z"/>')
    bars = [
        bar.format(x(number * width), y(0), y(100 * hits), x((number + 1) * width), y(0))
        for number, (share, _, hits) in enumerate(row.reliability)
        if share
    ]
    line = Markup('<path class="outline" d="M{},{} L{},{}"/>').format(x(0), y(0), x(100), y(100))
    content = _grid(x, y, "%") + Markup("").join(bars) + line
    return Drawing(row.name, _svg(f"Reliability diagram: {words}", content), words)


def _svg(label: str, content: Markup) -> Markup:
    svg = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    return svg.format(_WIDTH, _HEIGHT, label, content)


def _grid(x: Axis, y: Axis, unit: str = "") -> Markup:
    """Draw the grid behind a drawing, with percent at its left, and numbers with a unit below it."""
    line = Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>')
    text = Markup('<text class="tick" x="{}" y="{}" text-anchor="{}">{}</text>')
    rows = [
        line.format(_LEFT, _WIDTH - _RIGHT, y(v), y(v)) + text.format(_LEFT - 6, y(v) + 4, "end", f"{v:.4g}%")
        for v in ticks(y.low, y.high, 4)
    ]
    columns = [text.format(x(v), _HEIGHT - 9, "middle", f"{v:.0f}{unit}") for v in ticks(x.low, x.high, 6)]
    return Markup("").join(rows + columns)
