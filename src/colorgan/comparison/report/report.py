"""`report.html`: a comparison as one self-contained page, rendered from its results and their pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from colorgan.comparison.answer import wins_of
from colorgan.comparison.formatting import PERCEPTUAL, bounds, number, photos_in_words
from colorgan.comparison.report.drawings import histograms, reliability_diagrams
from colorgan.comparison.results import GRAY, Comparison, Example
from colorgan.files import atomic_write
from colorgan.html import data_uri, render
from colorgan.metrics.registry import METRICS

HTML_NAME = "report.html"
MOST_SHOWN = 20  # photos under one heading: with five rows some 20 MB, which a phone still opens
_WITHOUT_COLORS = "Photos without true colors"
_HEADINGS = {"best": "Best photos", "between": "Other photos", "worst": "Worst photos"}
_BETTER = {"higher": "higher is better", "lower": "lower is better", "neither": "neither better nor worse"}


def write_report(folder: Path, comparison: Comparison) -> None:
    """Write the page into the folder of the results, which holds the examples' pictures.

    Raises:
        OSError: a picture cannot be read, or the page cannot be written.
    """
    text = _page(folder, comparison)
    with atomic_write(folder / HTML_NAME) as file:
        file.write(text.encode("utf-8", "backslashreplace"))  # for file names that are not UTF-8, as in `results.json`


def _page(folder: Path, comparison: Comparison) -> str:
    models = [row.name for row in comparison.models]
    shown = [
        row.name for row in comparison.rows if any(row.name in example.pictures for example in comparison.examples)
    ]
    return render(
        __package__,
        "report",
        "slider",
        "sorting",
        "wide",
        comparison=comparison,
        models=models,
        photos=photos_in_words(len(comparison.photos)),
        metrics=METRICS.values(),
        better=_BETTER,
        best=_best(comparison),
        perceptual=PERCEPTUAL,
        pairs=list(_pairs(comparison)),
        names=shown,
        left=GRAY,
        right=next((name for name in shown if name in models), GRAY),
        groups=list(_groups(folder, comparison.examples)),
        number=number,
        bounds=bounds,
        histograms=histograms(comparison),
        diagrams=reliability_diagrams(comparison),
        licenses=_licenses(comparison),
    )


def _licenses(comparison: Comparison) -> dict[str, list[str]]:
    """Return the names of the models under each license."""
    found: dict[str, list[str]] = {}
    for row in comparison.models:
        terms = row.model.get("license", row.model.get("licence", "unknown"))  # old spelling, of earlier results
        found.setdefault(str(terms), []).append(row.name)
    return found


def _best(comparison: Comparison) -> set[tuple[str, str]]:
    """Return pairs of a row and a metric in which it is significantly better than every other model."""
    names, wins = [row.name for row in comparison.models], wins_of(comparison.differences)
    return {
        (name, metric)
        for name in names
        for metric in METRICS
        if len(names) > 1 and all((metric, name, other) in wins for other in names if other != name)
    }


def _pairs(comparison: Comparison) -> Iterator[tuple[str, str, list[str], list[str]]]:
    """Yield pairs of rows: their names, their significant differences as sentences, and the other metrics' labels."""
    if len(comparison.photos) < 2:
        return
    for (first, second), group in groupby(comparison.differences, lambda each: (each.first, each.second)):
        found = list(group)
        significant = [each.words for each in found if each.significant]
        yield first, second, significant, [METRICS[each.metric].label for each in found if not each.significant]


Embedded = tuple[Example, dict[str, str]]  # with its pictures by row, as data URIs


def _groups(folder: Path, examples: Sequence[Example]) -> Iterator[tuple[str, list[Embedded], int]]:
    """Yield each heading, its examples up to `MOST_SHOWN`, and the number of those not shown."""
    for heading, group in groupby(examples, lambda each: _HEADINGS.get(each.why, _WITHOUT_COLORS)):
        found = list(group)
        shown = [(example, _embedded_pictures(folder, example)) for example in found[:MOST_SHOWN]]
        yield heading, shown, len(found) - len(shown)


def _embedded_pictures(folder: Path, example: Example) -> dict[str, str]:
    return {row: data_uri((folder / path).read_bytes()) for row, path in example.pictures.items()}
