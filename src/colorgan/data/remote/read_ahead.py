"""A thread that fetches an epoch's shards before its batches need them."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence
from types import TracebackType

from colorgan.data.remote.shard_cache import Check, ShardCache

_POLL_S = 0.2  # between checks for a signal
_MOST_WAIT_S = 3.0  # on closing, for the piece of a shard in transfer


class ReadAhead:
    """A context manager that fetches shards in the order in which they are needed.

    The thread starts with the first batch, after the processes that read were forked.

    Args:
        cache: the set's cache.
        shards: the shard of each remaining photo of this epoch, in their order.
        room: how many shards may be cached at once, for this process.
        lag: how many batches may be requested, but not read yet, when the next one is requested.
        check: called repeatedly while waiting for a shard; may raise to stop.
    """

    def __init__(
        self, cache: ShardCache, shards: Sequence[str], room: int, lag: int = 0, check: Check = lambda: None
    ) -> None:
        self._cache, self._room, self._lag, self._check = cache, room, lag, check
        self._left = Counter(shards)  # remaining photos of each shard; in the order of their first ones
        self._coming = list(self._left)
        self._fetched: set[str] = set()
        self._read: deque[list[str]] = deque()  # by batch: shards that it was the last to need
        self._error: BaseException | None = None
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)

    def __enter__(self) -> ReadAhead:
        """Return self; nothing is fetched before the first batch."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop fetching; a shard in transfer is discarded."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(_MOST_WAIT_S)

    def reach(self, shards: Sequence[str]) -> None:
        """Wait until the shards of the next batch's photos are fetched.

        Args:
            shards: the shard of each photo, in the order given to the class.

        Raises:
            ColorganError: a shard could not be fetched.
            Interrupted: `check` stopped the wait.
        """
        if self._thread.ident is None:
            self._thread.start()
        with self._changed:
            self._release(self._lag)
            self._read.append([])
            for name in shards:
                while name not in self._fetched:
                    if self._error is not None:
                        raise self._error
                    if len(self._fetched) >= self._room:
                        self._release(0)  # readers that still need one of these fetch it again
                        self._read.append([])
                    self._check()
                    self._changed.wait(_POLL_S)
                self._left[name] -= 1
                if not self._left[name]:
                    self._read[-1].append(name)

    def _release(self, batches: int) -> None:
        """Release the shards that only batches before the last `batches` needed."""
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
                self._cache.fetch(name, self._check_open)
            except BaseException as error:
                with self._changed:
                    self._error = error
                    self._changed.notify_all()
                return
            with self._changed:
                self._fetched.add(name)
                self._changed.notify_all()

    def _check_open(self) -> None:
        if self._closed:
            raise EOFError("no more shards are wanted")
