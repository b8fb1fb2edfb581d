"""Batches of a set at an address: those that the plan says, from shards that were brought before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from colorgan.data.cache import PhotoCache
from colorgan.data.dataset import Augment, Batch, training_batches
from colorgan.data.photoset import PhotoSet
from colorgan.data.plan import EpochPlan, PhotoOrder, Sides
from colorgan.data.remote.read_ahead import ReadAhead
from colorgan.data.remote.shard_cache import ShardCache
from colorgan.errors import UsageError

PLENTY = 10**9
AUGMENT = Augment(flip=True, crop_min=0.8, brightness=2, contrast=0.1)

fsspec = pytest.importorskip("fsspec")


def plan_of(photos: PhotoSet, rank: int = 0, ranks: int = 1) -> EpochPlan:
    train = photos.train
    shards = train.index["shard"].astype("int64")
    return EpochPlan(PhotoOrder(len(train)), 4, Sides(16), 0, rank, ranks, True, shards)


def batches(photos: PhotoSet, first_batch: int = 0, workers: int = 0) -> Iterator[Batch]:
    plan = plan_of(photos)
    return training_batches(photos.train, plan, AUGMENT, epoch=1, first_batch=first_batch, workers=workers)


def bits(read: Iterator[Batch]) -> list[bytes]:
    return [batch.rgb.numpy().tobytes() + batch.light.numpy().tobytes() for batch in read]


def threads() -> int:
    return sum(thread.name == "read-ahead" for thread in threading.enumerate())


@pytest.fixture
def narrow(address: str, many_shards: Path, tmp_path: Path) -> PhotoSet:
    """The remote set, with the smallest cache that is allowed."""
    largest = max(path.stat().st_size for path in many_shards.glob("*.tar"))
    return PhotoSet.open_remote(address, tmp_path, 6 * largest)


def test_batches_do_not_depend_on_room_workers_or_where_they_begin(
    address: str, narrow: PhotoSet, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = bits(batches(PhotoSet.open_remote(address, tmp_path_factory.mktemp("wide"), PLENTY)))
    assert len(whole) == 13
    assert bits(batches(narrow)) == whole
    assert bits(batches(narrow, workers=1)) == whole
    assert bits(batches(narrow, first_batch=7)) == whole[7:]
    assert threads() == 0


def test_an_epoch_that_is_left_early_leaves_no_thread(narrow: PhotoSet) -> None:
    begun = batches(narrow)
    next(begun)
    assert threads() == 1
    begun.close()
    assert threads() == 0


def test_each_shard_is_fetched_once_and_no_more_than_there_is_room_for(
    address: str, many_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest = max(path.stat().st_size for path in many_shards.glob("*.tar"))
    narrow = PhotoSet.open_remote(address, tmp_path, 10 * largest)
    fetched: list[str] = []
    fetch = ShardCache.fetch
    monkeypatch.setattr(ShardCache, "fetch", lambda cache, name, *more: fetched.append(name) or fetch(cache, name))
    ahead: list[int] = []
    plan = plan_of(narrow)
    read = 0
    for _ in batches(narrow):
        read += 4
        reached = {narrow.train.shard_of(s) for s in plan.shards[plan.photos_of(1)[:read]].tolist()}
        ahead.append(len(set(fetched) - reached))
    assert len(fetched) == len(set(fetched)) == len({*plan.shards[plan.photos_of(1)[:52]].tolist()})
    assert 0 < max(ahead) <= narrow.train.cache.room == 9


def test_a_shard_that_cannot_be_fetched_ends_the_epoch_where_it_is_needed(address: str, narrow: PhotoSet) -> None:
    last = narrow.train.shard_of(plan_of(narrow).shards[plan_of(narrow).photos_of(1)[51]])
    fsspec.filesystem("memory").rm(f"{address}/{last}")
    begun = batches(narrow)
    for _ in range(5):
        next(begun)
    with pytest.raises(UsageError, match=rf"to read .*{last}: there is no such object"):
        list(begun)
    assert threads() == 0


def test_waiting_for_a_shard_ends_with_the_error_of_the_one_before_it(address: str, narrow: PhotoSet) -> None:
    fsspec.filesystem("memory").rm(f"{address}/train-00002.tar")
    names = [narrow.train.shard_of(number) for number in (1, 2, 3)]
    with ReadAhead(narrow.train.cache, names, 3) as ahead:
        ahead.reach(names[:1])
        with pytest.raises(UsageError, match="train-00002"):
            ahead.reach(names[1:])


def test_all_photos_are_brought_to_the_device_from_an_address_too(narrow: PhotoSet, many_shards: Path) -> None:
    device = torch.device("cpu")
    far = PhotoCache.read(narrow.train, device, workers=2)
    assert torch.equal(far.pixels, PhotoCache.read(PhotoSet.open(many_shards).train, device, workers=0).pixels)
    assert len(list(far.batches(plan_of(narrow), AUGMENT, epoch=0))) == 13
