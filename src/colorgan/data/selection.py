"""Going through all source photos: which are kept, which are left out, in an order that threads cannot change."""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import IO, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from colorgan.callbacks import StopCheck
from colorgan.color.bins import BINS, nearest_bin
from colorgan.data.filters import (
    THUMB_SIDE,
    Reason,
    Reduced,
    Rejected,
    perceptual_hashes,
    reduce_photo,
    rejected_for_colors,
    thumbs_to_lab,
)
from colorgan.data.shards import Encoding
from colorgan.data.sources import Entry

_BATCH = 128  # photos that are judged at once
_COUNTED = slice(None, None, 2)  # the rows and columns of a thumb whose bins are counted
_BINS_PER_PHOTO = (THUMB_SIDE // 2) ** 2
_BINS_DTYPE = np.dtype("<u2")
_ROWS_AT_ONCE = 4096

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Criteria:
    """What decides whether a photo is kept; see `PrepareOptions`."""

    size: int
    min_side: int
    min_chroma: float
    per_class: int | None
    classes: frozenset[str] | None
    seed: int
    encoding: Encoding


@dataclass(frozen=True, slots=True)
class Kept:
    """A photo whose encoded file lies in a spool.

    Attributes:
        row: how many were kept before it.
        offset: of its file in the spool.
        length: bytes.
        height: pixels.
        width: pixels.
        digest: of its pixels.
        hash: the perceptual one.
    """

    row: int
    offset: int
    length: int
    height: int
    width: int
    digest: str
    hash: int


class Selection:
    """Decides about each entry, and spools the photos that are kept.

    Args:
        entries: all photos of all sources.
        criteria: what decides.
        encoded: a file for the kept photos' files, one after the other.
        bins: a file for the bins of their pixels.

    Attributes:
        outcomes: what became of each entry, in their order; None before `run` came to it.
    """

    def __init__(self, entries: Sequence[Entry], criteria: Criteria, encoded: IO[bytes], bins: IO[bytes]) -> None:
        self.outcomes: list[Kept | Rejected | None] = [None] * len(entries)
        self._entries = entries
        self._criteria = criteria
        self._encoded = encoded
        self._bins = bins
        self._kept = 0
        self._kept_of_class: Counter[str] = Counter()
        self._seen: dict[str, str] = {}  # digest -> the name of the photo that has it

    def run(self, workers: int, check: StopCheck) -> None:
        """Decide about every entry, with so many threads; what `check` raises ends it."""
        order = list(range(len(self._entries)))
        if self._criteria.per_class is not None:  # unshuffled, the first few of each class would be the kept ones
            Random(f"{self._criteria.seed}/photos").shuffle(order)
        batch: list[tuple[int, Reduced | Rejected]] = []
        with warnings.catch_warnings(), ThreadPoolExecutor(workers, "prepare") as pool:
            warnings.simplefilter("ignore")  # Pillow's words on odd metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Closed before the pool is, so that an interruption does not wait for what was only queued.
            with contextlib.closing(_in_order(pool, self._read, order, ahead=_BATCH + 4 * workers)) as results:
                for done, result in enumerate(results, start=1):
                    batch.append(result)
                    if len(batch) == _BATCH or done == len(order):
                        self._judge(batch)
                        batch = []
                    check.callbacks.on_progress(done, len(order))
                    check()  # after each photo, so that a signal is answered soon

    def _refusal(self, entry: Entry) -> Rejected | None:
        """Why an entry need not even be read."""
        criteria = self._criteria
        if criteria.classes is not None and entry.class_name not in criteria.classes:
            return Rejected(Reason.CLASS_NOT_CHOSEN)
        if criteria.per_class is not None and self._kept_of_class[entry.class_name] >= criteria.per_class:
            return Rejected(Reason.OVER_PER_CLASS)
        return None

    def _read(self, number: int) -> tuple[int, Reduced | Rejected]:
        entry = self._entries[number]
        criteria = self._criteria
        refusal = self._refusal(entry)
        return number, refusal or reduce_photo(entry, criteria.size, criteria.min_side, criteria.encoding)

    def _judge(self, batch: Sequence[tuple[int, Reduced | Rejected]]) -> None:
        photos = [result for _, result in batch if isinstance(result, Reduced)]
        lab = thumbs_to_lab(photos)
        verdicts = (rejected_for_colors(*pair, self._criteria.min_chroma) for pair in zip(photos, lab, strict=True))
        hashes = iter(perceptual_hashes(lab).tolist())
        bins = iter(nearest_bin(lab[:, 1:, _COUNTED, _COUNTED]).numpy().astype(_BINS_DTYPE))
        for number, result in batch:
            entry = self._entries[number]
            # Whether an entry was read before its class was full depends on the threads; what is said of it must not.
            refusal = self._refusal(entry)
            if isinstance(result, Rejected):
                self.outcomes[number] = refusal or result
                continue
            verdict, hashed, photo_bins = next(verdicts), next(hashes), next(bins)
            reason = refusal or verdict or self._duplicate(result)
            self.outcomes[number] = reason or self._keep(entry, result, hashed, photo_bins)

    def _duplicate(self, photo: Reduced) -> Rejected | None:
        first = self._seen.get(photo.digest)
        return None if first is None else Rejected(Reason.DUPLICATE, f"same pixels as {first}")

    def _keep(self, entry: Entry, photo: Reduced, hashed: int, bins: npt.NDArray[np.uint16]) -> Kept:
        kept = Kept(
            self._kept, self._encoded.tell(), len(photo.encoded), photo.height, photo.width, photo.digest, hashed
        )
        self._encoded.write(photo.encoded)
        self._bins.write(bins.tobytes())
        self._seen[photo.digest] = entry.name
        self._kept_of_class[entry.class_name] += 1
        self._kept += 1
        return kept


def count_bins(bins: IO[bytes], wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The share of pixels in each bin.

    Args:
        bins: what `Selection` wrote, from the start.
        wanted: (rows,), the photos to count, by `Kept.row`.

    Returns:
        (BINS,), summing to 1.
    """
    counts = np.zeros(BINS, np.int64)
    bins.seek(0)
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        data = bins.read(_ROWS_AT_ONCE * _BINS_PER_PHOTO * _BINS_DTYPE.itemsize)
        rows = np.frombuffer(data, _BINS_DTYPE).reshape(-1, _BINS_PER_PHOTO)
        counts += np.bincount(rows[wanted[start : start + len(rows)]].ravel(), minlength=BINS)
    return np.asarray(counts / counts.sum(), np.float64)


def _in_order(
    pool: ThreadPoolExecutor, function: Callable[[_Item], _Result], items: Iterable[_Item], ahead: int
) -> Generator[_Result, None, None]:
    """Like `pool.map`, but never more than `ahead` items in advance of the reader."""
    waiting: deque[Future[_Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
