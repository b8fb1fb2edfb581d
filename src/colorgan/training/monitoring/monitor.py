"""The monitor of a run: keeps its log, and after each epoch looks for troubles and writes the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from colorgan.errors import TrainingError
from colorgan.training.checkpoint import Position
from colorgan.training.monitoring.diagnosis import Objective, diagnose, divergence
from colorgan.training.monitoring.metrics_log import MetricsLog
from colorgan.training.monitoring.report import RunStatus, write_report
from colorgan.training.monitoring.tensorboard import Events
from colorgan.training.monitoring.verdict import (
    PhotoFigures,
    Verdict,
    judge,
    read_photo_figures,
    write_photo_figures,
    write_verdict,
)
from colorgan.training.options import RunOptions
from colorgan.training.train_options import TrainOptions


class Monitor:
    """The observer of a run, called by the loop: it writes log, report and verdict, and passes troubles to `warn`.

    Raises:
        CheckpointError: the run's log is damaged.
    """

    def __init__(self, folder: Path, options: RunOptions, warn: Callable[[str], None]) -> None:
        self.folder, self.options, self.warn = folder, options, warn
        self.objective: Objective | None = None
        if isinstance(options, TrainOptions):
            self.objective = Objective(options.adversarial, options.real_label)
        self.log = MetricsLog(folder / "metrics.jsonl")
        self.events: Events | None = None
        if options.tensorboard:
            self.events = Events(folder, self.log.read())
            self.log.mirror = self.events.write

    def measured(self, epoch: int, figures: PhotoFigures) -> None:
        """Save the validation photos' metrics for the verdict; epoch 0 is the model that the run started from."""
        write_photo_figures(self._photo_figures(epoch), figures)

    def epoch_done(self, position: Position, best_epoch: int) -> None:
        """Look for troubles in the logged epochs, report new ones, and write the report."""
        if self.objective:
            lines = self.log.read()
            logged = {(line["name"], line["epoch"]) for line in lines if line["kind"] == "trouble"}
            # Also one of an earlier epoch, if not every epoch is validated.
            for trouble in diagnose(lines, self.objective):
                if trouble.epoch <= position.epoch and (trouble.name, trouble.epoch) not in logged:
                    self.log.write("trouble", position.step, asdict(trouble))
                    self.warn(str(trouble))
        self._report(RunStatus(position.epoch, self.options.most_epochs, best_epoch))

    def diverged(self, position: Position, best_epoch: int, error: TrainingError) -> None:
        """Record that a loss or weight became NaN or infinite, which ends the run; `best_epoch` is 0 for none."""
        self.log.write("trouble", position.step, asdict(divergence(position.epoch, error)))
        ended = "The run was stopped: see its problems."
        self._report(RunStatus(position.epoch - 1, self.options.most_epochs, best_epoch, ended))

    def finished(self, position: Position, best_epoch: int, ended: str) -> Verdict:
        """Judge a finished run, and write `verdict.json` and the report; `ended` says why the run ended."""
        start, best = (read_photo_figures(self._photo_figures(epoch)) for epoch in (0, best_epoch))
        verdict = judge(start, best, self.log.read(), self.objective, best_epoch)
        write_verdict(self.folder / "verdict.json", verdict)
        self._report(RunStatus(position.epoch, self.options.most_epochs, best_epoch, ended, verdict.lines))
        return verdict

    def close(self) -> None:
        """Close the TensorBoard events."""
        if self.events:
            self.events.close()

    def _photo_figures(self, epoch: int) -> Path:
        return self.folder / "figures" / f"epoch-{epoch:03d}.json"

    def _report(self, status: RunStatus) -> None:
        if self.events:
            self.events.flush()
        write_report(self.folder, self.log.read(), status, self.objective)
