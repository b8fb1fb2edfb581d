"""`report.html`: the state of a run on one self-contained page, written anew from the files in the run folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from markupsafe import Markup

from colorgan.files import atomic_write
from colorgan.html import render
from colorgan.training.monitoring.curves import Curve, Level, draw, gather
from colorgan.training.monitoring.diagnosis import Objective
from colorgan.training.monitoring.panels import GROUPS, Panel, other_panels
from colorgan.training.monitoring.sample_sheets import embed_sheets
from colorgan.training.run_folder import read_run


@dataclass(frozen=True)
class RunStatus:
    """The progress of a run, which the report adds to the files in its folder.

    Attributes:
        epoch: the last epoch that is done.
        epochs: the maximum number of epochs; None if only time ends the run.
        best_epoch: the epoch whose weights are the best so far, 0 for none yet.
        ended: why the run ended; empty while it goes on.
        verdict: the lines of the verdict, once it is known.
    """

    epoch: int
    epochs: int | None
    best_epoch: int
    ended: str = ""
    verdict: Sequence[str] = ()


def write_report(folder: Path, lines: Sequence[dict[str, Any]], status: RunStatus, objective: Objective | None) -> None:
    """Write the report of a run from the lines of its log; `objective` is None for a supervised one."""
    page = _page(folder, lines, status, objective)
    with atomic_write(folder / "report.html") as file:
        file.write(page.encode(errors="backslashreplace"))  # names of files need not be UTF-8


def _page(folder: Path, lines: Sequence[dict[str, Any]], status: RunStatus, objective: Objective | None) -> str:
    curves = gather(lines)
    validations = {line["epoch"]: line for line in lines if line["kind"] == "validation"}
    return render(
        __package__,
        "report",
        name=folder.resolve().name,
        status=status,
        written=f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        minutes=max((line.get("elapsed_s", 0.0) for line in lines), default=0.0) / 60,
        troubles=[line for line in lines if line["kind"] == "trouble"],
        adversarial=objective is not None,
        milestones=_milestones(validations, status),
        sheets=embed_sheets(folder / "samples", status.best_epoch),
        groups=_groups(curves, objective),
        table=_table(curves),
        run=_described(folder),
    )


# --- figures -------------------------------------------------------------------------------------------------


def _milestones(validations: Mapping[int, dict[str, Any]], status: RunStatus) -> list[tuple[str, dict[str, Any]]]:
    """Return the validations to compare, each with its title: before the first step, of the kept weights, the last."""
    wanted = {
        0: "start",
        status.best_epoch: f"epoch {status.best_epoch}, kept",
        status.epoch: f"epoch {status.epoch}, last",
    }
    if status.best_epoch == status.epoch != 0:
        wanted[status.epoch] = f"epoch {status.epoch}, last and kept"
    return [(word, validations[epoch]) for epoch, word in sorted(wanted.items()) if epoch in validations]


@dataclass(frozen=True)
class _Drawn:
    """A panel with its curves.

    Attributes:
        panel: what it shows.
        svg: the curves.
        latest: the last value of each of its figures, by legend entry.
    """

    panel: Panel
    svg: Markup
    latest: dict[str, float]


def _groups(curves: Mapping[str, Curve], objective: Objective | None) -> dict[str, list[_Drawn]]:
    groups = {**GROUPS, "Other values": other_panels(list(curves))}
    drawn = {title: [_draw(panel, curves, objective) for panel in panels] for title, panels in groups.items()}
    return {title: [panel for panel in panels if panel] for title, panels in drawn.items() if any(panels)}


def _draw(panel: Panel, curves: Mapping[str, Curve], objective: Objective | None) -> _Drawn | None:
    shown = [(word, curves[name]) for name, word in panel.figures.items() if name in curves]
    if not shown:
        return None
    levels = []
    if objective and {"d_loss", "d_pairs"} & set(panel.figures):
        levels = [Level("right about every patch", objective.floor), Level("cannot tell", objective.blind)]
    latest = {word: curve.values[-1] for word, curve in shown}
    label = f"{panel.title}. " + "; ".join(_in_words(word, curve) for word, curve in shown)
    return _Drawn(panel, draw(shown, levels, label), latest)


def _in_words(word: str, curve: Curve) -> str:
    values = [value for _, value in curve.epochs or curve.steps]
    if len(values) == 1:
        return f"{word}: {values[0]:.4g}"
    return f"{word}: from {values[0]:.4g} to {values[-1]:.4g}, lowest {min(values):.4g}, highest {max(values):.4g}"


def _table(curves: Mapping[str, Curve]) -> tuple[list[str], list[tuple[int, list[float | None]]]]:
    """Return a table of the figures with a value per epoch: the column names, and for each epoch its values."""
    columns = {name: dict(curve.epochs) for name, curve in curves.items() if curve.epochs}
    epochs = sorted({epoch for values in columns.values() for epoch in values})
    return list(columns), [(int(epoch), [values.get(epoch) for values in columns.values()]) for epoch in epochs]


def _described(folder: Path) -> dict[str, Any]:
    """Return the facts in `run.json` by their titles on the page."""
    run = read_run(folder)
    if run is None:
        return {}
    facts: dict[str, Any] = {
        "command": run["command"],
        "set": run["set"][:12],
        "device": run["device"],
        "network": run["model"]["network"],
        "started from": run["model"].get("started_from", ""),
    }
    versions = {f"version of {name}": version for name, version in run["versions"].items()}
    return {**facts, **run["options"], **versions}
