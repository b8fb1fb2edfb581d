"""The output of `compare`: tables and sentences for users, JSON Lines for other programs."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from colorgan.addresses import printable
from colorgan.cli.console import Console
from colorgan.comparison.answer import pairs_in_words
from colorgan.comparison.formatting import PERCEPTUAL, bounds, number, photos_in_words
from colorgan.comparison.report.report import HTML_NAME
from colorgan.comparison.results import Comparison, Example, Row
from colorgan.comparison.results_io import JSON_NAME, plain
from colorgan.metrics.bootstrap import Interval
from colorgan.metrics.registry import METRICS, Metric

SCHEMA = 2  # of the JSON Lines; docs/evaluation.md describes it
_COLUMNS = 3  # models in a table: with the metrics' names they fit 80 characters
_HEADINGS = {"higher": "Higher is better", "lower": "Lower is better", "neither": "Neither better nor worse"}


def print_json(console: Console, comparison: Comparison, folder: Path) -> None:
    """Print JSON Lines: errors, the answer, rows, differences, notes, and finally a summary."""
    for kind, fields in _lines(comparison, folder):
        console.result(json.dumps({"type": kind, "schema": SCHEMA, **plain(fields)}, allow_nan=False))


def _lines(comparison: Comparison, folder: Path) -> Iterator[tuple[str, dict[str, object]]]:
    for failure in comparison.failures:
        yield "error", vars(failure)
    yield "answer", {"text": comparison.answer}
    for row in comparison.rows:
        metrics = {name: vars(interval) for name, interval in row.metrics.items()}
        yield "row", {"name": row.name, "kind": row.kind, "metrics": metrics, "perceptual": row.perceptual}
    for difference in comparison.differences:
        yield "difference", vars(difference) | {"interval": vars(difference.interval)}
    for note in comparison.notes:
        yield "note", {"text": note}
    counts = {"photos": len(comparison.photos), "left_out": comparison.left_out, "failed": len(comparison.failures)}
    protocol = {"protocol": comparison.protocol.line()}
    places = {"page": HTML_NAME, "results": JSON_NAME}
    paths = {kind: os.fsdecode(os.fsencode(folder / name)) for kind, name in places.items()}
    yield "summary", counts | protocol | paths


def print_text(console: Console, comparison: Comparison, folder: Path) -> None:
    """Print the answer, tables, a line for each pair of models, caveats, and the paths of the results."""
    for failure in comparison.failures:
        console.warn(f"failed: {printable(failure.photo)}: {failure.reason}")
    if comparison.photos:
        _print_sentence(console, comparison.answer)
        _print_tables(console, comparison)
        _print_perceptual(console, comparison.rows)
        for line in pairs_in_words(comparison.rows, comparison.differences, len(comparison.photos)):
            _print_sentence(console, line)
        _print_published(console, comparison)
    for reason, count in comparison.left_out.items():
        console.note(f"{photos_in_words(count)} without true colors ({reason}): no metrics.")
    for note in comparison.notes:
        console.warn(note, is_prose=True)
    console.note(f"Measured on {comparison.protocol.line()}.", is_prose=True)
    if len(comparison.examples) == 1:
        console.result(f"Sheet: {printable(folder / comparison.examples[0].sheet)}")
    elif comparison.examples:
        console.result(f"Sheets of {_count(comparison.examples)}: {printable(folder / 'sheets')}")
    console.result(f"Page: {printable(folder / HTML_NAME)}")
    console.result(f"Results: {printable(folder / JSON_NAME)}")


def _print_sentence(console: Console, text: str) -> None:
    """Print a sentence, wrapped between words if standard output is a terminal."""
    lines = textwrap.wrap(text, shutil.get_terminal_size().columns) if sys.stdout.isatty() else [text]
    for line in lines:
        console.result(line)


def _count(examples: Sequence[Example]) -> str:
    counted = Counter(example.why for example in examples)
    return ", ".join(f"{count} {why}" for why, count in counted.items())


def _print_tables(console: Console, comparison: Comparison) -> None:
    photos = photos_in_words(len(comparison.photos))
    for start in range(0, len(comparison.rows), _COLUMNS):
        columns = comparison.rows[start : start + _COLUMNS]
        console.table(photos if start == 0 else "", ["", *(row.name for row in columns)], list(_cells(columns)))


def _print_perceptual(console: Console, rows: Sequence[Row]) -> None:
    """Print tables of FID, KID and LPIPS, of the rows that have them."""
    measured = [row for row in rows if row.perceptual]
    for start in range(0, len(measured), _COLUMNS):
        columns = measured[start : start + _COLUMNS]
        cells = [[label, *(f"{row.perceptual[name]:.4g}" for row in columns)] for name, label in PERCEPTUAL.items()]
        console.table("Lower is better", ["", *(row.name for row in columns)], cells)


def _cells(columns: Sequence[Row]) -> Iterator[list[str]]:
    for better, heading in _HEADINGS.items():
        metrics = [metric for metric in METRICS.values() if metric.better == better]
        yield [heading]
        for metric in metrics:
            yield [metric.title, *(_cell(metric, row.metrics.get(metric.name)) for row in columns)]


def _cell(metric: Metric, interval: Interval | None) -> str:
    """Format a value with its interval below; "-" if it is missing."""
    if interval is None or math.isnan(interval.value):
        return "-"
    return f"{number(interval.value, metric)}\n{bounds(interval, metric)}".rstrip()


def _print_published(console: Console, comparison: Comparison) -> None:
    for row in comparison.published:
        metrics = ", ".join(f"{METRICS[name].label} {value:g}" for name, value in row.metrics.items())
        console.result(f"published: {row.name}: {metrics} ({row.source})")
