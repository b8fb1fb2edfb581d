"""Photos colored by the actors of a Ray cluster: one here, one that runs already, or one that is started for the run.

The driver finds, announces and notes photos as ever; an actor is given jobs, and gives back what became of each. Ray
pickles what goes between its own processes: the one place where that is done, and nothing of a user's is read by it.
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
from typing import Any

from colorgan.addresses import is_address
from colorgan.batch.jobs import Job
from colorgan.batch.options import BatchOptions
from colorgan.batch.ray_cluster import connected, last_words_of
from colorgan.callbacks import PhotoOutcome, PhotoStatus
from colorgan.colorize.options import ColorizeOptions
from colorgan.errors import ColorganError, DeviceError

_ATTEMPTS = 3  # of a photo whose actor dies
_IN_HAND = 2  # groups of jobs for each actor: one is read or written while another is computed
_MOST_WAIT_S = 120.0  # for an actor to start, or for one to take the place of the last
_LOOK_UP_S = 0.2
_GROUP_ON_GPU = 16
_MOST_CORES = 256  # of an actor, as `BatchOptions.workers` has them


class ColorizeActor:
    """Colors photos in a process of its own, told all that it needs: of `batch`, device and cores are the actor's."""

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
        """Answer, which it does once the model is loaded."""

    def color(self, jobs: Sequence[Job]) -> tuple[dict[int, PhotoOutcome], list[str], ColorganError | None]:
        """Color photos and write them.

        Returns:
            Outcomes by position, what a user should know, and what would meet the next photo too.
        """
        outcomes: dict[int, PhotoOutcome] = {}
        error = None
        try:
            self._worker(jobs, outcomes.__setitem__)
        except ColorganError as raised:
            error = raised
        warnings, self._warnings[:] = list(self._warnings), []
        return outcomes, warnings, error


class RayCrew:
    """The actors of a run. Called with jobs, in as many threads as it says, it has one of them color these.

    An actor that dies is replaced, and its jobs are given to another; a photo that ends three actors fails.

    Attributes:
        count: of the actors.
        threads: in which it can be called at the same time.
        group: photos that are worth giving to an actor together.
    """

    def __init__(self, start: Callable[[], Any], count: int, group: int, notify: Callable[[str], None]) -> None:
        self.count, self.threads, self.group = count, _IN_HAND * count, group
        self._start, self._notify = start, notify
        self._free: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._changing = threading.Lock()
        self._actors: set[Any] = set()
        self._waiting: list[threading.Thread] = []
        self._is_over = threading.Event()
        self._starting = 0
        self._failure = ""
        for _ in range(count):
            self._add()

    def _add(self) -> None:
        with self._changing:
            self._starting += 1
            waiting = threading.Thread(target=self._await_start, args=(self._start(),), daemon=True)
            self._waiting.append(waiting)
        waiting.start()

    def _await_start(self, actor: Any) -> None:
        """Take an actor in once it answers; where the cluster has no room for it, that may be never."""
        import ray

        answer = actor.ready.remote()
        try:
            while not ray.wait([answer], timeout=_LOOK_UP_S)[0]:
                if self._is_over.is_set():  # whoever still waits when Ray is shut down ends the process
                    ray.kill(actor)
                    return
            ray.get(answer)
        except Exception as error:  # whatever keeps it from starting is told where no actor is left
            self._failure = last_words_of(error)
        else:
            self._actors.add(actor)
            for _ in range(_IN_HAND):
                self._free.put(actor)
        with self._changing:
            self._starting -= 1

    def wait(self, check: Callable[[], None]) -> None:
        """Wait for the first actor.

        Raises:
            DeviceError: none starts.
            Whatever `check` raises.
        """
        self._free.put(self._take(check))

    def __call__(self, jobs: Sequence[Job], put: Callable[[int, PhotoOutcome], None]) -> None:
        """Have photos colored and written, as `PhotoWorker` does it.

        Raises:
            ColorganError: what would meet the next photo too.
        """
        for _ in range(_ATTEMPTS):
            answer = self._ask(jobs)
            if answer is not None:
                outcomes, warnings, error = answer
                for word in warnings:
                    self._notify(word)
                for position, outcome in outcomes.items():
                    job = jobs[position]
                    put(position, job.outcome(outcome.status, outcome.words, outcome.parameter))
                if error is not None:
                    raise error
                return
        if len(jobs) == 1:
            words = f"{_ATTEMPTS} processes died of it, of a lack of memory or a fault in a decoder"
            put(0, jobs[0].outcome(PhotoStatus.failed, (words,)))
            return
        for position, job in enumerate(jobs):  # one of them may be to blame for all
            self([job], lambda _, outcome, position=position: put(position, outcome))  # type: ignore[misc]

    def _ask(self, jobs: Sequence[Job]) -> tuple[dict[int, PhotoOutcome], list[str], ColorganError | None] | None:
        """What an actor answers; None where it died."""
        import ray

        actor = self._take()
        try:
            answer: tuple[dict[int, PhotoOutcome], list[str], ColorganError | None] = ray.get(
                actor.color.remote([_from_anywhere(job) for job in jobs])
            )
        except ray.exceptions.RayError:
            with self._changing:
                is_news = actor in self._actors
                self._actors.discard(actor)
            if is_news:
                self._add()
            return None
        self._free.put(actor)
        return answer

    def _take(self, check: Callable[[], None] = lambda: None) -> Any:
        """An actor that has room; those that died meanwhile are passed over."""
        end = time.monotonic() + _MOST_WAIT_S
        while time.monotonic() < end:
            check()
            try:
                actor = self._free.get(timeout=_LOOK_UP_S)
            except queue.Empty:
                if self._actors:
                    end = time.monotonic() + _MOST_WAIT_S
                elif not self._starting:
                    break
                continue
            if actor in self._actors:
                return actor
        found = self._failure or f"the cluster has had no room for one in {_MOST_WAIT_S:.0f} seconds"
        advice = "See that colorgan is installed on its machines in this version, and what else runs there."
        raise DeviceError("actors of Ray that color photos", found, advice, parameter="ray")

    def close(self) -> None:
        """End the actors."""
        import ray

        self._is_over.set()
        for thread in self._waiting:
            thread.join()
        for actor in self._actors:
            ray.kill(actor)


def _from_anywhere(job: Job) -> Job:
    """The job with paths that hold in any process: an actor has a folder of its own."""
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
    """Join or start a cluster, and start the actors.

    Args:
        address: `auto`, or where a cluster is: HOST:PORT.
        options: of the photos.
        batch: of the run; where it says no number of workers, there is an actor for each GPU, or else for each core.
        weights: their file, whose content is shipped to the actors.
        notify: told in words what actors say.
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
        each = min(max(1, cores // count), _MOST_CORES) if on_gpu else 1
        own = replace(batch, device="cuda" if on_gpu else "cpu", workers=each)
        shipped = ray.put(weights.read_bytes())
        actor = ray.remote(ColorizeActor).options(
            num_cpus=each, num_gpus=int(on_gpu), max_restarts=0, max_concurrency=_IN_HAND
        )
        group = _GROUP_ON_GPU if on_gpu else 1
        crew = RayCrew(lambda: actor.remote(options, own, weights.name, shipped), count, group, notify)
        try:
            crew.wait(check)
            yield crew
        finally:
            crew.close()
