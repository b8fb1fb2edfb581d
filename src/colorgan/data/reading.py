"""Worker processes that read photos for training, and the fallback if they cannot be started."""

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

_POLL_S = 2.0  # how often a wait for worker processes is interrupted, to check for a signal
_TIMED_OUT = "timed out"  # in the loader's error after that time


class Piped:
    """A dataclass of tensors that are pickled by value, and so sent to another process through a pipe.

    PyTorch would put its tensors into shared memory, of which containers have little (64 MB in Docker); if that is
    full, a batch never arrives.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the values of the tensors."""
        values = {key: value.numpy() if isinstance(value, Tensor) else value for key, value in vars(self).items()}
        return _rebuild, (type(self), values)


def _rebuild(kind: type[Any], values: dict[str, Any]) -> Any:
    tensors = {key: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for key, v in values.items()}
    return kind(**tensors)


class _ErrorsAsItems(Dataset[Any]):
    """A dataset that returns its errors as items: the loader would convert them to others, without their parts."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self._dataset = dataset

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, ColorganError):
            return item
        try:
            return self._dataset[item]
        except ColorganError as error:
            return error


def _with_error_as_item(batches: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """Yield the batches, and an error of theirs as an item: the loader keeps its processes if it fails itself."""
    try:
        yield from batches
    except ColorganError as error:
        yield [error]


def _collated(collate: Callable[[list[Any]], Any], items: list[Any]) -> Any:
    return next((item for item in items if isinstance(item, ColorganError)), None) or collate(items)


def _raised(batches: Iterator[Any], readers: Iterable[BaseProcess], while_waiting: Callable[[], None]) -> Iterator[Any]:
    try:
        while True:
            try:
                batch = next(batches, None)
            except RuntimeError as error:
                if _TIMED_OUT not in str(error).lower():
                    raise
                with _killing_on_error(readers):
                    while_waiting()
                continue
            if batch is None:
                return
            if isinstance(batch, ColorganError):
                raise batch
            yield batch
    finally:
        del batches  # a stored traceback keeps this frame alive, and would keep the worker processes


@contextmanager
def _killing_on_error(readers: Iterable[BaseProcess]) -> Iterator[None]:
    """Kill workers that do not respond if the block raises: the loader would wait for each, possibly forever."""
    try:
        yield
    except BaseException:
        with _without_sigchld_handler():
            for reader in readers:
                reader.kill()
                reader.join(_POLL_S)
        raise


@contextmanager
def _without_sigchld_handler() -> Iterator[None]:
    """Suspend the loader's own handler, which raises an error when a worker process ends."""
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
        dataset: the dataset to read.
        batches: returns the items of each batch; called once more if no processes can be started.
        collate: makes a batch of the items read; arrays and `Piped` need no shared memory.
        workers: processes that read; 0 reads in this one.
        warn: called if they cannot be started; this process then reads.
        while_waiting: called repeatedly while no batch arrives from them; may raise to stop waiting.
        pin_memory: return batches in pinned memory.

    Raises:
        ColorganError: an error of the dataset or of `batches`, while iterating.
    """

    def start(processes: int) -> Iterator[Any]:
        loader = DataLoader(
            _ErrorsAsItems(dataset),
            batch_sampler=_with_error_as_item(batches()),
            num_workers=processes,
            timeout=_POLL_S if processes else 0,
            collate_fn=partial(_collated, collate),
            worker_init_fn=_ignore_signals,
            pin_memory=pin_memory,
            # One of its own: the loader draws from it, and must not change the training's random state.
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
            begun.kill()  # they ignore other signals
        warn(
            f"No reader processes could be started ({error}); the training reads photos itself. Likely causes: a full "
            "/dev/shm (docker run --shm-size 1g) or a process limit; `workers=0` starts none."
        )
    return start(0)


def _check_room(workers: int) -> None:
    """Make as many queues as the loader will: if it failed halfway, it would print a traceback when it is deleted.

    Raises:
        OSError: there is no room for their semaphores.
    """
    queues: list[multiprocessing.Queue[object]] = [multiprocessing.Queue() for _ in range(workers + 3)]
    for queue in queues:
        queue.close()


def _ignore_signals(worker: int) -> None:
    """Ignore Ctrl-C in a worker: the training process handles it, needs its batch finished, and ends its workers."""
    for number in HEEDED:
        signal.signal(number, signal.SIG_IGN)
