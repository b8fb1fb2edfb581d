from __future__ import annotations

import pytest

from colorgan.batch import shards
from colorgan.batch.shards import RankSummary, Shard
from colorgan.distributed import World
from colorgan.errors import UsageError


def test_every_photo_is_of_exactly_one_shard_and_the_shards_are_alike() -> None:
    parts = [Shard(index, 4) for index in range(4)]
    owners = [[part.index for part in parts if part.has(f"in/{number}.jpg")] for number in range(4000)]
    assert all(len(indices) == 1 for indices in owners)
    sizes = [owners.count([index]) for index in range(4)]
    assert min(sizes) > 900


def test_one_shard_has_all() -> None:
    assert Shard().has("anything")


@pytest.mark.parametrize(("index", "count"), [(2, 2), (-1, 2), (0, 0)])
def test_a_shard_that_cannot_be_is_wrong_usage(index: int, count: int) -> None:
    with pytest.raises(UsageError, match=f"{index} of {count}") as caught:
        Shard(index, count)
    assert caught.value.parameter == "shard"


def test_the_first_adds_up_what_the_others_publish_and_does_not_wait_for_the_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from torch.distributed import HashStore

    store, asked = HashStore(), []
    monkeypatch.setattr(shards, "connect", lambda prefix: store)
    monkeypatch.setattr(shards, "_MOST_SILENCE_S", 0.3)
    ranks = [RankSummary(World(rank, 3)) for rank in range(2)]
    ranks[1].publish({"written": 5, "failed": 1})
    total, silent = ranks[0].total({"written": 2}, lambda: asked.append(True))
    assert (dict(total), silent) == ({"written": 7, "failed": 1}, [2])
    assert asked
