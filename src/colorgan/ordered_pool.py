"""A thread pool whose results come in the order of the tasks, with bounded queues."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_FULL, _LOW = 6, 3  # groups of tasks per worker: `_FULL` more are submitted when no more than `_LOW` are left
_STEPS_AT_ONCE = 256  # taken between two checks for finished workers
_POLL_S = 0.1  # how often a wait checks for a signal


@dataclass(frozen=True)
class Pending(Generic[Task]):
    """A step whose result a worker has to make."""

    task: Task


@dataclass(eq=False)
class _Ticket(Generic[Task, Result]):
    """A group of tasks submitted to one worker, with its results by position, or the error that it raised."""

    tasks: Sequence[Task]
    results: dict[int, Result] = field(default_factory=dict)
    error: BaseException | None = None
    is_finished: bool = False


@dataclass(frozen=True, slots=True)
class _Slot(Generic[Task, Result]):
    """The place in a ticket of a result that is not there yet."""

    ticket: _Ticket[Task, Result]
    index: int


class Workers(Generic[Task, Result]):
    """Threads that work on groups of tasks; to be used as a context manager.

    They are daemons: a process that has to exit at once does not wait for them.

    Args:
        count: number of threads.
        work: called with a group of tasks, and a function to call with each one's position and result.

    Attributes:
        count: number of threads.
        finished: event that is set whenever a group is finished.
    """

    def __init__(self, count: int, work: Callable[[Sequence[Task], Callable[[int, Result], None]], None]) -> None:
        self.count = count
        self.finished = threading.Event()
        self._work = work
        self._queue: queue.SimpleQueue[_Ticket[Task, Result] | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(count)]
        self._is_stopped = False

    def __enter__(self) -> Workers[Task, Result]:
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and wait for the groups under way, unless after a KeyboardInterrupt."""
        self.stop()
        for _ in self._threads:
            self._queue.put(None)
        if kind is None or not issubclass(kind, KeyboardInterrupt):
            for thread in self._threads:
                thread.join()

    def _serve(self) -> None:
        while (ticket := self._queue.get()) is not None:
            if not self._is_stopped:
                try:
                    self._work(ticket.tasks, ticket.results.__setitem__)
                except BaseException as error:  # raised by `OrderedPool.results`
                    ticket.error = error
            ticket.is_finished = True
            self.finished.set()

    def submit(self, tasks: Sequence[Task]) -> _Ticket[Task, Result]:
        """Queue a group of tasks for the next free thread."""
        ticket: _Ticket[Task, Result] = _Ticket(tasks)
        self._queue.put(ticket)
        return ticket

    def stop(self) -> None:
        """Begin no further group; those that have not begun get no results."""
        self._is_stopped = True


class OrderedPool(Generic[Task, Result]):
    """Yields results in the order of the steps, whichever worker finishes first.

    Args:
        workers: the started workers.
        group: returns how many tasks to submit together; called anew each time.
        before: called before tasks are submitted.
        check: called regularly; raises to stop.
        max_waiting: results that may wait for an earlier one before no further tasks are submitted.
    """

    def __init__(
        self,
        workers: Workers[Task, Result],
        *,
        group: Callable[[], int] = lambda: 1,
        before: Callable[[], None] = lambda: None,
        check: Callable[[], None] = lambda: None,
        max_waiting: int = 4096,
    ) -> None:
        self._workers, self._group, self._before, self._check = workers, group, before, check
        self._max_waiting = max_waiting
        self._waiting: deque[Result | _Slot[Task, Result]] = deque()
        self._running: list[_Ticket[Task, Result]] = []
        self._failure: BaseException | None = None

    def results(self, steps: Iterator[Result | Pending[Task]]) -> Iterator[Result]:
        """Yield the results of the pending tasks and, in their places, those that are known already.

        Args:
            steps: known results and pending tasks; consumed no further ahead than keeps the workers busy.

        Raises:
            Whatever a task, `steps`, `before` or `check` raised first, once the results of the tasks under way have
            been yielded; no further task is begun.
        """
        more = True
        while more or self._waiting:
            self._workers.finished.clear()
            self._running = [ticket for ticket in self._running if not ticket.is_finished]
            if has_room := more and self._has_room():
                more = self._take_steps(steps)
            yield from self._finished()
            if not has_room and self._waiting:
                self._workers.finished.wait(_POLL_S)
            if self._failure is None and (more or self._waiting):
                self._try(self._check)
            if self._failure is not None:
                more = False
                self._workers.stop()
        if self._failure is not None:
            raise self._failure

    def _has_room(self) -> bool:
        return len(self._running) <= _LOW * self._workers.count and len(self._waiting) < self._max_waiting

    def _take_steps(self, steps: Iterator[Result | Pending[Task]]) -> bool:
        """Take some steps and submit the pending tasks among them; return whether there may be more."""
        taken, tasks, more = [], [], False
        try:
            for step in steps:
                taken.append(step)
                if isinstance(step, Pending):
                    tasks.append(step.task)
                if more := len(taken) == _STEPS_AT_ONCE or len(tasks) == _FULL * self._workers.count * self._group():
                    break
        except Exception as error:  # results before it are still yielded
            self._failure, more = error, False
        if tasks and not self._try(self._before):
            return False
        slots = iter(self._submit(tasks))
        self._waiting.extend(next(slots) if isinstance(step, Pending) else step for step in taken)
        return more

    def _submit(self, tasks: list[Task]) -> list[_Slot[Task, Result]]:
        slots, group = [], self._group()
        for first in range(0, len(tasks), group):
            ticket = self._workers.submit(tasks[first : first + group])
            self._running.append(ticket)
            slots += [_Slot(ticket, index) for index in range(len(ticket.tasks))]
        return slots

    def _finished(self) -> Iterator[Result]:
        while self._waiting:
            entry = self._waiting[0]
            if isinstance(entry, _Slot):
                if not entry.ticket.is_finished:
                    return
                self._failure = self._failure or entry.ticket.error
                if entry.index in entry.ticket.results:
                    yield entry.ticket.results[entry.index]
            else:
                yield entry
            self._waiting.popleft()

    def _try(self, call: Callable[[], None]) -> bool:
        try:
            call()
        except Exception as error:
            self._failure = error
            return False
        return True


def map_in_order(
    function: Callable[[Task], Result], tasks: Iterable[Task], workers: int
) -> Generator[Result, None, None]:
    """Yield a function's results for some tasks in their order, computed by threads a few tasks ahead.

    Args:
        function: called in the threads.
        tasks: its arguments.
        workers: number of threads.
    """

    def work(group: Sequence[Task], put: Callable[[int, Result], None]) -> None:
        for position, task in enumerate(group):
            put(position, function(task))

    with Workers(workers, work) as threads:
        yield from OrderedPool(threads, max_waiting=4 * workers).results(map(Pending, tasks))
