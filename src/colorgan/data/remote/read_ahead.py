"""A thread that brings an epoch's shards before its batches ask for them."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence
from types import TracebackType

from colorgan.data.remote.shard_cache import Check, ShardCache

_LOOK_S = 0.2  # between two looks at whether a signal came
_MOST_WAIT_S = 3.0  # for the piece of a shard that is under way, when no more is wanted


class ReadAhead:
    """Fetches shards in the order in which they are needed; to be used as a context manager.

    The thread starts with the first batch, after the processes that read were forked.

    Args:
        cache: of the set.
        shards: the shard of each photo that is still to come in this epoch, in their order.
        room: how many shards may be here at once, for this process.
        lag: how many batches may be asked for, and not be read yet, when the next one is.
        check: called while a shard is waited for, to raise where a signal came.
    """

    def __init__(
        self, cache: ShardCache, shards: Sequence[str], room: int, lag: int = 0, check: Check = lambda: None
    ) -> None:
        self._cache, self._room, self._lag, self._check = cache, room, lag, check
        self._left = Counter(shards)  # photos of each that are still to come; in the order of their first ones
        self._coming = list(self._left)
        self._fetched: set[str] = set()
        self._read: deque[list[str]] = deque()  # by batch: shards that it was the last to need
        self._error: BaseException | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)

    def __enter__(self) -> ReadAhead:
        """Nothing is fetched before the first batch."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Fetch no more; what is under way is dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(_MOST_WAIT_S)

    def reach(self, shards: Sequence[str]) -> None:
        """Wait until the shards of the next batch's photos are here.

        Args:
            shards: of each photo, in the order of `shards` above.

        Raises:
            ColorganError: one could not be fetched.
            Interrupted: a signal came while one was waited for.
        """
        if self._thread.ident is None:
            self._thread.start()
        with self._changed:
            self._let_go(self._lag)
            self._read.append([])
            for name in shards:
                while name not in self._fetched:
                    if self._error is not None:
                        raise self._error
                    if len(self._fetched) >= self._room:
                        self._let_go(0)  # what those who read still need of these, they fetch again
                        self._read.append([])
                    self._check()
                    self._changed.wait(_LOOK_S)
                self._left[name] -= 1
                if not self._left[name]:
                    self._read[-1].append(name)

    def _let_go(self, batches: int) -> None:
        """Release the shards that none but the last so many batches, and those to come, may need."""
        while len(self._read) > batches:
            for name in self._read.popleft():
                self._fetched.discard(name)
                self._cache.release(name)
        self._changed.notify_all()

    def _run(self) -> None:
        for name in self._coming:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or len(self._fetched) < self._room)
                if self._closed:
                    return
            try:
                self._cache.fetch(name, self._go_on)
            except BaseException as error:
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            with self._changed:
                self._fetched.add(name)
                self._changed.notify_all()

    def _go_on(self) -> None:
        if self._closed:
            raise EOFError("no more shards are wanted")
