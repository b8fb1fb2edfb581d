"""The verdict on a finished run: whether it helped, whether its discriminator taught, and which epoch was kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from colorgan.files import atomic_write
from colorgan.metrics.bootstrap import Interval, Values, paired_difference
from colorgan.metrics.registry import METRICS
from colorgan.training.monitoring.diagnosis import Epoch, Objective, accuracy, epochs_of, is_dead

# The metrics that a run is judged by: accuracy, also of rare colors, colorfulness, and color difference.
JUDGED = ("auc", "auc_rebalanced", "cf_hs_error", "ciede2000", "ab_l1")

FEWEST_PHOTOS = 10  # with fewer, intervals of resampled photos are too narrow, and no outcome is reported

# For each metric its values for the photos, and their weights.
PhotoFigures = Mapping[str, tuple[Values, Values]]


@dataclass(frozen=True)
class Verdict:
    """The verdict on a finished run.

    Attributes:
        outcome: helped, harmed, traded (better in some, worse in others), no difference, or unknown: the one judgment,
            by the paired figures; the other lines are facts.
        lines: the outcome and the other facts as messages.
        differences: for each judged metric, the kept weights minus the model that the run started from.
        alive_share: the share of epochs in which the discriminator taught something; None in a supervised run, and
            if at most one epoch can be judged.
        best_epoch: the epoch whose weights are the run's result.
    """

    outcome: str
    lines: tuple[str, ...]
    differences: dict[str, Interval]
    alive_share: float | None
    best_epoch: int


def judge(
    start: PhotoFigures | None,
    kept: PhotoFigures | None,
    lines: Iterable[Mapping[str, Any]],
    objective: Objective | None,
    best_epoch: int,
) -> Verdict:
    """Return the verdict on a run.

    Args:
        start: the validation photos' metrics under the model that the run started from, None if they were lost.
        kept: those of the same photos under the kept weights, likewise.
        lines: the lines of `metrics.jsonl`.
        objective: the kind of the discriminator's loss, None in a supervised run.
        best_epoch: the epoch of the kept weights.
    """
    epochs = epochs_of(lines)
    differences = _differences(start, kept) if start and kept else {}
    outcome, helped = _judge_metrics(differences, "adversarial stage" if objective else "training")
    alive, lived = _judge_discriminator(epochs, objective) if objective else (None, "")
    words = tuple(line for line in (helped, lived, _describe_choice(epochs, best_epoch)) if line)
    return Verdict(outcome, words, differences, alive, best_epoch)


# --- did it help ---------------------------------------------------------------------------------------------


def _differences(start: PhotoFigures, kept: PhotoFigures) -> dict[str, Interval]:
    return {
        name: paired_difference(kept[name][0], start[name][0], (kept[name][1], start[name][1]))
        for name in JUDGED
        if name in start and name in kept and len(start[name][0]) == len(kept[name][0])
    }


def _judge_metrics(differences: Mapping[str, Interval], what: str) -> tuple[str, str]:
    if not differences:
        return (
            "unknown",
            f"Whether the {what} helped cannot be told: the metrics of its start are not in the run folder.",
        )
    visible = [name for name, difference in differences.items() if _is_visible(name, difference)]
    better = [name for name in visible if (differences[name].value > 0) == (METRICS[name].better == "higher")]
    worse = [name for name in visible if name not in better]
    level = [name for name in differences if name not in visible]
    photos = next(iter(differences.values())).photos
    if photos < FEWEST_PHOTOS:
        found = f"{photos} validation photo{'s' * (photos > 1)}"
        advice = f"prepare a set with {FEWEST_PHOTOS} or more of them"
        return "unknown", f"Whether the {what} helped cannot be told by {found}: {advice}."
    outcomes = {
        (True, False): ("helped", f"The {what} helped"),
        (False, True): ("harmed", f"The {what} did harm"),
        (True, True): ("traded", f"The {what} gained in some metrics and lost in others"),
        (False, False): ("no difference", f"The {what} made no difference that {photos} photos can show"),
    }
    outcome, words = outcomes[bool(better), bool(worse)]
    changed = (("better", better), ("worse", worse))
    parts = [f"{title} in {_listed(names, differences)}" for title, names in changed if names]
    if level and (better or worse):
        parts.append(f"no difference in {', '.join(METRICS[name].label for name in level)} can be told")
    if not parts:
        return outcome, f"{words}."
    against = f"against the model that it started from, on {photos} validation photos with 95% intervals"
    advice = " Go on with the model that it started from." if outcome == "harmed" else ""
    return outcome, f"{words}, {against}: {'; '.join(parts)}.{advice}"


def _is_visible(name: str, difference: Interval) -> bool:
    """Whether a difference is significant, and not too small for the printed decimals."""
    return difference.excludes_zero and abs(difference.value) >= 0.5 * 10.0 ** -METRICS[name].decimals


def _listed(names: Sequence[str], differences: Mapping[str, Interval]) -> str:
    return ", ".join(f"{METRICS[name].label} {_in_words(name, differences[name])}" for name in names)


def _in_words(name: str, difference: Interval) -> str:
    decimals = METRICS[name].decimals
    value, low, high = (f"{end:+.{decimals}f}" for end in (difference.value, difference.low, difference.high))
    return f"({value} [{low}, {high}])"


# --- was the discriminator alive -----------------------------------------------------------------------------


def _judge_discriminator(epochs: Sequence[Epoch], objective: Objective) -> tuple[float | None, str]:
    judged = [(epoch, dead) for epoch in epochs if (dead := is_dead(epoch, objective)) is not None]
    if not judged:
        return None, "Nothing is known of the discriminator: no epoch was finished in which the generator learned too."
    alive = sum(not dead for _, dead in judged)
    is_single = len(judged) == 1  # which may be chance
    words = f"The discriminator was alive in {alive} of {len(judged)} epochs ({alive / len(judged):.0%})"
    words = "Whether the discriminator was alive cannot be told of a single epoch" if is_single else words
    later = [accuracy(epoch) for epoch, _ in judged[len(judged) // 2 :]]
    accuracies = [right for right in later if right is not None]
    if accuracies:
        low, high = f"{min(accuracies):.0%}", f"{max(accuracies):.0%}"
        shares = low if low == high else f"{low} to {high}"
        of = "pairs of patches" if objective.kind == "relativistic" else "patches"
        words += f"; {'in that' if is_single else 'over the second half'} it was right about {shares} of the {of}"
    return None if is_single else alive / len(judged), f"{words}."


# --- which epoch was kept ------------------------------------------------------------------------------------


def _describe_choice(epochs: Sequence[Epoch], best_epoch: int) -> str:
    scores = {
        epoch.number: epoch.terms["auc"] + epoch.terms["auc_rebalanced"]
        for epoch in epochs
        if {"auc", "auc_rebalanced"} <= set(epoch.terms)
    }
    start = scores.pop(0, None)
    if best_epoch not in scores:
        return f"Epoch {best_epoch} was kept."
    rank = f"the highest of {len(scores)}, " if len(scores) > 1 else ""
    others = {"the last epoch's": scores[max(scores)] if max(scores) != best_epoch else None, "the start's": start}
    compared = ", ".join(f"{whose} {score:.2f}" for whose, score in others.items() if score is not None)
    words = f"Epoch {best_epoch} was kept: its sum of AuC and rebalanced AuC is {rank}{scores[best_epoch]:.2f}"
    return f"{words} ({compared})." if compared else f"{words}."


# --- files ---------------------------------------------------------------------------------------------------


def write_photo_figures(path: Path, figures: PhotoFigures) -> None:
    """Write photos' metrics as JSON."""
    numbers = {
        name: {"values": _numbers(values), "weights": _numbers(weights)} for name, (values, weights) in figures.items()
    }
    with atomic_write(path) as file:
        file.write(json.dumps(numbers, allow_nan=False).encode())


def _numbers(values: Values) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]  # JSON has no NaN


def read_photo_figures(path: Path) -> PhotoFigures | None:
    """Read what `write_photo_figures` wrote; None if it cannot be read, as a verdict is worth no failed run."""
    try:
        numbers = json.loads(path.read_bytes())
        return {
            name: (np.array(entry["values"], dtype=np.float64), np.array(entry["weights"], dtype=np.float64))
            for name, entry in numbers.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_verdict(path: Path, verdict: Verdict) -> None:
    """Write `verdict.json`; the ends of an interval are null if they are not finite, as for a single photo."""
    entry = asdict(verdict)
    entry["kept"] = entry.pop("best_epoch")  # the key in files since the first version
    for difference in entry["differences"].values():
        for name, value in difference.items():
            difference[name] = value if np.isfinite(value) else None
    with atomic_write(path) as file:
        file.write(json.dumps(entry, indent=1, allow_nan=False).encode() + b"\n")
