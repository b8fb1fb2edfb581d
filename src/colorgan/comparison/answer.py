"""What a comparison comes to, in a few sentences: who is best in what, who ties, and where gray would do as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, groupby

from colorgan.comparison.formatting import amount, photos_in_words
from colorgan.comparison.results import FEW_PHOTOS, FEWEST_TO_JUDGE, GRAY, Difference, Row
from colorgan.metrics import METRICS

# What the sentences go by; the others stand in the table, in the files and on the page.
HEADLINE = ("auc", "auc_rebalanced", "ciede2000", "cf_hs_error", "gray_chroma", "color_bleeding")


class Standings:
    """Which of two rows is better in a metric, by differences that are significant.

    Args:
        differences: of the comparison.
    """

    def __init__(self, differences: Sequence[Difference]) -> None:
        self._by_pair: dict[frozenset[str], dict[str, Difference]] = {}
        for each in differences:
            self._by_pair.setdefault(frozenset((each.first, each.second)), {})[each.metric] = each

    def certainly_better(self, metric: str, row: str, other: str) -> bool:
        """Whether a row is better than another in that metric, and not by chance."""
        found = self._by_pair.get(frozenset((row, other)), {}).get(metric)
        return found is not None and found.better == row

    def difference(self, metric: str, row: str, other: str) -> Difference | None:
        """Their difference in that metric, whichever of them it is said of."""
        return self._by_pair.get(frozenset((row, other)), {}).get(metric)


def answer(rows: Sequence[Row], differences: Sequence[Difference], photos: int) -> str:
    """The answer that a comparison was asked for: a sentence or two; empty without photos."""
    models, standings = [row for row in rows if row.kind != "baseline"], Standings(differences)
    if not photos or not models:
        return ""
    if photos < FEWEST_TO_JUDGE:
        verb = "is" if photos == 1 else "are"
        return f"{photos_in_words(photos)} {verb} too few to call a model better: take {FEW_PHOTOS} or more."
    clauses = _against_gray(models[0].name, standings) if len(models) == 1 else _among(models, standings)
    return f"On these {photos_in_words(photos)}: {'; '.join(clauses)}."


def _against_gray(model: str, standings: Standings) -> Iterator[str]:
    compared = [name for name in HEADLINE if standings.difference(name, model, GRAY)]
    better = [name for name in compared if standings.certainly_better(name, model, GRAY)]
    worse = [name for name in compared if standings.certainly_better(name, GRAY, model)]
    level = [name for name in compared if name not in better and name not in worse]
    if better:
        yield f"{model} is better than leaving them gray in {_labels(better)} (certain)"
    if worse:
        yield f"{model} is worse than leaving them gray in {_labels(worse)} (certain)"
    if level:
        yield f"in {_labels(level)} it cannot be told"


def _among(models: Sequence[Row], standings: Standings) -> Iterator[str]:
    """For each model that leads what it leads in; then where several tie."""
    standing = [(leader, name) for name in HEADLINE if (leader := _leaders(name, models, standings))]
    order = [row.name for row in models]
    standing.sort(key=lambda each: (len(each[0]), order.index(each[0][0])))
    for leaders, group in groupby(standing, key=lambda each: each[0]):
        labels = _labels([name for _, name in group])
        if len(leaders) == 1:
            yield f"{leaders[0]} is best in {labels} (certain)"
        else:
            yield f"in {labels} {leaders[0]} ties with {_listed(leaders[1:])}"


def _leaders(metric: str, models: Sequence[Row], standings: Standings) -> list[str]:
    """The model with the best value, and those whose difference from it is not significant."""
    sign = -1 if METRICS[metric].better == "higher" else 1
    values = {row.name: sign * row.metrics[metric].value for row in models if metric in row.metrics}
    ranked = sorted((name for name, value in values.items() if value == value), key=values.__getitem__)
    return [name for name in ranked if name == ranked[0] or not standings.certainly_better(metric, ranked[0], name)]


def pairs_in_words(rows: Sequence[Row], differences: Sequence[Difference], photos: int) -> list[str]:
    """A line for each two models, with what is certain between them; none where nothing could be."""
    models, standings = [row.name for row in rows if row.kind != "baseline"], Standings(differences)
    if photos < FEWEST_TO_JUDGE:
        return []
    return [_pair(first, second, standings) for first, second in combinations(models, 2)]


def _pair(first: str, second: str, standings: Standings) -> str:
    clauses: list[str] = []
    for row, other in ((first, second), (second, first)):
        ahead = [name for name in HEADLINE if standings.certainly_better(name, row, other)]
        said = [f"{METRICS[name].label} by {_amount(name, row, other, standings)}" for name in ahead]
        if said:
            than = "" if clauses else f" than {other}"
            clauses.append(f"{row} is better{than} in {', '.join(said)}")
    return f"{'; '.join(clauses)}." if clauses else f"Between {first} and {second} no difference is certain."


def _amount(metric: str, row: str, other: str, standings: Standings) -> str:
    found = standings.difference(metric, row, other)
    return amount(abs(found.interval.value), METRICS[metric]) if found else ""


def where_gray_is_better(rows: Sequence[Row], differences: Sequence[Difference]) -> list[str]:
    """For each model a sentence that says in what leaving photos gray would be better, where it would."""
    standings, notes = Standings(differences), []
    for model in (row.name for row in rows if row.kind != "baseline"):
        lost = [name for name in METRICS if standings.certainly_better(name, GRAY, model)]
        if lost:
            notes.append(f"Leaving the photos gray would be better than {model} in {_labels(lost)} (certain).")
    return notes


def _labels(metrics: Sequence[str]) -> str:
    return _listed([METRICS[name].label for name in metrics])


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
