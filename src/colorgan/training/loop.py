"""The one training loop: steps, logs, validates, saves, resumes, for whatever stage it is given.

It knows no network and no loss; it knows the run folder, the clock and the data.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from colorgan.data.dataset import Augment, batches_per_epoch, training_batches, validation_batches
from colorgan.data.photoset import PhotoSet
from colorgan.errors import TrainingError
from colorgan.metrics import Figures, FigureSums
from colorgan.networks.generator import Generator
from colorgan.signals import SignalWatch
from colorgan.training.checkpoint import Position, load_checkpoint, save_checkpoint
from colorgan.training.curves import draw_curves
from colorgan.training.losses import is_finite
from colorgan.training.monitor import SHEET_PHOTOS, MetricsLog, write_sheet
from colorgan.training.stages import Stage

SaveWeights = Callable[[Path, Generator, Figures], None]


@dataclass(frozen=True)
class LoopOptions:
    """How long, how fast, how often.

    Attributes:
        epochs: passes over the training photos; with `max_minutes` set, the most of them.
        max_minutes: minutes of training over all sittings, 0 for no limit.
        batch_size: photos in a step.
        size: side of the square that the network trains on, pixels.
        schedule: constant or cosine (down to 0 at the end).
        warmup: share of the run over which the rate climbs from 0.
        augment: what happens to a training photo.
        workers: processes that decode photos, 0 for none beside the main one.
        seed: decides the order and the augmentation.
        log_every: steps between lines of the log.
        checkpoint_every: epochs between the checkpoints that are kept for good, 0 for none.
        save_minutes: minutes between checkpoints inside an epoch.
        val_photos: the most photos that are validated on.
    """

    epochs: int
    max_minutes: float
    batch_size: int
    size: int
    schedule: str
    warmup: float
    augment: Augment
    workers: int
    seed: int
    log_every: int
    checkpoint_every: int
    save_minutes: float
    val_photos: int


class Watcher(Protocol):
    """Who is told how the run goes; the command line draws a bar from it."""

    def fetching(self, received: int, total: int | None) -> None:
        """Before it all, weights arrive: so many bytes of the file's, where these are known."""

    def progressed(self, position: Position, batches: int, share: float) -> None:
        """A step is done; `share` of the whole run is, 0..1."""

    def logged(self, terms: dict[str, float]) -> None:
        """The terms of the loss were read off the device."""

    def validated(self, epoch: int, figures: Figures) -> None:
        """An epoch was validated."""

    def warned(self, text: str) -> None:
        """Something a person should not miss."""


def rate_factor(schedule: str, warmup: float, share: float) -> float:
    """The factor on each optimizer's own rate when `share` (0..1) of the run is done."""
    climb = min(1.0, share / warmup) if warmup else 1.0
    return climb * (0.5 * (1 + math.cos(math.pi * min(share, 1.0))) if schedule == "cosine" else 1.0)


