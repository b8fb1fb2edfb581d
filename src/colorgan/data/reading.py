"""Processes that read photos for the training, and what happens where they cannot be had."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from colorgan.errors import ColorganError
from colorgan.signals import HEEDED

_LOOK_UP_S = 2.0  # how often a wait for processes that read looks up, for a signal
_NO_ANSWER = "timed out"  # as the loader says then


class Piped:
    """A dataclass of tensors that goes from process to process through a pipe.

    PyTorch would put its tensors into shared memory, of which containers have little (64 MB in Docker); where that is
    full, a batch never comes.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Its values, in the pickle itself."""
        values = {key: value.numpy() if isinstance(value, Tensor) else value for key, value in vars(self).items()}
        return _put_together, (type(self), values)


def _put_together(kind: type[Any], values: dict[str, Any]) -> Any:
    tensors = {key: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for key, v in values.items()}
    return kind(**tensors)


class _Answers(Dataset[Any]):
    """A dataset whose errors come as values: the loader would make other errors of them, without their parts."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self._dataset = dataset

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, ColorganError):
            return item
        try:
            return self._dataset[item]
        except ColorganError as error:
            return error


def _asked(batches: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """The items of each batch; an error takes the place of one, since the loader keeps its processes where it fails."""
    try:
        yield from batches
    except ColorganError as error:
        yield [error]


def _collated(collate: Callable[[list[Any]], Any], answers: list[Any]) -> Any:
    return next((answer for answer in answers if isinstance(answer, ColorganError)), None) or collate(answers)


def _raised(batches: Iterator[Any], readers: Iterable[BaseProcess], while_waiting: Callable[[], None]) -> Iterator[Any]:
    try:
        while True:
            try:
                batch = next(batches, None)
            except RuntimeError as error:
                if _NO_ANSWER not in str(error).lower():
                    raise
                with _ending(readers):
                    while_waiting()
                continue
            if batch is None:
                return
            if isinstance(batch, ColorganError):
                raise batch
            yield batch
    finally:
        del batches  # an error that is kept holds this frame, and would hold the processes that read


@contextmanager
def _ending(readers: Iterable[BaseProcess]) -> Iterator[None]:
    """End processes that do not answer where an error comes up: the loader would wait for each, and then for ever."""
    try:
        yield
    except BaseException:
        with _unheard_ends():
            for reader in readers:
                reader.kill()
                reader.join(_LOOK_UP_S)
        raise


@contextmanager
def _unheard_ends() -> Iterator[None]:
    """Leave the loader's own handler out, which makes an error of a process that ends."""
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield  # it has none there
        return
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, handler)


def read_batches(
    dataset: Dataset[Any],
    batches: Callable[[], Iterable[list[Any]]],
    collate: Callable[[list[Any]], Any],
    *,
    workers: int,
    warn: Callable[[str], None],
    while_waiting: Callable[[], None] = lambda: None,
    pin_memory: bool = False,
) -> Iterator[Any]:
    """Read batches of a dataset, in their order.

    Args:
        dataset: what is read.
        batches: the items of each batch; called once more where no processes can be started.
        collate: makes a batch of what was read; without shared memory if that is arrays or `Piped`.
        workers: processes that read; 0 reads in this one.
        warn: told where they cannot be started, so that this one reads.
        while_waiting: called again and again while no batch comes of them; raises to stop waiting.
        pin_memory: bring batches into memory that a GPU reads by itself.

    Raises:
        ColorganError: what the dataset or `batches` raises, while the batches are gone through.
    """

    def start(processes: int) -> Iterator[Any]:
        loader = DataLoader(
            _Answers(dataset),
            batch_sampler=_asked(batches()),
            num_workers=processes,
            timeout=_LOOK_UP_S if processes else 0,
            collate_fn=partial(_collated, collate),
            worker_init_fn=_ignore_signals,
            pin_memory=pin_memory,
            # One of its own: the loader draws from it, and the training's random state must not notice.
            generator=torch.Generator(),
        )
        started = iter(loader)
        return _raised(started, set(multiprocessing.active_children()) - others, while_waiting)

    others = set(multiprocessing.active_children())
    if not workers:
        return start(0)
    try:
        _check_room(workers)
        return start(workers)
    except (OSError, RuntimeError) as error:  # of semaphores (in /dev/shm) and processes; of threads
        for begun in set(multiprocessing.active_children()) - others:
            begun.kill()  # they heed nothing less
        warn(
            f"Processes that read could not be started ({error}), so that the training reads photos itself: a full "
            "/dev/shm (docker run --shm-size 1g) or a limit of processes may be why; `workers=0` asks for none."
        )
    return start(0)


def _check_room(workers: int) -> None:
    """Make as many queues as the loader will, which, failing half made, would print a traceback when it is dropped.

    Raises:
        OSError: there is no room for their semaphores.
    """
    queues: list[multiprocessing.Queue[object]] = [multiprocessing.Queue() for _ in range(workers + 3)]
    for queue in queues:
        queue.close()


def _ignore_signals(worker: int) -> None:
    """Leave Ctrl-C to the training process, which wants its batch to the end; workers end with it."""
    for number in HEEDED:
        signal.signal(number, signal.SIG_IGN)
