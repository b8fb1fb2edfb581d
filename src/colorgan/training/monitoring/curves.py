"""Curves over the epochs of a run: collected from its log, and drawn as SVG for embedding in a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from colorgan.html.axes import Axis, ticks

WIDTH, HEIGHT = 380, 210
LEFT, RIGHT, TOP, BOTTOM = 48, 10, 10, 26
# More points than pixels cannot be seen, and a long run's page would grow without limit.
MOST_POINTS = 200
_NOT_FIGURES = {"kind", "step", "epoch", "photos", "seen_photos", "elapsed_s"}

Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """A figure over the epochs of a run, as (epoch, value); an epoch's end is a whole number.

    Attributes:
        steps: values of single steps, thinned by averaging.
        epochs: one value for each epoch.
    """

    steps: list[Point] = field(default_factory=list)
    epochs: list[Point] = field(default_factory=list)

    @property
    def values(self) -> list[float]:
        """All values."""
        return [value for _, value in [*self.steps, *self.epochs]]


@dataclass(frozen=True)
class Level:
    """A reference value in a panel, drawn as a dotted line.

    Attributes:
        name: what it means.
        value: the value on the vertical axis.
    """

    name: str
    value: float


def figures_of(line: Mapping[str, Any]) -> dict[str, float]:
    """Return the finite figures of a line of a metrics log, by name."""
    numbers = {name: value for name, value in line.items() if name not in _NOT_FIGURES}
    return {name: v for name, v in numbers.items() if isinstance(v, (int, float)) and math.isfinite(v)}


def gather(lines: Sequence[dict[str, Any]]) -> dict[str, Curve]:
    """Collect the finite figures of a metrics log by their names, in the order in which they first appear."""
    ends = [(0.0, 0.0)] + [(line["step"], line["epoch"]) for line in lines if line["kind"] in ("epoch", "validation")]
    steps, epochs = (np.array(sorted(column)) for column in zip(*ends, strict=True))
    rate = epochs[-1] / steps[-1] if steps[-1] else 0.0  # epochs in a step
    curves: dict[str, Curve] = {}
    for line in lines:
        if line["kind"] not in ("train", "epoch", "validation"):
            continue
        beyond = max(0.0, line["step"] - steps[-1]) * rate
        x = float(np.interp(line["step"], steps, epochs)) + float(beyond)
        for name, value in figures_of(line).items():
            curve = curves.setdefault(name, Curve())
            (curve.steps if line["kind"] == "train" else curve.epochs).append((x, float(value)))
    return {name: Curve(_thinned(curve.steps), curve.epochs) for name, curve in curves.items()}


def _thinned(points: list[Point]) -> list[Point]:
    if len(points) <= MOST_POINTS:
        return points
    means = (part.mean(0).tolist() for part in np.array_split(np.array(points), MOST_POINTS))
    return [(x, y) for x, y in means]


# --- drawing -------------------------------------------------------------------------------------------------


def _stretch(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
    return low - room, high + room


def draw(curves: Sequence[tuple[str, Curve]], levels: Sequence[Level], label: str) -> Markup:
    """Draw curves into one panel.

    The classes `line-0`, `line-1`, ..., `thin`, `level`, `word`, `grid` and `tick` leave the colors to the page.

    Args:
        curves: each with its legend entry; at least one value among them.
        levels: reference values, which are always in view.
        label: what the picture shows, for screen readers.

    Returns:
        An SVG element; all text in it is escaped.
    """
    values = [value for _, curve in curves for value in curve.values] + [level.value for level in levels]
    last = max(x for _, curve in curves for x, _ in [*curve.steps, *curve.epochs])
    x = Axis(0, max(1, math.ceil(last)), LEFT, WIDTH - RIGHT)
    y = Axis(*_stretch(values), HEIGHT - BOTTOM, TOP)
    parts = [_grid(x, y), *(_level(level, y) for level in levels)]
    parts += [_curve(index, word, curve, x, y) for index, (word, curve) in enumerate(curves)]
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        WIDTH, HEIGHT, label, Markup("").join(parts)
    )


def _grid(x: Axis, y: Axis) -> Markup:
    line = Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/><text class="tick" x="{}" y="{}" {}>{}</text>')
    rows = [
        line.format(LEFT, WIDTH - RIGHT, y(v), y(v), LEFT - 6, y(v) + 4, Markup('text-anchor="end"'), f"{v:.4g}")
        for v in ticks(y.low, y.high, 5)
    ]
    columns = [
        line.format(x(v), x(v), TOP, HEIGHT - BOTTOM, x(v), HEIGHT - 9, Markup('text-anchor="middle"'), f"{v:.0f}")
        for v in ticks(x.low, x.high, 8)
        if v == int(v)
    ]
    return Markup("").join(rows + columns)


def _level(level: Level, y: Axis) -> Markup:
    at = y(level.value)
    line = Markup('<line class="level" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(LEFT, WIDTH - RIGHT, at, at)
    word = Markup('<text class="word" x="{}" y="{}" text-anchor="end">{}</text>')
    # Above its line, except at the top of the panel.
    return line + word.format(WIDTH - RIGHT - 2, at + (12 if at < TOP + 16 else -4), level.name)


def _curve(index: int, word: str, curve: Curve, x: Axis, y: Axis) -> Markup:
    dot = Markup('<circle class="line-{}" cx="{}" cy="{}" r="2.2"><title>{}</title></circle>')
    dots = [dot.format(index, x(e), y(v), f"epoch {e:.0f}, {word}: {v:.5g}") for e, v in curve.epochs]
    paths = [_path(f"thin line-{index}", curve.steps, x, y), _path(f"line-{index}", curve.epochs, x, y)]
    return Markup("").join(paths + dots)


def _path(classes: str, points: Sequence[Point], x: Axis, y: Axis) -> Markup:
    if len(points) < 2:
        return Markup("")
    return Markup('<polyline class="{}" points="{}"/>').format(classes, " ".join(f"{x(a)},{y(b)}" for a, b in points))
