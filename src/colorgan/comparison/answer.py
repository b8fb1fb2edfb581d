"""Sum up a comparison in a few sentences: which model is best in which metrics, which tie, and where gray is better."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from colorgan.comparison.formatting import amount, photos_in_words
from colorgan.comparison.results import FEW_PHOTOS, FEWEST_TO_JUDGE, GRAY, Difference, Row
from colorgan.metrics.registry import METRICS

# The metrics that the sentences use; the others are in the table, the files and the report.
HEADLINE = ("auc", "auc_rebalanced", "ciede2000", "cf_hs_error", "gray_chroma", "color_bleeding")

# Significant differences: by metric, better row and worse row, the absolute difference.
Wins = dict[tuple[str, str, str], float]


def wins_of(differences: Sequence[Difference]) -> Wins:
    """Collect the significant differences in which a row is better."""
    return {
        (each.metric, each.better, each.second if each.better == each.first else each.first): abs(each.interval.value)
        for each in differences
        if each.better
    }


def answer(rows: Sequence[Row], differences: Sequence[Difference], photos: int) -> str:
    """Return the conclusion in a sentence or two; empty without photos or models."""
    models = [row for row in rows if row.kind != "baseline"]
    if not photos or not models:
        return ""
    if photos < FEWEST_TO_JUDGE:
        verb = "is" if photos == 1 else "are"
        return f"{photos_in_words(photos)} {verb} too few to call a model better: use {FEW_PHOTOS} or more."
    clauses = _against_gray(models[0].name, differences) if len(models) == 1 else _among(models, wins_of(differences))
    return f"On these {photos_in_words(photos)}: {'; '.join(clauses)}."


def _against_gray(model: str, differences: Sequence[Difference]) -> Iterator[str]:
    better_row = {each.metric: each.better for each in differences if GRAY in (each.first, each.second)}
    for row, words in (
        (model, f"{model} is better than leaving them gray in {{}} (certain)"),
        (GRAY, f"{model} is worse than leaving them gray in {{}} (certain)"),
        (None, "in {} neither is certainly better"),
    ):
        found = [name for name in HEADLINE if name in better_row and better_row[name] == row]
        if found:
            yield words.format(_labels(found))


def _among(models: Sequence[Row], wins: Wins) -> Iterator[str]:
    """Yield a clause for each model that is best in metrics, then one for each group of models that tie."""
    by_leaders: dict[tuple[str, ...], list[str]] = {}
    for name in HEADLINE:
        if leaders := _leaders(name, models, wins):
            by_leaders.setdefault(leaders, []).append(name)
    for leaders, names in sorted(by_leaders.items(), key=lambda each: len(each[0])):
        if len(leaders) == 1:
            yield f"{leaders[0]} is best in {_labels(names)} (certain)"
        else:
            yield f"in {_labels(names)} {leaders[0]} ties with {_listed(leaders[1:])}"


def _leaders(metric: str, models: Sequence[Row], wins: Wins) -> tuple[str, ...]:
    """Return the model with the best value, followed by those that it is not significantly better than."""
    sign = -1 if METRICS[metric].better == "higher" else 1
    values = {row.name: sign * row.metrics[metric].value for row in models if metric in row.metrics}
    ranked = sorted((name for name, value in values.items() if value == value), key=values.__getitem__)
    return tuple(name for name in ranked if (metric, ranked[0], name) not in wins)


def pairs_in_words(rows: Sequence[Row], differences: Sequence[Difference], photos: int) -> list[str]:
    """Return a sentence with the significant differences of each two models; none of too few photos."""
    models, wins = [row.name for row in rows if row.kind != "baseline"], wins_of(differences)
    return [_pair(*pair, wins) for pair in combinations(models, 2)] if photos >= FEWEST_TO_JUDGE else []


def _pair(first: str, second: str, wins: Wins) -> str:
    clauses: list[str] = []
    for row, other in ((first, second), (second, first)):
        ahead = {METRICS[name]: wins[name, row, other] for name in HEADLINE if (name, row, other) in wins}
        if ahead:
            than = "" if clauses else f" than {other}"
            by = ", ".join(f"{metric.label} by {amount(value, metric)}" for metric, value in ahead.items())
            clauses.append(f"{row} is better{than} in {by}")
    return f"{'; '.join(clauses)}." if clauses else f"No difference between {first} and {second} is certain."


def notes_on_gray(rows: Sequence[Row], differences: Sequence[Difference]) -> list[str]:
    """Return a note for each model on the metrics in which leaving photos gray is significantly better, if any."""
    wins = wins_of(differences)
    lost = {row.name: [name for name in METRICS if (name, GRAY, row.name) in wins] for row in rows}
    return [
        f"Leaving the photos gray would be better than {model} in {_labels(names)} (certain)."
        for model, names in lost.items()
        if names
    ]


def _labels(metrics: Sequence[str]) -> str:
    return _listed([METRICS[name].label for name in metrics])


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
