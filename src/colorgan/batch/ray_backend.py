"""Colors photos with the actors of a Ray cluster: one at an address, one that runs here, or one started for the run.

The driver finds photos and journals them as without Ray; an actor takes jobs and returns their outcomes. Ray pickles
what its processes exchange; no user's file is read that way.
"""

from __future__ import annotations

import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from colorgan.addresses import is_address
from colorgan.batch.jobs import Job
from colorgan.batch.options import BatchOptions
from colorgan.batch.ray_cluster import connected, last_line_of
from colorgan.callbacks import PhotoOutcome, PhotoStatus
from colorgan.colorize.options import ColorizeOptions
from colorgan.errors import ColorganError, DeviceError

_ATTEMPTS = 3  # for a photo whose actor dies
_GROUPS_PER_ACTOR = 2  # one is read or written while another is computed
_START_TIMEOUT_S = 120.0  # for an actor to start, or for a replacement of the last one
_POLL_S = 0.2
_GROUP_ON_GPU = 16
_MAX_CORES = 256  # of an actor: the maximum of `BatchOptions.workers`
# Outcomes by position, warnings for the user, and an error that the next photo would meet too, or None.
_Answer: TypeAlias = "tuple[dict[int, PhotoOutcome], list[str], ColorganError | None]"


class ColorizeActor:
    """Colors photos in an actor's process: `batch` has this actor's device and cores, `weights` a file's content."""

    def __init__(self, options: ColorizeOptions, batch: BatchOptions, name: str, weights: bytes) -> None:
        from colorgan.batch.worker import PhotoWorker
        from colorgan.colorize.colorizer import Colorizer

        self._warnings: list[str] = []
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            path.write_bytes(weights)
            colorizer = Colorizer.load(
                str(path), device=batch.device, precision=batch.precision, notify=self._warnings.append
            )
        self._worker = PhotoWorker(lambda: colorizer, options, batch)

    def ready(self) -> None:
        """Do nothing: the call returns once the model is loaded."""

    def color(self, jobs: Sequence[Job]) -> _Answer:
        """Color photos and write them."""
        outcomes: dict[int, PhotoOutcome] = {}
        error = None
        try:
            self._worker(jobs, outcomes.__setitem__)
        except ColorganError as raised:
            error = raised
        warnings, self._warnings[:] = list(self._warnings), []
        return outcomes, warnings, error


