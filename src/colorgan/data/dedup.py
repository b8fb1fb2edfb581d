"""Splitting photos into training and validation ones, with near-duplicates on one side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from random import Random

import numpy as np
import numpy.typing as npt

_BANDS = 4
_BAND_BITS = 16
# Two hashes that differ in fewer bits than there are bands agree in at least one band.
MAX_DISTANCE = _BANDS - 1

_BITS_SET = np.array([value.bit_count() for value in range(1 << _BAND_BITS)], np.uint8)
_Numbers = npt.NDArray[np.int64]
_Hashes = npt.NDArray[np.uint64]


def _distance(left: _Hashes, right: _Hashes) -> npt.NDArray[np.uint8]:
    """Return the number of differing bits of each pair."""
    words = (left ^ right).view(np.uint16).reshape(-1, _BANDS)
    return np.asarray(_BITS_SET[words].sum(axis=1, dtype=np.uint8))


def _near_pairs(hashes: _Hashes, check: Callable[[], None]) -> Iterator[tuple[int, int]]:
    """Yield the positions of each pair of hashes at most MAX_DISTANCE bits apart, at least once."""
    for band in range(_BANDS):
        keys = (hashes >> np.uint64(band * _BAND_BITS)) & np.uint64((1 << _BAND_BITS) - 1)
        order = np.argsort(keys, kind="stable")
        keys, ordered = keys[order], hashes[order]
        left, step = np.arange(len(hashes)), 1
        while len(left):
            check()
            left = left[left + step < len(hashes)]
            left = left[keys[left] == keys[left + step]]
            close = left[_distance(ordered[left], ordered[left + step]) <= MAX_DISTANCE]
            yield from zip(order[close].tolist(), order[close + step].tolist(), strict=True)
            step += 1


def group_near_duplicates(hashes: _Hashes, check: Callable[[], None] = lambda: None) -> _Numbers:
    """Group photos whose hashes are at most MAX_DISTANCE bits apart, directly or through other photos.

    Args:
        hashes: (N,), uint64.
        check: called repeatedly; may raise to stop.

    Returns:
        (N,), the number of each photo's group.
    """
    distinct, which = np.unique(hashes, return_inverse=True)
    parent = list(range(len(distinct)))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for one, other in _near_pairs(distinct, check):
        parent[root(one)] = root(other)
    roots = np.array([root(node) for node in range(len(distinct))], np.int64)
    return roots[which]


def choose_validation(groups: _Numbers, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Choose whole groups for validation, as close to the fraction as they allow.

    Args:
        groups: (N,), each photo's group.
        fraction: the share of photos to hold back, 0 to below 1.
        seed: the seed of the choice.

    Returns:
        (N,), True for validation. At least one photo is, and one is not, if the fraction is above 0 and there
        are two groups.
    """
    sizes = Counter(groups.tolist())
    if fraction == 0 or len(sizes) < 2:
        return np.zeros(len(groups), np.bool_)
    order = sorted(sizes)
    Random(f"{seed}/validation").shuffle(order)
    wanted = min(max(1, round(fraction * len(groups))), len(groups) - 1)
    chosen: list[int] = []
    missing = wanted
    for group in order:
        if sizes[group] <= missing:
            chosen.append(group)
            missing -= sizes[group]
    rest = sorted(set(order) - set(chosen), key=sizes.__getitem__)
    # If only large groups are left, one of them may still bring the share closer; one always stays for training.
    if len(rest) > 1 and (not chosen or sizes[rest[0]] < 2 * missing):
        chosen.append(rest[0])
    return np.isin(groups, chosen)