class Loop:
    """Runs a stage over a set into a run folder, from where an earlier sitting stopped.

    Args:
        stage: what is trained.
        photos: the set.
        folder: the run folder.
        options: how long, how fast, how often.
        device: where the stage's networks are.
        save_weights: writes a generator with its figures to a path.
        watcher: told how it goes.
    """

    def __init__(
        self,
        stage: Stage,
        photos: PhotoSet,
        folder: Path,
        options: LoopOptions,
        device: torch.device,
        save_weights: SaveWeights,
        watcher: Watcher,
    ) -> None:
        self.stage, self.photos, self.folder, self.options = stage, photos, folder, options
        self.device, self.save_weights, self.watcher = device, save_weights, watcher
        self.position = Position()
        self.best: dict[str, Any] = {}
        self.log = MetricsLog(folder / "metrics.jsonl")
        self.batches = batches_per_epoch(photos.train, options.batch_size)
        self._rates = {name: [g["lr"] for g in o.param_groups] for name, o in stage.optimizers.items()}
        self._saved_at = self._resumed_at = time.monotonic()
        self._elapsed_before_s = 0.0

    def run(self, advice: str) -> Figures:
        """Train to the end.

        Args:
            advice: how to go on, said when a signal stops the run.

        Returns:
            The figures of the best weights.

        Raises:
            Interrupted: a signal came; a checkpoint was saved.
            TrainingError: the loss or the weights stopped being numbers; the last good checkpoint stands.
            CheckpointError: no checkpoint of the run can be read.
        """
        self._resume()
        with SignalWatch() as signals:
            while not self._done():
                if self.position.validated:
                    self.position = dataclasses.replace(
                        self.position, epoch=self.position.epoch + 1, batch=0, validated=False
                    )
                self._train_epoch(signals, advice)
                self._finish_epoch(signals, advice)
        return Figures(**self.best["figures"])

    def _resume(self) -> None:
        found = load_checkpoint(self.folder / "checkpoints", self.stage, self.watcher.warned)
        if found:
            self.position, extra = found
            self.best = extra["best"]
            self._elapsed_before_s = self.position.elapsed_s
        self._saved_at = self._resumed_at = time.monotonic()

    def _elapsed_s(self) -> float:
        return self._elapsed_before_s + time.monotonic() - self._resumed_at

    def _out_of_time(self) -> bool:
        return bool(self.options.max_minutes) and self._elapsed_s() >= 60 * self.options.max_minutes

    def _done(self) -> bool:
        finished = self.position.epoch >= self.options.epochs or self._out_of_time()
        return self.position.validated and finished

    def _share(self) -> float:
        by_steps = self.position.step / (self.batches * self.options.epochs)
        by_time = self._elapsed_s() / (60 * self.options.max_minutes) if self.options.max_minutes else 0.0
        return min(1.0, max(by_steps, by_time))

    def _train_epoch(self, signals: SignalWatch, advice: str) -> None:
        options = self.options
        batches = training_batches(
            self.photos.train,
            batch_size=options.batch_size,
            size=options.size,
            seed=options.seed,
            augment=options.augment,
            workers=options.workers,
            epoch=self.position.epoch,
            first_batch=self.position.batch,
        )
        for batch in batches:
            if self._out_of_time():
                return
            self._set_rates()
            terms = self.stage.step(*batch.to_lab(self.device))
            self._advance(len(batch.rgb))
            if self.position.step % options.log_every == 0 or self.position.step == 1:
                self._log_terms(terms)
            if signals.received is not None:
                self._save()
                signals.check(advice)
            if time.monotonic() - self._saved_at > 60 * options.save_minutes:
                self._save()

    def _set_rates(self) -> None:
        factor = rate_factor(self.options.schedule, self.options.warmup, self._share())
        for name, optimizer in self.stage.optimizers.items():
            for group, rate in zip(optimizer.param_groups, self._rates[name], strict=True):
                group["lr"] = rate * factor

    def _advance(self, photos: int) -> None:
        self.position = dataclasses.replace(
            self.position,
            batch=self.position.batch + 1,
            step=self.position.step + 1,
            seen_photos=self.position.seen_photos + photos,
            elapsed_s=self._elapsed_s(),
        )
        self.watcher.progressed(self.position, self.batches, self._share())

    def _log_terms(self, terms: dict[str, Tensor]) -> None:
        if not is_finite(terms):
            found = ", ".join(f"{name} {float(term)}" for name, term in terms.items())
            raise TrainingError(
                f"a loss that is a number at step {self.position.step}",
                found,
                "The last checkpoint is good. Try a lower --lr, --clip-norm 1, or --precision fp32.",
            )
        values = {name: float(term) for name, term in terms.items()}
        where = {name: getattr(self.position, name) for name in ("epoch", "seen_photos", "elapsed_s")}
        self.log.write("train", self.position.step, where | values)
        self.watcher.logged(values)

    def _finish_epoch(self, signals: SignalWatch, advice: str) -> None:
        generator = self.stage.predicting()
        figures = self._validate(generator, signals, advice)
        if not math.isfinite(figures.ab_l1):
            raise TrainingError(
                "validation figures that are numbers",
                f"ab L1 {figures.ab_l1}",
                "The last checkpoint is good. Try a lower --lr, or --precision fp32.",
            )
        entry = {"epoch": self.position.epoch, "elapsed_s": self.position.elapsed_s} | figures.known()
        self.log.write("validation", self.position.step, entry)
        self.save_weights(self.folder / "weights" / "last.safetensors", generator, figures)
        if not self.best or figures.auc_rebalanced + figures.auc > self.best["score"]:
            self.best = {
                "epoch": self.position.epoch,
                "score": figures.auc_rebalanced + figures.auc,
                "figures": figures.known(),
            }
            self.save_weights(self.folder / "weights" / "best.safetensors", generator, figures)
        draw_curves(self.folder / "curves.png", self.log.read())
        self.position = dataclasses.replace(self.position, validated=True)
        self._save()
        self.watcher.validated(self.position.epoch, figures)

    @torch.inference_mode()
    def _validate(self, generator: Generator, signals: SignalWatch, advice: str) -> Figures:
        sums = FigureSums()
        batches = validation_batches(
            self.photos.val, batch_size=self.options.batch_size, size=self.options.size, limit=self.options.val_photos
        )
        for index, batch in enumerate(batches):
            L, truth = batch.to_lab(self.device)
            ab = generator(L).ab
            sums.add(L, ab, truth)
            if index == 0:
                count = min(SHEET_PHOTOS, len(L))
                sheet = self.folder / "samples" / f"epoch-{self.position.epoch:03d}.jpg"
                write_sheet(sheet, L[:count], ab[:count], truth[:count])
            if signals.received is not None:
                self._save()
                signals.check(advice)
        return sums.figures()

    def _save(self) -> None:
        save_checkpoint(
            self.folder / "checkpoints",
            self.stage,
            self.position,
            {"best": self.best},
            every=self.options.checkpoint_every,
        )
        self._saved_at = time.monotonic()
