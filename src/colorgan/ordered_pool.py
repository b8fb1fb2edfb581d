"""Work in several threads whose results come in the order of the work, with bounded queues."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_FULL, _LOW = 6, 3  # groups of tasks for each worker: it is handed more when there are fewer than the second number
_STEPS_AT_ONCE = 256  # that are looked at between two looks at the workers
_MOST_WAITING = 4096  # results that wait for an earlier one
_LOOK_UP_S = 0.1  # how often a wait looks up, for a signal


@dataclass(frozen=True)
class Pending(Generic[Task]):
    """A step whose result a worker has to make."""

    task: Task


@dataclass(eq=False)
class _Ticket(Generic[Task, Result]):
    """Tasks handed to one worker together, and what becomes of them: results by position, or an error."""

    tasks: Sequence[Task]
    results: dict[int, Result] = field(default_factory=dict)
    error: BaseException | None = None
    is_finished: bool = False


@dataclass(frozen=True, slots=True)
class _Slot(Generic[Task, Result]):
    """Where a result will be."""

    ticket: _Ticket[Task, Result]
    index: int


class Workers(Generic[Task, Result]):
    """Threads that work on groups of tasks; to be used as a context manager.

    They are daemons: a process that leaves at once does not wait for them.

    Args:
        count: of the threads.
        work: is given a group of tasks, and a function that takes the position of one and its result.

    Attributes:
        count: of the threads.
        finished: set whenever a group is.
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
        """Let what is under way end, and nothing more begin; after a KeyboardInterrupt without waiting."""
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
                except BaseException as error:  # it is raised where the result is asked for
                    ticket.error = error
            ticket.is_finished = True
            self.finished.set()

    def submit(self, tasks: Sequence[Task]) -> _Ticket[Task, Result]:
        """Hand a group of tasks to the next free thread."""
        ticket: _Ticket[Task, Result] = _Ticket(tasks)
        self._queue.put(ticket)
        return ticket

    def stop(self) -> None:
        """Begin nothing more; what was not begun gets no results."""
        self._is_stopped = True


class OrderedPool(Generic[Task, Result]):
    """Results in the order of the steps, whichever worker ends first.

    Args:
        workers: started.
        group: tells how many tasks are handed over together; asked anew each time.
        before: called before tasks are handed over.
        check: called all the while; raises to stop.
    """

    def __init__(
        self,
        workers: Workers[Task, Result],
        *,
        group: Callable[[], int] = lambda: 1,
        before: Callable[[], None] = lambda: None,
        check: Callable[[], None],
    ) -> None:
        self._workers, self._group, self._before, self._check = workers, group, before, check
        self._waiting: deque[Result | _Slot[Task, Result]] = deque()
        self._running: list[_Ticket[Task, Result]] = []
        self._failure: BaseException | None = None

    def results(self, steps: Iterator[Result | Pending[Task]]) -> Iterator[Result]:
        """Give the results of what is to do and, in their places, those that are known already.

        Args:
            steps: known results and tasks; asked for no further ahead than keeps the workers busy.

        Raises:
            Whatever a task, `steps` or `check` raised first: nothing more is begun then, and it is raised when the
            results of what was under way have been given.
        """
        more = True
        while more or self._waiting:
            self._workers.finished.clear()
            self._running = [ticket for ticket in self._running if not ticket.is_finished]
            if looks := more and self._has_room():
                more = self._look_at(steps)
            yield from self._finished()
            if not looks and self._waiting:
                self._workers.finished.wait(_LOOK_UP_S)
            if self._failure is None and (more or self._waiting):
                self._try(self._check)
            if self._failure is not None:
                more = False
                self._workers.stop()
        if self._failure is not None:
            raise self._failure

    def _has_room(self) -> bool:
        return len(self._running) <= _LOW * self._workers.count and len(self._waiting) < _MOST_WAITING

    def _look_at(self, steps: Iterator[Result | Pending[Task]]) -> bool:
        """Take some steps, hand over what is to do, and tell whether there may be more."""
        taken, tasks, more = [], [], False
        try:
            for step in steps:
                taken.append(step)
                if isinstance(step, Pending):
                    tasks.append(step.task)
                if more := len(taken) == _STEPS_AT_ONCE or len(tasks) == _FULL * self._workers.count * self._group():
                    break
        except Exception as error:  # known results before it still come
            self._failure, more = error, False
        return self._hand_over(taken, tasks) and more

    def _hand_over(self, taken: list[Result | Pending[Task]], tasks: list[Task]) -> bool:
        """Queue the steps, the tasks among them in groups; False where nothing may begin."""
        if tasks and not self._try(self._before):
            return False
        places = iter(self._places(tasks))
        self._waiting.extend(next(places) if isinstance(step, Pending) else step for step in taken)
        return True

    def _places(self, tasks: list[Task]) -> list[_Slot[Task, Result]]:
        places, group = [], self._group()
        for first in range(0, len(tasks), group):
            ticket = self._workers.submit(tasks[first : first + group])
            self._running.append(ticket)
            places += [_Slot(ticket, index) for index in range(len(ticket.tasks))]
        return places

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
