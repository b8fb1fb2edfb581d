"""The local cache of the files of a set at an address: fetched on demand, and kept while there is room for them.

Processes share it. It affects nothing but speed: a shard that was evicted is fetched again.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from colorgan.addresses import shown_address, whole_address
from colorgan.data.plan import WINDOW_SHARDS
from colorgan.data.shards import SET_FILE, parse_description
from colorgan.errors import OutputError, SetError, UsageError
from colorgan.files import atomic_write, remove_leftovers, sha256_of
from colorgan.locks import locked_in_turn
from colorgan.stores.access import WEB, check_address, file_system, object_name, read_bytes
from colorgan.stores.answers import converting_store_errors

_LEAST = WINDOW_SHARDS + 2  # beside a window, one being fetched, and one for validation
_CHUNK_BYTES = 16 << 20
_WAIT_S = 0.1  # between two tries to make room, while other processes' unfinished shards take too much
_DONE_NS = 10 * 365 * 86400 * 10**9  # a released shard's time of use is set back by this, so that it is evicted first
_ADVICE = "Copy the set there again, whole."
_UNFINISHED = ".colorgan-*"

Check = Callable[[], None]


@dataclass(frozen=True)
class ShardCache:
    """The local cache of a set at an address.

    Methods that fetch take a `check`, which is called between pieces and while waiting for other processes, and may
    raise to stop. They raise:

    - SetError: the file is missing, or not the one that the set was written with.
    - StorageError: the store refuses access, or does not answer.
    - OutputError: the cache cannot be written.

    Attributes:
        address: the set's address.
        folder: the cache's folder for this set, beside those of other sets.
        hashes: the SHA-256 of each of its files, by name.
        sizes: the bytes of each of its shards, by name.
        limit_bytes: the limit on the cached shards of all sets together.
        processes: the number of processes on this machine that share it.
    """

    address: str
    folder: Path
    hashes: dict[str, str]
    sizes: dict[str, int]
    limit_bytes: int
    processes: int = 1

    @classmethod
    def connect(cls, address: str, cache_root: Path, limit_bytes: int, processes: int = 1) -> ShardCache:
        """Read a set's description, and write it to the set's folder in `cache_root`, the cache folder of all sets.

        Raises:
            UsageError: the address is no set's, connections are not allowed, or the limit is too low; and as above.
        """
        address = whole_address(address).rstrip("/")
        if address.partition(":")[0] in WEB:
            found = f"{shown_address(address)}: a web server lists none"
            raise UsageError("the address of a set in a bucket, or a folder", found, "Copy the set to one of these.")
        check_address(address, "a set")
        sizes = _shard_sizes(address)  # first: its error explains best why a store refuses
        text = read_bytes(f"{address}/{SET_FILE}")
        description = parse_description(text, shown_address(address))
        hashes = description.get("sha256")
        identity = str(description.get("identity"))
        if not isinstance(hashes, dict) or not identity.isalnum():
            raise SetError(f"a description of the set in {shown_address(address)}/{SET_FILE}", "it is damaged", _ADVICE)
        cache = cls(address, cache_root / identity, hashes, sizes, limit_bytes, processes)
        cache._check_limit()
        with cache._writing(), atomic_write(cache.folder / SET_FILE) as file:
            file.write(text)
        return cache

    def check(self, name: str, end: int) -> None:
        """Check that a shard of at least `end` bytes is at the address, and its SHA-256 is known.

        Raises:
            SetError: one of them is not so.
        """
        expected = f"a shard of at least {end} bytes at {shown_address(self.address)}/{name}"
        if name not in self.sizes:
            raise SetError(expected, "there is none", _ADVICE)
        if self.sizes[name] < end:
            raise SetError(expected, f"it has {self.sizes[name]}", f"It was cut short. {_ADVICE}")
        if name not in self.hashes:
            found = "none, as earlier versions wrote it"
            raise SetError(f"the SHA-256 of {name} in {SET_FILE}", found, "Prepare the set again with this version.")

    def _check_limit(self) -> None:
        needed = min(_LEAST, len(self.sizes)) * self.processes * self._largest_bytes
        if self.limit_bytes < needed:
            each = f"{_LEAST} shards of up to {self._largest_bytes / 1e9:.3g} GB"
            expected = f"a `data_cache_gb` that holds {each} for each of {self.processes} processes, or the whole set"
            advice = f"Give at least {needed / 1e9:.6g}."
            raise UsageError(expected, f"{self.limit_bytes / 1e9:.6g}", advice, parameter="data_cache_gb")

    @property
    def _largest_bytes(self) -> int:
        return max(self.sizes.values(), default=1)

    @property
    def room(self) -> int:
        """How many shards each process may have cached for training at once; one more is for validation."""
        return max(1, self.limit_bytes // (self.processes * self._largest_bytes) - 1)

    def fetch_file(self, name: str, check: Check = lambda: None) -> None:
        """Fetch a file that is no shard, unless it is cached; it is never evicted."""
        path = self.folder / name
        with self._writing():
            if os.path.exists(path) and sha256_of(path) == self.hashes.get(name):
                return
            with converting_store_errors("to look at", f"{self.address}/{name}", is_place=True):
                size = int(file_system(self.address).size(object_name(f"{self.address}/{name}")))
            with atomic_write(path) as file:
                self._download(name, size, file, check)

    def open(self, name: str) -> IO[bytes]:
        """Open a shard, which is fetched if it is not cached."""
        path = self.folder / name
        while True:
            try:
                file = path.open("rb")
            except FileNotFoundError:
                self.fetch(name)
                continue
            self._touch(name)
            return file

    def fetch(self, name: str, check: Check = lambda: None) -> None:
        """Fetch a shard, unless it is cached; the least recently used shards are evicted to make room."""
        path = self.folder / name
        if self._touch(name):
            return
        with self._writing(), locked_in_turn(path.with_suffix(".lock"), check), ExitStack() as held:
            if os.path.exists(path):  # another process fetched it meanwhile
                return
            while not (file := self._reserve(path, held)):
                check()
                time.sleep(_WAIT_S)
            self._download(name, self.sizes[name], file, check)

    def release(self, name: str) -> None:
        """Let a shard be evicted first, unless it is used again."""
        self._touch(name, time.time_ns() - _DONE_NS)

    def _touch(self, name: str, used_ns: int = 0) -> bool:
        """Record when a shard was used, by default now; return whether it is cached."""
        path, used_ns = self.folder / name, used_ns or time.time_ns()
        try:
            os.utime(path, ns=(used_ns, used_ns))
        except OSError:  # it is another user's, or missing
            return os.path.exists(path)
        return True

    def _reserve(self, path: Path, held: ExitStack) -> IO[bytes] | None:
        """Reserve room for a shard by an unfinished file of its size; return None while others' take too much."""
        size = self.sizes[path.name]
        with locked_in_turn(self.folder.parent / "room.lock"):
            if not _make_room(self.folder.parent, self.limit_bytes - size):
                return None
            file = held.enter_context(atomic_write(path))
            file.truncate(size)
            return file

    def _download(self, name: str, size_bytes: int, file: IO[bytes], check: Check) -> None:
        digest = hashlib.sha256()
        for start in range(0, size_bytes, _CHUNK_BYTES):
            check()
            data = read_bytes(f"{self.address}/{name}", start, min(start + _CHUNK_BYTES, size_bytes))
            digest.update(data)
            file.write(data)
        if digest.hexdigest() != self.hashes.get(name):
            expected = f"{name} at {shown_address(self.address)} as {SET_FILE} describes it"
            raise SetError(expected, "its SHA-256 is another: it was changed, or damaged", _ADVICE)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as error:
            elsewhere = "set COLORGAN_CACHE to another folder, or lower `data_cache_gb`"
            raise OutputError.of(f"what is kept of the set, in {self.folder}", error, elsewhere) from error


def _shard_sizes(address: str) -> dict[str, int]:
    with converting_store_errors("to list", address, is_place=True):
        entries = file_system(address).ls(object_name(address), detail=True)
    sizes = {entry["name"].rpartition("/")[2]: int(entry["size"] or 0) for entry in entries}
    return {name: size for name, size in sizes.items() if name.endswith(".tar")}


def _make_room(cache_root: Path, limit_bytes: int) -> bool:
    """Evict the least recently used shards; return whether the rest is within a limit.

    Unfinished ones of other processes are kept.
    """
    for folder in cache_root.iterdir():
        remove_leftovers(folder)
    stats = []
    for pattern in ("*/*.tar", f"*/{_UNFINISHED}"):
        for path in cache_root.glob(pattern):
            with suppress(FileNotFoundError):  # its process has just renamed it
                stat = path.stat()
                stats.append((stat.st_mtime_ns, stat.st_size, path))
    total = sum(size for _, size, _ in stats)
    for _, size, path in sorted(stats):
        if total <= limit_bytes:
            break
        if path.suffix == ".tar":
            with suppress(OSError):  # Windows cannot remove an open file
                path.unlink()
                total -= size
    return total <= limit_bytes
