"""The training loop of every stage: it steps, logs, validates, saves and resumes.

It knows no network and no loss; it knows the run folder, the clock and the data. If several processes train
together, each runs this loop on its share of each batch, and the primary one alone writes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from colorgan.callbacks import Callbacks, StopCheck, TrainingStep
from colorgan.data.cache import PhotoCache
from colorgan.data.dataset import Augment, Batch, Batches, training_batches
from colorgan.data.photoset import PhotoSet
from colorgan.data.plan import EpochPlan, PhotoOrder, Sides, source_weights
from colorgan.distributed import SINGLE, ProcessGroup
from colorgan.errors import Interrupted, SetError, StorageError, TrainingError, UsageError
from colorgan.metrics.registry import MetricValues
from colorgan.networks.generator import Generator
from colorgan.training.checkpoint import Position, load_checkpoint, save_checkpoint
from colorgan.training.monitoring.monitor import Monitor
from colorgan.training.monitoring.verdict import Verdict
from colorgan.training.options import RunOptions
from colorgan.training.stages.base import Stage
from colorgan.training.stages.loss_meter import LossMeter
from colorgan.training.validation import Validation, validate

BEST, LAST = "best", "last"
# The message for each reason to end a run.
_ENDINGS = {
    "epochs": "The run ended after epoch {epoch}, the last that was asked for.",
    "time": "The run ended in epoch {epoch}: its time of {options.max_minutes:g} min was over.",
    "patience": "The run ended after epoch {epoch}: none was better in the last {options.patience}.",
}
SaveWeights = Callable[[str, Generator, MetricValues], None]


def rate_factor(schedule: str, warmup: float, share: float) -> float:
    """Return the factor on each optimizer's learning rate when `share` (0..1) of the run is done."""
    climb = min(1.0, share / warmup) if warmup else 1.0
    return climb * (0.5 * (1 + math.cos(math.pi * min(share, 1.0))) if schedule == "cosine" else 1.0)


