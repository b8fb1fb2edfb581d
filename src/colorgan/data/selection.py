"""Selection of the source photos to keep; the outcome does not depend on the threads that read them."""

from __future__ import annotations

import contextlib
import warnings
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from random import Random
from typing import IO

import numpy as np
import numpy.typing as npt
from PIL import Image

from colorgan.callbacks import StopCheck
from colorgan.color.bins import BINS
from colorgan.data.filters import (
    BINS_DTYPE,
    BINS_PER_PHOTO,
    Reason,
    Reduced,
    Rejected,
    reduce_photo,
    rejected_for_colors,
)
from colorgan.data.options import PrepareOptions
from colorgan.data.shards import ENCODINGS
from colorgan.data.sources import Entry
from colorgan.ordered_pool import map_in_order

_ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Kept:
    """A photo to keep, whose encoded file is in a spool file.

    Attributes:
        entry: its entry in the source.
        row: how many photos were kept before it.
        offset: where its file begins in the spool.
        length: bytes of its file.
        height: pixels.
        width: pixels.
        digest: the hash of its pixels.
        hash: its perceptual hash.
    """

    entry: Entry
    row: int
    offset: int
    length: int
    height: int
    width: int
    digest: str
    hash: int


class Selection:
    """The choice of the photos to keep, which are written to a spool file.

    Args:
        entries: all photos of all sources.
        options: the criteria.
        classes: the classes to keep, None for all.
        encoded: a file to write the kept photos' files to, one after the other.
        bins: a file to write the color bins of their pixels to.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        options: PrepareOptions,
        classes: Set[str] | None,
        encoded: IO[bytes],
        bins: IO[bytes],
    ) -> None:
        self._entries, self._options, self._classes = entries, options, classes
        self._encoded, self._bins = encoded, bins
        self._kept_of_class: Counter[str] = Counter()
        self._kept_as: dict[str, str] = {}  # the name of each kept photo by the digest of its pixels

    def run(self, workers: int, check: StopCheck) -> list[Kept | Rejected]:
        """Decide about every entry, reading with `workers` threads; `check` may raise to stop.

        Returns:
            The outcome of each entry, in their order.
        """
        order = list(range(len(self._entries)))
        if self._options.per_class is not None:  # unshuffled, the first few of each class would be the kept ones
            Random(f"{self._options.seed}/photos").shuffle(order)
        outcomes: dict[int, Kept | Rejected] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's warnings about odd metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Closed by an interruption too, so that the threads end.
            with contextlib.closing(map_in_order(self._read, order, workers)) as results:
                for done, (number, result) in enumerate(results, start=1):
                    outcomes[number] = self._judge(self._entries[number], result)
                    check.callbacks.on_progress(done, len(order))
                    check()  # after each photo, so that a signal is answered soon
        return [outcomes[number] for number in range(len(self._entries))]

    def _refusal(self, entry: Entry) -> Rejected | None:
        """Return the rejection of an entry that need not be read, or None."""
        if self._classes is not None and entry.class_name not in self._classes:
            return Rejected(Reason.CLASS_NOT_CHOSEN)
        most = self._options.per_class
        if most is not None and self._kept_of_class[entry.class_name] >= most:
            return Rejected(Reason.OVER_PER_CLASS)
        return None

    def _read(self, number: int) -> tuple[int, Reduced | Rejected]:
        entry, options = self._entries[number], self._options
        refusal = self._refusal(entry)
        return number, refusal or reduce_photo(entry, options.size, options.min_side, ENCODINGS[options.encoding])

    def _judge(self, entry: Entry, result: Reduced | Rejected) -> Kept | Rejected:
        # Whether an entry was read before its class was full depends on the threads; its outcome must not.
        if refusal := self._refusal(entry):
            return refusal
        if isinstance(result, Rejected):
            return result
        if rejected := rejected_for_colors(result, self._options.min_chroma):
            return rejected
        if first := self._kept_as.get(result.digest):
            return Rejected(Reason.DUPLICATE, f"same pixels as {first}")
        return self._keep(entry, result)

    def _keep(self, entry: Entry, photo: Reduced) -> Kept:
        row, offset = len(self._kept_as), self._encoded.tell()
        self._encoded.write(photo.encoded)
        self._bins.write(photo.bins.tobytes())
        self._kept_as[photo.digest] = entry.name
        self._kept_of_class[entry.class_name] += 1
        return Kept(entry, row, offset, len(photo.encoded), photo.height, photo.width, photo.digest, photo.hash)


def count_bins(bins: IO[bytes], wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the share of pixels in each bin.

    Args:
        bins: the file that `Selection` wrote.
        wanted: (rows,), the photos to count, by `Kept.row`.

    Returns:
        (BINS,), summing to 1.
    """
    counts = np.zeros(BINS, np.int64)
    bins.seek(0)
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        data = bins.read(_ROWS_AT_ONCE * BINS_PER_PHOTO * BINS_DTYPE.itemsize)
        rows = np.frombuffer(data, BINS_DTYPE).reshape(-1, BINS_PER_PHOTO)
        counts += np.bincount(rows[wanted[start : start + len(rows)]].ravel(), minlength=BINS)
    return np.asarray(counts / counts.sum(), np.float64)
