"""A run of `colorgan colorize`, from what was asked for to the sums."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING

from colorgan.batch.jobs import Outcome, Status
from colorgan.batch.planner import count_photos
from colorgan.batch.run import Loading
from colorgan.cli.colorize_output import JsonReporter, PlainReporter, Reporter, Total, photo_bar
from colorgan.cli.console import Console
from colorgan.cli.inputs import find_jobs, in_words, journal_homes, output_rules
from colorgan.cli.interrupts import leave_at_once, watch_signals
from colorgan.cli.request import Request
from colorgan.cli.streaming import check_stream, colorize_stream, is_stream
from colorgan.colorize.options import DEFAULT_MODEL
from colorgan.errors import EXIT_SOME_FAILED, ColorganError, Interrupted
from colorgan.signals import SignalWatch

if TYPE_CHECKING:
    from colorgan.batch.run import Batch
    from colorgan.batch.shards import Meeting
    from colorgan.batch.worker import Treatment
    from colorgan.colorize.colorizer import Colorizer

_OWN_MODELS = ("finetuned", "gan")
HOW_TO_GO_ON = "Every result so far is whole; the same command again goes on with the rest."


def colorize_photos(request: Request) -> int:
    """Colour photos as was asked for, print what becomes of them, and give the exit code.

    Raises:
        ColorganError: it cannot be done, or was interrupted.
    """
    with watch_signals(HOW_TO_GO_ON) as watch:
        run = Run(request, watch)
        try:
            # Nothing is half done when a pipe breaks off, and reading it may wait for ever.
            with watch.leaving() if is_stream(request) else nullcontext():
                return run.go()
        except Interrupted as error:
            if run.is_loading:
                leave_at_once(error)
            raise


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Run:
    """A run, and what it holds while it goes on.

    Args:
        request: what was asked for.
        watch: of signals.
    """

    def __init__(self, request: Request, watch: SignalWatch) -> None:
        from colorgan.batch.shards import Share

        self._request, self._watch = request, watch
        self.share = Share.from_environment()
        prefix = "" if self.share.is_first else f"rank {self.share.rank}: "
        console = Console(request.quiet or not self.share.is_first)
        self._console = console
        self._reporter: Reporter = JsonReporter(console) if request.json_lines else PlainReporter(console, prefix)
        self._loading = Loading(self._load)
        self._counts: Counter[Status] = Counter()

    @property
    def is_loading(self) -> bool:
        """Whether a thread still loads the model."""
        return self._loading.is_under_way

    def check(self) -> None:
        """Stop where a signal came.

        Raises:
            Interrupted: one came.
        """
        self._watch.check(HOW_TO_GO_ON)

    def go(self) -> int:
        """Do it, and give the exit code.

        Raises:
            ColorganError: it cannot be done, or was interrupted.
        """
        request = self._request
        try:
            return self._stream() if is_stream(request) else self._photos()
        except ColorganError as error:
            self._reporter.stopped(error)
            if self._counts:
                self._reporter.summary(self._counts, Total(request.where, error.exit_code))
            raise

    def _stream(self) -> int:
        check_stream(self._request)
        self._load_model()
        colorize_stream(self._request, self._console, self._loading.get())
        return 0

    def _photos(self) -> int:
        request = self._request
        rules = output_rules(request)
        jobs = find_jobs(request, rules)
        self._reporter.status("started", f"Colouring {in_words(request)} with {request.model}.", model=request.model)
        # Only now, since they bring numpy and Pillow, which take longer than the first word may.
        from colorgan.batch.journal import Journals
        from colorgan.batch.run import Batch
        from colorgan.batch.shards import Meeting, is_started_by_torchrun

        treatment = request.treatment()
        meeting = Meeting(self.share) if self.share.ranks > 1 and is_started_by_torchrun() else None
        with Journals(
            journal_homes(request, rules), self._console.warn, beyond=request.output is None, read_only=request.dry_run
        ) as journals:
            batch = Batch(
                jobs,
                journals,
                treatment.digest(f"{self._model_digest()} {request.precision}"),
                endings=rules.endings,
                overwrite=request.overwrite,
                skip_color=request.skip_color,
                share=self.share,
                read_only=request.dry_run,
            )
            if request.dry_run:
                return self._plan(batch)
            self._colour(batch, treatment)
        return self._sum_up(meeting)

    def _model_digest(self) -> str:
        """A digest of the weights; empty where they are not at hand and would have to be fetched."""
        from colorgan.models.registry import model_digest

        digest = model_digest(self._request.model)
        if not digest and not self._request.dry_run:
            self._load_model()
            digest = model_digest(self._request.model)
        return digest

    def _plan(self, batch: Batch) -> int:
        """Say what would be done."""
        for step in batch.steps():
            self.check()
            outcome = step if isinstance(step, Outcome) else Outcome(step.task, Status.written)
            self._counts[outcome.status] += 1
            self._reporter.planned(outcome)
        self._reporter.summary(self._counts, Total(self._request.where, 0, is_dry=True))
        return 0

    def _colour(self, batch: Batch, treatment: Treatment) -> None:
        from colorgan.batch.run import colorize_all
        from colorgan.batch.worker import Painter, PixelBudget

        outcomes = colorize_all(
            batch,
            Painter(self._loading.get, treatment, cores=self._workers, budget=PixelBudget()),
            workers=self._workers,
            group=self._group,
            before=self._load_model,
            check=self.check,
        )
        with photo_bar(self._console, self._counter()) as advance:
            for outcome in outcomes:
                self._counts[outcome.status] += 1
                self._reporter.outcome(outcome)
                advance()

    @property
    def _workers(self) -> int:
        return self._request.workers or max(1, available_cores() // self.share.local_ranks)

    def _counter(self) -> Callable[[], Iterator[int]] | None:
        if self._request.from_file or self.share.ranks > 1:
            return None
        return lambda: count_photos(self._request.inputs, self._request.output)

    def _group(self) -> int:
        if self._request.batch_size:
            return self._request.batch_size
        return self._loading.get().batch_size if self._loading.is_done else 1

    def _load_model(self) -> None:
        """Load the model, unless that was done, and say so."""
        if self._loading.is_done:
            return
        model = self._request.model
        self._reporter.status("loading", f"Loading {model} ...", model=model)
        colorizer = self._loading.wait(self.check)
        from colorgan.devices import describe_device
        from colorgan.models.registry import models_at_hand

        device = str(colorizer.device)
        threads = f"{self._workers} thread{'s' * (self._workers > 1)}"
        where = f"cpu ({threads})" if device == "cpu" else describe_device(colorizer.device)
        self._reporter.status("computing", f"Computing on {where}.", device=device)
        own = [name for name in models_at_hand() if name in _OWN_MODELS]
        if own and model == DEFAULT_MODEL:
            self._console.note(f"A model of your own is at hand: --model {own[-1]}")

    def _load(self) -> Colorizer:
        from colorgan.colorize.colorizer import Colorizer

        with self._console.fetching(self._request.model, self.check) as progress:
            return Colorizer.load(
                self._request.model,
                device=self._device(),
                precision=self._request.precision,
                notify=self._console.warn,
                progress=progress,
            )

    def _device(self) -> str:
        """The device; of several ranks on a machine with CUDA, each has its own."""
        if self.share.local_ranks == 1:
            return self._request.device
        from colorgan.devices import device_of_rank

        return device_of_rank(self._request.device, self.share.local_rank)

    def _sum_up(self, meeting: Meeting | None) -> int:
        """Say what became of all photos, and give the exit code."""
        counts, missing = self._counts, list[int]()
        if meeting and not self.share.is_first:
            # torchrun ends all ranks when one fails, and a bad photo is no reason for that: the first one tells.
            meeting.leave({status.name: count for status, count in counts.items()})
            return 0
        if meeting:
            sums, missing = meeting.total({status.name: count for status, count in counts.items()}, self.check)
            counts = Counter({Status[name]: count for name, count in sums.items()})
        code = EXIT_SOME_FAILED if counts[Status.failed] or missing else 0
        self._reporter.summary(counts, Total(self._request.where, code, missing=missing))
        return code