class RayCrew:
    """The actors of a run, called like `PhotoWorker`: with jobs, which one of the actors colors.

    An actor that dies is replaced, and its jobs are given to another; a photo at which three actors died fails.

    Attributes:
        count: number of actors.
        threads: number of threads that should call it.
        group: number of photos to give to an actor together.
    """

    def __init__(self, start: Callable[[], Any], count: int, group: int, notify: Callable[[str], None]) -> None:
        self.count, self.threads, self.group = count, _GROUPS_PER_ACTOR * count, group
        self._start, self._notify = start, notify
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._changing = threading.Lock()
        self._actors: set[Any] = set()
        self._waiting: list[threading.Thread] = []
        self._is_over = threading.Event()
        self._starting = 0
        self._failure = ""
        for _ in range(count):
            self._add_actor()

    def _add_actor(self) -> None:
        with self._changing:
            self._starting += 1
            waiting = threading.Thread(target=self._await_start, args=(self._start(),), daemon=True)
            self._waiting.append(waiting)
        waiting.start()

    def _await_start(self, actor: Any) -> None:
        """Make an actor available once it answers, which may be never if the cluster has no room for it."""
        import ray

        answer = actor.ready.remote()
        try:
            while not ray.wait([answer], timeout=_POLL_S)[0]:
                if self._is_over.is_set():  # a thread that still waits when Ray shuts down would end the process
                    ray.kill(actor)
                    return
            ray.get(answer)
        except Exception as error:  # raised by `_take_actor` if no actor is left
            self._failure = last_line_of(error)
        else:
            self._actors.add(actor)
            for _ in range(_GROUPS_PER_ACTOR):
                self._free.put(actor)
        with self._changing:
            self._starting -= 1

    def wait(self, check: Callable[[], None]) -> None:
        """Wait for the first actor.

        Raises:
            DeviceError: none starts.
            Whatever `check` raises.
        """
        self._free.put(self._take_actor(check))

    def __call__(self, jobs: Sequence[Job], put: Callable[[int, PhotoOutcome], None]) -> None:
        """Color and write photos on an actor, and report their outcomes, as `PhotoWorker` does.

        Raises:
            ColorganError: an error that the next photo would meet too.
        """
        for _ in range(_ATTEMPTS):
            answer = self._color_on_actor(jobs)
            if answer is not None:
                outcomes, warnings, error = answer
                for warning in warnings:
                    self._notify(warning)
                for position, outcome in outcomes.items():
                    job = jobs[position]
                    put(position, job.outcome(outcome.status, outcome.words, outcome.parameter))
                if error is not None:
                    raise error
                return
        if len(jobs) == 1:
            words = f"{_ATTEMPTS} processes crashed on it: out of memory, or a fault in a decoder"
            put(0, jobs[0].outcome(PhotoStatus.failed, (words,)))
            return
        for position, job in enumerate(jobs):  # alone: one of them may have caused it
            self([job], lambda _, outcome, position=position: put(position, outcome))  # type: ignore[misc]

    def _color_on_actor(self, jobs: Sequence[Job]) -> _Answer | None:
        """Return what `ColorizeActor.color` returns; None if the actor died."""
        import ray

        actor = self._take_actor()
        try:
            answer: _Answer = ray.get(actor.color.remote([_with_absolute_paths(job) for job in jobs]))
        except ray.exceptions.RayError:
            with self._changing:
                is_first_report = actor in self._actors
                self._actors.discard(actor)
            if is_first_report:
                self._add_actor()
            return None
        self._free.put(actor)
        return answer

    def _take_actor(self, check: Callable[[], None] = lambda: None) -> Any:
        """Wait for an actor that can take a group of jobs, skipping those that died meanwhile."""
        end = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < end:
            check()
            try:
                actor = self._free.get(timeout=_POLL_S)
            except queue.Empty:
                if self._actors:
                    end = time.monotonic() + _START_TIMEOUT_S
                elif not self._starting:
                    break
                continue
            if actor in self._actors:
                return actor
        found = self._failure or f"the cluster started none in {_START_TIMEOUT_S:.0f} seconds"
        advice = "Check that its machines have this version of colorgan, and what else runs there."
        raise DeviceError("Ray actors that color photos", found, advice, parameter="ray")

    def close(self) -> None:
        """End the actors."""
        import ray

        self._is_over.set()
        for thread in self._waiting:
            thread.join()
        for actor in self._actors:
            ray.kill(actor)


def _with_absolute_paths(job: Job) -> Job:
    """Return the job with absolute paths, since an actor has another working directory."""
    source, folder, *hints = (
        path if is_address(path) else os.path.abspath(path)  # noqa: PTH100 (resolving would follow links)
        for path in (job.source, job.folder, *job.hints)
    )
    return replace(job, source=source, folder=folder, hints=tuple(hints))


@contextmanager
def ray_crew(
    address: str,
    options: ColorizeOptions,
    batch: BatchOptions,
    weights: Path,
    *,
    notify: Callable[[str], None],
    check: Callable[[], None],
) -> Iterator[RayCrew]:
    """Join or start a cluster, start the actors, and end them on exit.

    Args:
        address: `auto`, or the HOST:PORT of a cluster.
        options: options of each photo.
        batch: options of the run; without `workers`, there is one actor per GPU, or else per core.
        weights: path of the weights, whose content is sent to the actors.
        notify: called with the actors' warnings.
        check: called while waiting; raises to stop.

    Raises:
        UsageError: Ray is not installed.
        DeviceError: no cluster answers, or no actor starts.
    """
    with connected(address) as ray:
        resources = ray.cluster_resources()
        cores, gpus = max(1, int(resources.get("CPU", 1))), int(resources.get("GPU", 0))
        on_gpu = gpus > 0 and batch.device != "cpu"
        count = min(batch.workers or cores, gpus if on_gpu else cores)
        each = min(max(1, cores // count), _MAX_CORES) if on_gpu else 1
        actor_batch = replace(batch, device="cuda" if on_gpu else "cpu", workers=each)
        shipped = ray.put(weights.read_bytes())
        actor = ray.remote(ColorizeActor).options(
            num_cpus=each, num_gpus=int(on_gpu), max_restarts=0, max_concurrency=_GROUPS_PER_ACTOR
        )
        group = _GROUP_ON_GPU if on_gpu else 1
        crew = RayCrew(lambda: actor.remote(options, actor_batch, weights.name, shipped), count, group, notify)
        try:
            crew.wait(check)
            yield crew
        finally:
            crew.close()
