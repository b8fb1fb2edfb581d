"""Write `results.json` and `results.csv`, and read `results.json` of earlier comparisons."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from colorgan.comparison.results import CHROMA_BINS, Comparison, PhotoName, Protocol, Row, photo_set
from colorgan.errors import UsageError, reason_of
from colorgan.files import atomic_write
from colorgan.metrics.bootstrap import Interval
from colorgan.metrics.calibration import BINS
from colorgan.metrics.registry import METRICS, with_current_names

FORMAT, READABLE_FORMATS = 2, (1, 2)
_MOST_NAME = 80  # letters of an earlier row's name
JSON_NAME, CSV_NAME = "results.json", "results.csv"


def to_json(comparison: Comparison) -> str:
    """Return the text of `results.json`."""
    return json.dumps({"format": FORMAT} | plain(asdict(comparison)), indent=1, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """Replace NaN and infinity, which JSON lacks, by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


def to_csv(comparison: Comparison) -> str:
    """Return the text of `results.csv`: the protocol as a comment, a header, then one line per photo and row."""
    text = io.StringIO()
    text.write(f"# {comparison.protocol.line()}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["photo", "source", "row", *METRICS])
    for number, photo in enumerate(comparison.photos):
        for row in comparison.rows:
            values = [row.values[name][number] if name in row.values else math.nan for name in METRICS]
            cells = ["" if math.isnan(value) else f"{value:.6g}" for value in values]
            writer.writerow([_csv_safe(photo.name), _csv_safe(photo.source), row.name, *cells])
    return text.getvalue()


def _csv_safe(text: str) -> str:
    """Quote a text that spreadsheets would take for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def write_results(folder: Path, comparison: Comparison) -> None:
    """Write `results.json` and `results.csv`, each whole or not at all."""
    for name, text in ((CSV_NAME, to_csv(comparison)), (JSON_NAME, to_json(comparison))):
        with atomic_write(folder / name) as file:
            file.write(text.encode("utf-8", "backslashreplace"))


_CURRENT_KEYS = {"figures_version": "metrics_version", "figures": "metrics"}  # keys of format 1 to those of format 2
_ADVICE = "Give the results.json of an earlier `colorgan compare`."


def read_previous(path: Path) -> PreviousResults:
    """Read the models' rows of an earlier `results.json`.

    Raises:
        UsageError: it cannot be read, or is not `results.json` of a known format.
    """
    expected = f"earlier results in {path}"
    try:
        found = json.loads(path.read_bytes())
        if found["format"] not in READABLE_FORMATS:
            raise UsageError(expected, f"a file of format {str(found['format'])[:20]}, not {FORMAT}", _ADVICE)
        protocol = Protocol(**{_CURRENT_KEYS.get(key, key): value for key, value in found["protocol"].items()})
        photos = [PhotoName(**photo) for photo in found["photos"]]
        if protocol.photo_set != photo_set(photos):
            raise ValueError("its photos do not match its protocol")
        rows = list(_previous_rows(found["rows"], len(photos)))
    except OSError as error:
        raise UsageError(expected, reason_of(error), _ADVICE) from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise UsageError(expected, f"another or a damaged file ({type(error).__name__})", _ADVICE) from error
    return PreviousResults(path, protocol, photos, rows)


def _previous_rows(rows: list[dict[str, Any]], photos: int) -> Iterator[Row]:
    for row in rows:
        row = {_CURRENT_KEYS.get(key, key): value for key, value in row.items()}
        if row["kind"] in ("baseline", "anchor"):
            continue
        values, weights = (
            {name: _numbers(part, photos) for name, part in _current_metrics(row[key]).items()}
            for key in ("values", "weights")
        )
        yield Row(
            name="".join(letter for letter in str(row["name"])[:_MOST_NAME] if letter.isprintable()),
            kind="previous",
            model=dict(row["model"]),
            metrics={name: _interval(part) for name, part in _current_metrics(row["metrics"]).items()},
            values=values,
            weights=weights,
            chroma=_numbers(row["chroma"], CHROMA_BINS),
            network_s=float(row["network_s"]),
            perceptual={str(name): float(value) for name, value in row["perceptual"].items()},
            ece=_numbers([row.get("ece")], 1)[0],
            reliability=[_numbers(part, 3) for part in row.get("reliability", [])[:BINS]],
        )


def _current_metrics(by_metric: dict[str, Any]) -> dict[str, Any]:
    """Keep what is held of metrics that this version knows, under their current names."""
    return {name: part for name, part in with_current_names(by_metric).items() if name in METRICS}


def _interval(found: dict[str, Any]) -> Interval:
    value, low, high = _numbers([found[name] for name in ("value", "low", "high")], 3)
    return Interval(value, low, high, int(found["photos"]))


def _numbers(found: list[float | None], count: int) -> list[float]:
    if len(found) != count:
        raise ValueError(f"{len(found)} numbers instead of {count}")
    return [math.nan if number is None else float(number) for number in found]


@dataclass(frozen=True)
class PreviousResults:
    """The models of an earlier comparison, read from its `results.json`.

    Attributes:
        path: of the file.
        protocol: by which they were measured.
        photos: in the order of the rows' values.
        rows: of the models.
    """

    path: Path
    protocol: Protocol
    photos: list[PhotoName]
    rows: list[Row]

    def check(self, protocol: Protocol) -> None:
        """Check that they can be compared with metrics of that protocol.

        Raises:
            UsageError: they cannot, with the reason.
        """
        if reason := protocol.conflict(self.protocol):
            advice = "Leave them out, or measure their models again on these photos."
            raise UsageError(f"results of the same protocol in {self.path}", reason, advice)

    def aligned_rows(self, protocol: Protocol, photos: Sequence[PhotoName], taken: Sequence[str]) -> Iterator[Row]:
        """Yield the rows for other results: with values in the order of their photos, and with names not taken there.

        Raises:
            UsageError: the protocols differ.
        """
        self.check(protocol)
        places: dict[str, list[int]] = {}
        for place, photo in enumerate(self.photos):
            places.setdefault(photo.sha256, []).append(place)
        order = [places[photo.sha256].pop() for photo in photos]  # the same photo twice is in both, twice
        for row in self.rows:
            values, weights = (
                {name: [numbers[place] for place in order] for name, numbers in of_row.items()}
                for of_row in (row.values, row.weights)
            )
            yield replace(row, name=_free(row.name, taken), values=values, weights=weights)


def _free(name: str, taken: Sequence[str]) -> str:
    """Append to a name until it differs from all that are taken."""
    while name in taken:
        name = f"{name} (earlier)"
    return name