class Loop:
    """The training loop of a stage over a set, which resumes from the newest checkpoint in the run folder.

    Args:
        stage: the stage to train.
        photos: the training set.
        folder: the run folder.
        options: the length, learning rates and intervals of the run.
        device: the device of the stage's networks.
        save_weights: called to write a generator with its metrics, as `BEST` or `LAST`.
        callbacks: receive the progress, and decide between steps whether to stop.
        group: the processes that train together.
    """

    def __init__(
        self,
        stage: Stage,
        photos: PhotoSet,
        folder: Path,
        options: RunOptions,
        device: torch.device,
        save_weights: SaveWeights,
        callbacks: Callbacks,
        group: ProcessGroup = SINGLE,
    ) -> None:
        self.stage, self.photos, self.folder, self.options = stage, photos, folder, options
        self.device, self.save_weights, self.callbacks, self.group = device, save_weights, callbacks, group
        self.position = Position()
        self.best: dict[str, Any] = {}
        self._losses: dict[str, float] = {}
        self._advice = f"The same call goes on with the run in {folder}."
        weights = source_weights(photos.train.sources(), options.weights) if options.weights else None
        order = PhotoOrder(len(photos.train), weights)
        sides = Sides(options.size, options.size_min)
        shards = photos.train.index["shard"].astype(np.int64) if photos.is_remote else None
        self.plan = EpochPlan(
            order, options.batch_size, sides, options.seed, group.rank, group.size, options.drop_last, shards
        )
        self.batches = len(self.plan)
        self._cache: PhotoCache | None = None
        self._terms = LossMeter(group, device)
        self._rates = {name: [g["lr"] for g in o.param_groups] for name, o in stage.optimizers.items()}
        self._saved_at = self._resumed_at = time.monotonic()
        self._elapsed_before_s = 0.0
        self.monitor: Monitor | None = None
        self.verdict: Verdict | None = None

    def run(self) -> MetricValues:
        """Train to the end.

        Returns:
            The metrics of the best weights.

        Raises:
            Interrupted: a stop was requested; a checkpoint was saved, unless several processes waited for a batch.
            TrainingError: the loss or the weights became NaN or infinite; the last checkpoint is good.
            CheckpointError: no checkpoint of the run can be read.
        """
        if self.options.cache == "device":
            check = StopCheck(self.callbacks, self._advice)
            warn = self.callbacks.on_warning
            self._cache = PhotoCache.read(self.photos.train, self.device, self.options.workers, warn, check)
        self._resume()
        try:
            self._train()
            ended = _ENDINGS[self.ended()].format(options=self.options, epoch=self.position.epoch)
            if self.monitor:
                self.verdict = self.monitor.finished(self.position, self.best["epoch"], ended)
                self.callbacks.on_end([ended, *self.verdict.lines])
        except TrainingError as error:
            if self.monitor:
                self.monitor.diverged(self.position, self.best.get("epoch", 0), error)
            raise
        finally:
            if self.monitor:
                self.monitor.close()
        return MetricValues.from_known(self.best["figures"])

    def _train(self) -> None:
        if not self.position.step:
            # The baseline of the verdict.
            self._report_metrics(0, *self._validate(0))
        while not self.ended():
            if self.position.validated:
                self.position = replace(self.position, epoch=self.position.epoch + 1, batch=0, validated=False)
                self._terms = LossMeter(self.group, self.device)
            with self._saving_on_read_errors():
                self._train_epoch()
                self._finish_epoch()

    def _resume(self) -> None:
        found = load_checkpoint(self.folder / "checkpoints", self.stage, self.callbacks.on_warning)
        if found:
            self.position, extra = found
            self.best = extra["best"]
            self._terms.restore(extra["terms"])
            self._elapsed_before_s = self.position.elapsed_s
        self.group.barrier()  # until all have read it, none may write the next one
        # Opened by the primary alone: opening the log truncates a half line that a kill can leave.
        self.monitor = Monitor(self.folder, self.options, self.callbacks.on_warning) if self.group.is_primary else None
        self._saved_at = self._resumed_at = time.monotonic()

    def _out_of_time(self) -> bool:
        return bool(self.options.max_minutes) and self.position.elapsed_s >= 60 * self.options.max_minutes

    def ended(self) -> str:
        """Return why the run ends here, a key of `_ENDINGS`, or an empty string if it does not."""
        if not self.position.validated:
            return ""
        if self._out_of_epochs():
            return "epochs"
        if self._out_of_time():
            return "time"
        waited = self.position.epoch - self.best["epoch"] if self.best else 0
        return "patience" if self.options.patience and waited >= self.options.patience and self._due() else ""

    def _due(self) -> bool:
        """Whether to validate this epoch: by its interval, as the last one, or as its checkpoint is kept for good."""
        every = (self.options.validate_every, self.options.checkpoint_every)
        return self._out_of_epochs() or self._out_of_time() or any(n and self.position.epoch % n == 0 for n in every)

    def _out_of_epochs(self) -> bool:
        most = self.options.most_epochs
        return most is not None and self.position.epoch >= most

    def _progress(self) -> float:
        most = self.options.most_epochs
        by_steps = self.position.step / (self.batches * most) if most else 0.0
        by_time = self.position.elapsed_s / (60 * self.options.max_minutes) if self.options.max_minutes else 0.0
        return min(1.0, max(by_steps, by_time))

    @contextmanager
    def _saving_on_read_errors(self) -> Iterator[None]:
        """Save a checkpoint if photos can no longer be read.

        Several processes save none, as the others do not see the error: all resume from the previous checkpoint.
        """
        try:
            yield
        except (SetError, StorageError, UsageError):
            if self.group.size == 1 and self.position.batch:
                with suppress(OSError, TrainingError):  # the first error is the one to report
                    self._save()
            raise

    def _train_epoch(self) -> None:
        # Closed here, since a stored traceback keeps this frame alive, and with it the reader processes.
        with closing(self._batches()) as batches:
            for batch in batches:
                if self._out_of_time():
                    return
                self._take_step(batch)

    def _take_step(self, batch: Batch) -> None:
        """Take one step, then log, stop or save if due.

        Raises:
            Interrupted: a stop was requested.
            TrainingError: the loss is NaN or infinite.
        """
        self._set_rates()
        terms = self.stage.step(*batch.to_lab(self.device))
        self._terms.add(terms)
        received, due = self._advance()
        if self.position.step % self.options.log_every == 0 or self.position.step == 1:
            self._log_terms(terms)
        if received:
            self._stop(received)
        if due:
            self._save()

    def _batches(self) -> Batches:
        """Return the remaining batches of this epoch."""
        options, position = self.options, self.position
        augment = Augment(options.flip, options.crop_min, options.brightness, options.contrast, options.aged)
        if self._cache is not None:
            return self._cache.batches(self.plan, augment, epoch=position.epoch, first_batch=position.batch)
        return training_batches(
            self.photos.train,
            self.plan,
            augment,
            epoch=position.epoch,
            first_batch=position.batch,
            workers=options.workers,
            warn=self.callbacks.on_warning,
            while_waiting=self._heed_signals,
        )

    def _heed_signals(self) -> None:
        """Stop on request while waiting for a batch; several processes do not save then, since all must take part."""
        if received := self.callbacks.should_stop():
            if self.group.size > 1:
                raise Interrupted(received, self._advice)
            self._stop(received)

    def _set_rates(self) -> None:
        factor = rate_factor(self.options.schedule, self.options.warmup, self._progress())
        for name, optimizer in self.stage.optimizers.items():
            for group, rate in zip(optimizer.param_groups, self._rates[name], strict=True):
                group["lr"] = rate * factor

    def _advance(self) -> tuple[int, bool]:
        """Count a step; return the signal that any process received, 0 for none, and whether a checkpoint is due."""
        received, due = self._sync_clock()
        self.position = replace(
            self.position,
            batch=self.position.batch + 1,
            step=self.position.step + 1,
            seen_photos=self.position.seen_photos + self.plan.photos_in(self.position.batch),
        )
        at, share = self.position, self._progress()
        self.callbacks.on_step(
            TrainingStep(at.epoch, at.batch, self.batches, at.seen_photos, at.elapsed_s, share, self._losses)
        )
        return received, due

    def _sync_clock(self) -> tuple[int, bool]:
        """Set the elapsed time of all processes; return the signal that any received, or 0, and whether to save."""
        now = time.monotonic()
        elapsed_s = self._elapsed_before_s + now - self._resumed_at
        due = now - self._saved_at > 60 * self.options.save_minutes
        own = [self.callbacks.should_stop() or 0, elapsed_s, due]
        received, elapsed_s, due_anywhere = self.group.all_reduce_max(own)
        self.position = replace(self.position, elapsed_s=elapsed_s)
        return int(received), bool(due_anywhere)

    def _log_terms(self, terms: dict[str, Tensor]) -> None:
        read = torch.stack([term.float() for term in terms.values()])
        self.group.all_reduce_mean([read])
        values = dict(zip(terms, read.tolist(), strict=True))
        if not all(map(math.isfinite, values.values())):
            found = ", ".join(f"{name} {value}" for name, value in values.items())
            advice = "The last checkpoint is good. Try a lower `lr`, `clip_norm=1`, or `precision=fp32`."
            raise TrainingError(f"a loss that is a number at step {self.position.step}", found, advice)
        if self.monitor:
            where = {name: getattr(self.position, name) for name in ("epoch", "seen_photos", "elapsed_s")}
            self.monitor.log.write("train", self.position.step, where | values)
        self._losses = values

    def _finish_epoch(self) -> None:
        self._sync_clock()  # first, so that a run whose time is over now does not end unvalidated
        measured = self._validate(self.position.epoch) if self._due() else None
        means = self._terms.means()
        if measured:
            self._sync_clock()
        if self.monitor:
            where = {"epoch": self.position.epoch, "elapsed_s": self.position.elapsed_s}
            self.monitor.log.write("epoch", self.position.step, where | means)
        if measured:
            self._record_validation(*measured)
        self.position = replace(self.position, validated=True)
        if measured:
            self._save()

    def _record_validation(self, figures: MetricValues, spread: dict[str, float]) -> None:
        """Report an epoch's metrics, save its weights, and look for troubles."""
        self._report_metrics(self.position.epoch, figures, spread)
        self._save_weights(figures)
        if self.monitor:
            self.monitor.epoch_done(self.position, self.best["epoch"])

    def _validate(self, epoch: int) -> tuple[MetricValues, dict[str, float]]:
        """Validate in the primary process, and return the metrics and the spread of the photos' mean colors in all.

        Raises:
            Interrupted: a stop was requested.
            TrainingError: the metrics are NaN or infinite.
        """
        measured: Validation | None = None
        if self.monitor:
            sheet = self.folder / "samples" / f"epoch-{epoch:03d}.jpg"
            generator, temperature = self.stage.eval_network(), self.stage.temperature
            measured = validate(generator, temperature, self.photos.val, self.options, sheet, epoch, self.callbacks)
            if measured:
                self.monitor.measured(epoch, measured.photos)
        summary = [measured.figures.known(), measured.spread] if measured else None
        received, summary = self.group.broadcast([self.callbacks.should_stop(), summary])
        if summary is None:
            self._stop(received)
        figures, spread = MetricValues.from_known(summary[0]), summary[1]
        if not math.isfinite(figures["ab_l1"]):
            advice = "The last checkpoint is good. Try a lower `lr`, or `precision=fp32`."
            raise TrainingError("validation metrics that are numbers", f"ab L1 {figures['ab_l1']}", advice)
        return figures, spread

    def _report_metrics(self, epoch: int, figures: MetricValues, spread: dict[str, float]) -> None:
        if self.monitor:
            where = {"epoch": epoch, "elapsed_s": self.position.elapsed_s}
            self.monitor.log.write("validation", self.position.step, where | figures.known() | spread)
        self.callbacks.on_validation(epoch, figures.known())

    def _save_weights(self, figures: MetricValues) -> None:
        score = figures["auc_rebalanced"] + figures["auc"]
        better = not self.best or score > self.best["score"]
        if better:
            self.best = {"epoch": self.position.epoch, "score": score, "figures": figures.known()}
        if self.group.is_primary:
            for name in [LAST] + [BEST] * better:
                self.save_weights(name, self.stage.eval_network(), figures)

    def _stop(self, received: int) -> NoReturn:
        self._save()
        raise Interrupted(received, self._advice)

    def _save(self) -> None:
        extra = {"best": self.best, "terms": self._terms.state()}
        if self.group.is_primary:
            checkpoints = self.folder / "checkpoints"
            save_checkpoint(checkpoints, self.stage, self.position, extra, every=self.options.checkpoint_every)
        self._saved_at = time.monotonic()
        self.group.barrier()  # if a process exited earlier, torchrun would end the primary one
